import Primitives
import Wire

// Rules 1 and 5: records and farewells, one's own and the others'.
extension MembershipMachine {
  /// Takes in whatever may ride on a datagram or be exchanged over a link.
  mutating func apply(
    _ message: Verified<Message>, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    switch message.value.body {
    case .nodeRecord(let body): apply(record: message, body, now, &identity, &effects)
    case .accusation(let body): apply(accusation: message, body, now, &identity, &effects)
    case .leave: apply(farewell: message, now, &identity, &effects)
    default: counters.add("notARumour")
    }
  }

  private mutating func apply(
    record: Verified<Message>, _ body: NodeRecord, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    let author = record.author
    guard author != id else { return outbid(record, now, &identity, &effects) }
    if let known = entries[author], record.sequence <= known.latestSequence {
      if record.sequence < known.latestSequence, speaker == author { tellOutdated(author, known, now, &effects) }
      return
    }
    guard !isExpired(body, identity, now) else { return counters.add("recordExpired") }
    // What is good for years would be held as long, gone or not.
    guard body.expiresUnixSeconds <= latestExpiry(identity, now) else { return counters.add("recordTooLasting") }
    guard !body.via.contains(author) else { return counters.add("recordViaItself") }
    var isUrgent = false
    var isIdle = false
    if var entry = entries[author] {
      isUrgent = entry.state == .down || standing(entry) > 0
      // Nobody has heard it, and nobody doubts it: it can sign as many as it likes.
      isIdle = entry.isUnseen && !isUrgent
      guard moveUnseen(&entry, to: body) else { return counters.add("unseenRefused") }
      let isFalselyAccused = isFalselyAccused(entry, now)
      if entry.state == .suspect { counters.add("refuted") }
      if entry.state == .down { hurryRetries(now) }
      if !entry.accusations.isEmpty {
        let accusers = entry.accusations.keys
        entry.account.refuted(accusers, by: record.sequence, now)
        effects.append(.refuted(author, incarnation: record.sequence, accusers: accusers))
        if isFalselyAccused { blame(accusers, &effects) }
      }
      let isMoved = entry.body.addresses != body.addresses
      entry.record = record
      entry.body = body
      entry.farewell = nil
      entry.accusations.removeAll()
      entry.knowsOwn = 0
      entry.dialDelay = settings.minimumDialDelay
      entry.nextDial = now
      let candidates = usableAddresses(of: author, body)
      // Where it was last seen is worth more than what it says, until it says something else.
      let stays = entry.address.map { isMoved ? body.addresses.contains($0) : candidates.contains($0) } ?? false
      if !stays { entry.address = candidates.first }
      setState(author, &entry, to: .alive, now, &effects)
      updateDigest(author, &entry)
      entries[author] = entry
    } else {
      guard entries.count < memberLimit || makeRoom(now)
      else { return counters.add("memberRefused") }
      let comesItself = isSpokenOverLink && speaker == author
      let place = AddressPrefix(body.addresses.first)
      guard comesItself || hasRoomForUnseen(at: place) || displaceUnseen(at: place, now)
      else { return counters.add("unseenRefused") }
      admit(record, body, now)
      if comesItself { noteHeard(author, at: links[author]?.address) }
      effects.append(.changed(author, from: nil, to: .alive))
    }
    rumours.removeAccusations(of: author)
    addRumour(record, about: author, by: author)
    if !isIdle { passOn(record, isUrgent: isUrgent, now, &effects) }
    effects.append(.learned(record))
  }

  private mutating func admit(_ record: Verified<Message>, _ body: NodeRecord, _ now: Instant) {
    let author = record.author
    var entry = MemberEntry(record: record, body: body, now: now, settings: settings)
    entry.address = usableAddresses(of: author, body).first
    entry.verified = links[author]?.address
    entry.unseenPlace = AddressPrefix(body.addresses.first)
    unseen.insert(author, at: entry.unseenPlace)
    // Both ends would dial at once: the higher id gives the lower one a head start.
    if id > author { entry.nextDial = now + settings.minimumDialDelay }
    stateCounts[Int(MemberState.alive.rawValue)] += 1
    joinRing(author, &entry)
    updateDigest(author, &entry)
    entries[author] = entry
    counters.add("becameAlive")
  }

