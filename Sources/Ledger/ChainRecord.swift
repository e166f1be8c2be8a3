import Primitives
import Wire

/// What the ledger knows of the chain and of itself as a whole: one entry, changed by every block.
public struct ChainRecord: Hashable, Sendable, WireCodable {
  /// The height of the block.
  public internal(set) var height: UInt64
  /// The timestamp of the block, in milliseconds since 1970.
  public internal(set) var timestampMilliseconds: UInt64
  /// Ledger time: follows the timestamps, but by at most one step a block.
  public internal(set) var ledgerTimeMilliseconds: UInt64
  /// The hash chained over what the leaders of all blocks revealed.
  public internal(set) var beacon: Digest
  /// All fees burnt.
  public internal(set) var burntMicrocredits: UInt64
  /// How many accounts there are.
  public internal(set) var accountCount: UInt64
  /// How many providers there are.
  public internal(set) var providerCount: UInt64
  /// How many accounts have a validator's stake.
  public internal(set) var validatorCount: UInt64
  /// How many jobs there are.
  public internal(set) var jobCount: UInt64
  /// How many jobs were ever submitted.
  public internal(set) var submissionCount: UInt64
  /// Pending jobs that no block has drawn for yet.
  var freshCount: UInt64
  /// The last pending job that a walk over them, cut off at the bound of a block, tried.
  var sweepCursor: PendingKey?
  /// True when capacity was freed while such a walk was under way: another follows.
  var sweepsAgain: Bool

  init(timestampMilliseconds: UInt64, beacon: Digest) {
    height = 0
    self.timestampMilliseconds = timestampMilliseconds
    ledgerTimeMilliseconds = timestampMilliseconds
    self.beacon = beacon
    burntMicrocredits = 0
    accountCount = 0
    providerCount = 0
    validatorCount = 0
    jobCount = 0
    submissionCount = 0
    freshCount = 0
    sweepCursor = nil
    sweepsAgain = false
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(height)
    writer.varint(timestampMilliseconds)
    writer.varint(ledgerTimeMilliseconds)
    writer.digest(beacon)
    for count in [
      burntMicrocredits, accountCount, providerCount, validatorCount, jobCount, submissionCount, freshCount,
    ] {
      writer.varint(count)
    }
    writer.optional(sweepCursor) { $0.value($1) }
    writer.bool(sweepsAgain)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    height = try reader.varint()
    timestampMilliseconds = try reader.varint()
    ledgerTimeMilliseconds = try reader.varint()
    beacon = try reader.digest()
    burntMicrocredits = try reader.varint()
    accountCount = try reader.varint()
    providerCount = try reader.varint()
    validatorCount = try reader.varint()
    jobCount = try reader.varint()
    submissionCount = try reader.varint()
    freshCount = try reader.varint()
    sweepCursor = try reader.optional { (reader) throws(WireError) in try PendingKey(from: &reader) }
    sweepsAgain = try reader.bool()
  }
}

/// What all nodes share and no block changes.
struct NetworkRecord: Hashable, Sendable, WireCodable {
  let parameters: ChainParameters

  init(parameters: ChainParameters) { self.parameters = parameters }

  func encode(into writer: inout WireWriter) { writer.value(parameters) }
  init(from reader: inout WireReader) throws(WireError) { parameters = try reader.value() }
}
