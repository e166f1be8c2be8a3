/// A map that iterates in key order only, so that no order of a hash table can reach an effect, a hash or a
/// message. The only map of the pure targets.
///
/// Sorted chunks of bounded length: look-up is O(log n), insertion O(log n + chunk length), and a copy shares
/// every chunk that is not written to.
public struct Table<Key: Comparable, Value> {
  @usableFromInline struct Chunk {
    @usableFromInline var keys: [Key]
    @usableFromInline var values: [Value]

    @inlinable init(keys: [Key], values: [Value]) {
      self.keys = keys
      self.values = values
    }
  }

  /// A chunk that reaches this length is split in two.
  @inlinable static var chunkLimit: Int { 128 }

  @usableFromInline var chunks: [Chunk] = []

  @usableFromInline var entryCount = 0

  /// The number of entries.
  @inlinable public var count: Int { entryCount }

  /// An empty table.
  @inlinable public init() {}

  /// True when there is no entry.
  @inlinable public var isEmpty: Bool { count == 0 }

  /// The index of the chunk that holds or would hold `key`; the table must not be empty.
  @inlinable func chunkIndex(for key: Key) -> Int {
    var low = 0
    var high = chunks.count
    while high - low > 1 {
      let middle = (low + high) >> 1
      if chunks[middle].keys[0] <= key { low = middle } else { high = middle }
    }
    return low
  }

