import Primitives

/// The gossip of envelopes over links: eager to the mesh, lazy to the others.
public enum GossipMessage: Hashable, Sendable, WireCodable {
  /// The most ids in one announcement or request.
  public static let maximumIDs = 512
  /// The most envelopes in one message.
  public static let maximumEnvelopes = 64

  /// Envelopes, new to the sender or asked for.
  case publish([Envelope])
  /// Ids of messages that the sender has (IHAVE).
  case announce([Digest])
  /// Ids of messages that the sender wants (IWANT).
  case request([Digest])

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .publish(let envelopes):
      writer.uint8(1)
      writer.array(envelopes)
    case .announce(let ids):
      writer.uint8(2)
      writer.array(ids) { $0.digest($1) }
    case .request(let ids):
      writer.uint8(3)
      writer.array(ids) { $0.digest($1) }
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    func ids(_ reader: inout WireReader) throws(WireError) -> [Digest] {
      try reader.array(limit: GossipMessage.maximumIDs, what: "message ids") { (reader) throws(WireError) in
        try reader.digest()
      }
    }
    switch try reader.uint8() {
    case 1: self = .publish(try reader.array(limit: GossipMessage.maximumEnvelopes, what: "envelopes"))
    case 2: self = .announce(try ids(&reader))
    case 3: self = .request(try ids(&reader))
    default: throw .unknownTag(what: "gossip message")
    }
  }
}

/// A question or an answer between the services of two nodes (blobs, job logs). The core never sees it.
public struct ServiceMessage: Hashable, Sendable, WireCodable {
  /// The longest body, in bytes.
  public static let maximumBodyBytes = 1_024 * 1_024

  /// The asker's number; the answer repeats it.
  public var number: UInt64
  /// True for an answer.
  public var isAnswer: Bool
  /// Which service, from the catalogue in docs/wire-format.md.
  public var service: UInt8
  /// What the service defines.
  public var body: [UInt8]

  /// A question or an answer.
  public init(number: UInt64, isAnswer: Bool, service: UInt8, body: [UInt8]) {
    self.number = number
    self.isAnswer = isAnswer
    self.service = service
    self.body = body
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(number)
    writer.bool(isAnswer)
    writer.uint8(service)
    writer.lengthPrefixed(body)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    number = try reader.varint()
    isAnswer = try reader.bool()
    service = try reader.uint8()
    body = try reader.lengthPrefixed(limit: ServiceMessage.maximumBodyBytes, what: "service body")
  }
}

/// Everything that travels in a frame of a link. The link itself proves who sent it.
public enum LinkMessage: Hashable, Sendable, WireCodable {
  /// The most records exchanged at once.
  public static let maximumRecords = 1_024

  case consensus(ConsensusMessage)
  case gossip(GossipMessage)
  /// Records, accusations and farewells: what the sender knows of the members (push-pull).
  case members([Envelope])
  case service(ServiceMessage)

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
    default: throw .unknownTag(what: "link message")
    }
  }
}
