import Membership
import Primitives
import Wire

/// Tells a split of the network from members that go down one by one: half of the known go down within half a minute.
struct SplitWatch: Sendable {
  /// The time within which it happens.
  static let window = Microseconds.seconds(30)
  /// The least members that it takes: of two nodes one is half.
  static let leastMembers = 2
  /// The most members watched.
  static let maximumMembers = MembershipSettings.memberBound

  /// Those that went down within the window, and when.
  private var recent = BoundedMap<NodeID, Instant>(capacity: maximumMembers)
  /// Those that a split took and that are not back; nil when there is none.
  private var gone: OrderedSet<NodeID>?
  private var returned = 0

  var count: Int { max(recent.count, gone?.count ?? 0) }

  /// Notes the state of a member, of so many that are known; what it means, when it means something.
  mutating func note(_ member: NodeID, _ state: MemberState, known: Int, now: Instant) -> NetworkEvent? {
    while let oldest = recent.oldest, oldest.value <= now - SplitWatch.window { recent.removeValue(forKey: oldest.key) }
    guard state == .down else { return noteReturn(of: member) }
    recent.removeValue(forKey: member)
    recent.insert(now, forKey: member)
    if gone != nil {
      if (gone?.count ?? 0) < SplitWatch.maximumMembers { gone?.insert(member) }
      return nil
    }
    guard recent.count >= SplitWatch.leastMembers, 2 * recent.count >= known else { return nil }
    gone = OrderedSet(recent.entries.map(\.key))
    returned = 0
    return .split(members: recent.count)
  }

  /// A split is over when most of those that it took are back, or have left.
  private mutating func noteReturn(of member: NodeID) -> NetworkEvent? {
    recent.removeValue(forKey: member)
    guard gone?.remove(member) == true else { return nil }
    returned += 1
    guard let left = gone?.count, left < returned else { return nil }
    gone = nil
    return .healed(members: returned)
  }
}

// What people may want to know of the network, and only the core sees.
extension NodeCore {
  mutating func noteSplit(
    _ member: NodeID, _ state: MemberState, now: Instant, into effects: inout [CoreEffect]
  ) {
    let known = MemberState.known.reduce(0) { $0 + membership.count(of: $1) }
    if let event = splits.note(member, state, known: known, now: now) { effects.append(.network(event)) }
  }
}

extension MemberState {
  /// The states of members that may be in the network.
  fileprivate static let known: [MemberState] = [.alive, .suspect, .down]
}
