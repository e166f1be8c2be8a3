import Primitives
import Sodium

/// Sixteen bytes of keyed BLAKE2b (RFC 7693), the first MAC of a datagram: it proves nothing about the sender, and makes
/// blind noise cost a hash instead of a signature check (as WireGuard's mac1). It also names the datagram.
package struct DatagramMAC: Hashable, Sendable {
  /// The number of bytes.
  package static let byteCount = 16

  private let first: UInt64
  private let second: UInt64

  /// A MAC from its bytes; nil unless there are exactly 16.
  package init?(bytes: [UInt8]) {
    guard bytes.count == DatagramMAC.byteCount else { return nil }
    self = bytes.withUnsafeBytes { DatagramMAC(reading: $0, at: 0) }
  }

  /// The MAC of a message.
  init(of message: [UInt8], key: [UInt8]) {
    self = message.withUnsafeBytes { DatagramMAC(of: $0, key: key) }
  }

  /// The MAC of a message that lies in a buffer.
  init(of message: UnsafeRawBufferPointer, key: [UInt8]) {
    self = BLAKE2b.hash(message, count: DatagramMAC.byteCount, key: key)
      .withUnsafeBytes { DatagramMAC(reading: $0, at: 0) }
  }

  /// The 16 bytes at `offset`, which must lie in the buffer.
  init(reading buffer: UnsafeRawBufferPointer, at offset: Int) {
    first = buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    second = buffer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
  }

  /// The bytes in order.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(DatagramMAC.byteCount)
    withUnsafeBytes(of: first) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: second) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// True when both are equal, in a time that does not tell where they differ: no branch before all bits are joined.
  func isSecretlyEqual(to other: DatagramMAC) -> Bool { (first ^ other.first) | (second ^ other.second) == 0 }
}

/// The keys of MACs on one network, as one node needs them.
struct DatagramKeys {
  /// Of datagrams to this node.
  let own: [UInt8]
  /// Of beacons.
  let beacon: [UInt8]
  private let networkID: Digest

  init(id: NodeID, networkID: Digest) {
    self.networkID = networkID
    own = DatagramKeys.key(of: id, networkID)
    beacon = BLAKE2b.hash(Array("linnet/1/lan-beacon".utf8) + networkID.bytes, count: 32)
  }

  /// Of datagrams to `receiver`.
  func key(of receiver: NodeID) -> [UInt8] { DatagramKeys.key(of: receiver, networkID) }

  private static func key(of receiver: NodeID, _ networkID: Digest) -> [UInt8] {
    BLAKE2b.hash(Array("linnet/1/mac1".utf8) + receiver.bytes + networkID.bytes, count: 32)
  }
}
