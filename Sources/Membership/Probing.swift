import Primitives
import Wire

// Rules 2, 6 and 7: pings, those asked of others, and the answers.
extension MembershipMachine {
  mutating func probeRound(_ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]) {
    deadlines.set(.round, at: now + jittered(settings.probeInterval) * (1 + healthScore))
    for _ in 0...1 {
      while ringIndex < ring.count {
        let target = entries.id(at: ring[ringIndex])
        guard let entry = entries[target], entry.isActive, entry.probe == nil else {
          ringIndex += 1
          continue
        }
        // Who was never heard may never have been: such have every second turn at most.
        if entry.isUnseen, lastPlaceUnseen,
          let heard = sampleVoices(1, where: { !$1.isUnseen && $1.probe == nil }).first
        {
          lastPlaceUnseen = false
          return startProbe(heard, .verdict, now, &identity, &effects)
        }
        ringIndex += 1
        lastPlaceUnseen = entry.isUnseen
        return startProbe(target, .verdict, now, &identity, &effects)
      }
      beginRound()
    }
  }

  /// Pings a member unless a probe of it is under way. One that others bring about carries no news: it rides on so many
  /// messages and no more.
  mutating func startProbe(
    _ target: NodeID, _ purpose: Probe.Purpose, withNews: Bool = true, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, var entry = entries[target] else { return }
    guard purpose.isRelay || entry.probe == nil else { return }
    guard probes.count < MembershipMachine.maximumProbes else { return counters.add("probeDropped") }
    let isOfAnotherFamily = isOfAnotherFamily(entry.body)
    if !entry.body.via.isEmpty || isOfAnotherFamily {
      if purpose.isRelay, links.contains(target) { return askOverLink(target, entry, purpose, now, &effects) }
      // A ping would not pass its NAT, or not leave this host, so silence would say nothing: others are asked from the
      // start.
      if case .verdict = purpose, isOfAnotherFamily ? hasHelper(for: target, entry) : !isHeard(entry, now) {
        let number = probeNumber()
        _ = entries.modify(target) { $0.probe = number }
        let probe = Probe(target: target, purpose: purpose, sentAt: now, incarnation: entry.incarnation, carried: 0)
        return askHelpers(number, probe, entry, now, &identity, &effects)
      }
    }
    entry.address = address(of: target, entry)
    guard let address = entry.address else {
      // Silence of a node without an address proves nothing; its link may still speak for it.
      return counters.add("noUsableAddress")
    }
    let number = probeNumber()
    let words = pickRumours(for: target, entry, bytes: Rumours.maximumBytes, withNews: withNews && !purpose.isRelay)
    let carried = words.contains { $0.author == id && $0.kind == .nodeRecord } ? ownRecord.sequence : 0
    let ping = Ping(receiver: target, number: number, height: ownHeight, observed: address, rumours: words)
    if !purpose.isRelay { entry.probe = number }
    entries[target] = entry
    probes[number] = Probe(
      target: target, purpose: purpose, sentAt: now, incarnation: entry.incarnation, carried: carried)
    deadlines.set(.probe(number), at: now + timeout(entry, purpose))
    counters.add("pingSent")
    effects.append(.send(identity.seal(.ping(ping), now: now), to: address, receiver: target))
  }

  /// Another asks for a member behind a NAT that is linked with this node: what it says there answers.
  private mutating func askOverLink(
    _ target: NodeID, _ entry: MemberEntry, _ purpose: Probe.Purpose, _ now: Instant,
    _ effects: inout [MembershipEffect]
  ) {
    let number = probeNumber()
    var probe = Probe(target: target, purpose: purpose, sentAt: now, incarnation: entry.incarnation, carried: 0)
    probe.isOverLink = true
    probes[number] = probe
    deadlines.set(.probe(number), at: now + timeout(entry, purpose))
    effects.append(.exchange([], to: target))
  }

  /// Not to be guessed by who has not seen the ping, and nine bytes long on the wire.
  mutating func probeNumber() -> UInt64 { generator.next() >> 2 | 1 << 60 }

  private func timeout(_ entry: MemberEntry, _ purpose: Probe.Purpose) -> Microseconds {
    if case .relay = purpose { return settings.relayTimeout }
    return directTimeout(entry) * (1 + healthScore)
  }

  private func directTimeout(_ entry: MemberEntry) -> Microseconds {
    guard let roundTrip = entry.roundTrip else { return settings.initialProbeTimeout }
    let estimate = roundTrip.smoothed + roundTrip.variation * 4
    return min(settings.maximumProbeTimeout, max(settings.minimumProbeTimeout, estimate))
  }

  /// What a message to a member carries: that it is accused and of what, who this node is, and the news unless it shall
  /// not.
  mutating func pickRumours(
    for receiver: NodeID, _ entry: MemberEntry, bytes: Int, withNews: Bool = true
  ) -> [Envelope] {
    var picked: [Envelope] = []
    var room = bytes
    func take(_ envelope: Envelope) {
      guard envelope.encodedBytes <= room else { return }
      room -= envelope.encodedBytes
      picked.append(envelope)
    }
    let accusation = entry.accusations.first?.value.message.envelope
    if let accusation { take(accusation) }
    if entry.knowsOwn < ownRecord.sequence { take(ownRecord.envelope) }
    // The record that is accused, in case its key was restored to a disk that does not know that it ever signed it: a word
    // about an incarnation that it does not know it could not refute.
    if accusation != nil { take(entry.record.envelope) }
    guard withNews else { return picked }
    let limit = settings.rumourFactor * Logarithm.digits(activeCount)
    let already = picked
    let news = rumours.take(
      count: Rumours.maximumCount - picked.count, bytes: room, receiver: receiver, limit: limit)
    return already + news.filter { !already.contains($0) }
  }

  mutating func probeTimedOut(
    _ number: UInt64, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard let probe = probes[number] else { return }
    guard probe.stage == .direct, case .verdict = probe.purpose, let entry = entries[probe.target] else {
      return probeFailed(number, probe, now, &identity, &effects)
    }
    askHelpers(number, probe, entry, now, &identity, &effects)
  }

  private mutating func askHelpers(
    _ number: UInt64, _ asked: Probe, _ entry: MemberEntry, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    var probe = asked
    probe.stage = .indirect
    let target = probe.target
    let mayHelp = helperCondition(for: target, entry)
    // Who is linked with a member behind a NAT reaches it; others may not.
    let via = entry.body.via.filter { helper in entries[helper].map { mayHelp(helper, $0) } ?? false }
    let others = drawHelpers(where: mayHelp)
    probe.helpers = OrderedSet((via + others).prefix(max(via.count, settings.indirectProbes))).members
    probes[number] = probe
    for helper in probe.helpers {
      guard let address = entries[helper]?.address else { continue }
      let request = PingRequest(receiver: helper, number: number, target: probe.target)
      effects.append(.send(identity.seal(.pingRequest(request), now: now), to: address, receiver: helper))
    }
    // The link may still speak for it (the TCP probe of Lifeguard): an empty list asks for its record.
    if links.contains(probe.target) { effects.append(.exchange([], to: probe.target)) }
    let direct = directTimeout(entry)
    let whole = max(settings.probeInterval, direct * 3, direct + settings.relayTimeout * 3 / 2)
    deadlines.set(.probe(number), at: max(now + direct, probe.sentAt + whole * (1 + healthScore)))
  }

  /// The next try goes to the next address that a member names.
  private mutating func turnAddress(of target: NodeID) {
    guard var entry = entries[target] else { return }
    let candidates = usableAddresses(of: target, entry.body)
    let place = candidates.firstIndex { $0 == entry.address }.map { $0 + 1 } ?? 0
    entry.address = candidates.isEmpty ? nil : candidates[place % candidates.count]
    entry.heardAt = nil
    entries[target] = entry
  }

  private mutating func probeFailed(
    _ number: UInt64, _ probe: Probe, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    endProbe(number, probe)
    if case .asked(let request) = probe.purpose { return effects.append(.pinged(request: request, .timedOut)) }
    if case .relay(let asker, let asked, let source) = probe.purpose {
      let nack = identity.seal(.nack(Nack(receiver: asker, number: asked)), now: now)
      effects.append(.send(nack, to: source, receiver: asker))
      return
    }
    turnAddress(of: probe.target)
    guard case .verdict = probe.purpose else { return }
    counters.add("probeFailed")
    setHealth(ownFault(in: probe, now))
    guard entries[probe.target]?.incarnation == probe.incarnation else { return }
    accuse(probe.target, now, &identity, &effects)
  }

  mutating func endProbe(_ number: UInt64, _ probe: Probe) {
    probes.removeValue(forKey: number)
    deadlines.set(.probe(number), at: nil)
    if case .relay(let asker, _, _) = probe.purpose {
      let left = relays[asker, default: 0] - 1
      relays[asker] = left > 0 ? left : nil
    } else {
      _ = entries.modify(probe.target) { if $0.probe == number { $0.probe = nil } }
    }
  }

  /// This node itself was held up: what seemed silence was its own. Nobody is blamed for it.
  mutating func forgiveSilence(late: Microseconds, _ now: Instant) {
    counters.add("lateTick")
    setHealth(1)
    for (number, probe) in probes where !probe.purpose.isAsked { endProbe(number, probe) }
    for (member, entry) in entries where entry.state == .suspect {
      if let end = deadlines[.suspicion(member)] { deadlines.set(.suspicion(member), at: end + late) }
    }
  }

  mutating func receive(
    _ message: Verified<Message>, _ words: [Verified<Message>], _ source: PeerAddress, _ now: Instant,
    _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    let author = message.author
    guard author != id else { return counters.add("ownDatagram") }
    guard message.value.body.receiver == id else { return counters.add("wrongReceiver") }
    guard words.count <= Rumours.maximumCount else { return counters.add("tooManyRumours") }
    speaker = author
    newsSource = author
    defer {
      speaker = nil
      newsSource = nil
    }
    if !entries.contains(author) {
      // A stranger introduces itself by its record.
      for word in words where word.author == author { apply(word, now, &identity, &effects) }
    }
    guard let isNew = entries.modify(author, { $0.window.admit(message.sequence) }) else {
      return counters.add("authorUnknown")
    }
    guard isNew else { return counters.add("replayed") }
    lastDatagram = now
    noteSource(of: author, source, now)
    if case .ack(let ack) = message.value.body, probes[ack.number]?.target == author {
      // Before its words: what refutes is said by who is there.
      _ = entries.modify(author) { $0.lastSeen = now }
      noteHeard(author, at: source)
    }
    for word in words { apply(word, now, &identity, &effects) }
    var answered: [Envelope]?
    switch message.value.body {
    case .ping(let ping): answered = answer(ping, message, source, now, &identity, &effects)
    case .ack(let ack): receive(ack, from: author, message.sequence, source, now, &identity, &effects)
    case .nack(let nack): receive(nack, from: author)
    case .pingRequest(let request): relay(request, from: author, source, now, &identity, &effects)
    default: counters.add("notADatagram")
    }
    tell(author, beyond: answered, broughtAccusation: accusesMe(words), now, &identity, &effects)
  }

  /// Answers a ping, and returns the words that the answer carried.
  private mutating func answer(
    _ ping: Ping, _ message: Verified<Message>, _ source: PeerAddress, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) -> [Envelope] {
    guard source.isUsable else {
      counters.add("sourceUnusable")
      return []
    }
    _ = entries.modify(message.author) { $0.height = ping.height }
    consider(ping.observed, by: message.author, from: source, now)
    guard let entry = entries[message.author] else { return [] }
    var ack = Ack(receiver: message.author, number: ping.number, height: ownHeight, observed: source, rumours: [])
    let room = message.envelope.payload.count - ack.encoded.count
    guard room >= 0 else {
      counters.add("ackTooLong")
      return []
    }
    // News rides on so many messages and no more: who asks without end must not use it up.
    let isDue = entry.newsAnsweredAt.wasAtLeast(settings.probeInterval, before: now)
    let bytes = min(room, Rumours.maximumBytes)
    ack.rumours = pickRumours(for: message.author, entry, bytes: bytes, withNews: isDue)
    if isDue, !ack.rumours.isEmpty { _ = entries.modify(message.author) { $0.newsAnsweredAt = now } }
    effects.append(.send(identity.seal(.ack(ack), now: now), to: source, receiver: message.author))
    return ack.rumours
  }

  private mutating func receive(
    _ ack: Ack, from author: NodeID, _ sequence: UInt64, _ source: PeerAddress, _ now: Instant,
    _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    _ = entries.modify(author) { $0.height = ack.height }
    guard let probe = probes[ack.number] else { return counters.add("ackUnexpected") }
    if author == probe.target {
      let sample = now - probe.sentAt
      let newAddress = mayBeSentTo(source) ? source : nil
      let wasVerified = entries[author]?.verified != nil
      if case .asked(let request) = probe.purpose {
        effects.append(.pinged(request: request, .answered(roundTrip: sample, from: source)))
      }
      let ownClock = identity.wallClock.unixMicroseconds(at: now)
      if let newAddress, let entry = entries[author], entry.body.via.isEmpty,
        entry.roundTrip == nil || entry.address != newAddress
      {
        effects.append(.met(author, [newAddress] + entry.body.addresses.filter { $0 != newAddress }))
      }
      _ = entries.modify(author) { entry in
        entry.knowsOwn = max(entry.knowsOwn, probe.carried)
        if let newAddress { entry.address = newAddress }
        if source.isUsable { entry.verified = source }
        entry.account.answered(sequence, own: ownClock, roundTrip: sample, now)
        if entry.roundTrip == nil { entry.roundTrip = RoundTrip(first: sample) } else { entry.roundTrip?.add(sample) }
      }
      if !wasVerified { accuserVerified(author, now, &effects) }
      consider(ack.observed, by: author, from: source, now)
    } else {
      guard probe.helpers.contains(author) else { return counters.add("ackOfStranger") }
      counters.add("indirectAck")
      // It is alive, and not where this node looked for it. Of a member behind a NAT nothing else was to be expected.
      if entries[probe.target]?.body.via.isEmpty == true { turnAddress(of: probe.target) }
    }
    probeAnswered(ack.number, probe, now, &identity, &effects)
  }

  mutating func probeAnswered(
    _ number: UInt64, _ probe: Probe, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    endProbe(number, probe)
    switch probe.purpose {
    case .verdict: setHealth(-1)
    case .errand, .asked: break
    case .relay(let asker, let number, let address):
      let answer = Ack(receiver: asker, number: number, height: ownHeight, observed: address, rumours: [])
      effects.append(.send(identity.seal(.ack(answer), now: now), to: address, receiver: asker))
    }
  }

  private mutating func receive(_ nack: Nack, from author: NodeID) {
    let isExpected = probes.modify(nack.number) { probe in
      guard probe.helpers.contains(author) else { return false }
      probe.nacks.insert(author)
      return true
    }
    counters.add(isExpected == true ? "nack" : "nackUnexpected")
  }

  private mutating func relay(
    _ request: PingRequest, from asker: NodeID, _ source: PeerAddress, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard source.isUsable else { return counters.add("sourceUnusable") }
    guard entries[asker]?.isActive == true else { return counters.add("relayForInactive") }
    guard request.target != asker, let target = entries[request.target], target.state != .left,
      target.address != nil || links.contains(request.target)
    else { return counters.add("relayTargetUnknown") }
    guard relays[asker, default: 0] < MembershipMachine.maximumRelaysPerMember,
      relays.reduce(0, { $0 + $1.value }) < MembershipMachine.maximumRelays
    else {
      return counters.add("relayDropped")
    }
    let before = probes.count
    startProbe(
      request.target, .relay(asker, number: request.number, source: source), now, &identity, &effects)
    if probes.count > before { relays[asker, default: 0] += 1 }
  }
}

extension MessageBody {
  /// Whom a datagram's body names as its receiver; nil for bodies that name none.
  var receiver: NodeID? {
    switch self {
    case .ping(let ping): ping.receiver
    case .ack(let ack): ack.receiver
    case .nack(let nack): nack.receiver
    case .pingRequest(let request): request.receiver
    default: nil
    }
  }
}
