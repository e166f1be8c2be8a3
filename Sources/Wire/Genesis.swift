import Primitives

/// The settings that all nodes of a network share. Part of the genesis, so that they cannot differ.
public struct ChainParameters: Hashable, Sendable, WireCodable {
  /// Δ0 of consensus: the bound on message delay that timeouts start from.
  public var deltaMilliseconds: UInt64 = 200
  /// The cap on Δ as it grows.
  public var deltaCapMilliseconds: UInt64 = 60_000
  /// The least time between a block and its parent.
  public var blockIntervalMinimumMilliseconds: UInt64 = 20
  /// How long a leader with nothing to do waits before it proposes an empty block.
  public var blockIntervalIdleMilliseconds: UInt64 = 5_000
  /// With nothing finalized for this long, votes and certificates are sent again.
  public var standstillMilliseconds: UInt64 = 10_000
  /// How far ahead of the own clock a block's timestamp may be.
  public var maximumClockLeadMilliseconds: UInt64 = 500
  /// How far one block may advance ledger time.
  public var maximumLedgerStepMilliseconds: UInt64 = 10_000

  /// The least fee of a transaction; burnt.
  public var minimumFeeMicrocredits: UInt64 = 100
  /// What an offer bonds.
  public var offerBondMicrocredits: UInt64 = 1_000_000
  /// What accepting a lease locks.
  public var jobStakeMicrocredits: UInt64 = 10_000
  /// What a job's entry costs while it is in the state.
  public var entryDepositMicrocredits: UInt64 = 1_000
  /// How long a provider has to accept a lease.
  public var acceptWindowMilliseconds: UInt64 = 10_000
  /// How often a provider with leases renews them.
  public var renewIntervalMilliseconds: UInt64 = 10_000
  /// The renewals missed before leases time out.
  public var renewalsMissed: UInt64 = 3
  /// How long after its commit a provider has to reveal.
  public var revealWindowMilliseconds: UInt64 = 30_000
  /// Beyond the wall limit, how long a lease may take to fetch inputs, start and commit.
  public var commitGraceMilliseconds: UInt64 = 60_000
  /// How long a job that has ended stays in the state.
  public var retentionMilliseconds: UInt64 = 86_400_000
  /// The most assignments of one block.
  public var maximumAssignmentsPerBlock: UInt64 = 500

  /// The blocks of an epoch.
  public var epochBlocks: UInt64 = 3_600
  /// The least stake of a validator.
  public var minimumStakeMicrocredits: UInt64 = 10_000_000
  /// What of a validator's stake is burnt when evidence shows that it contradicted itself, in a million.
  public var slashPartsPerMillion: UInt64 = 500_000
  /// For how many epochs after its own evidence counts, and for how many after a validator left its stake is kept.
  public var evidenceAgeEpochs: UInt64 = 2

  /// The defaults: a fast network.
  public init() {}

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    for value in [
      deltaMilliseconds, deltaCapMilliseconds, blockIntervalMinimumMilliseconds, blockIntervalIdleMilliseconds,
      standstillMilliseconds, maximumClockLeadMilliseconds, maximumLedgerStepMilliseconds, minimumFeeMicrocredits,
      offerBondMicrocredits, jobStakeMicrocredits, entryDepositMicrocredits, acceptWindowMilliseconds,
      renewIntervalMilliseconds, renewalsMissed, revealWindowMilliseconds, commitGraceMilliseconds,
      retentionMilliseconds, maximumAssignmentsPerBlock, epochBlocks, minimumStakeMicrocredits, slashPartsPerMillion,
      evidenceAgeEpochs,
    ] { writer.varint(value) }
  }

  /// No parameter is above this: a bound that keeps sums of times from overflowing.
  public static let maximumValue: UInt64 = 1 << 48
  /// The shortest epoch, in blocks.
  public static let minimumEpochBlocks: UInt64 = 4
  /// The longest epoch, in blocks.
  public static let maximumEpochBlocks: UInt64 = 1 << 24
  /// The most epochs for which evidence counts.
  public static let maximumEvidenceAgeEpochs: UInt64 = 16

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    func next(_ reader: inout WireReader, least: UInt64 = 0) throws(WireError) -> UInt64 {
      let value = try reader.varint()
      guard value >= least, value <= ChainParameters.maximumValue else { throw .badValue(what: "chain parameter") }
      return value
    }
    deltaMilliseconds = try next(&reader, least: 1)
    deltaCapMilliseconds = try next(&reader, least: 1)
    blockIntervalMinimumMilliseconds = try next(&reader)
    blockIntervalIdleMilliseconds = try next(&reader, least: 1)
    standstillMilliseconds = try next(&reader, least: 1)
    maximumClockLeadMilliseconds = try next(&reader)
    maximumLedgerStepMilliseconds = try next(&reader, least: 1)
    minimumFeeMicrocredits = try next(&reader)
    offerBondMicrocredits = try next(&reader)
    jobStakeMicrocredits = try next(&reader)
    entryDepositMicrocredits = try next(&reader)
    acceptWindowMilliseconds = try next(&reader, least: 1)
    renewIntervalMilliseconds = try next(&reader, least: 1)
    renewalsMissed = try next(&reader, least: 1)
    revealWindowMilliseconds = try next(&reader, least: 1)
    commitGraceMilliseconds = try next(&reader, least: 1)
    retentionMilliseconds = try next(&reader)
    maximumAssignmentsPerBlock = try next(&reader, least: 1)
    epochBlocks = try next(&reader, least: ChainParameters.minimumEpochBlocks)
    minimumStakeMicrocredits = try next(&reader)
    slashPartsPerMillion = try next(&reader)
    evidenceAgeEpochs = try next(&reader, least: 1)
    guard slashPartsPerMillion <= 1_000_000, evidenceAgeEpochs <= ChainParameters.maximumEvidenceAgeEpochs,
      epochBlocks <= ChainParameters.maximumEpochBlocks
    else { throw .badValue(what: "chain parameter") }
  }
}

