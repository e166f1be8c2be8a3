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

  static func frame(_ frame: MembershipScale.Frame) -> Int {
    let bytes =
      switch frame {
      case .members(let known): 1 + envelopes(known.map(\.value.envelope))
      case .digest(let digest): 3 + MemberDigest.Bucket.byteCount * digest.buckets.count
      case .request(let request): 3 + varint(request.buckets.count) + request.buckets.count
      case .gossip(.publish(let sent)): 2 + envelopes(sent)
      case .gossip(.announce(let ids)), .gossip(.request(let ids)), .gossip(.unwanted(let ids)):
        2 + varint(ids.count) + 32 * ids.count
      case .gossip(.graft): 2
      case .gossip(.prune): 5
      }
    return bytes + frameOverhead + bytes / segment * 40
  }

  private static func envelopes(_ all: [Envelope]) -> Int { varint(all.count) + all.reduce(0) { $0 + size($1) } }

  private static func size(_ envelope: Envelope) -> Int {
    Envelope.overheadBytes + varint(envelope.payload.count) + envelope.payload.count
  }

  private static func varint(_ value: Int) -> Int { value < 128 ? 1 : value < 16_384 ? 2 : 3 }
}
