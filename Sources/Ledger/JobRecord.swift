import Primitives
import Wire

/// Where a job stands. With one replica `judging` is passed through within a block.
public enum JobState: UInt8, CaseIterable, Hashable, Sendable {
  case pending = 0
  case assigned = 1
  case running = 2
  case revealing = 3
  case judging = 4
  case settled = 5
  case refunded = 6
  case cancelled = 7
  case expired = 8

  /// True when it can never change again.
  public var isTerminal: Bool { rawValue >= JobState.settled.rawValue }
  /// The word that the control API and the command line use.
  public var name: String { "\(self)" }
}

/// A job and all its leases. Its key and id is the id of the envelope that submitted it. All times are ledger times
/// in milliseconds since 1970.
public struct JobRecord: Hashable, Sendable, WireCodable {
  /// The id.
  public let id: Digest
  /// The account that pays.
  public let submitter: NodeID
  /// What was asked for.
  public let terms: JobTerms
  /// The fee of its submission: its priority among pending jobs.
  public let feeMicrocredits: UInt64
  /// Its number among all jobs ever submitted: its age.
  public let order: UInt64
  /// When it was submitted.
  public let submittedMilliseconds: UInt64
  /// The height of the block that took it in.
  public let submittedInBlock: UInt64
  /// Where it stands.
  public var state: JobState
  /// Attempts that failed so far: the number of the attempt that runs or comes next.
  public var failedAttempts: UInt8
  /// Its leases, oldest first; at most `1 + retries + LedgerBounds.maximumUnstartedLeases`.
  public var leases: [LeaseRecord]
  /// What is locked for it now.
  public var escrowMicrocredits: UInt64
  /// What was paid so far, all leases together.
  public var paidMicrocredits: UInt64
  /// When it expires while pending, or is forgotten once it has ended; 0 in between.
  public var deadlineMilliseconds: UInt64
  /// The leader of the block in which it last became pending: another one's block draws for it.
  public var pendingLeader: NodeID
  /// The height of that block: a later one draws.
  public var pendingInBlock: UInt64
  /// The height of the block that last assigned it.
  public var assignedInBlock: UInt64?
  /// The height of the block that ended it.
  public var settledInBlock: UInt64?
  /// When it ended.
  public var endedMilliseconds: UInt64?
  /// The blob root of its output directory, once settled.
  public var outputRoot: Digest?
  /// How it ended, once settled.
  public var exit: ExitStatus?
  /// Why it ended as it did, for a person; empty for a plain exit.
  public var message: String

  init(
    id: Digest, submitter: NodeID, terms: JobTerms, feeMicrocredits: UInt64, order: UInt64,
    escrowMicrocredits: UInt64, submittedMilliseconds: UInt64, submittedInBlock: UInt64, leader: NodeID
  ) {
    self.id = id
    self.submitter = submitter
    self.terms = terms
    self.feeMicrocredits = feeMicrocredits
    self.order = order
    self.submittedMilliseconds = submittedMilliseconds
    self.submittedInBlock = submittedInBlock
    state = .pending
    failedAttempts = 0
    leases = []
    self.escrowMicrocredits = escrowMicrocredits
    paidMicrocredits = 0
    deadlineMilliseconds = 0
    pendingLeader = leader
    pendingInBlock = submittedInBlock
    message = ""
  }

  /// The lease that is live now.
  public var liveLease: LeaseRecord? { leases.last.flatMap { $0.state.isLive ? $0 : nil } }

  /// Its place among the pending jobs.
  var pendingKey: PendingKey { PendingKey(feeMicrocredits: feeMicrocredits, order: order, job: id) }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(id)
    writer.nodeID(submitter)
    writer.value(terms)
    writer.varint(feeMicrocredits)
    writer.varint(order)
    writer.varint(submittedMilliseconds)
    writer.varint(submittedInBlock)
    writer.uint8(state.rawValue)
    writer.uint8(failedAttempts)
    writer.array(leases)
    writer.varint(escrowMicrocredits)
    writer.varint(paidMicrocredits)
    writer.varint(deadlineMilliseconds)
    writer.nodeID(pendingLeader)
    writer.varint(pendingInBlock)
    writer.optional(assignedInBlock) { $0.varint($1) }
    writer.optional(settledInBlock) { $0.varint($1) }
    writer.optional(endedMilliseconds) { $0.varint($1) }
    writer.optional(outputRoot) { $0.digest($1) }
    writer.optional(exit) { $0.value($1) }
    writer.string(message)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    id = try reader.digest()
    submitter = try reader.nodeID()
    terms = try reader.value()
    feeMicrocredits = try reader.varint()
    order = try reader.varint()
    submittedMilliseconds = try reader.varint()
    submittedInBlock = try reader.varint()
    guard let state = JobState(rawValue: try reader.uint8()) else { throw .unknownTag(what: "job state") }
    self.state = state
    failedAttempts = try reader.uint8()
    leases = try reader.array(
      limit: 1 + Int(LedgerBounds.maximumRetries) + LedgerBounds.maximumUnstartedLeases, what: "leases")
    escrowMicrocredits = try reader.varint()
    paidMicrocredits = try reader.varint()
    deadlineMilliseconds = try reader.varint()
    pendingLeader = try reader.nodeID()
    pendingInBlock = try reader.varint()
    assignedInBlock = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    settledInBlock = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    endedMilliseconds = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    outputRoot = try reader.optional { (reader) throws(WireError) in try reader.digest() }
    exit = try reader.optional { (reader) throws(WireError) in try ExitStatus(from: &reader) }
    message = try reader.string(limit: LeaseRecord.maximumReasonBytes, what: "job message")
  }
}
