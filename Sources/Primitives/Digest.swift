// The one place where a pure target reaches libsodium: a hash has no state, no randomness and no clock.
private import CSodium

/// A BLAKE2b-256 hash (RFC 7693, no key), as libsodium's `crypto_generichash` computes it.
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The 32 bytes.
  public var value: Bytes32

  /// The all-zero digest: what the first block names as its parent.
  public static let zero = Digest(Bytes32())

  /// A digest from its 32 bytes.
  public init(_ value: Bytes32) { self.value = value }

  /// A digest from its bytes; nil unless there are exactly 32.
  public init?(bytes: some Collection<UInt8>) {
    guard let value = Bytes32(bytes) else { return nil }
    self.value = value
  }

  /// A digest from 64 hexadecimal digits; nil for anything else.
  public init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes: bytes)
  }

  /// The hash of `bytes`.
  public init(hashing bytes: [UInt8]) {
    value = Bytes32.filled { output in
      bytes.withUnsafeBufferPointer { input in
        let status = crypto_generichash(output, 32, input.baseAddress, UInt64(input.count), nil, 0)
        precondition(status == 0, "BLAKE2b of a valid length cannot fail")
      }
    }
  }

  /// The hash of the concatenation of two digests after a domain byte: an inner node of a hash tree.
  public init(domain: UInt8, _ left: Digest, _ right: Digest) {
    // One buffer on the stack: trees are made of these.
    value = Bytes32.filled { output in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 65) { buffer in
        buffer[0] = domain
        left.value.write(into: buffer, at: 1)
        right.value.write(into: buffer, at: 33)
        let status = crypto_generichash(output, 32, buffer.baseAddress, 65, nil, 0)
        precondition(status == 0, "BLAKE2b of a valid length cannot fail")
      }
    }
  }

  /// The bytes in order.
  public var bytes: [UInt8] { value.bytes }

  /// 64 hexadecimal digits.
  public var description: String { Hex.encode(bytes) }

  /// The first eight hexadecimal digits, for transcripts and logs.
  public var short: String { String(description.prefix(8)) }

  /// The order that tables and messages rely on.
  @inlinable public static func < (left: Digest, right: Digest) -> Bool { left.value < right.value }
}

/// BLAKE2b-256 over pieces.
public struct DigestHasher: ~Copyable {
  // libsodium's state must lie on a 64-byte boundary, which a Swift value cannot promise.
  private let state: OpaquePointer

  /// A hasher that has seen nothing.
  public init() {
    state = OpaquePointer(
      UnsafeMutableRawPointer.allocate(byteCount: crypto_generichash_statebytes(), alignment: 64))
    let status = crypto_generichash_init(state, nil, 0, 32)
    precondition(status == 0, "BLAKE2b-256 without a key cannot fail")
  }

  deinit { UnsafeMutableRawPointer(state).deallocate() }

  /// Adds bytes.
  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { input in
      _ = crypto_generichash_update(state, input.baseAddress, UInt64(input.count))
    }
  }

  /// The hash of all bytes added.
  public consuming func finish() -> Digest {
    Digest(
      Bytes32.filled { output in
        let status = crypto_generichash_final(state, output, 32)
        precondition(status == 0, "a hasher finishes once")
      })
  }
}

extension Bytes32 {
  /// The value of the 32 bytes that `fill` writes.
  static func filled(_ fill: (UnsafeMutablePointer<UInt8>) -> Void) -> Bytes32 {
    let words = withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 4) { words in
      words.initialize(repeating: 0)
      if let base = words.baseAddress { base.withMemoryRebound(to: UInt8.self, capacity: 32, fill) }
      return (words[0], words[1], words[2], words[3])
    }
    var value = Bytes32()
    value.words = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
    return value
  }
}
