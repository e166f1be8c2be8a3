import Primitives
import Wire

/// What an envelope says of itself, read where it lies: enough to refuse it before any hash, and no allocation.
struct EnvelopeHeader {
  private static let authorOffset = 2 + NetworkTag.byteCount
  private static let lengthOffset = authorOffset + 32 + 8
  private static let signatureByteCount = 64

  /// The number of the envelope's kind.
  let kind: UInt8
  /// The network's tag.
  let network: UInt64
  private let bytes: UnsafeRawBufferPointer
  private let bodyOffset: Int
  private let bodyByteCount: Int

  /// Reads the header; nil unless the version is the one there is and the length fits the bytes exactly. Good as long as
  /// the bytes are.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= DatagramFormat.minimumPayloadByteCount, bytes[0] == Envelope.version else { return nil }
    self.bytes = bytes
    kind = bytes[1]
    network = bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self)
    // A payload fits a datagram, so that its length has one byte or two.
    var length = Int(bytes[EnvelopeHeader.lengthOffset])
    var offset = EnvelopeHeader.lengthOffset + 1
    if length & 0x80 != 0 {
      let high = Int(bytes[offset])
      // Zero would not be minimal, and a third byte is too long.
      guard (1..<0x80).contains(high) else { return nil }
      length = length & 0x7f | high << 7
      offset += 1
    }
    guard offset + length + EnvelopeHeader.signatureByteCount == bytes.count else { return nil }
    bodyOffset = offset
    bodyByteCount = length
  }

  /// A network's tag as `network` has it.
  static func tag(of networkID: Digest) -> UInt64 {
    NetworkTag(networkID).bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
  }

  /// Who is said to have signed it.
  var author: NodeID? { id(at: EnvelopeHeader.authorOffset) }

  /// The first 32 bytes of the payload: whom a probe, or an answer to one, is for. Nil for a shorter payload.
  var receiver: NodeID? { bodyByteCount >= 32 ? id(at: bodyOffset) : nil }

  private func id(at offset: Int) -> NodeID? { NodeID(bytes: bytes[offset..<offset + 32]) }
}
