import Primitives
import Wire

/// One table of the state as a block sees it: its own changes, above those of its ancestors that are not final,
/// above the final entries. Nothing is copied: reading looks through the layers.
struct Layered<Key: StateKey, Value: WireCodable & Equatable>: Sendable {
  /// Changed entries; nil is a removal.
  typealias Changes = Table<Key, Value?>

  private let base: Table<Key, Value>
  /// The newest first.
  private let below: [Changes]
  private(set) var changes = Changes()

  init(base: Table<Key, Value>, below: [Changes]) {
    self.base = base
    self.below = below
  }

  subscript(key: Key) -> Value? {
    get {
      if let found = changes[key] { return found }
      for layer in below {
        if let found = layer[key] { return found }
      }
      return base[key]
    }
    set { changes.updateValue(newValue, forKey: key) }
  }

  /// The entry with the smallest key above `key`, or the smallest of all.
  func entry(after key: Key?) -> (key: Key, value: Value)? {
    var cursor = key
    while true {
      var candidate = Layered.key(in: base, after: cursor)
      for layer in below { candidate = Layered.least(candidate, Layered.key(in: layer, after: cursor)) }
      candidate = Layered.least(candidate, Layered.key(in: changes, after: cursor))
      guard let candidate else { return nil }
      if let value = self[candidate] { return (candidate, value) }
      cursor = candidate
    }
  }

  /// The entries above `key` in order, or all.
  func entries(after key: Key? = nil) -> UnfoldSequence<(key: Key, value: Value), Key?> {
    sequence(state: key) { cursor in
      let next = entry(after: cursor)
      cursor = next?.key
      return next
    }
  }

  private static func key<Other>(in table: Table<Key, Other>, after key: Key?) -> Key? {
    guard let key else { return table.first?.key }
    return table.firstEntry(after: key)?.key
  }

  private static func least(_ left: Key?, _ right: Key?) -> Key? {
    guard let left else { return right }
    guard let right else { return left }
    return Swift.min(left, right)
  }
}