  private mutating func apply(
    farewell: Verified<Message>, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    let author = farewell.author
    guard author != id else { return outbid(farewell, now, &identity, &effects) }
    guard var entry = entries[author] else { return counters.add("farewellOfStranger") }
    guard farewell.sequence > entry.latestSequence else { return }
    entry.farewell = farewell
    entry.accusations.removeAll()
    setState(author, &entry, to: .left, now, &effects)
    updateDigest(author, &entry)
    entries[author] = entry
    rumours.removeAccusations(of: author)
    addRumour(farewell, about: author, by: author)
    passOn(farewell, now, &effects)
    effects.append(.learned(farewell))
  }

  /// True when this node can tell that a member's accusers were wrong: it has heard it itself since, and has not accused it
  /// itself lately. To refute is to sign a record, which shows nobody that its author answers: who never does, or does only
  /// when it is accused, would make liars of all that probe it. Who was down has come back rather than refuted.
  private func isFalselyAccused(_ entry: MemberEntry, _ now: Instant) -> Bool {
    entry.state == .suspect && !entry.isUnseen && entry.lastSeen.map { $0 >= entry.suspectedAt } ?? false
      && entry.silentAt.wasAtLeast(MembershipMachine.silenceMemory, before: now)
  }

  private mutating func blame(_ accusers: [NodeID], _ effects: inout [MembershipEffect]) {
    for accuser in accusers where accuser != id {
      _ = entries.modify(accuser) { $0.refuted = min($0.refuted + 1, 2 * MemberEntry.maximumRefuted) }
    }
    effects.append(.blamed(accusers))
  }

  /// No honest record is good for longer: twice the lifetime leaves room for clocks that are wrong.
  private func latestExpiry(_ identity: Identity, _ now: Instant) -> UInt64 {
    let lifetime = UInt64(max(0, settings.recordLifetime.count)) / 1_000_000
    return identity.wallClock.unixMicroseconds(at: now) / 1_000_000 + 2 * lifetime
  }

  /// Forgets some of the members that are gone (left or down) and not linked: those first that were never heard, then those
  /// that went longest ago. At most once a second, for it looks at all.
  private mutating func makeRoom(_ now: Instant) -> Bool {
    guard count(of: .down) + count(of: .left) > 0, lastRoomMade.wasAtLeast(.seconds(1), before: now) else {
      return false
    }
    lastRoomMade = now
    var gone: [(isHeard: Int, since: Instant, member: NodeID)] = []
    for (member, entry) in entries where !entry.isActive && !links.contains(member) {
      gone.append((entry.isUnseen ? 0 : 1, entry.since, member))
    }
    gone.sort { $0 < $1 }
    for place in gone.prefix(max(1, memberLimit / 64)) { forget(place.member) }
    return entries.count < memberLimit
  }

  mutating func forget(_ gone: NodeID) {
    guard let entry = entries.removeValue(forKey: gone) else { return }
    stateCounts[Int(entry.state.rawValue)] -= 1
    replaceShare(of: gone, entry.digestShare, by: .empty)
    if entry.isUnseen { unseen.remove(gone, at: entry.unseenPlace) } else { seen.remove(gone, at: entry.seenPlace) }
    deadlines.set(.suspicion(gone), at: nil)
    deadlines.set(.retry(gone), at: nil)
    splitWatch.forgotten(gone)
    counters.add("memberForgotten")
  }

  func isExpired(_ body: NodeRecord, _ identity: Identity, _ now: Instant) -> Bool {
    body.expiresUnixSeconds <= identity.wallClock.unixMicroseconds(at: now) / 1_000_000
  }

