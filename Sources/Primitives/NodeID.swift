/// A node's identity: its Ed25519 public key (RFC 8032). An address is only where it was last seen.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The 32 bytes of the public key.
  public var value: Bytes32

  /// An identity from its 32 bytes.
  public init(_ value: Bytes32) { self.value = value }

  /// An identity from its bytes; nil unless there are exactly 32.
  @inlinable public init?(bytes: some Collection<UInt8>) {
    guard let value = Bytes32(bytes) else { return nil }
    self.value = value
  }

  /// An identity from its text form; nil unless it is bech32m (BIP-350) with prefix `ln` of 32 bytes.
  public init?(text: some StringProtocol) {
    guard let bytes = Bech32m.decode(text, prefix: NodeID.textPrefix) else { return nil }
    self.init(bytes: bytes)
  }

  /// The human-readable prefix of the text form.
  public static let textPrefix = "ln"

  /// The bytes in order.
  public var bytes: [UInt8] { value.bytes }

  /// The text form: bech32m, prefix `ln`.
  public var description: String { Bech32m.encode(bytes, prefix: NodeID.textPrefix) }

  /// The short form of tables and logs: prefix, separator and eight characters.
  public var short: String { String(description.prefix(11)) }

  /// The order that tables and messages rely on.
  @inlinable public static func < (left: NodeID, right: NodeID) -> Bool { left.value < right.value }
}

/// An Ed25519 signature (RFC 8032): 64 bytes.
public struct Signature: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The first half, the encoded point R.
  public var first: Bytes32
  /// The second half, the scalar S.
  public var second: Bytes32

  /// A signature from its bytes; nil unless there are exactly 64.
  @inlinable public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 64, let first = Bytes32(bytes.prefix(32)), let second = Bytes32(bytes.suffix(32)) else {
      return nil
    }
    self.first = first
    self.second = second
  }

  /// All zero: never a valid signature.
  public static let zero = Signature(first: Bytes32(), second: Bytes32())

  private init(first: Bytes32, second: Bytes32) {
    self.first = first
    self.second = second
  }

  /// The 64 bytes in order.
  public var bytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
      first.write(into: buffer, at: 0)
      second.write(into: buffer, at: 32)
      count = 64
    }
  }

  /// 128 hexadecimal digits.
  public var description: String { Hex.encode(bytes) }

  /// The order that tables and messages rely on.
  public static func < (left: Signature, right: Signature) -> Bool {
    left.first == right.first ? left.second < right.second : left.first < right.first
  }
}
