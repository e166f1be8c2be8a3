import Primitives
import Wire

// Rules 2, 3 and 4: announcements, requests and the heartbeat.
extension BroadcastMachine {
  mutating func announced(
    _ ids: [Digest], _ announcer: NodeID, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    guard isOpen(announcer), let taken = links[announcer]?.announced else { return }
    let limit = settings.maximumAnnouncedPerHeartbeat
    let room = max(0, limit - taken)
    // An empty list costs this node as much as one id.
    let cost = max(1, ids.count)
    _ = links.modify(announcer) { $0.announced += cost }
    if taken + cost > limit * settings.floodFactor {
      counters.add("flood")
      charge(announcer, .floodAnnounce, now, &effects)
    }
    for id in ids.prefix(room) {
      if hasSeen(id) {
        store.addHolder(announcer, of: id)
      } else if wants.contains(id) {
        wants.addAnnouncer(announcer, of: id)
      } else if wants.count(asked: announcer) < settings.maximumWantedPerPeer, hasRoomToAsk(announcer),
        hasRoomToWant(from: announcer)
      {
        ask(announcer, for: id, others: [], now)
      } else {
        counters.add("announcementIgnored")
      }
    }
  }

  mutating func requested(
    _ ids: [Digest], _ asker: NodeID, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    guard isOpen(asker), let taken = links[asker]?.requested else { return }
    let limit = settings.maximumRequestedPerHeartbeat
    let room = max(0, limit - taken)
    let cost = max(1, ids.count)
    _ = links.modify(asker) { $0.requested += cost }
    if taken + cost > limit * settings.floodFactor {
      counters.add("flood")
      charge(asker, .floodRequest, now, &effects)
    }
    for id in OrderedSet(ids.prefix(room)) {
      guard let item = store[id] else {
        counters.add("requestUnknown")
        continue
      }
      guard hasAnswerLeft(asker) else { return counters.add("requestRepeated") }
      guard let sent = links[asker]?.answeredBytes, sent + item.bytes <= settings.maximumAnsweredBytesPerHeartbeat
      else { return counters.add("requestTooMuch") }
      _ = links.modify(asker) { state in
        state.answeredBytes += item.bytes
        state.answersUsed += 1
      }
      outbox[asker, default: []].append(item.message.value.envelope)
    }
  }

  /// A peer is answered as often as there are messages kept, and new ones, times some, whichever it asks for; so often only
  /// that no request of an honest one is left out, which asks for each once, and again for what was lost with a link or by a
  /// restart. What is beyond is not answered, and costs nothing: who is restarted all the time is broken and not hostile.
  private mutating func hasAnswerLeft(_ peer: NodeID) -> Bool {
    let times = UInt64(settings.answersOfOneMessage)
    let end = store.newestOrder * times
    let start = end - UInt64(store.count) * times
    return links.modify(peer) { state in
      state.answersUsed = max(state.answersUsed, start)
      return state.answersUsed < end
    } ?? false
  }

  private mutating func hasRoomToWant(from peer: NodeID) -> Bool {
    guard wants.count >= settings.maximumWanted else { return true }
    guard wants.displace(for: peer) else { return false }
    // Nothing is lost: its id is announced in some heartbeats, and by several.
    counters.add("wantDisplaced")
    return true
  }

  /// Rule 7.
  private func hasRoomToAsk(_ peer: NodeID) -> Bool {
    links[peer].map { $0.asked < settings.maximumRequestedPerHeartbeat / 2 } ?? false
  }

  private mutating func ask(_ peer: NodeID, for id: Digest, others: [NodeID], _ now: Instant) {
    _ = links.modify(peer) { $0.asked += 1 }
    wants.ask(peer, for: id, others: others, deadline: now + settings.requestTimeout)
    requests[peer, default: []].append(id)
  }

  /// Rule 3: asks the next announcer that is still linked.
  mutating func askNext(_ id: Digest, _ others: [NodeID], _ now: Instant) {
    guard let next = others.firstIndex(where: isOpen) else { return counters.add("wantGivenUp") }
    ask(others[next], for: id, others: Array(others[(next + 1)...]), now)
  }

