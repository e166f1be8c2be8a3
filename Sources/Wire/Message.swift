import Primitives

/// What an envelope says, decoded.
public enum MessageBody: Hashable, Sendable {
  case nodeRecord(NodeRecord)
  case accusation(Accusation)
  case leave
  case ping(Ping)
  case ack(Ack)
  case nack(Nack)
  case pingRequest(PingRequest)
  case transaction(Transaction)

  /// The kind of envelope that carries it.
  public var kind: EnvelopeKind {
    switch self {
    case .nodeRecord: .nodeRecord
    case .accusation: .accusation
    case .leave: .leave
    case .ping: .ping
    case .ack: .ack
    case .nack: .nack
    case .pingRequest: .pingRequest
    case .transaction: .transaction
    }
  }

  /// The canonical payload.
  public var payload: [UInt8] {
    switch self {
    case .nodeRecord(let body): body.encoded
    case .accusation(let body): body.encoded
    case .leave: []
    case .ping(let body): body.encoded
    case .ack(let body): body.encoded
    case .nack(let body): body.encoded
    case .pingRequest(let body): body.encoded
    case .transaction(let body): body.encoded
    }
  }

  /// The body of a payload of the given kind.
  public init(kind: EnvelopeKind, payload: [UInt8]) throws(WireError) {
    switch kind {
    case .nodeRecord: self = .nodeRecord(try NodeRecord(decoding: payload))
    case .accusation: self = .accusation(try Accusation(decoding: payload))
    case .leave:
      guard payload.isEmpty else { throw .trailingBytes }
      self = .leave
    case .ping: self = .ping(try Ping(decoding: payload))
    case .ack: self = .ack(try Ack(decoding: payload))
    case .nack: self = .nack(try Nack(decoding: payload))
    case .pingRequest: self = .pingRequest(try PingRequest(decoding: payload))
    case .transaction: self = .transaction(try Transaction(decoding: payload))
    }
  }
}

/// An envelope and what it says. Outside a `Verified` nothing is known of its signature.
public struct Message: Hashable, Sendable {
  /// The signed bytes' parts.
  public let envelope: Envelope
  /// The decoded payload.
  public let body: MessageBody
  /// The hash of the whole envelope.
  public let id: Digest

  /// Decodes the payload of an envelope.
  public init(_ envelope: Envelope) throws(WireError) {
    self.envelope = envelope
    body = try MessageBody(kind: envelope.kind, payload: envelope.payload)
    id = envelope.id
  }

  init(envelope: Envelope, body: MessageBody) {
    self.envelope = envelope
    self.body = body
    id = envelope.id
  }

  /// Who said it.
  public var author: NodeID { envelope.author }
  /// The author's sequence number.
  public var sequence: UInt64 { envelope.sequence }
}
