import Primitives

/// All that another host needs to join a network: which one, and a node that can be asked for the genesis.
public struct Invite: Hashable, Sendable, WireCodable {
  /// The only version there is.
  public static let version: UInt8 = 1
  /// The most addresses.
  public static let maximumAddresses = 4
  /// The prefix of the text form.
  public static let textPrefix = "lninvite"
  /// The longest text form, in characters: a grant and four IPv6 addresses.
  public static let maximumTextLength = 295

  /// The network, which is also the hash of its genesis.
  public let networkID: Digest
  /// The node that answers.
  public let node: NodeID
  /// Where, best first; one at least.
  public let addresses: [PeerAddress]
  /// An account to begin with; nil for none.
  public var grant: InviteGrant?

  /// An invite; nil unless there are 1 to `maximumAddresses` addresses.
  public init?(networkID: Digest, node: NodeID, addresses: [PeerAddress], grant: InviteGrant? = nil) {
    guard (1...Invite.maximumAddresses).contains(addresses.count) else { return nil }
    self.networkID = networkID
    self.node = node
    self.addresses = addresses
    self.grant = grant
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.uint8(Invite.version)
    writer.digest(networkID)
    writer.nodeID(node)
    writer.array(addresses)
    writer.optional(grant) { $0.raw($1.seed.bytes) }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard try reader.uint8() == Invite.version else { throw .unknownTag(what: "invite version") }
    networkID = try reader.digest()
    node = try reader.nodeID()
    addresses = try reader.array(limit: Invite.maximumAddresses, what: "invite addresses")
    guard !addresses.isEmpty else { throw .badValue(what: "invite addresses") }
    grant = try reader.optional { (reader) throws(WireError) in InviteGrant(seed: try reader.digest().value) }
  }

  /// The text form: bech32m, prefix `lninvite`. It holds the grant's seed: whoever reads it can take the money.
  public var text: String { Bech32m.encode(encoded, prefix: Invite.textPrefix) }

  /// Reads the text form. Longer texts than the 90 characters of BIP-173 are read, up to `maximumTextLength`: within 90 the
  /// checksum finds every four wrong characters, in longer ones it misses one text in 10^9 that was damaged at random.
  public init(text: some StringProtocol) throws(InviteError) {
    guard text.utf8.starts(with: Array("\(Invite.textPrefix)1".utf8)) else { throw .notAnInvite }
    guard
      let bytes = Bech32m.decode(text, prefix: Invite.textPrefix, maximumLength: Invite.maximumTextLength)
    else { throw .damaged }
    if let version = bytes.first, version != Invite.version { throw .unknownVersion(version) }
    do { try self.init(decoding: bytes) } catch { throw .malformed(error) }
  }
}

/// The seed of an Ed25519 key whose account was given something: bearer money, which no log shows.
public struct InviteGrant: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// The 32 bytes.
  public let seed: Bytes32

  /// A grant.
  public init(seed: Bytes32) { self.seed = seed }

  /// Shows nothing of the seed.
  public var description: String { "(a grant)" }

  /// Shows nothing of the seed.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a text is no invite.
public enum InviteError: Error, Equatable, Sendable {
  /// It does not begin as an invite does.
  case notAnInvite
  /// Its checksum does not fit: characters are missing, changed or too many.
  case damaged
  /// It was made by a newer version of the software.
  case unknownVersion(UInt8)
  /// Its checksum fits and its content does not: it was made by something else.
  case malformed(WireError)
}
