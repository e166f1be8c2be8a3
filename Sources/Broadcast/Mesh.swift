import Primitives
import Wire

// Rule 8: who is in the mesh.
extension BroadcastMachine {
  /// The least time after a prune in which this node does not graft, whatever the prune says.
  private static let leastBackoff = Microseconds.seconds(1)

  // MARK: What peers say

  mutating func grafted(by peer: NodeID, _ now: Instant, _ effects: inout [BroadcastEffect]) {
    guard let state = links[peer], !state.isMuted, !state.isInMesh else { return }
    guard !isLeaving else { return prune(peer, .leaving, now, &effects) }
    if let (at, until) = state.pruned, now < until {
      effects.append(.send(.prune(reason: .graftTooSoon, backoffSeconds: seconds(until - now)), to: peer))
      if now - at >= settings.graftGrace { charge(peer, .graftTooSoon, now, &effects) }
      return
    }
    guard score(of: peer, now) >= 0 else { return prune(peer, .score, now, &effects) }
    // There is always room for those that this node has dialled, and for as many as it still lacks.
    let room = settings.maximumDegree - max(0, settings.outboundDegree - mesh(isOutbound: true).count)
    guard state.isOutbound || mesh().count < room else { return prune(peer, .full, now, &effects) }
    counters.add("graftTaken")
    enter(peer)
    isMeshStale = true
  }

  mutating func pruned(by peer: NodeID, _ backoffSeconds: UInt16, _ now: Instant) {
    guard links.contains(peer) else { return }
    let told = Microseconds.seconds(Int64(min(backoffSeconds, GossipMessage.maximumBackoffSeconds)))
    let wasInMesh = links.modify(peer) { state in
      defer { state.isInMesh = false }
      state.refusedUntil = now + max(told, BroadcastMachine.leastBackoff)
      return state.isInMesh
    }
    counters.add("pruned")
    // Only what changes the mesh makes it be looked at: it costs a look at every link.
    if wasInMesh == true { isMeshStale = true }
  }

  mutating func unwanted(_ ids: [Digest], by peer: NodeID, _ now: Instant) {
    guard isOpen(peer) else { return }
    let until = now + interval * settings.unwantedHeartbeats
    let news = ids.prefix(settings.maximumUnwanted).filter { !store.contains($0) }
    _ = links.modify(peer) { state in
      for id in news { state.unwanted.insert(until, forKey: id) }
    }
  }

  /// Nothing new is pushed over a link that takes no more. When it takes more again, its peer is told of what it was not
  /// sent.
  mutating func congested(_ peer: NodeID, _ isCongested: Bool, _ effects: inout [BroadcastEffect]) {
    guard let state = links[peer] else { return }
    if isCongested {
      guard state.congestedFrom == nil else { return }
      counters.add("congested")
      let order = store.newestOrder
      _ = links.modify(peer) { $0.congestedFrom = order }
    } else if let from = state.congestedFrom {
      let end = store.newestOrder
      _ = links.modify(peer) { state in
        state.congestedFrom = nil
        let next = min(from, state.catchUp?.next ?? from)
        if next < end { state.catchUp = (next, end) }
      }
      isMeshStale = true
      catchUp(peer, &effects)
    }
  }

  // MARK: What this node decides

  /// Looks after the mesh when something has happened that may change it.
  mutating func keepMesh(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    guard isMeshStale || meshAt.map({ $0 <= now }) ?? false, !isLeaving else { return }
    defer { isMeshStale = false }
    meshAt = nil
    var scores = Table<NodeID, Int64>()
    for (peer, state) in links where !state.isMuted { scores[peer] = score(of: peer, now) }
    for (peer, score) in scores where score < settings.pruneScore && links[peer]?.isInMesh == true {
      prune(peer, .score, now, &effects)
    }
    if scores.count <= settings.fullMeshLinks {
      graft(candidates(scores, now), &effects)
      if mesh().count < scores.count { meshAt = nextChance(scores, now) }
      return
    }
    if mesh().count > settings.maximumDegree { cutMesh(scores, now, &effects) }
    if mesh().count < settings.minimumDegree {
      graft(candidates(scores, now).prefix(settings.degree - mesh().count), &effects)
      if mesh().count < settings.minimumDegree { meshAt = nextChance(scores, now) }
    }
    let missing = settings.outboundDegree - mesh(isOutbound: true).count
    if missing > 0 {
      let room = settings.maximumDegree - mesh().count
      let outbound = candidates(scores, now).filter { links[$0]?.isOutbound == true }
      graft(outbound.prefix(min(missing, room)), &effects)
      if mesh(isOutbound: true).count < settings.outboundDegree {
        let next = nextChance(scores.filter { links[$0.key]?.isOutbound == true }, now)
        meshAt = [meshAt, next].compactMap { $0 }.min()
      }
    }
  }

