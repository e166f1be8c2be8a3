import Primitives

/// A member of a committee: the node that links are made to, and the key that its votes verify under.
public struct Validator: Hashable, Sendable, WireCodable {
  /// The node: its account, its links, its place in the order.
  public let node: NodeID
  /// The Ed25519 key of its votes; the node's own until it is rotated.
  public let key: NodeID

  /// A validator whose votes are signed by `key`.
  public init(node: NodeID, key: NodeID) {
    self.node = node
    self.key = key
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(node)
    writer.nodeID(key)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    node = try reader.nodeID()
    key = try reader.nodeID()
  }
}

/// The validators of an epoch, in the order that votes and leaders count by.
public struct ValidatorSet: Hashable, Sendable {
  /// The most validators of an epoch.
  public static let maximumCount = 100

  /// The epoch, from 0.
  public let epoch: UInt64
  /// The members; their positions are the voter numbers.
  public let validators: [Validator]
  /// The nodes of the members, in the same order.
  public let members: [NodeID]

  /// A set whose members vote under their own keys; nil unless it has 1 to 100 distinct members.
  public init?(epoch: UInt64, members: [NodeID]) {
    self.init(epoch: epoch, validators: members.map { Validator(node: $0, key: $0) })
  }

  /// A set; nil unless it has 1 to 100 members with distinct nodes and distinct keys.
  public init?(epoch: UInt64, validators: [Validator]) {
    guard (1...ValidatorSet.maximumCount).contains(validators.count),
      OrderedSet(validators.map(\.node)).count == validators.count,
      OrderedSet(validators.map(\.key)).count == validators.count
    else { return nil }
    self.epoch = epoch
    self.validators = validators
    members = validators.map(\.node)
  }

  /// The same members in another epoch.
  public func inEpoch(_ epoch: UInt64) -> ValidatorSet { ValidatorSet(copying: self, epoch: epoch) }

  private init(copying other: ValidatorSet, epoch: UInt64) {
    self.epoch = epoch
    validators = other.validators
    members = other.members
  }

  /// The hash of `"linnet/1/validators" + 0x00` and the members with their keys: what a block header names the next
  /// set by. The epoch is not part of it, so that a set which stays keeps its digest.
  public var digest: Digest { ValidatorSet.digest(of: validators) }

  /// The digest of a set with these members.
  public static func digest(of validators: [Validator]) -> Digest {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/validators".utf8) + [0])
    writer.array(validators)
    return Digest(hashing: writer.bytes)
  }

  /// The number of members, n.
  public var count: Int { members.count }
  /// The number of faulty members that is tolerated, f = (n-1)/3 rounded down.
  public var faults: Int { (members.count - 1) / 3 }
  /// The votes that make a certificate, q = n-f.
  public var quorum: Int { members.count - faults }

  /// The voter number of a node.
  public func index(of id: NodeID) -> UInt16? { members.firstIndex(of: id).map { UInt16($0) } }

  /// The node with a voter number.
  public func member(_ index: UInt16) -> NodeID? { Int(index) < members.count ? members[Int(index)] : nil }

  /// The key that the votes of a voter number verify under.
  public func key(_ index: UInt16) -> NodeID? { Int(index) < members.count ? validators[Int(index)].key : nil }
}

/// The validator sets that a node can verify votes and certificates against: closures, so that a shell may answer
/// from any thread while the core learns of new epochs.
public struct KnownValidators: Sendable {
  /// The set of an epoch; nil for an epoch that is over for long or not known yet.
  public let set: @Sendable (UInt64) -> ValidatorSet?
  /// The set of the latest epoch that is known.
  public let latest: @Sendable () -> ValidatorSet

  /// Known sets.
  public init(set: @escaping @Sendable (UInt64) -> ValidatorSet?, latest: @escaping @Sendable () -> ValidatorSet) {
    self.set = set
    self.latest = latest
  }

  /// One set that never changes.
  public init(_ set: ValidatorSet) {
    self.init(set: { $0 == set.epoch ? set : nil }, latest: { set })
  }
}
