/// A table of bounded size that forgets its oldest entry when a new one does not fit.
public struct BoundedMap<Key: Comparable, Value> {
  /// The most entries held.
  public let capacity: Int

  @usableFromInline var table = Table<Key, (order: UInt64, value: Value)>()
  @usableFromInline var ages = Table<UInt64, Key>()
  @usableFromInline var nextOrder: UInt64 = 0

  /// An empty map of at least one place.
  @inlinable public init(capacity: Int) { self.capacity = Swift.max(1, capacity) }

  /// The number of entries.
  @inlinable public var count: Int { table.count }

  /// True when `key` has an entry.
  @inlinable public func contains(_ key: Key) -> Bool { table.contains(key) }

  /// The value of `key`.
  @inlinable public subscript(key: Key) -> Value? { table[key]?.value }

  /// The entries in key order.
  @inlinable public var entries: [(key: Key, value: Value)] { table.map { ($0.key, $0.value.value) } }

  /// Sets a value; a replaced entry keeps its age. Returns the key that was forgotten to make room.
  @inlinable @discardableResult public mutating func insert(_ value: Value, forKey key: Key) -> Key? {
    if let old = table[key] {
      table[key] = (old.order, value)
      return nil
    }
    var forgotten: Key?
    if table.count >= capacity, let oldest = ages.popFirst() {
      table.removeValue(forKey: oldest.value)
      forgotten = oldest.value
    }
    table[key] = (nextOrder, value)
    ages[nextOrder] = key
    nextOrder &+= 1
    return forgotten
  }

  /// Changes the value of `key` in place; nil when there is no entry.
  @inlinable public mutating func modify<Answer>(_ key: Key, _ body: (inout Value) -> Answer) -> Answer? {
    table.modify(key) { body(&$0.value) }
  }

  /// Removes an entry.
  @inlinable @discardableResult public mutating func removeValue(forKey key: Key) -> Value? {
    guard let entry = table.removeValue(forKey: key) else { return nil }
    ages.removeValue(forKey: entry.order)
    return entry.value
  }

  /// The oldest entry.
  @inlinable public var oldest: (key: Key, value: Value)? {
    guard let age = ages.first, let entry = table[age.value] else { return nil }
    return (age.value, entry.value)
  }
}

extension BoundedMap: Sendable where Key: Sendable, Value: Sendable {}