  /// In a mesh half of which brings nothing first and has good standing by nothing else, some better ones are taken in: a
  /// mesh of silent peers would else stay as it is.
  mutating func graftBetter(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    guard now >= opportunisticAt, !isLeaving else { return }
    opportunisticAt = now + settings.opportunisticInterval
    var scores = Table<NodeID, Int64>()
    for (peer, state) in links where !state.isMuted { scores[peer] = score(of: peer, now) }
    let inMesh = mesh().compactMap { scores[$0] }.sorted()
    guard scores.count > settings.fullMeshLinks, !inMesh.isEmpty else { return }
    let median = inMesh[inMesh.count / 2]
    guard median < settings.opportunisticScore else { return }
    let room = settings.maximumDegree - inMesh.count
    let better = candidates(scores, now).filter { (scores[$0] ?? 0) > median }
    graft(better.prefix(min(settings.opportunisticGrafts, room)), &effects)
  }

  /// Tells all that this node is about to stop.
  mutating func leaveMesh(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    isLeaving = true
    meshAt = nil
    for peer in mesh() { prune(peer, .leaving, now, &effects) }
  }

  /// Brings the mesh down to its degree: the best stay, and enough that this node has dialled, else chance decides.
  private mutating func cutMesh(_ scores: Table<NodeID, Int64>, _ now: Instant, _ effects: inout [BroadcastEffect]) {
    let all = ranked(mesh(), scores)
    var stay = Array(all.prefix(settings.keptBest))
    var rest = Array(all.dropFirst(settings.keptBest))
    generator.shuffle(&rest)
    let dialled = stay.filter { links[$0]?.isOutbound == true }.count
    let first = rest.filter { links[$0]?.isOutbound == true }.prefix(max(0, settings.outboundDegree - dialled))
    stay += first
    stay += rest.filter { !first.contains($0) }.prefix(max(0, settings.degree - stay.count))
    for peer in all where !stay.contains(peer) { prune(peer, .full, now, &effects) }
  }

  private mutating func graft(_ peers: some Sequence<NodeID>, _ effects: inout [BroadcastEffect]) {
    for peer in peers {
      counters.add("graftSent")
      enter(peer)
      effects.append(.send(.graft, to: peer))
    }
  }

  private mutating func enter(_ peer: NodeID) {
    _ = links.modify(peer) { state in
      state.isInMesh = true
      state.pruned = nil
      state.refusedUntil = nil
    }
  }

  /// Takes a peer out, or does not take it in, and says so.
  mutating func prune(
    _ peer: NodeID, _ reason: PruneReason, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    counters.add("pruneSent")
    let until = now + settings.pruneBackoff
    _ = links.modify(peer) { state in
      state.isInMesh = false
      state.pruned = (now, until)
    }
    isMeshStale = true
    effects.append(.send(.prune(reason: reason, backoffSeconds: seconds(settings.pruneBackoff)), to: peer))
  }

  /// Rounded up, so that who waits as long as it is told is never too early.
  private func seconds(_ span: Microseconds) -> UInt16 {
    min(GossipMessage.maximumBackoffSeconds, UInt16(clamping: (max(0, span.count) + 999_999) / 1_000_000))
  }

  // MARK: Who there is

  private func mesh() -> [NodeID] { links.filter { $0.value.isInMesh }.map(\.key) }

  private func mesh(isOutbound: Bool) -> [NodeID] {
    links.filter { $0.value.isInMesh && $0.value.isOutbound == isOutbound }.map(\.key)
  }

  /// Who may be taken into the mesh now, the best first.
  private mutating func candidates(_ scores: Table<NodeID, Int64>, _ now: Instant) -> [NodeID] {
    let all = scores.filter { peer, score in
      guard score >= 0, let state = links[peer], !state.isInMesh, state.congestedFrom == nil else { return false }
      return state.backoffUntil.map { $0 <= now } ?? true
    }
    return ranked(all.map(\.key), scores)
  }

  /// The best first; chance decides between equals.
  private mutating func ranked(_ peers: [NodeID], _ scores: Table<NodeID, Int64>) -> [NodeID] {
    var places = peers.map { (score: scores[$0] ?? 0, chance: generator.next(), id: $0) }
    places.sort { ($1.score, $0.chance, $0.id) < ($0.score, $1.chance, $1.id) }
    return places.map(\.id)
  }

  /// When one of these that is not in the mesh may be taken in.
  private func nextChance(_ scores: some Sequence<(key: NodeID, value: Int64)>, _ now: Instant) -> Instant? {
    var next: Instant?
    for (peer, score) in scores {
      guard let state = links[peer], !state.isInMesh, state.congestedFrom == nil else { continue }
      var at = state.backoffUntil ?? now
      // Points fade within some heartbeats.
      if score < 0 { at = max(at, now + interval) }
      if at > now { next = next.map { min($0, at) } ?? at }
    }
    return next
  }
}
