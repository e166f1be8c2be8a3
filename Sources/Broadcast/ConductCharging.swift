import Primitives

// Rule 6: what misconduct leads to.
extension BroadcastMachine {
  /// The score of a node in points.
  func score(of peer: NodeID, _ now: Instant) -> Int64 { conduct.score(of: peer, heartbeat: interval, now: now) }

  /// All that is known of a node's conduct, as of the last input; nil when nothing is.
  public func conduct(of id: NodeID) -> Conduct? { conduct.conduct(of: id, heartbeat: interval, now: clock) }

  /// For how many more seconds a node is not to be let in, rounded up; 0 when it is, or its link is to be kept.
  public func banSeconds(of id: NodeID, now: Instant) -> UInt32 {
    guard !kept.contains(id), let until = conduct.bannedUntil(id, now: now) else { return 0 }
    return UInt32(clamping: ((until - now).count + 999_999) / 1_000_000)
  }

  mutating func charge(_ peer: NodeID, _ misconduct: Misconduct, _ now: Instant, _ effects: inout [BroadcastEffect]) {
    counters.add("misconduct.\(misconduct)")
    let isAtBottom = conduct.charge(peer, misconduct, heartbeat: interval, now: now)
    // A look at the mesh is a look at every link: it is worth one only when this puts the peer out of it.
    if links[peer]?.isInMesh == true, score(of: peer, now) < settings.pruneScore { isMeshStale = true }
    guard isAtBottom, links[peer]?.isMuted != true else { return }
    if kept.contains(peer) {
      guard links.contains(peer) else { return }
      mute(peer)
      conduct.mute(peer, for: misconduct, now: now)
      counters.add("muted")
      effects.append(.muted(peer, misconduct, score: score(of: peer, now)))
    } else if links.contains(peer) || conduct.bannedUntil(peer, now: now) == nil {
      // What came over a link that has ended since counts as well.
      close(peer, misconduct, now, &effects)
    }
  }

  private mutating func close(
    _ peer: NodeID, _ misconduct: Misconduct, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    mute(peer)
    let span = conduct.ban(peer, for: misconduct, now: now)
    counters.add("closed")
    effects.append(
      .close(peer, misconduct, score: score(of: peer, now), banSeconds: UInt32(clamping: span.count / 1_000_000)))
  }

  private mutating func mute(_ peer: NodeID) {
    let wasInMesh = links.modify(peer) { state in
      defer { state.isInMesh = false }
      state.isMuted = true
      return state.isInMesh
    }
    if wasInMesh == true { isMeshStale = true }
  }

  /// The end of a peer's silence whose link the caller did not close.
  mutating func reopen(_ peer: NodeID, _ now: Instant) {
    guard links[peer]?.isMuted == true,
      conduct.balance(of: peer, heartbeat: interval, now: now).debt < settings.conduct.closingPoints * 500
    else { return }
    let missed = store.count > 0 ? (next: UInt64(0), end: store.newestOrder) : nil
    _ = links.modify(peer) { state in
      state.isMuted = false
      state.catchUp = missed
    }
    isMeshStale = true
  }

  /// Who is kept from now on; a ban ends with it. Who is not any more, and not heard, is closed like any other.
  mutating func keep(_ peers: [NodeID], _ now: Instant, _ effects: inout [BroadcastEffect]) {
    kept = OrderedSet(peers.prefix(BroadcastMachine.maximumLinks))
    for peer in kept { conduct.pardon(peer) }
    for (peer, state) in links where state.isMuted && !kept.contains(peer) {
      guard conduct.bannedUntil(peer, now: now) == nil, let last = conduct.lastClosing(of: peer) else { continue }
      close(peer, last.misconduct, now, &effects)
    }
  }

  /// Who is not let in now, until when, and for what at last; in the order of ids, members or not.
  public func bans(now: Instant) -> [(peer: NodeID, until: Instant, misconduct: Misconduct)] {
    conduct.bans(now: now).filter { !kept.contains($0.peer) }
  }
}
