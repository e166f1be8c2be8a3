/// Thirty-two bytes as four big-endian words: cheap to copy and to compare in byte order.
public struct Bytes32: Hashable, Comparable, Sendable {
  @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)

  /// All zero.
  @inlinable public init() { words = (0, 0, 0, 0) }

  /// The given bytes; nil unless there are exactly 32.
  @inlinable public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == 32 else { return nil }
    self.init()
    var index = 0
    for byte in bytes {
      let value = UInt64(byte) &<< UInt64(56 &- 8 &* (index & 7))
      switch index &>> 3 {
      case 0: words.0 |= value
      case 1: words.1 |= value
      case 2: words.2 |= value
      default: words.3 |= value
      }
      index &+= 1
    }
  }

  /// The bytes in order.
  public var bytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      write(into: buffer, at: 0)
      count = 32
    }
  }

  /// The byte at `index`, 0 to 31.
  @inlinable public subscript(index: Int) -> UInt8 {
    let word: UInt64
    switch index &>> 3 {
    case 0: word = words.0
    case 1: word = words.1
    case 2: word = words.2
    default: word = words.3
    }
    return UInt8(truncatingIfNeeded: word &>> UInt64(56 &- 8 &* (index & 7)))
  }

  /// Bit `index` counted from the most significant bit of the first byte, 0 to 255.
  @inlinable public func bit(_ index: Int) -> Bool { self[index &>> 3] & (0x80 &>> UInt8(index & 7)) != 0 }

  /// The first bit, counted as `bit` does, in which the two differ; nil when they are equal.
  @inlinable public func firstDifferingBit(from other: Bytes32) -> Int? {
    if words.0 != other.words.0 { return (words.0 ^ other.words.0).leadingZeroBitCount }
    if words.1 != other.words.1 { return 64 + (words.1 ^ other.words.1).leadingZeroBitCount }
    if words.2 != other.words.2 { return 128 + (words.2 ^ other.words.2).leadingZeroBitCount }
    if words.3 != other.words.3 { return 192 + (words.3 ^ other.words.3).leadingZeroBitCount }
    return nil
  }

  /// The first eight bytes as a big-endian number.
  @inlinable public var prefix: UInt64 { words.0 }

  func write(into buffer: UnsafeMutableBufferPointer<UInt8>, at offset: Int) {
    for index in 0..<32 { buffer[offset + index] = self[index] }
  }

  /// True when both are the same value.
  @inlinable public static func == (left: Bytes32, right: Bytes32) -> Bool {
    left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2
      && left.words.3 == right.words.3
  }

  /// The order that tables and messages rely on.
  @inlinable public static func < (left: Bytes32, right: Bytes32) -> Bool {
    if left.words.0 != right.words.0 { return left.words.0 < right.words.0 }
    if left.words.1 != right.words.1 { return left.words.1 < right.words.1 }
    if left.words.2 != right.words.2 { return left.words.2 < right.words.2 }
    return left.words.3 < right.words.3
  }

  /// Feeds the value to a hasher.
  @inlinable public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }
}
