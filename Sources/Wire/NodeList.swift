import Primitives

/// Nodes that a newcomer may begin with, as a validator of the genesis vouches for them: the content of a DNS TXT record.
/// It has no place in rumours, on links or in datagrams, and grants the nodes nothing but being dialled.
public struct NodeList: Hashable, Sendable, WireCodable {
  /// The most nodes.
  public static let maximumNodes = 16
  /// The longest encoding that an envelope takes, in bytes: sixteen nodes with four IPv4 addresses each, or nine with four of
  /// any kind.
  public static let maximumBytes = 1_024

  /// Seconds since 1970 after which the list means nothing.
  public let expiresUnixSeconds: UInt64
  /// The nodes, strictly ascending by id.
  public let nodes: [NodeHint]

  /// A list of nodes in any order; throws what decoding it would, and when it is too long for an envelope.
  public init(expiresUnixSeconds: UInt64, nodes: [NodeHint]) throws(WireError) {
    var writer = WireWriter()
    writer.uint64(expiresUnixSeconds)
    writer.array(nodes.sorted { $0.id < $1.id })
    guard writer.bytes.count <= NodeList.maximumBytes else { throw .tooLong(what: "node list") }
    try self.init(decoding: writer.bytes)
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint64(expiresUnixSeconds)
    writer.array(nodes)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    expiresUnixSeconds = try reader.uint64()
    nodes = try reader.ascending(limit: NodeList.maximumNodes, what: "listed nodes", by: \.id) {
      (reader) throws(WireError) in try reader.value()
    }
  }
}

/// Where a node may be found.
public struct NodeHint: Hashable, Sendable, WireCodable {
  /// The most addresses of a node.
  public static let maximumAddresses = NodeRecord.maximumAddresses

  /// Who is to answer there.
  public var id: NodeID
  /// Where, best first.
  public var addresses: [PeerAddress]

  /// A hint.
  public init(id: NodeID, addresses: [PeerAddress]) {
    self.id = id
    self.addresses = addresses
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(id)
    writer.array(addresses)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    id = try reader.nodeID()
    addresses = try reader.array(limit: NodeHint.maximumAddresses, what: "node addresses")
  }
}
