import Primitives
import Wire

// Rule 2: who is asked to probe a member, and what it says of this node when nobody answers.
extension MembershipMachine {
  /// Who may be asked to probe a member: who is alive, can be written to, and has an address of a family that it has.
  func helperCondition(for target: NodeID, _ entry: MemberEntry) -> (NodeID, MemberEntry) -> Bool {
    let addresses = entry.body.addresses.filter(\.isUsable)
    let (hasFour, hasSix) = (addresses.contains(where: \.isIPv4), addresses.contains { !$0.isIPv4 })
    let own = interfaces
    return { helper, entry in
      guard helper != target, entry.state == .alive, let address = entry.address else { return false }
      if let own, !own.contains(where: { $0.isIPv4 == address.isIPv4 }) { return false }
      return addresses.isEmpty || entry.body.addresses.contains { $0.isIPv4 ? hasFour : hasSix }
    }
  }

  /// Who helps is believed by its word alone, so those are asked that are somewhere for sure, and others only when there are
  /// none.
  mutating func drawHelpers(where mayHelp: (NodeID, MemberEntry) -> Bool) -> [NodeID] {
    let sure = sampleVoices(settings.indirectProbes, where: mayHelp)
    return sure.isEmpty ? sampleRing(settings.indirectProbes, where: mayHelp) : sure
  }

  mutating func hasHelper(for target: NodeID, _ entry: MemberEntry) -> Bool {
    !sampleRing(1, where: helperCondition(for: target, entry)).isEmpty
  }

  /// Up to `count` members of the round for which a condition holds. Of a large round a few are drawn and looked at: most
  /// members will do.
  mutating func sampleRing(_ count: Int, where isMeant: (NodeID, MemberEntry) -> Bool) -> [NodeID] {
    func mayBe(_ member: NodeID) -> Bool { entries[member].map { isMeant(member, $0) } ?? false }
    if ring.count > 32 * count {
      var found = OrderedSet<NodeID>()
      for _ in 0..<8 * count where found.count < count {
        let member = entries.id(at: ring[generator.index(below: ring.count)])
        if mayBe(member) { found.insert(member) }
      }
      if found.count == count { return found.members }
    }
    return OrderedSet(generator.sample(ring.map(entries.id).filter(mayBe), count: count)).members
  }

  /// Up to `count` of those who are somewhere for sure for which a condition holds, each place as likely as another and none
  /// twice while there are others: who has many identities in one must not be most of them. Of many a few are drawn and looked
  /// at.
  mutating func sampleVoices(_ count: Int, where isMeant: (NodeID, MemberEntry) -> Bool) -> [NodeID] {
    func meant(_ number: UInt32) -> NodeID? {
      let member = entries.id(at: number)
      return entries[member].flatMap { isMeant(member, $0) ? member : nil }
    }
    var found = OrderedSet<NodeID>()
    if entries.voices.count <= 32 * count {
      var groups = entries.voices.groups.map { generator.sample($0.compactMap(meant), count: count) }
      generator.shuffle(&groups)
      for turn in 0..<count {
        for group in groups where turn < group.count && found.count < count { found.insert(group[turn]) }
      }
      return found.members
    }
    var places = OrderedSet<Int>()
    var others: [NodeID] = []
    for _ in 0..<32 * count where found.count < count {
      guard let (place, number) = entries.voices.draw(&generator), let member = meant(number) else { continue }
      if places.insert(place) { found.insert(member) } else { others.append(member) }
    }
    for member in others where found.count < count { found.insert(member) }
    return found.members
  }

  /// How much a failed probe makes this node look for the fault in itself. Who was never heard may never have been, so its
  /// silence says nothing, nor that of such helpers: unless this node has heard nobody at all for a while.
  func ownFault(in probe: Probe, _ now: Instant) -> Int64 {
    let isDeaf = lastDatagram.wasAtLeast(settings.probeInterval * 5, before: now)
    guard isDeaf || entries[probe.target]?.isUnseen == false else { return 0 }
    if probe.helpers.isEmpty { return 1 }
    return Int64(probe.helpers.count { !probe.nacks.contains($0) && (isDeaf || entries[$0]?.verified != nil) })
  }
}