  /// A linked member says an older record of itself than one that it has signed before: its key may be on a new disk, which
  /// does not know what was used. It can outbid that only if it hears of it.
  private mutating func tellOutdated(
    _ member: NodeID, _ known: MemberEntry, _ now: Instant, _ effects: inout [MembershipEffect]
  ) {
    guard let link = links[member],
      link.outdatedTold.wasAtLeast(settings.refutationInterval, before: now)
    else { return }
    _ = links.modify(member) { $0.outdatedTold = now }
    counters.add("outdatedTold")
    effects.append(.exchange([(known.farewell ?? known.record).envelope], to: member))
  }

  /// A record or farewell under this node's own key that this node did not sign last: from before a restart, or from
  /// another process with the same key. The next own record must be above it.
  private mutating func outbid(
    _ record: Verified<Message>, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard record.sequence > ownRecord.sequence else { return }
    counters.add("ownKeyElsewhere")
    guard record.sequence < UInt64.max / 2 else { return }
    if record.sequence > identity.sequences.last { identity.sequences = SequenceSource(floor: record.sequence) }
    scheduleRefutation(now, &identity, &effects)
  }

  /// Signs the own record anew under a higher sequence and tells it at once over links, and as a rumour.
  mutating func renewOwnRecord(
    _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    lastRefutation = now
    ownBody.expiresUnixSeconds = MembershipMachine.expiry(settings, identity, now)
    ownRecord = identity.seal(.nodeRecord(ownBody), now: now)
    guard isRunning else { return }
    if !ownAccusers.isEmpty {
      effects.append(.refuted(id, incarnation: ownRecord.sequence, accusers: ownAccusers.members))
      blame(ownAccusers.members, &effects)
      ownAccusers.removeAll()
    }
    deadlines.set(.refutation, at: nil)
    deadlines.set(.renewal, at: now + settings.recordLifetime / 2)
    addRumour(ownRecord, about: id, by: id)
    sendNews(ownRecord, except: id, &effects)
  }

  /// The clock that a record's expiry is taken from may be set at any time, most of all soon after the start of a machine
  /// without one of its own. By the new time the record that stands may have run out for everybody, or be good for years.
  mutating func renewIfClockWasSet(
    _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    let fresh = MembershipMachine.expiry(settings, identity, now)
    let slack = UInt64(max(0, settings.recordLifetime.count)) / 4_000_000
    let expiry = ownBody.expiresUnixSeconds
    // Half of the lifetime passes between two renewals, and a quarter more is left to those that are late.
    guard expiry > fresh + slack || expiry + 3 * slack < fresh else { return }
    counters.add("clockWasSet")
    renewOwnRecord(now, &identity, &effects)
  }

  /// Rule 4: refutes now, or as soon as the last refutation is old enough.
  mutating func scheduleRefutation(
    _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, deadlines[.refutation] == nil else { return }
    if let last = lastRefutation, now - last < settings.refutationInterval {
      deadlines.set(.refutation, at: last + settings.refutationInterval)
    } else {
      renewOwnRecord(now, &identity, &effects)
    }
  }

  /// Where a member is written to: where it was last seen, unless this host has lost that family of addresses.
  func address(of member: NodeID, _ entry: MemberEntry) -> PeerAddress? {
    if let known = entry.address, !lacksFamily(of: known) { return known }
    return usableAddresses(of: member, entry.body).first
  }

  /// Where a member may be sent to: the usable addresses of its record, and the other end of its link with the port
  /// that it listens on. Loopback means this machine, so it is taken only by a node that is reached there itself.
  func usableAddresses(of member: NodeID, _ body: NodeRecord) -> [PeerAddress] {
    var found = body.addresses.filter(mayBeSentTo)
    if let link = links[member]?.address, let port = body.addresses.first?.port,
      let guess = PeerAddress(ip: link.ip, port: port), mayBeSentTo(guess), !found.contains(guess)
    {
      found.append(guess)
    }
    return found
  }

  func mayBeSentTo(_ address: PeerAddress) -> Bool {
    guard address.isUsable, !ownBody.addresses.contains(address), !lacksFamily(of: address) else { return false }
    let own = ownBody.addresses.filter(\.isUsable)
    return !address.isLoopback || own.isEmpty || own.contains(where: \.isLoopback)
  }
}
