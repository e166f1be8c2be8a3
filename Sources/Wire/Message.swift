import Primitives

/// What an envelope says, decoded.
public enum MessageBody: Hashable, Sendable {
  case nodeRecord(NodeRecord)
  case accusation(Accusation)
  case leave
  case nodeList(NodeList)
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
    case .nodeList: .nodeList
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
    case .nodeList(let body): body.encoded
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
    case .nodeList: self = .nodeList(try NodeList(decoding: payload))
    case .ping: self = .ping(try Ping(decoding: payload))
    case .ack: self = .ack(try Ack(decoding: payload))
    case .nack: self = .nack(try Nack(decoding: payload))
    case .pingRequest: self = .pingRequest(try PingRequest(decoding: payload))
    case .transaction: self = .transaction(try Transaction(decoding: payload))
    }
  }
}

/// An envelope and what it says. Outside a `Verified` nothing is known of its signature.
///
/// A handle to one object that never changes, so that the tables of many messages move eight bytes for each and not
/// hundreds, and all who hold a message share it.
public struct Message: Hashable, Sendable {
  private final class Content: Sendable {
    let envelope: Envelope
    let body: MessageBody
    let id: Digest

    init(_ envelope: Envelope, _ body: MessageBody) {
      self.envelope = envelope
      self.body = body
      id = envelope.id
    }
  }

  private let content: Content

  /// The signed bytes' parts.
  public var envelope: Envelope { content.envelope }
  /// The decoded payload.
  public var body: MessageBody { content.body }
  /// The hash of the whole envelope.
  public var id: Digest { content.id }

  /// Decodes the payload of an envelope.
  public init(_ envelope: Envelope) throws(WireError) {
    content = Content(envelope, try MessageBody(kind: envelope.kind, payload: envelope.payload))
  }

  init(envelope: Envelope, body: MessageBody) { content = Content(envelope, body) }

  /// Who said it.
  public var author: NodeID { content.envelope.author }
  /// The author's sequence number.
  public var sequence: UInt64 { content.envelope.sequence }

  /// Equal ids are equal messages: an id is the hash of every byte of the envelope.
  public static func == (left: Message, right: Message) -> Bool {
    left.content === right.content || left.id == right.id
  }

  /// Feeds the id.
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension Message: CustomReflectable {
  /// Shows what it holds, not the handle.
  public var customMirror: Mirror {
    Mirror(self, children: ["envelope": envelope, "body": body, "id": id], displayStyle: .struct)
  }
}
