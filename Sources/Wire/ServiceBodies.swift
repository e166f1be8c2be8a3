import Primitives

// The bodies of the services that hosts join and reach each other by. Their numbers are in docs/wire-format.md.

/// Asks for a part of the genesis, as `linnet join` does of the node that an invite names.
public struct GenesisRequest: Hashable, Sendable, WireCodable {
  /// Where the part begins, in bytes from the beginning of the encoded genesis; at most `GenesisAnswer.maximumTotalBytes`.
  public var offset: UInt64

  /// A request.
  public init(offset: UInt64) { self.offset = offset }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) { writer.varint(offset) }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    offset = try reader.varint()
    guard offset <= GenesisAnswer.maximumTotalBytes else { throw .badValue(what: "genesis offset") }
  }
}

/// A part of the genesis. Nothing in it is signed: the whole is checked against the network id.
public struct GenesisAnswer: Hashable, Sendable, WireCodable {
  /// The longest genesis that is fetched, in bytes.
  public static let maximumTotalBytes: UInt64 = 8 * 1_024 * 1_024
  /// The most bytes in one answer.
  public static let maximumPartBytes = 512 * 1_024

  /// Bytes of the whole encoded genesis.
  public var total: UInt64
  /// The bytes from the offset on that was asked for; none at the end.
  public var bytes: [UInt8]

  /// An answer.
  public init(total: UInt64, bytes: [UInt8]) {
    self.total = total
    self.bytes = bytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(total)
    writer.lengthPrefixed(bytes)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    total = try reader.varint()
    guard total <= GenesisAnswer.maximumTotalBytes else { throw .badValue(what: "genesis length") }
    bytes = try reader.lengthPrefixed(limit: GenesisAnswer.maximumPartBytes, what: "genesis part")
    guard bytes.count <= total else { throw .badValue(what: "genesis part") }
  }
}

/// Asks the receiver to dial the asker once, at the address that the link comes from and never at one from a message.
public struct DialBackRequest: Hashable, Sendable, WireCodable {
  /// The TCP port that the asker listens on; not 0.
  public var port: UInt16

  /// A request.
  public init(port: UInt16) { self.port = port }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) { writer.uint16(port) }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    port = try reader.uint16()
    guard port != 0 else { throw .badValue(what: "port") }
  }
}

/// Whether the asker can be dialled from outside.
public struct DialBackAnswer: Hashable, Sendable, WireCodable {
  /// The longest reason, in bytes.
  public static let maximumReasonBytes = 100

  /// True when the connection stood and the handshake named the asker.
  public var isReached: Bool
  /// Why not, for people; empty when it was reached.
  public var reason: String

  /// An answer.
  public init(isReached: Bool, reason: String) {
    self.isReached = isReached
    self.reason = reason
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.bool(isReached)
    writer.string(reason)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    isReached = try reader.bool()
    reason = try reader.string(limit: DialBackAnswer.maximumReasonBytes, what: "dial-back reason")
  }
}

/// Reverse dial: a node that cannot be dialled is asked, through a member that it is linked with, to dial the asker.
public enum ConnectRequest: Hashable, Sendable, WireCodable {
  /// To a `via` member: tell this node, which you are linked with, to dial me.
  case tell(NodeID)
  /// From that member: dial this node, at the addresses of its own record.
  case dial(NodeID)

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .tell(let target):
      writer.uint8(1)
      writer.nodeID(target)
    case .dial(let requester):
      writer.uint8(2)
      writer.nodeID(requester)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .tell(try reader.nodeID())
    case 2: self = .dial(try reader.nodeID())
    default: throw .unknownTag(what: "connect request")
    }
  }
}

/// What becomes of a `ConnectRequest`. A member that was told answers with what the target answered it.
public enum ConnectAnswer: UInt8, CaseIterable, Hashable, Sendable, WireCodable {
  /// The target dials: the link comes or does not.
  case dialling = 1
  /// The answerer is not linked with the target.
  case notLinked = 2
  /// The target has no record of the asker with a usable address.
  case noAddress = 3
  /// The asker asked too often, or too many dials are under way.
  case tooMany = 4

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) { writer.uint8(rawValue) }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard let answer = ConnectAnswer(rawValue: try reader.uint8()) else { throw .unknownTag(what: "connect answer") }
    self = answer
  }
}