  mutating func tick(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    while let (id, want) = wants.popDue(now) {
      counters.add("requestTimedOut")
      if isOpen(want.asked) { promiseBroken(want.asked, now, &effects) }
      askNext(id, want.others, now)
    }
    guard let due = heartbeatAt, due <= now else { return }
    heartbeatAt = nil
    for peer in links.keys {
      _ = links.modify(peer) { state in
        (state.announced, state.requested, state.asked, state.answeredBytes) = (0, 0, 0, 0)
        state.hasBrokenPromise = false
        while let oldest = state.unwanted.oldest, oldest.value <= now { state.unwanted.removeValue(forKey: oldest.key) }
      }
      reopen(peer, now)
      catchUp(peer, &effects)
    }
    announceFresh(now, &effects)
    graftBetter(now, &effects)
  }

  /// What is lost on the way, and what comes late, is nobody's fault: it costs little. But in a mesh of those that bring
  /// nothing, nothing would arrive.
  private mutating func promiseBroken(_ peer: NodeID, _ now: Instant, _ effects: inout [BroadcastEffect]) {
    charge(peer, .brokenPromise, now, &effects)
    guard let state = links[peer], !state.hasBrokenPromise else { return }
    _ = links.modify(peer) { state in
      state.hasBrokenPromise = true
      state.brokenInARow += 1
    }
    guard state.isInMesh, state.brokenInARow + 1 >= settings.brokenPromisesInARow else { return }
    counters.add("promiserPruned")
    prune(peer, .score, now, &effects)
  }

  /// Rule 2: some peers, those outside the mesh first, learn what is new; but not what has just gone to the mesh, since
  /// that is still on its way to them, and they would ask for it.
  private mutating func announceFresh(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    let due = store.settled(in: fresh, by: now - interval, limit: maximumAnnounced)
    guard !due.isEmpty else { return }
    let open = links.filter { !$0.value.isMuted }
    var chosen = generator.sample(open.filter { !$0.value.isInMesh }.map(\.key), count: settings.announcedPeers)
    chosen += generator.sample(
      open.filter { $0.value.isInMesh }.map(\.key), count: max(1, settings.announcedPeers - chosen.count))
    for peer in chosen {
      let ids = due.filter { store[$0]?.holders.contains(peer) == false }
      for start in stride(from: 0, to: ids.count, by: GossipMessage.maximumIDs) {
        let part = Array(ids[start..<min(ids.count, start + GossipMessage.maximumIDs)])
        effects.append(.send(.announce(part), to: peer))
      }
    }
    for id in due where !store.announce(id) { fresh.remove(id) }
  }

  /// Rule 7, of which rule 4 has its share.
  private var maximumAnnounced: Int {
    max(1, settings.maximumAnnouncedPerHeartbeat / 2 - GossipMessage.maximumIDs)
  }

  /// Rule 4.
  mutating func catchUp(_ peer: NodeID, _ effects: inout [BroadcastEffect]) {
    guard isOpen(peer), let state = links[peer], state.congestedFrom == nil, let part = state.catchUp else { return }
    let (ids, next) = store.ids(from: part.next, below: part.end, limit: GossipMessage.maximumIDs)
    _ = links.modify(peer) { state in state.catchUp = next.map { (next: $0, end: part.end) } }
    if !ids.isEmpty { effects.append(.send(.announce(ids), to: peer)) }
  }

  /// The heartbeat runs while it has work, so that an idle node sleeps.
  mutating func schedule(_ now: Instant) {
    guard heartbeatAt == nil else { return }
    let hasWork =
      (!fresh.isEmpty && !links.isEmpty)
      || links.contains {
        $0.value.announced + $0.value.requested + $0.value.asked > 0 || $0.value.catchUp != nil || $0.value.isMuted
          || $0.value.unwanted.count > 0
      }
    if hasWork { heartbeatAt = now + interval }
  }
}
