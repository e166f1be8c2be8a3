import Primitives
import Wire

// Rule 5: links, which of them to seek, and the retries of who is down.
extension MembershipMachine {
  /// The most members dialled in one connect round.
  static let maximumDialsPerRound = 8
  /// The most down members tried in one round of healing.
  static let maximumTriesPerRound = 8
  /// When many are down, the time between two that are tried again because another has come back.
  static let hurryEach = Microseconds.milliseconds(20)

  mutating func linkUp(
    _ peer: NodeID, _ address: PeerAddress, _ isOutbound: Bool, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard peer != id else { return counters.add("linkWithSelf") }
    guard links.contains(peer) || links.count < MembershipMachine.maximumLinks else {
      return counters.add("linkIgnored")
    }
    links[peer] = MemberLink(
      address: address, isOutbound: isOutbound, since: now, news: TokenBucket(MembershipMachine.newsOfOne, now: now))
    if isOutbound {
      let others = entries[peer]?.body.addresses.filter { $0 != address } ?? []
      effects.append(.met(peer, [address] + others))
    } else if !isNeighbour(address) {
      lastInbound = now
    }
    noteHeard(peer, at: address)
    _ = entries.modify(peer) { entry in
      entry.lastSeen = now
      entry.dialDelay = settings.minimumDialDelay
      if entry.verified == nil { entry.verified = address }
    }
    compareTables(with: peer, now, &effects)
    tellAccusations(of: peer, &effects)
  }

  mutating func linkDown(
    _ peer: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard links.removeValue(forKey: peer) != nil, let entry = entries[peer] else { return }
    let headStart = id > peer ? settings.minimumDialDelay : .zero
    _ = entries.modify(peer) { $0.nextDial = max($0.nextDial, now + headStart) }
    // A broken link is the earliest sign of a dead node.
    if entry.isActive { startProbe(peer, .verdict, now, &identity, &effects) }
  }

  mutating func receive(
    _ messages: [Verified<Message>], from sender: NodeID, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard sender != id else { return counters.add("linkWithSelf") }
    if messages.count > LinkMessage.maximumRecords { counters.add("exchangeTruncated") }
    let first = effects.count
    speaker = sender
    isSpokenOverLink = true
    newsSource = messages.count == 1 ? sender : nil
    // Before its words: what refutes is said by who is there.
    noteLinked(sender, now)
    for message in messages.prefix(LinkMessage.maximumRecords) { apply(message, now, &identity, &effects) }
    speaker = nil
    isSpokenOverLink = false
    newsSource = nil
    let answers = effects[first...].contains { if case .exchange(_, sender) = $0 { true } else { false } }
    heard(from: sender, now, &identity, &effects)
    guard isRunning, let link = links[sender], messages.isEmpty || (!answers && accusesMe(messages)) else { return }
    // It asks for the own record, or it has accused this node and must hear what refutes it.
    guard link.recordSent.wasAtLeast(settings.minimumProbeTimeout, before: now) else {
      return counters.add("exchangeTooOften")
    }
    _ = links.modify(sender) { $0.recordSent = now }
    effects.append(.exchange([ownRecord.envelope], to: sender))
  }

  /// Who speaks over its link is not silent.
  mutating func heard(
    from sender: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    noteLinked(sender, now)
    if !relays.isEmpty {
      for (number, probe) in probes where probe.target == sender && probe.isOverLink {
        probeAnswered(number, probe, now, &identity, &effects)
      }
    }
    guard let number = entries[sender]?.probe, let probe = probes[number], probe.stage == .indirect else { return }
    endProbe(number, probe)
    counters.add("linkSpokeForMember")
  }

  private mutating func noteLinked(_ sender: NodeID, _ now: Instant) {
    noteHeard(sender, at: links[sender]?.address)
    _ = entries.modify(sender) { $0.lastSeen = now }
  }

