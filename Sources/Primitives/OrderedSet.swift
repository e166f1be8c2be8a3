/// A set that iterates in the order of its members. The only set of the pure targets.
public struct OrderedSet<Member: Comparable>: Sequence {
  @usableFromInline var table = Table<Member, Void>()

  /// An empty set.
  @inlinable public init() {}

  /// The set of the given members.
  @inlinable public init(_ members: some Sequence<Member>) {
    for member in members { insert(member) }
  }

  /// The number of members.
  @inlinable public var count: Int { table.count }

  /// True when there is no member.
  @inlinable public var isEmpty: Bool { table.isEmpty }

  /// True when `member` is in the set.
  @inlinable public func contains(_ member: Member) -> Bool { table.contains(member) }

  /// Adds a member; false when it was there.
  @inlinable @discardableResult public mutating func insert(_ member: Member) -> Bool {
    if table.contains(member) { return false }
    table.updateValue((), forKey: member)
    return true
  }

  /// Removes a member; false when it was not there.
  @inlinable @discardableResult public mutating func remove(_ member: Member) -> Bool {
    table.removeValue(forKey: member) != nil
  }

  /// Removes every member.
  @inlinable public mutating func removeAll() { table.removeAll() }

  /// The smallest member.
  @inlinable public var first: Member? { table.first?.key }

  /// The smallest member above `member`.
  @inlinable public func first(after member: Member) -> Member? { table.firstEntry(after: member)?.key }

  /// The member that so many others come before; nil behind the last.
  @inlinable public func member(at offset: Int) -> Member? { table.entry(at: offset)?.key }

  /// The members in order.
  @inlinable public var members: [Member] { table.keys }

  /// An iterator over the members in order.
  @inlinable public func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
}

extension OrderedSet: Sendable where Member: Sendable {}

extension OrderedSet: Equatable {
  /// True when both are the same value.
  @inlinable public static func == (left: OrderedSet, right: OrderedSet) -> Bool { left.members == right.members }
}