  /// The first index in `keys` whose key is not below `key`.
  @inlinable func lowerBound(_ keys: [Key], _ key: Key) -> Int {
    var low = 0
    var high = keys.count
    while low < high {
      let middle = (low + high) >> 1
      if keys[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @inlinable func position(of key: Key) -> (chunk: Int, index: Int)? {
    guard !chunks.isEmpty else { return nil }
    let chunk = chunkIndex(for: key)
    let index = lowerBound(chunks[chunk].keys, key)
    guard index < chunks[chunk].keys.count, chunks[chunk].keys[index] == key else { return nil }
    return (chunk, index)
  }

  /// True when `key` has an entry.
  @inlinable public func contains(_ key: Key) -> Bool { position(of: key) != nil }

  /// The value of `key`; assigning nil removes the entry.
  @inlinable public subscript(key: Key) -> Value? {
    get {
      guard let at = position(of: key) else { return nil }
      return chunks[at.chunk].values[at.index]
    }
    set {
      if let newValue { updateValue(newValue, forKey: key) } else { removeValue(forKey: key) }
    }
  }

  /// The value of `key`, or the default; mutation in place stores it.
  @inlinable public subscript(key: Key, default fallback: @autoclosure () -> Value) -> Value {
    get { self[key] ?? fallback() }
    _modify {
      let at: (chunk: Int, index: Int)
      if let found = position(of: key) {
        at = found
      } else {
        at = insert(fallback(), forKey: key)
      }
      yield &chunks[at.chunk].values[at.index]
    }
  }

  /// Sets the value of `key` and returns the one it replaced.
  @inlinable @discardableResult public mutating func updateValue(_ value: Value, forKey key: Key) -> Value? {
    if let at = position(of: key) {
      let old = chunks[at.chunk].values[at.index]
      chunks[at.chunk].values[at.index] = value
      return old
    }
    _ = insert(value, forKey: key)
    return nil
  }

  /// Changes the value of `key` in place; nil, and `body` not called, when there is no entry.
  @inlinable public mutating func modify<Answer>(_ key: Key, _ body: (inout Value) -> Answer) -> Answer? {
    guard let at = position(of: key) else { return nil }
    return body(&chunks[at.chunk].values[at.index])
  }

  @inlinable mutating func insert(_ value: Value, forKey key: Key) -> (chunk: Int, index: Int) {
    entryCount += 1
    guard !chunks.isEmpty else {
      chunks.append(Chunk(keys: [key], values: [value]))
      return (0, 0)
    }
    var chunk = chunkIndex(for: key)
    var index = lowerBound(chunks[chunk].keys, key)
    chunks[chunk].keys.insert(key, at: index)
    chunks[chunk].values.insert(value, at: index)
    if chunks[chunk].keys.count >= Self.chunkLimit {
      let half = chunks[chunk].keys.count / 2
      let right = Chunk(keys: Array(chunks[chunk].keys[half...]), values: Array(chunks[chunk].values[half...]))
      chunks[chunk].keys.removeSubrange(half...)
      chunks[chunk].values.removeSubrange(half...)
      chunks.insert(right, at: chunk + 1)
      if index >= half {
        chunk += 1
        index -= half
      }
    }
    return (chunk, index)
  }

  /// Removes the entry of `key` and returns its value.
  @inlinable @discardableResult public mutating func removeValue(forKey key: Key) -> Value? {
    guard let at = position(of: key) else { return nil }
    entryCount -= 1
    chunks[at.chunk].keys.remove(at: at.index)
    let value = chunks[at.chunk].values.remove(at: at.index)
    if chunks[at.chunk].keys.isEmpty { chunks.remove(at: at.chunk) }
    return value
  }

  /// Removes every entry.
  @inlinable public mutating func removeAll() {
    chunks.removeAll()
    entryCount = 0
  }

  /// Removes the entries for which `condition` holds, visited in key order.
  @inlinable public mutating func removeAll(where condition: (Key, Value) -> Bool) {
    let doomed = filter { condition($0.key, $0.value) }.map(\.key)
    for key in doomed { removeValue(forKey: key) }
  }

  /// The entry with the smallest key.
  @inlinable public var first: (key: Key, value: Value)? {
    guard let chunk = chunks.first else { return nil }
    return (chunk.keys[0], chunk.values[0])
  }

  /// The entry with the largest key.
  @inlinable public var last: (key: Key, value: Value)? {
    guard let chunk = chunks.last else { return nil }
    return (chunk.keys[chunk.keys.count - 1], chunk.values[chunk.values.count - 1])
  }

  /// Removes and returns the entry with the smallest key.
  @inlinable public mutating func popFirst() -> (key: Key, value: Value)? {
    guard let entry = first else { return nil }
    removeValue(forKey: entry.key)
    return entry
  }

  /// The entry with the smallest key above `key`.
  @inlinable public func firstEntry(after key: Key) -> (key: Key, value: Value)? {
    var iterator = entries(from: key)
    guard let entry = iterator.next() else { return nil }
    return entry.key == key ? iterator.next() : entry
  }

  /// The entry with the largest key not above `key`.
  @inlinable public func lastEntry(upTo key: Key) -> (key: Key, value: Value)? {
    guard !chunks.isEmpty else { return nil }
    let chunk = chunkIndex(for: key)
    let index = lowerBound(chunks[chunk].keys, key)
    if index < chunks[chunk].keys.count, chunks[chunk].keys[index] == key {
      return (key, chunks[chunk].values[index])
    }
    guard index > 0 else { return nil }
    return (chunks[chunk].keys[index - 1], chunks[chunk].values[index - 1])
  }

  /// The entry that so many others come before; nil behind the last.
  @inlinable public func entry(at offset: Int) -> (key: Key, value: Value)? {
    var rest = offset
    for chunk in chunks {
      if rest < chunk.keys.count { return (chunk.keys[rest], chunk.values[rest]) }
      rest -= chunk.keys.count
    }
    return nil
  }

  /// The entries from `key` on, in key order.
  @inlinable public func entries(from key: Key) -> Iterator {
    guard !chunks.isEmpty else { return Iterator(chunks: chunks, chunk: 0, index: 0) }
    let chunk = chunkIndex(for: key)
    return Iterator(chunks: chunks, chunk: chunk, index: lowerBound(chunks[chunk].keys, key))
  }

  /// The keys in order.
  @inlinable public var keys: [Key] { chunks.flatMap(\.keys) }

  /// The values in the order of their keys.
  @inlinable public var values: [Value] { chunks.flatMap(\.values) }
}

extension Table: Sequence {
  /// Walks the entries in key order.
  public struct Iterator: IteratorProtocol, Sequence {
    @usableFromInline let chunks: [Chunk]
    @usableFromInline var chunk: Int
    @usableFromInline var index: Int

    @inlinable init(chunks: [Chunk], chunk: Int, index: Int) {
      self.chunks = chunks
      self.chunk = chunk
      self.index = index
    }

    /// The next entry, or nil at the end.
    @inlinable public mutating func next() -> (key: Key, value: Value)? {
      while chunk < chunks.count {
        if index < chunks[chunk].keys.count {
          defer { index += 1 }
          return (chunks[chunk].keys[index], chunks[chunk].values[index])
        }
        chunk += 1
        index = 0
      }
      return nil
    }
  }

  /// An iterator at the smallest key.
  @inlinable public func makeIterator() -> Iterator { Iterator(chunks: chunks, chunk: 0, index: 0) }

  /// The number of entries.
  @inlinable public var underestimatedCount: Int { count }
}

extension Table.Chunk: Sendable where Key: Sendable, Value: Sendable {}
extension Table: Sendable where Key: Sendable, Value: Sendable {}

extension Table: Equatable where Value: Equatable {
  /// True when both are the same value.
  @inlinable public static func == (left: Table, right: Table) -> Bool {
    left.count == right.count && left.elementsEqual(right) { $0.key == $1.key && $0.value == $1.value }
  }
}
