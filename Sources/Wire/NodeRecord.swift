import Primitives

/// What a node does for the network, as bits.
public struct Roles: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt8

  /// Roles from bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Votes in consensus.
  public static let validator = Roles(rawValue: 1)
  /// Offers to run jobs.
  public static let provider = Roles(rawValue: 2)
  /// All bits that have a meaning.
  public static let all: Roles = [.validator, .provider]

  /// The names of the roles, in the order of their bits.
  public var names: [String] {
    (contains(.validator) ? ["validator"] : []) + (contains(.provider) ? ["provider"] : [])
  }
}

/// A node's own signed record. The envelope's sequence is the SWIM incarnation: nobody else can make one, so
/// nobody can resurrect, move or impersonate a node.
public struct NodeRecord: Hashable, Sendable, WireCodable {
  /// The most addresses a record names.
  public static let maximumAddresses = 4
  /// The longest name, in bytes.
  public static let maximumNameBytes = 63
  /// The longest agent version, in bytes.
  public static let maximumAgentBytes = 31
  /// The most nodes that a record names to be reached through.
  public static let maximumVia = 3

  /// A name for people; grants nothing.
  public var name: String
  /// Where the node can be reached, best first.
  public var addresses: [PeerAddress]
  /// What it does.
  public var roles: Roles
  /// The hash of its hardware report.
  public var capabilities: Digest
  /// The software and its version.
  public var agent: String
  /// Strictly ascending: linked members that ask this node to dial, since nobody can dial it (it is behind a NAT). Empty
  /// when it can be dialled.
  public var via: [NodeID]
  /// Seconds since 1970 after which the record means nothing.
  public var expiresUnixSeconds: UInt64

  /// A record. `via` must be strictly ascending, or what is made of it does not decode.
  public init(
    name: String, addresses: [PeerAddress], roles: Roles, capabilities: Digest, agent: String,
    via: [NodeID] = [], expiresUnixSeconds: UInt64
  ) {
    self.name = name
    self.addresses = addresses
    self.roles = roles
    self.capabilities = capabilities
    self.agent = agent
    self.via = via
    self.expiresUnixSeconds = expiresUnixSeconds
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.string(name)
    writer.array(addresses)
    writer.uint8(roles.rawValue)
    writer.digest(capabilities)
    writer.string(agent)
    writer.array(via) { $0.nodeID($1) }
    writer.uint64(expiresUnixSeconds)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    name = try reader.string(limit: NodeRecord.maximumNameBytes, what: "node name")
    addresses = try reader.array(limit: NodeRecord.maximumAddresses, what: "node addresses")
    roles = Roles(rawValue: try reader.uint8())
    guard Roles.all.isSuperset(of: roles) else { throw .badValue(what: "roles") }
    capabilities = try reader.digest()
    agent = try reader.string(limit: NodeRecord.maximumAgentBytes, what: "agent version")
    via = try reader.ascending(limit: NodeRecord.maximumVia, what: "via nodes", by: { $0 }) {
      (reader) throws(WireError) in try reader.nodeID()
    }
    expiresUnixSeconds = try reader.uint64()
  }
}