/// What a network begins with. Its hash is the network id; everything signed is bound to it.
public struct Genesis: Hashable, Sendable, WireCodable {
  /// The longest name of a network, in bytes.
  public static let maximumNameBytes = 63
  /// The most opening balances.
  public static let maximumBalances = 65_536

  /// An opening balance.
  public struct Balance: Hashable, Sendable, WireCodable {
    /// Whose it is.
    public var account: NodeID
    /// How much.
    public var amountMicrocredits: UInt64

    /// A balance.
    public init(account: NodeID, amountMicrocredits: UInt64) {
      self.account = account
      self.amountMicrocredits = amountMicrocredits
    }

    /// Appends the canonical bytes.
    public func encode(into writer: inout WireWriter) {
      writer.nodeID(account)
      writer.varint(amountMicrocredits)
    }

    /// Reads the canonical bytes; throws for all others.
    public init(from reader: inout WireReader) throws(WireError) {
      account = try reader.nodeID()
      amountMicrocredits = try reader.varint()
    }
  }

  /// A name for people.
  public let name: String
  /// Milliseconds since 1970; the timestamp of the block before the first.
  public let createdMilliseconds: UInt64
  /// The settings that all nodes share.
  public let parameters: ChainParameters
  /// The first validators, ascending.
  public let validators: [NodeID]
  /// Opening balances, ascending by account. Their sum fits 63 bits.
  public let balances: [Balance]

  /// A genesis; throws what decoding it would.
  public init(
    name: String, createdMilliseconds: UInt64, parameters: ChainParameters, validators: [NodeID], balances: [Balance]
  ) throws(WireError) {
    var writer = WireWriter()
    writer.string(name)
    writer.uint64(createdMilliseconds)
    writer.value(parameters)
    writer.array(validators.sorted()) { $0.nodeID($1) }
    writer.array(balances.sorted { $0.account < $1.account })
    try self.init(decoding: writer.bytes)
  }

  /// The network id.
  public var networkID: Digest { Digest(hashing: Array("linnet/1/genesis".utf8) + [0] + encoded) }

  /// The validators of the first epoch.
  public var validatorSet: ValidatorSet {
    guard let set = ValidatorSet(epoch: 0, members: validators) else {
      preconditionFailure("a genesis is only made with a valid set")
    }
    return set
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.string(name)
    writer.uint64(createdMilliseconds)
    writer.value(parameters)
    writer.array(validators) { $0.nodeID($1) }
    writer.array(balances)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    name = try reader.string(limit: Genesis.maximumNameBytes, what: "network name")
    createdMilliseconds = try reader.uint64()
    guard createdMilliseconds <= ChainParameters.maximumValue else { throw .badValue(what: "genesis time") }
    parameters = try reader.value()
    validators = try reader.ascending(limit: ValidatorSet.maximumCount, what: "validators", by: { $0 }) {
      (reader) throws(WireError) in try reader.nodeID()
    }
    balances = try reader.ascending(limit: Genesis.maximumBalances, what: "balances", by: \.account) {
      (reader) throws(WireError) in try Balance(from: &reader)
    }
    guard !validators.isEmpty else { throw .badValue(what: "validators") }
    var sum: UInt64 = 0
    for balance in balances {
      let (next, overflow) = sum.addingReportingOverflow(balance.amountMicrocredits)
      guard !overflow, next <= UInt64(Int64.max) else { throw .badValue(what: "balances") }
      sum = next
    }
  }
}
