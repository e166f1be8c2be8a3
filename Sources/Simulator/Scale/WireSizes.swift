import Broadcast
import Primitives
import Wire

/// What messages weigh on the wire, without encoding them.
enum WireSizes {
  /// IPv4 and UDP headers, and the type and tag of a datagram.
  static let datagramOverhead = 20 + 8 + 17
  /// IPv4 and TCP headers, the length and tag of a Noise message, a Yamux header and the length of a frame.
  static let frameOverhead = 40 + 2 + 16 + 12 + 4
  /// What a TCP segment carries.
  static let segment = 1_400

  static func datagram(_ envelope: Envelope) -> Int { size(envelope) + datagramOverhead }

  static func members(_ envelopes: [Envelope]) -> Int {
    frame(1 + varint(envelopes.count) + envelopes.reduce(0) { $0 + size($1) })
  }

  static func digest(_ digest: MemberDigest) -> Int { frame(3 + MemberDigest.Bucket.byteCount * digest.buckets.count) }

  static func request(_ request: MemberRequest) -> Int {
    frame(3 + varint(request.buckets.count) + request.buckets.count)
  }

  static func gossip(_ message: GossipMessage) -> Int {
    switch message {
    case .publish(let envelopes): frame(2 + varint(envelopes.count) + envelopes.reduce(0) { $0 + size($1) })
    case .announce(let ids), .request(let ids), .unwanted(let ids): frame(2 + varint(ids.count) + 32 * ids.count)
    case .graft: frame(2)
    case .prune: frame(5)
    }
  }

  static func size(_ envelope: Envelope) -> Int {
    Envelope.overheadBytes + varint(envelope.payload.count) + envelope.payload.count
  }

  private static func frame(_ bytes: Int) -> Int { bytes + frameOverhead + bytes / segment * 40 }

  private static func varint(_ value: Int) -> Int { value < 128 ? 1 : value < 16_384 ? 2 : 3 }
}
