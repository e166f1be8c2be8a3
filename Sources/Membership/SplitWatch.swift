import Primitives

/// Notices that half of the network or more has gone at once, and that it is back: for people, nothing is decided by it.
struct SplitWatch: Sendable {
  /// Who went down within this time went together.
  static let span = Microseconds.seconds(30)
  /// After this time a split that has not healed hides no other.
  static let longestAlone = Microseconds.seconds(3_600)

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

  /// The last split, until half of its members are back.
  private struct Split: Sendable {
    var since: Instant
    /// How many went, but for those that this node has forgotten.
    var members: Int
    var missing: OrderedSet<NodeID>
  }

  /// Who went down lately and is still down, those of the split aside.
  private var times = Table<NodeID, Instant>()
  private var turns = OrderedSet<Turn>()
  private var split: Split?

  /// How many are remembered.
  var count: Int { times.count + (split?.missing.count ?? 0) }

  /// A member has gone down; so many nodes are active now, this one counted.
  mutating func wentDown(_ id: NodeID, active: Int, _ now: Instant) -> Change? {
    // Who goes during a split does not count as part of it, or it might never end.
    if let split, now - split.since < SplitWatch.longestAlone { return nil }
    guard count < MembershipSettings.memberBound else { return nil }
    while let oldest = turns.first, now - oldest.at > SplitWatch.span { remove(oldest.id) }
    remove(id)
    times[id] = now
    turns.insert(Turn(at: now, id: id))
    guard times.count > 1, times.count >= active else { return nil }
    split = Split(since: now, members: times.count, missing: OrderedSet(times.keys))
    let members = times.count
    times.removeAll()
    turns.removeAll()
    return .split(members: members)
  }

  /// A member that was down is not any more. With half of them back a split is over.
  mutating func cameBack(_ id: NodeID) -> Change? {
    remove(id)
    guard var split, split.missing.remove(id) else { return nil }
    let back = split.members - split.missing.count
    self.split = 2 * back >= split.members ? nil : split
    return self.split == nil ? .healed(members: back) : nil
  }

  /// A member that was down is not known any more: no split waits for it.
  mutating func forgotten(_ id: NodeID) {
    remove(id)
    guard var split, split.missing.remove(id) else { return }
    split.members -= 1
    self.split = split.missing.isEmpty ? nil : split
  }

  private mutating func remove(_ id: NodeID) {
    if let at = times.removeValue(forKey: id) { turns.remove(Turn(at: at, id: id)) }
  }
}
