import Primitives
import Wire

/// An account with a validator's stake, whether it is in a set or not. Key: the node.
public struct ValidatorRecord: Hashable, Sendable, WireCodable {
  /// What is locked. It counts for the set while the validator stands, and is what evidence burns a part of.
  public internal(set) var stakeMicrocredits: UInt64
  /// The key of its votes in the epochs whose sets are computed from now on; those computed already keep theirs.
  public internal(set) var key: NodeID
  /// True for a validator of the genesis until it leaves: it stands whatever its stake.
  public internal(set) var isFounder: Bool
  /// True once evidence has shown that it contradicted itself, until its stake has returned.
  public internal(set) var isJailed: Bool
  /// The epoch at whose end the stake returns and the record goes; nil for a validator that stands.
  public internal(set) var returnEpoch: UInt64?
  /// The hash chain that its reveals come from.
  public internal(set) var beacon: BeaconChain?
  /// A chain registered while there was one already: it takes over at the end of this epoch.
  public internal(set) var nextBeacon: BeaconChain?

  init(stakeMicrocredits: UInt64, key: NodeID, isFounder: Bool = false) {
    self.stakeMicrocredits = stakeMicrocredits
    self.key = key
    self.isFounder = isFounder
    isJailed = false
  }

  /// True when the next set that is computed may have it: it has neither left nor been jailed.
  public var isStanding: Bool { returnEpoch == nil }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(stakeMicrocredits)
    writer.nodeID(key)
    writer.bool(isFounder)
    writer.bool(isJailed)
    writer.optional(returnEpoch) { $0.varint($1) }
    writer.optional(beacon) { $0.value($1) }
    writer.optional(nextBeacon) { $0.value($1) }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    stakeMicrocredits = try reader.varint()
    key = try reader.nodeID()
    isFounder = try reader.bool()
    isJailed = try reader.bool()
    returnEpoch = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    beacon = try reader.optional { (reader) throws(WireError) in try BeaconChain(from: &reader) }
    nextBeacon = try reader.optional { (reader) throws(WireError) in try BeaconChain(from: &reader) }
  }
}

/// The validators of an epoch, as they were fixed at the end of the epoch two before. Key: the epoch.
public struct EpochRecord: Hashable, Sendable, WireCodable {
  /// The members in the order of node ids: their positions are the voter numbers.
  public let validators: [Validator]
  /// The timestamp of the last block before the epoch, in milliseconds since 1970; 0 until that block.
  public internal(set) var startTimestampMilliseconds: UInt64

  init(validators: [Validator], startTimestampMilliseconds: UInt64 = 0) {
    self.validators = validators
    self.startTimestampMilliseconds = startTimestampMilliseconds
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.array(validators)
    writer.varint(startTimestampMilliseconds)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    validators = try reader.array(limit: ValidatorSet.maximumCount, what: "validators")
    startTimestampMilliseconds = try reader.varint()
    guard ValidatorSet(epoch: 0, validators: validators) != nil else { throw .badValue(what: "validators") }
  }
}

/// The number of an epoch.
struct EpochKey: Hashable, StateKey {
  var epoch: UInt64

  init(_ epoch: UInt64) { self.epoch = epoch }

  func encode(into writer: inout WireWriter) { writer.varint(epoch) }
  init(from reader: inout WireReader) throws(WireError) { epoch = try reader.varint() }

  static func < (left: EpochKey, right: EpochKey) -> Bool { left.epoch < right.epoch }
}
