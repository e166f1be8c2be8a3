import Primitives

/// What a job used, from the kernel's counts.
public struct Usage: Hashable, Sendable, WireCodable {
  /// From start to end.
  public var wallMilliseconds: UInt64
  /// Time on all CPUs.
  public var cpuMicroseconds: UInt64
  /// The most memory at once.
  public var peakMemoryBytes: UInt64

  /// A usage.
  public init(wallMilliseconds: UInt64, cpuMicroseconds: UInt64, peakMemoryBytes: UInt64) {
    self.wallMilliseconds = wallMilliseconds
    self.cpuMicroseconds = cpuMicroseconds
    self.peakMemoryBytes = peakMemoryBytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(wallMilliseconds)
    writer.varint(cpuMicroseconds)
    writer.varint(peakMemoryBytes)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    wallMilliseconds = try reader.varint()
    cpuMicroseconds = try reader.varint()
    peakMemoryBytes = try reader.varint()
  }
}

/// How a job ended. `code` is the exit code of `exited` and the signal number of `signalled`, else 0.
public enum ExitStatus: Hashable, Sendable, WireCodable {
  case exited(code: UInt8)
  case signalled(signal: UInt8)
  case wallLimit
  case memoryLimit
  /// It wrote more than its disk allows.
  case diskLimit
  /// The sandbox could not start it, or an input could not be fetched.
  case startFailed
  /// The provider can't account for it.
  case lost

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .exited(let code):
      writer.uint8(1)
      writer.uint8(code)
    case .signalled(let signal):
      writer.uint8(2)
      writer.uint8(signal)
    case .wallLimit: writer.uint8(3)
    case .memoryLimit: writer.uint8(4)
    case .startFailed: writer.uint8(5)
    case .lost: writer.uint8(6)
    case .diskLimit: writer.uint8(7)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .exited(code: try reader.uint8())
    case 2: self = .signalled(signal: try reader.uint8())
    case 3: self = .wallLimit
    case 4: self = .memoryLimit
    case 5: self = .startFailed
    case 6: self = .lost
    case 7: self = .diskLimit
    default: throw .unknownTag(what: "exit status")
    }
  }
}

/// A hash that binds a provider to a result before anyone can copy it.
public struct LeaseCommitment: Hashable, Sendable, WireCodable {
  /// The lease.
  public var lease: Digest
  /// The hash.
  public var commitment: Digest

  /// A commitment.
  public init(lease: Digest, commitment: Digest) {
    self.lease = lease
    self.commitment = commitment
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(lease)
    writer.digest(commitment)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    lease = try reader.digest()
    commitment = try reader.digest()
  }
}

/// The result of a lease, as revealed.
public struct LeaseResult: Hashable, Sendable, WireCodable {
  /// The longest explanation, in bytes.
  public static let maximumMessageBytes = 200

  /// The lease.
  public var lease: Digest
  /// The blob root of the output directory.
  public var outputRoot: Digest
  /// How the job ended.
  public var exit: ExitStatus
  /// What it used.
  public var usage: Usage
  /// For the submitter when the job did not exit by itself: which phase failed and why.
  public var message: String
  /// Keeps the commitment from being guessed.
  public var salt: Digest

  /// A result.
  public init(
    lease: Digest, outputRoot: Digest, exit: ExitStatus, usage: Usage, message: String, salt: Digest
  ) {
    self.lease = lease
    self.outputRoot = outputRoot
    self.exit = exit
    self.usage = usage
    self.message = message
    self.salt = salt
  }

  /// The hash to commit to: bound to the network, the lease (thereby job, attempt and slot) and the provider.
  public func commitment(networkID: Digest, provider: NodeID) -> LeaseCommitment {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/result".utf8) + [0])
    writer.digest(networkID)
    writer.nodeID(provider)
    writer.value(self)
    return LeaseCommitment(lease: lease, commitment: Digest(hashing: writer.bytes))
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(lease)
    writer.digest(outputRoot)
    writer.value(exit)
    writer.value(usage)
    writer.string(message)
    writer.digest(salt)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    lease = try reader.digest()
    outputRoot = try reader.digest()
    exit = try reader.value()
    usage = try reader.value()
    message = try reader.string(limit: LeaseResult.maximumMessageBytes, what: "result message")
    salt = try reader.digest()
  }
}
