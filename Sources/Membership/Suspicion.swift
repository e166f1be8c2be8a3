import Primitives
import Wire

// Rules 3 and 4: accusations, suspicion and its end.
extension MembershipMachine {
  /// When many are suspect, the time between two that are looked at again because accusers were missing.
  static let recheckEach = Microseconds.milliseconds(1)
  /// The most suspects looked at because one accuser has shown where it is.
  static let maximumReviews = 512

  mutating func apply(
    accusation message: Verified<Message>, _ body: Accusation, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    let accuser = message.author
    if body.accused == id {
      guard accuser != id else { return }
      guard body.incarnation <= ownRecord.sequence else { return counters.add("accusationOfUnknownIncarnation") }
      if body.incarnation == ownRecord.sequence {
        counters.add("accused")
        if ownAccusers.count < MemberEntry.maximumAccusers, ownAccusers.insert(accuser) {
          effects.append(.accused(id, by: accuser, incarnation: body.incarnation))
          // Once for each incarnation: many that say the same at once say no more than one.
          if isHeeded(accuser), healthBlamed < body.incarnation {
            healthBlamed = body.incarnation
            setHealth(1)
          }
        }
        scheduleRefutation(now, &identity, &effects)
      } else {
        addRumour(ownRecord, about: id, by: id)
      }
      return
    }
    // An own accusation that comes back from before a restart counts for nothing: this node has not probed yet.
    guard accuser != id else { return }
    guard entries[accuser]?.isActive == true else { return counters.add("accuserUnknown") }
    guard let entry = entries[body.accused], entry.isActive else { return }
    guard body.incarnation == entry.incarnation else {
      if body.incarnation > entry.incarnation { counters.add("accusationOfUnknownIncarnation") }
      return
    }
    guard !entry.accusations.contains(accuser) else { return }
    let isFirst = entry.accusations.isEmpty
    guard add(message, of: body.accused, now, &effects) else { return }
    verify(accuser, now, &identity, &effects)
    // More than are needed decide nothing: they go as rumours only.
    if entry.accusations.count < settings.maximumAccusersNeeded || isOneOfTheNeeded(accuser, against: body.accused) {
      passOn(message, now, &effects)
    }
    if isFirst, links.contains(body.accused) { effects.append(.exchange([message.envelope], to: body.accused)) }
    if isFirst, generator.next(below: UInt64(activeCount)) < settings.confirmers {
      startProbe(body.accused, .verdict, now, &identity, &effects)
    }
  }

  /// This node's own probe of a member has failed.
  mutating func accuse(
    _ accused: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard let entry = entries[accused], entry.isActive else { return }
    _ = entries.modify(accused) { $0.silentAt = now }
    guard !entry.accusations.contains(id) else { return }
    let body = Accusation(accused: accused, incarnation: entry.incarnation)
    guard add(identity.seal(.accusation(body), now: now), of: accused, now, &effects) else { return }
    // Told at once over links, the accused first of all, so that it can refute and others can confirm.
    if let standing = entries[accused]?.accusations[id] {
      if links.contains(accused) { effects.append(.exchange([standing.message.envelope], to: accused)) }
      sendNews(standing.message, except: accused, &effects)
    }
    startProbe(accused, .errand, now, &identity, &effects)
  }