  mutating func connectRound(
    _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    deadlines.set(.connect, at: now + settings.connectInterval)
    renewIfClockWasSet(now, &identity, &effects)
    reviewOwnAddresses(now, &identity, &effects)
    var candidates: [NodeID]
    var wanted = MembershipMachine.maximumDialsPerRound
    if activeCount < settings.fullMeshBelow {
      candidates = entries.keys
    } else {
      guard links.count < settings.degree, !ring.isEmpty else { return }
      wanted = min(2, settings.degree - links.count)
      candidates = (0..<4 * settings.degree).map { _ in entries.id(at: ring[generator.index(below: ring.count)]) }
      candidates = OrderedSet(candidates).members
      generator.shuffle(&candidates)
    }
    for peer in candidates where wanted > 0 {
      guard let entry = entries[peer], entry.isActive, entry.nextDial <= now else { continue }
      if dial(peer, now, &effects) { wanted -= 1 }
    }
  }

  private mutating func dial(_ peer: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]) -> Bool {
    // Nobody can dial a node behind a NAT; it dials.
    guard !links.contains(peer), var entry = entries[peer], entry.body.via.isEmpty else { return false }
    guard let address = address(of: peer, entry) else { return false }
    entry.nextDial = now + jittered(entry.dialDelay)
    entry.dialDelay = min(settings.maximumDialDelay, entry.dialDelay * 2)
    entries[peer] = entry
    effects.append(.dial(address, peer))
    return true
  }

  /// Rule 5: probes and dials a down member, and sets the next time. The more are down, the rarer is each tried.
  mutating func retry(
    _ peer: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard var entry = entries[peer], entry.state == .down else { return }
    // It may never have been.
    if entry.isUnseen, now - entry.since >= settings.unseenRetry { return forget(peer) }
    let ceiling = max(settings.maximumRetry, Microseconds.milliseconds(250) * Int64(count(of: .down)))
    entry.retryDelay = min(ceiling, entry.retryDelay * 2)
    setRetry(peer, entry, at: now + jittered(entry.retryDelay))
    entries[peer] = entry
    startProbe(peer, .errand, now, &identity, &effects)
    tellAccusations(of: peer, &effects)
    _ = dial(peer, now, &effects)
  }

  /// Rule 5: some down members are tried now and then, whatever their backoff says. What divided the network may have done
  /// so for a month, and the backoffs of those that went down together run in step. All active nodes together try each of
  /// them about twice a round; the first who is back hurries the others.
  mutating func healRound(_ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]) {
    deadlines.set(.heal, at: now + jittered(healInterval))
    guard count(of: .down) > 0 else { return }
    let down = entries.down
    let share = (2 * down.count + activeCount - 1) / activeCount
    for peer in generator.sample(down, count: min(share, MembershipMachine.maximumTriesPerRound)) {
      startProbe(peer, .errand, now, &identity, &effects)
      if entries[peer].map({ $0.nextDial <= now }) == true { _ = dial(peer, now, &effects) }
    }
  }

  /// In all, as many tries a second whatever the number of nodes.
  var healInterval: Microseconds {
    max(settings.healInterval, settings.healInterval * Int64(activeCount) / Int64(max(1, settings.healCrowd)))
  }

  /// A down member is back, so what kept it away may be over for the others too: they are tried at once, not when their
  /// backoff says. At most once in a while, and over a longer time where many are down.
  mutating func hurryRetries(_ now: Instant) {
    guard lastHurry.wasAtLeast(settings.hurryInterval, before: now) else { return }
    lastHurry = now
    let span = max(settings.hurrySpan, MembershipMachine.hurryEach * Int64(count(of: .down)))
    for member in entries.down {
      _ = entries.modify(member) {
        $0.retryDelay = settings.minimumRetry
        $0.dialDelay = settings.minimumDialDelay
      }
      guard let entry = entries[member] else { continue }
      setRetry(member, entry, at: now + generator.span(upTo: span))
    }
  }

  /// When a down member is tried next: one that was never heard no later than it is to be forgotten.
  private mutating func setRetry(_ member: NodeID, _ entry: MemberEntry, at time: Instant) {
    deadlines.set(.retry(member), at: entry.isUnseen ? min(time, entry.since + settings.unseenRetry) : time)
  }
}
