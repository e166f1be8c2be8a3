import Primitives
import Wire

/// Where a lease stands. The first three are live; `revealed` is the end of one whose result was a failed attempt.
public enum LeaseState: UInt8, CaseIterable, Hashable, Sendable {
  case offered = 0
  case active = 1
  case committed = 2
  case revealed = 3
  case paid = 4
  case outvoted = 5
  case timedOut = 6
  case declined = 7
  case cancelled = 8

  /// True while it holds resources of its provider.
  public var isLive: Bool { rawValue <= LeaseState.committed.rawValue }
  /// True when the provider holds it no more.
  public var isOver: Bool { !isLive }
  /// The word that the control API and the command line use.
  public var name: String { "\(self)" }
}

/// One provider's share of a job. All times are ledger times in milliseconds since 1970.
public struct LeaseRecord: Hashable, Sendable, WireCodable {
  /// The longest reason, in bytes.
  public static let maximumReasonBytes = 255

  /// Unique: the hash of network, job, position and provider.
  public let id: Digest
  /// The job.
  public let job: Digest
  /// Who holds it.
  public let provider: NodeID
  /// Which attempt of the job it belongs to, from 0.
  public let attempt: UInt8
  /// What one second costs, fixed when it was assigned.
  public let pricePerSecondMicrocredits: UInt64
  /// Bit i: it has the GPU at position i of the provider's offer.
  public let gpus: UInt16
  /// Where it stands.
  public var state: LeaseState
  /// When it was assigned.
  public let offeredMilliseconds: UInt64
  /// When the provider accepted it.
  public var startedMilliseconds: UInt64?
  /// When it ended.
  public var endedMilliseconds: UInt64?
  /// When its present state times out; 0 when it has ended.
  public var deadlineMilliseconds: UInt64
  /// What accepting it locked; 0 before and after.
  public var stakeMicrocredits: UInt64
  /// The committed hash.
  public var commitment: Digest?
  /// How the job ended here.
  public var exit: ExitStatus?
  /// What it used, as revealed.
  public var usage: Usage?
  /// What the provider was paid.
  public var paidMicrocredits: UInt64
  /// Why it ended, for a person; empty when it was paid for a plain exit.
  public var reason: String

  init(
    id: Digest, job: Digest, provider: NodeID, attempt: UInt8, pricePerSecondMicrocredits: UInt64, gpus: UInt16,
    offeredMilliseconds: UInt64, deadlineMilliseconds: UInt64
  ) {
    self.id = id
    self.job = job
    self.provider = provider
    self.attempt = attempt
    self.pricePerSecondMicrocredits = pricePerSecondMicrocredits
    self.gpus = gpus
    state = .offered
    self.offeredMilliseconds = offeredMilliseconds
    self.deadlineMilliseconds = deadlineMilliseconds
    stakeMicrocredits = 0
    paidMicrocredits = 0
    reason = ""
  }

  /// The id of the lease at `position` among a job's leases.
  static func id(networkID: Digest, job: Digest, position: Int, provider: NodeID) -> Digest {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/lease".utf8) + [0])
    writer.digest(networkID)
    writer.digest(job)
    writer.uint32(UInt32(truncatingIfNeeded: position))
    writer.nodeID(provider)
    return Digest(hashing: writer.bytes)
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(id)
    writer.digest(job)
    writer.nodeID(provider)
    writer.uint8(attempt)
    writer.varint(pricePerSecondMicrocredits)
    writer.uint16(gpus)
    writer.uint8(state.rawValue)
    writer.varint(offeredMilliseconds)
    writer.optional(startedMilliseconds) { $0.varint($1) }
    writer.optional(endedMilliseconds) { $0.varint($1) }
    writer.varint(deadlineMilliseconds)
    writer.varint(stakeMicrocredits)
    writer.optional(commitment) { $0.digest($1) }
    writer.optional(exit) { $0.value($1) }
    writer.optional(usage) { $0.value($1) }
    writer.varint(paidMicrocredits)
    writer.string(reason)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    id = try reader.digest()
    job = try reader.digest()
    provider = try reader.nodeID()
    attempt = try reader.uint8()
    pricePerSecondMicrocredits = try reader.varint()
    gpus = try reader.uint16()
    guard let state = LeaseState(rawValue: try reader.uint8()) else { throw .unknownTag(what: "lease state") }
    self.state = state
    offeredMilliseconds = try reader.varint()
    startedMilliseconds = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    endedMilliseconds = try reader.optional { (reader) throws(WireError) in try reader.varint() }
    deadlineMilliseconds = try reader.varint()
    stakeMicrocredits = try reader.varint()
    commitment = try reader.optional { (reader) throws(WireError) in try reader.digest() }
    exit = try reader.optional { (reader) throws(WireError) in try ExitStatus(from: &reader) }
    usage = try reader.optional { (reader) throws(WireError) in try Usage(from: &reader) }
    paidMicrocredits = try reader.varint()
    reason = try reader.string(limit: LeaseRecord.maximumReasonBytes, what: "lease reason")
  }
}

/// Where a lease is found: its job and the position among the job's leases. Kept as long as the job.
struct LeasePlace: Hashable, Sendable, WireCodable {
  var job: Digest
  var position: UInt32

  init(job: Digest, position: Int) {
    self.job = job
    self.position = UInt32(truncatingIfNeeded: position)
  }

  func encode(into writer: inout WireWriter) {
    writer.digest(job)
    writer.uint32(position)
  }

  init(from reader: inout WireReader) throws(WireError) {
    job = try reader.digest()
    position = try reader.uint32()
  }
}