  private mutating func add(
    _ message: Verified<Message>, of accused: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]
  ) -> Bool {
    guard var entry = entries[accused] else { return false }
    entry.accusations[message.author] = StandingAccusation(message: message, since: now)
    if entry.accusations.count > MemberEntry.maximumAccusers, message.author != id {
      // One that counts takes the place of one that does not: who has many identities must not shut out the others.
      let (weighty, idle) = weighed(entry)
      guard weighty.contains(message.author), let dropped = idle.last else {
        counters.add("accusationDropped")
        return false
      }
      entry.accusations.removeValue(forKey: dropped)
      rumours.remove(RumourQueue.Subject(about: accused, by: dropped))
    }
    if entry.state == .alive {
      setState(accused, &entry, to: .suspect, now, &effects)
      entry.suspectedAt = now
    }
    entries[accused] = entry
    effects.append(.accused(accused, by: message.author, incarnation: entry.incarnation))
    addRumour(message, about: accused, by: message.author)
    reviewSuspicion(of: accused, now, &effects)
    return true
  }

  /// Sets the suspicion's end by its confirmations, or ends it.
  private mutating func reviewSuspicion(of accused: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]) {
    guard let entry = entries[accused], entry.state == .suspect else { return }
    if entry.suspicionOver {
      goDownIfAccusedEnough(accused, now, &effects)
    } else {
      deadlines.set(.suspicion(accused), at: max(now, entry.suspectedAt + suspicionTime(standing(entry))))
    }
  }

  mutating func suspicionTimedOut(
    _ accused: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard var entry = entries[accused], entry.state == .suspect else { return }
    if let seen = entry.lastSeen, seen >= entry.suspectedAt {
      // It answered this node since: not dead, only deaf to its accusers. It is told once more.
      counters.add("suspicionExtended")
      entry.suspectedAt = now
      entry.suspicionOver = false
      entries[accused] = entry
      deadlines.set(.suspicion(accused), at: now + suspicionTime(standing(entry)))
      return startProbe(accused, .verdict, now, &identity, &effects)
    }
    entry.suspicionOver = true
    entries[accused] = entry
    // Accusers are missing. Fewer may be needed later, when others are found silent too; nobody says so then.
    let wait = max(settings.suspicionBase, MembershipMachine.recheckEach * Int64(count(of: .suspect)))
    deadlines.set(.suspicion(accused), at: now + wait)
    goDownIfAccusedEnough(accused, now, &effects)
    guard entries[accused]?.state == .suspect else { return }
    for accuser in entry.accusations.keys { verify(accuser, now, &identity, &effects) }
  }

  private mutating func goDownIfAccusedEnough(
    _ accused: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]
  ) {
    guard var entry = entries[accused], entry.lastSeen.map({ $0 < entry.suspectedAt }) ?? true,
      standing(entry) >= accusersNeeded(against: accused)
    else { return }
    setState(accused, &entry, to: .down, now, &effects)
    entries[accused] = entry
  }

  /// How many accusations of a member count: the accuser is active, has shown where it is by an answer or a link, and is not
  /// known for false accusations, and there is one for each address prefix. One's own always counts.
  func standing(_ entry: MemberEntry) -> Int { weighed(entry).weighty.count }

  /// The accusers whose word counts, this node first, and the others.
  private func weighed(_ entry: MemberEntry) -> (weighty: [NodeID], idle: [NodeID]) {
    var voices = Voices(privateIsOne: !isAmongPrivate)
    var weighty = entry.accusations.contains(id) ? [id] : []
    var idle: [NodeID] = []
    for accuser in entry.accusations.keys where accuser != id {
      if isHeeded(accuser), voices.add(entries[accuser]?.verified) {
        weighty.append(accuser)
      } else {
        idle.append(accuser)
      }
    }
    return (weighty, idle)
  }

  private func isOneOfTheNeeded(_ accuser: NodeID, against accused: NodeID) -> Bool {
    guard let weighty = entries[accused].map({ weighed($0).weighty }) else { return false }
    return weighty.count <= settings.maximumAccusersNeeded && weighty.contains(accuser)
  }

  /// True for an active member that is somewhere for sure and not known for false accusations. Others cost their maker
  /// nothing but a key.
  func isHeeded(_ accuser: NodeID) -> Bool {
    entries[accuser].map {
      $0.isActive && $0.verified != nil && $0.refuted < MemberEntry.maximumRefuted
    } ?? false
  }

  /// An accuser that was never pinged, as most are in a large network, is, so that it counts.
  private mutating func verify(
    _ accuser: NodeID, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard accuser != id, entries[accuser]?.verified == nil, probes.count < MembershipMachine.maximumProbes / 2 else {
      return
    }
    if verificationsSince.wasAtLeast(.seconds(1), before: now) { (verificationsSince, verifications) = (now, 0) }
    guard verifications < MembershipMachine.maximumVerifications else { return counters.add("accuserUnverified") }
    verifications += 1
    startProbe(accuser, .errand, withNews: false, now, &identity, &effects)
  }

  /// An accuser has shown where it is: its word counts from now on. Those that it accuses beyond a bound are looked at when
  /// their suspicions have run out.
  mutating func accuserVerified(_ accuser: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]) {
    guard count(of: .suspect) > 0 else { return }
    for accused in entries.suspect(accusedBy: accuser).prefix(MembershipMachine.maximumReviews) {
      reviewSuspicion(of: accused, now, &effects)
    }
  }

  /// Up to `count` accusations of a member, those first that count.
  func weightiest(_ entry: MemberEntry, count: Int) -> [Verified<Message>] {
    let (weighty, idle) = weighed(entry)
    return (weighty + idle).prefix(count).compactMap { entry.accusations[$0]?.message }
  }

  /// min(3, (N+2)/3), but never more than could stand against a node, as far as this one can tell: its own accusation and
  /// one for each prefix in which active members are for sure, those left out that it accuses itself and so does not wait for. Else
  /// the last of four could never tell that the others are gone, nor the hosts of one public /24 that one of them is.
  ///
  /// Whom others accuse is not left out: a liar who accuses everybody would lower what it needs.
  func accusersNeeded(against accused: NodeID) -> Int {
    let needed = min(settings.maximumAccusersNeeded, (activeCount + 2) / 3)
    guard needed > 1 else { return needed }
    return min(needed, 1 + entries.voiceCount(without: accused, privateIsOne: !isAmongPrivate))
  }

  /// Lifeguard: from the longest to the shortest time as independent confirmations come in.
  func suspicionTime(_ accusers: Int) -> Microseconds {
    let nodes = activeCount
    let scale = max(1_000, Logarithm.thousandthsOfLog10(nodes))
    let shortest = settings.suspicionBase * scale / 1_000
    guard nodes >= 4 else { return shortest }
    let longest = shortest * settings.suspicionFactor
    let part = Logarithm.thousandthsOfConfirmation(
      max(0, accusers - 1), expected: min(settings.maximumAccusersNeeded, nodes - 2))
    return max(shortest, longest - (longest - shortest) * part / 1_000)
  }
}
