import Primitives

/// "This node, in this incarnation, does not answer me": signed by the accuser.
public struct Accusation: Hashable, Sendable, WireCodable {
  /// Who does not answer.
  public var accused: NodeID
  /// The incarnation (record sequence) that the accuser knew.
  public var incarnation: UInt64

  /// An accusation.
  public init(accused: NodeID, incarnation: UInt64) {
    self.accused = accused
    self.incarnation = incarnation
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(accused)
    writer.uint64(incarnation)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    accused = try reader.nodeID()
    incarnation = try reader.uint64()
  }
}

/// Bounds of the rumours (records, accusations, farewells) that ride on probe traffic.
///
/// A ping or ack with the most of them has at most 114 (envelope) + 2 + 32 + 9 (number) + 8 + 19 + 1 + 960 = 1,145 bytes, and
/// a datagram has room for 1,167 besides its own header.
public enum Rumours {
  /// The most rumours in one datagram.
  public static let maximumCount = 8
  /// The most bytes that the rumours of one datagram take, so that it stays below 1,200.
  public static let maximumBytes = 960

  static func encode(_ rumours: [Envelope], into writer: inout WireWriter) { writer.array(rumours) }

  static func decode(from reader: inout WireReader) throws(WireError) -> [Envelope] {
    let rumours: [Envelope] = try reader.array(limit: maximumCount, what: "rumours")
    for rumour in rumours where ![.nodeRecord, .accusation, .leave].contains(rumour.kind) {
      throw .badValue(what: "rumour kind")
    }
    return rumours
  }
}

/// A probe. It names its receiver, so that nobody can re-address another's datagram.
public struct Ping: Hashable, Sendable, WireCodable {
  /// Who is asked.
  public var receiver: NodeID
  /// The prober's number for this probe; the answer repeats it.
  public var number: UInt64
  /// The height of the sender's last finalized block.
  public var height: UInt64
  /// The address that the probe is sent to: how a node learns an address of its own. It makes a probe without rumours as
  /// long as its answer.
  public var observed: PeerAddress
  /// Records, accusations and farewells that ride along.
  public var rumours: [Envelope]

  /// A probe.
  public init(receiver: NodeID, number: UInt64, height: UInt64, observed: PeerAddress, rumours: [Envelope]) {
    self.receiver = receiver
    self.number = number
    self.height = height
    self.observed = observed
    self.rumours = rumours
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(receiver)
    writer.varint(number)
    writer.uint64(height)
    writer.value(observed)
    Rumours.encode(rumours, into: &writer)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    receiver = try reader.nodeID()
    number = try reader.varint()
    height = try reader.uint64()
    observed = try reader.value()
    rumours = try Rumours.decode(from: &reader)
  }
}

/// The answer to a `Ping`, or to a `PingRequest` whose target answered.
public struct Ack: Hashable, Sendable, WireCodable {
  /// Who asked.
  public var receiver: NodeID
  /// The number of the probe that is answered.
  public var number: UInt64
  /// The height of the sender's last finalized block.
  public var height: UInt64
  /// The address from which the probe came, as the answerer saw it: how a node learns its public address.
  public var observed: PeerAddress
  /// Records, accusations and farewells that ride along.
  public var rumours: [Envelope]

  /// An answer.
  public init(receiver: NodeID, number: UInt64, height: UInt64, observed: PeerAddress, rumours: [Envelope]) {
    self.receiver = receiver
    self.number = number
    self.height = height
    self.observed = observed
    self.rumours = rumours
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(receiver)
    writer.varint(number)
    writer.uint64(height)
    writer.value(observed)
    Rumours.encode(rumours, into: &writer)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    receiver = try reader.nodeID()
    number = try reader.varint()
    height = try reader.uint64()
    observed = try reader.value()
    rumours = try Rumours.decode(from: &reader)
  }
}

/// The answer to a `PingRequest` whose target did not answer in time (Lifeguard).
public struct Nack: Hashable, Sendable, WireCodable {
  /// Who asked.
  public var receiver: NodeID
  /// The number of the request.
  public var number: UInt64

  /// A negative answer.
  public init(receiver: NodeID, number: UInt64) {
    self.receiver = receiver
    self.number = number
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(receiver)
    writer.varint(number)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    receiver = try reader.nodeID()
    number = try reader.varint()
  }
}

/// "Probe `target` for me": the target is an id among known members, never an address from the packet.
public struct PingRequest: Hashable, Sendable, WireCodable {
  /// Who is to probe.
  public var receiver: NodeID
  /// The number to repeat in the answer.
  public var number: UInt64
  /// Whom to probe.
  public var target: NodeID

  /// A request.
  public init(receiver: NodeID, number: UInt64, target: NodeID) {
    self.receiver = receiver
    self.number = number
    self.target = target
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(receiver)
    writer.varint(number)
    writer.nodeID(target)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    receiver = try reader.nodeID()
    number = try reader.varint()
    target = try reader.nodeID()
  }
}
