import Primitives
import Wire

/// What one operator is taken to hold: a /24 or a /56 (the prefix that limits are counted by). In private ranges it says
/// nothing about who runs the hosts, so there is none.
struct AddressPrefix: Comparable, Sendable {
  let bytes: [UInt8]

  init?(_ address: PeerAddress?) {
    guard let address, !address.isPrivate else { return nil }
    bytes = address.prefix
  }

  static func < (left: AddressPrefix, right: AddressPrefix) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

/// Counts those who may speak against a member, by where they are for sure: one for each address prefix. In private ranges
/// each counts for a node that is there itself, and all together as one for others.
struct Voices {
  private let privateIsOne: Bool
  private var hasPrivate = false
  private(set) var count = 0
  private var prefixes = OrderedSet<AddressPrefix>()

  init(privateIsOne: Bool) { self.privateIsOne = privateIsOne }

  /// True when it is one voice more. Who is nowhere for sure has none.
  @discardableResult mutating func add(_ address: PeerAddress?) -> Bool {
    guard let address else { return false }
    if let prefix = AddressPrefix(address) {
      guard prefixes.insert(prefix) else { return false }
    } else if privateIsOne {
      guard !hasPrivate else { return false }
      hasPrivate = true
    }
    count += 1
    return true
  }
}
