import Primitives

/// Notices that half of the network or more has gone at once, and that it is back: for people, nothing is decided by it.
struct SplitWatch: Sendable {
  /// Who went down within this time went together.
  static let span = Microseconds.seconds(30)

  enum Change: Equatable {
    case split(members: Int)
    case healed(members: Int)
  }

  private struct Turn: Comparable, Sendable {
    var at: Instant
    var id: NodeID

    static func < (left: Turn, right: Turn) -> Bool {
      left.at == right.at ? left.id < right.id : left.at < right.at
    }
  }

  /// Who went down lately and is still down; while there is a split, who went in it.
  private var times = Table<NodeID, Instant>()
  private var turns = OrderedSet<Turn>()
  /// How many went in the split that is under way, and how many of them are back.
  private var split: (members: Int, back: Int)?

  /// How many are remembered.
  var count: Int { times.count }

  /// A member has gone down; so many nodes are active now, this one counted.
  mutating func wentDown(_ id: NodeID, active: Int, _ now: Instant) -> Change? {
    // Who goes during a split does not count as part of it, or it might never end.
    guard split == nil, times.count < MembershipSettings.memberBound else { return nil }
    while let oldest = turns.first, now - oldest.at > SplitWatch.span { remove(oldest.id) }
    remove(id)
    times[id] = now
    turns.insert(Turn(at: now, id: id))
    guard times.count > 1, times.count >= active else { return nil }
    split = (times.count, 0)
    return .split(members: times.count)
  }

  /// A member that was down is not any more. With half of them back a split is over.
  mutating func cameBack(_ id: NodeID) -> Change? {
    guard remove(id), let (members, before) = split else { return nil }
    split = (members, before + 1)
    guard 2 * (before + 1) >= members else { return nil }
    split = nil
    times.removeAll()
    turns.removeAll()
    return .healed(members: before + 1)
  }

  @discardableResult private mutating func remove(_ id: NodeID) -> Bool {
    guard let at = times.removeValue(forKey: id) else { return false }
    turns.remove(Turn(at: at, id: id))
    return true
  }
}
