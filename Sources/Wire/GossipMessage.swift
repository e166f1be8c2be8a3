import Primitives

/// The gossip of envelopes over links: eager to the mesh, lazy to the others.
public enum GossipMessage: Hashable, Sendable, WireCodable {
  /// The most ids in one announcement or request.
  public static let maximumIDs = 512
  /// The most envelopes in one message.
  public static let maximumEnvelopes = 64
  /// The longest time for which a prune forbids a graft, in seconds.
  public static let maximumBackoffSeconds: UInt16 = 3_600

  /// Envelopes, new to the sender or asked for.
  case publish([Envelope])
  /// Ids of messages that the sender has (IHAVE).
  case announce([Digest])
  /// Ids of messages that the sender wants (IWANT).
  case request([Digest])
  /// The sender takes the receiver into its mesh: each sends the other new messages at once from now on.
  case graft
  /// The sender takes the receiver out of its mesh, or does not take it in. The receiver must not graft for
  /// `backoffSeconds`, at most `maximumBackoffSeconds`.
  case prune(reason: PruneReason, backoffSeconds: UInt16)
  /// Ids of messages that the sender has or awaits and does not want to be sent (IDONTWANT).
  case unwanted([Digest])

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
    case .graft: writer.uint8(4)
    case .prune(let reason, let backoffSeconds):
      writer.uint8(5)
      writer.uint8(reason.rawValue)
      writer.varint(UInt64(backoffSeconds))
    case .unwanted(let ids):
      writer.uint8(6)
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
    case 4: self = .graft
    case 5:
      guard let reason = PruneReason(rawValue: try reader.uint8()) else { throw .unknownTag(what: "prune reason") }
      let backoff = try reader.varint()
      guard backoff <= UInt64(GossipMessage.maximumBackoffSeconds) else { throw .badValue(what: "prune backoff") }
      self = .prune(reason: reason, backoffSeconds: UInt16(backoff))
    case 6: self = .unwanted(try ids(&reader))
    default: throw .unknownTag(what: "gossip message")
    }
  }
}

/// Why a peer is not in a mesh (`GossipMessage.prune`). Numbers are for ever.
public enum PruneReason: UInt8, CaseIterable, Sendable {
  /// The mesh has as many members as it takes.
  case full = 1
  /// The receiver's score is too low.
  case score = 2
  /// The sender is about to stop.
  case leaving = 3
  /// The receiver grafted before its backoff was over.
  case graftTooSoon = 4
}
