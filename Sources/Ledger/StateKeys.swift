import Primitives
import Wire

/// A key of a state table. Its bytes are hashed into the state root, its order is the order of the table.
protocol StateKey: Comparable, Sendable {
  func encode(into writer: inout WireWriter)
  init(from reader: inout WireReader) throws(WireError)
}

extension NodeID: StateKey {
  func encode(into writer: inout WireWriter) { writer.nodeID(self) }
  init(from reader: inout WireReader) throws(WireError) { self = try reader.nodeID() }
}

extension Digest: StateKey {
  func encode(into writer: inout WireWriter) { writer.digest(self) }
  init(from reader: inout WireReader) throws(WireError) { self = try reader.digest() }
}

/// The key of a table with one entry.
struct SoleKey: StateKey {
  init() {}
  func encode(into writer: inout WireWriter) {}
  init(from reader: inout WireReader) throws(WireError) {}
  static func < (left: SoleKey, right: SoleKey) -> Bool { false }
}

/// The value of a table that is a set.
struct Present: Hashable, Sendable, WireCodable {
  init() {}
  func encode(into writer: inout WireWriter) {}
  init(from reader: inout WireReader) throws(WireError) {}
}

/// A live lease under its provider.
struct HoldingKey: StateKey {
  var provider: NodeID
  var lease: Digest

  init(provider: NodeID, lease: Digest) {
    self.provider = provider
    self.lease = lease
  }

  func encode(into writer: inout WireWriter) {
    writer.nodeID(provider)
    writer.digest(lease)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(provider: try reader.nodeID(), lease: try reader.digest())
  }

  static func < (left: HoldingKey, right: HoldingKey) -> Bool {
    left.provider == right.provider ? left.lease < right.lease : left.provider < right.provider
  }
}

/// A validator's word about a provider.
struct AttestationKey: StateKey {
  var provider: NodeID
  var validator: NodeID

  init(provider: NodeID, validator: NodeID) {
    self.provider = provider
    self.validator = validator
  }

  func encode(into writer: inout WireWriter) {
    writer.nodeID(provider)
    writer.nodeID(validator)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(provider: try reader.nodeID(), validator: try reader.nodeID())
  }

  static func < (left: AttestationKey, right: AttestationKey) -> Bool {
    left.provider == right.provider ? left.validator < right.validator : left.provider < right.provider
  }
}

extension Liveness: WireCodable {
  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) { writer.uint8(rawValue) }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    guard let value = Liveness(rawValue: try reader.uint8()) else { throw .unknownTag(what: "liveness") }
    self = value
  }
}

/// A pending job: the highest fee first, then the oldest.
struct PendingKey: Hashable, StateKey, WireCodable {
  var feeMicrocredits: UInt64
  var order: UInt64
  var job: Digest

  init(feeMicrocredits: UInt64, order: UInt64, job: Digest) {
    self.feeMicrocredits = feeMicrocredits
    self.order = order
    self.job = job
  }

  func encode(into writer: inout WireWriter) {
    writer.varint(feeMicrocredits)
    writer.varint(order)
    writer.digest(job)
  }

  init(from reader: inout WireReader) throws(WireError) {
    feeMicrocredits = try reader.varint()
    order = try reader.varint()
    job = try reader.digest()
  }

  static func < (left: PendingKey, right: PendingKey) -> Bool {
    if left.feeMicrocredits != right.feeMicrocredits { return left.feeMicrocredits > right.feeMicrocredits }
    return left.order < right.order
  }
}

/// Who votes under a key from the sets on that are computed next.
struct VoteKeyOwner: Hashable, Sendable, WireCodable {
  var node: NodeID

  init(node: NodeID) { self.node = node }

  func encode(into writer: inout WireWriter) { writer.nodeID(node) }
  init(from reader: inout WireReader) throws(WireError) { node = try reader.nodeID() }
}

/// Something that happens at a ledger time: urgent ones first, then by time and id.
struct Deadline: Hashable, StateKey {
  enum Subject: UInt8 {
    case job = 0
    case lease = 1
    case provider = 2
  }

  /// True for what only tidies the state: it waits for a block that is made for another reason.
  var isTidying: Bool
  var timeMilliseconds: UInt64
  var subject: Subject
  var id: Bytes32

  init(isTidying: Bool, timeMilliseconds: UInt64, subject: Subject, id: Bytes32) {
    self.isTidying = isTidying
    self.timeMilliseconds = timeMilliseconds
    self.subject = subject
    self.id = id
  }

  /// Below all that tidy.
  static let tidyingStart = Deadline(isTidying: true, timeMilliseconds: 0, subject: .job, id: Bytes32())

  func encode(into writer: inout WireWriter) {
    writer.bool(isTidying)
    writer.varint(timeMilliseconds)
    writer.uint8(subject.rawValue)
    writer.digest(Digest(id))
  }

  init(from reader: inout WireReader) throws(WireError) {
    isTidying = try reader.bool()
    timeMilliseconds = try reader.varint()
    guard let subject = Subject(rawValue: try reader.uint8()) else { throw .unknownTag(what: "deadline subject") }
    self.subject = subject
    id = try reader.digest().value
  }

  static func < (left: Deadline, right: Deadline) -> Bool {
    if left.isTidying != right.isTidying { return right.isTidying }
    if left.timeMilliseconds != right.timeMilliseconds { return left.timeMilliseconds < right.timeMilliseconds }
    if left.subject != right.subject { return left.subject.rawValue < right.subject.rawValue }
    return left.id < right.id
  }
}
