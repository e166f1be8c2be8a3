import Primitives

/// The signed message format: one for everything that one node says and another may relay.
///
/// Layout (docs/wire-format.md): version, kind, network tag, author, sequence, payload length, payload,
/// signature. The signature is Ed25519 over `"linnet/1/" + kind name + 0x00` and all fields before it, so that
/// none made for one purpose or network can be shown as another.
public struct Envelope: Hashable, Sendable, WireCodable {
  /// The only version there is.
  public static let version: UInt8 = 1
  /// Bytes of an envelope besides its payload and the payload's length prefix.
  public static let overheadBytes = 1 + 1 + 8 + 32 + 8 + 64
  /// The longest encoding of any envelope, in bytes.
  public static let maximumBytes = overheadBytes + 5 + 4_096

  /// What the payload is.
  public let kind: EnvelopeKind
  /// The network it belongs to.
  public let network: NetworkTag
  /// Who said it.
  public let author: NodeID
  /// Strictly increasing for one author, never reused: microseconds since 1970, or one above the last.
  public let sequence: UInt64
  /// The canonical encoding of the body.
  public let payload: [UInt8]
  /// The author's signature.
  public let signature: Signature

  init(
    kind: EnvelopeKind, network: NetworkTag, author: NodeID, sequence: UInt64, payload: [UInt8], signature: Signature
  ) {
    self.kind = kind
    self.network = network
    self.author = author
    self.sequence = sequence
    self.payload = payload
    self.signature = signature
  }

  static func unsignedBytes(
    kind: EnvelopeKind, network: NetworkTag, author: NodeID, sequence: UInt64, payload: [UInt8]
  ) -> [UInt8] {
    var writer = WireWriter()
    writer.uint8(version)
    writer.uint8(kind.rawValue)
    writer.raw(network.bytes)
    writer.nodeID(author)
    writer.uint64(sequence)
    writer.lengthPrefixed(payload)
    return writer.bytes
  }

  static func statement(kind: EnvelopeKind, unsigned: [UInt8]) -> [UInt8] {
    Array("linnet/1/\(kind.name)".utf8) + [0] + unsigned
  }

  /// The bytes that the signature covers.
  public var statement: [UInt8] {
    Envelope.statement(
      kind: kind,
      unsigned: Envelope.unsignedBytes(
        kind: kind, network: network, author: author, sequence: sequence, payload: payload))
  }

  /// The message's id: the hash of the whole envelope.
  public var id: Digest { Digest(hashing: encoded) }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.raw(
      Envelope.unsignedBytes(kind: kind, network: network, author: author, sequence: sequence, payload: payload))
    writer.signature(signature)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard try reader.uint8() == Envelope.version else { throw .unknownTag(what: "envelope version") }
    guard let kind = EnvelopeKind(rawValue: try reader.uint8()) else { throw .unknownTag(what: "envelope kind") }
    self.kind = kind
    network = NetworkTag(bytes: try reader.raw(NetworkTag.byteCount))
    author = try reader.nodeID()
    sequence = try reader.uint64()
    payload = try reader.lengthPrefixed(limit: kind.maximumPayloadBytes, what: "envelope payload")
    signature = try reader.signature()
  }
}

/// The first eight bytes of a network id: what each envelope carries to say where it belongs.
public struct NetworkTag: Hashable, Comparable, Sendable {
  /// The number of bytes.
  public static let byteCount = 8

  /// The bytes.
  public let bytes: [UInt8]

  /// The tag of a network.
  public init(_ networkID: Digest) { bytes = Array(networkID.bytes.prefix(NetworkTag.byteCount)) }

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The order that tables and messages rely on.
  public static func < (left: NetworkTag, right: NetworkTag) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
