import Primitives
import Sodium

/// The tag that opens each datagram: keyed BLAKE2b-128 over the payload, by a key that whoever knows the receiver's
/// identity and the network can make (as WireGuard's mac1). It proves nothing about the sender; it makes blind noise
/// cost a hash instead of a signature check.
struct DatagramTag {
  private let key: [UInt8]

  /// What makes the tags of datagrams to `receiver`.
  init(receiver: NodeID, networkID: Digest) {
    key = BLAKE2b.hash(Array("linnet/1/mac1".utf8) + receiver.bytes + networkID.bytes, count: 32)
  }

  /// The tag of a payload.
  func tag(of payload: [UInt8]) -> [UInt8] {
    BLAKE2b.hash(payload, count: DatagramConfiguration.tagByteCount, key: key)
  }

  /// The payload of a datagram whose tag fits; nil otherwise.
  func payload(of datagram: UnsafeRawBufferPointer) -> [UInt8]? {
    guard datagram.count > DatagramConfiguration.tagByteCount else { return nil }
    let payload = Array(datagram[DatagramConfiguration.tagByteCount...])
    let claimed = Array(datagram[..<DatagramConfiguration.tagByteCount])
    return constantTimeEqual(claimed, tag(of: payload)) ? payload : nil
  }
}
