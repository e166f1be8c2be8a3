/// Everything that travels in a frame of a link. The link itself proves who sent it.
public enum LinkMessage: Hashable, Sendable, WireCodable {
  /// The most records exchanged at once.
  public static let maximumRecords = 1_024

  case consensus(ConsensusMessage)
  case gossip(GossipMessage)
  /// Records, accusations and farewells: what the sender knows of the members (push-pull).
  case members([Envelope])
  case service(ServiceMessage)
  /// What the sender's table of members hashes to.
  case memberDigest(MemberDigest)
  /// Asks for the records, accusations and farewells of the members of some buckets; answered by `members`.
  case memberRequest(MemberRequest)

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .consensus(let message):
      writer.uint8(1)
      writer.value(message)
    case .gossip(let message):
      writer.uint8(2)
      writer.value(message)
    case .members(let records):
      writer.uint8(3)
      writer.array(records)
    case .service(let message):
      writer.uint8(4)
      writer.value(message)
    case .memberDigest(let digest):
      writer.uint8(5)
      writer.value(digest)
    case .memberRequest(let request):
      writer.uint8(6)
      writer.value(request)
    }
  }

  /// True when bytes can only be what a table of members says, by their tag alone: told apart before anything is decoded.
  public static func isOfMembers(_ bytes: [UInt8]) -> Bool {
    switch bytes.first {
    case 3, 5, 6: true
    default: false
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .consensus(try reader.value())
    case 2: self = .gossip(try reader.value())
    case 3:
      let records: [Envelope] = try reader.array(limit: LinkMessage.maximumRecords, what: "members")
      for record in records where ![.nodeRecord, .accusation, .leave].contains(record.kind) {
        throw .badValue(what: "member record kind")
      }
      self = .members(records)
    case 4: self = .service(try reader.value())
    case 5: self = .memberDigest(try reader.value())
    case 6: self = .memberRequest(try reader.value())
    default: throw .unknownTag(what: "link message")
    }
  }
}
