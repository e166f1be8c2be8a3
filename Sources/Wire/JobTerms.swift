import Primitives

/// What a submitter asks of the ledger for a job.
public struct JobTerms: Hashable, Sendable, WireCodable {
  /// The blob root of the job's `JobSpecification`.
  public var specification: Digest
  /// What it needs while it runs.
  public var resources: Resources
  /// How many GPUs it needs.
  public var gpuCount: UInt8
  /// The least memory of each GPU.
  public var gpuMemoryBytes: UInt64
  /// Labels that the offer must have, each with that value.
  public var labels: [Label]
  /// The driver that runs it, such as `native`.
  public var driver: String
  /// The weakest isolation that will do.
  public var isolation: Isolation
  /// True when the submitter's own node may run it.
  public var mayRunOnSubmitter: Bool
  /// How many providers run it. 1 is all the ledger takes today.
  public var replication: UInt8
  /// How many attempts follow a failed one.
  public var retries: UInt8
  /// The most that one second of the whole job may cost.
  public var maximumPricePerSecondMicrocredits: UInt64
  /// The longest the job may run.
  public var wallLimitMilliseconds: UInt64
  /// Ledger time in milliseconds since 1970 until which it must have been assigned, else it expires.
  public var startDeadlineMilliseconds: UInt64

  /// A job.
  public init(
    specification: Digest, resources: Resources, gpuCount: UInt8, gpuMemoryBytes: UInt64, labels: [Label],
    driver: String, isolation: Isolation, mayRunOnSubmitter: Bool, replication: UInt8, retries: UInt8,
    maximumPricePerSecondMicrocredits: UInt64, wallLimitMilliseconds: UInt64, startDeadlineMilliseconds: UInt64
  ) {
    self.specification = specification
    self.resources = resources
    self.gpuCount = gpuCount
    self.gpuMemoryBytes = gpuMemoryBytes
    self.labels = labels
    self.driver = driver
    self.isolation = isolation
    self.mayRunOnSubmitter = mayRunOnSubmitter
    self.replication = replication
    self.retries = retries
    self.maximumPricePerSecondMicrocredits = maximumPricePerSecondMicrocredits
    self.wallLimitMilliseconds = wallLimitMilliseconds
    self.startDeadlineMilliseconds = startDeadlineMilliseconds
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(specification)
    writer.value(resources)
    writer.uint8(gpuCount)
    writer.varint(gpuMemoryBytes)
    writer.array(labels)
    writer.string(driver)
    writer.uint8(isolation.rawValue)
    writer.bool(mayRunOnSubmitter)
    writer.uint8(replication)
    writer.uint8(retries)
    writer.varint(maximumPricePerSecondMicrocredits)
    writer.varint(wallLimitMilliseconds)
    writer.uint64(startDeadlineMilliseconds)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    specification = try reader.digest()
    resources = try reader.value()
    gpuCount = try reader.uint8()
    gpuMemoryBytes = try reader.varint()
    labels = try Label.list(from: &reader)
    driver = try reader.string(limit: Label.maximumBytes, what: "driver")
    guard let isolation = Isolation(rawValue: try reader.uint8()) else { throw .unknownTag(what: "isolation") }
    self.isolation = isolation
    mayRunOnSubmitter = try reader.bool()
    replication = try reader.uint8()
    retries = try reader.uint8()
    maximumPricePerSecondMicrocredits = try reader.varint()
    wallLimitMilliseconds = try reader.varint()
    startDeadlineMilliseconds = try reader.uint64()
  }
}

/// What exactly is to be run: a blob, named by its root in `JobTerms`.
public struct JobSpecification: Hashable, Sendable, WireCodable {
  /// The most words of a command.
  public static let maximumArguments = 1_024
  /// The most bytes of one word.
  public static let maximumArgumentBytes = 64 * 1_024
  /// The most environment variables and inputs.
  public static let maximumEntries = 256
  /// The longest name of a variable or an input, in bytes.
  public static let maximumNameBytes = 255

  /// An input: a blob and the name below `/in`.
  public struct Input: Hashable, Sendable, WireCodable {
    /// The name below `/in`.
    public var name: String
    /// The blob.
    public var root: Digest
    /// True for a directory.
    public var isDirectory: Bool

    /// An input.
    public init(name: String, root: Digest, isDirectory: Bool) {
      self.name = name
      self.root = root
      self.isDirectory = isDirectory
    }

    /// Appends the canonical bytes.
    public func encode(into writer: inout WireWriter) {
      writer.string(name)
      writer.digest(root)
      writer.bool(isDirectory)
    }

    /// Reads the canonical bytes; throws for all others.
    public init(from reader: inout WireReader) throws(WireError) {
      name = try reader.string(limit: JobSpecification.maximumNameBytes, what: "input name")
      guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(0x2f) else {
        throw .badValue(what: "input name")
      }
      root = try reader.digest()
      isDirectory = try reader.bool()
    }
  }

  /// The program and its arguments.
  public var command: [String]
  /// Environment variables, keys strictly ascending by bytes.
  public var environment: [Label]
  /// Inputs, names strictly ascending by bytes.
  public var inputs: [Input]

  /// A specification; environment and inputs are put into canonical order, the last of equal names kept.
  public init(command: [String], environment: [(name: String, value: String)], inputs: [Input]) {
    self.command = command
    self.environment = Label.canonical(environment.map { Label(key: $0.name, value: $0.value) })
    var table = Table<ByteOrder, Input>()
    for input in inputs { table[ByteOrder(Array(input.name.utf8))] = input }
    self.inputs = table.values
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.array(command) { $0.string($1) }
    writer.array(environment)
    writer.array(inputs)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    command = try reader.array(limit: JobSpecification.maximumArguments, what: "command") {
      (reader) throws(WireError) in
      try reader.string(limit: JobSpecification.maximumArgumentBytes, what: "argument")
    }
    guard let program = command.first, !program.isEmpty else { throw .badValue(what: "command") }
    environment = try reader.ascending(
      limit: JobSpecification.maximumEntries, what: "environment", by: { ByteOrder(Array($0.key.utf8)) }
    ) { (reader) throws(WireError) in
      let key = try reader.string(limit: JobSpecification.maximumNameBytes, what: "variable name")
      guard !key.isEmpty, !key.utf8.contains(0x3d) else { throw .badValue(what: "variable name") }
      return Label(
        key: key, value: try reader.string(limit: JobSpecification.maximumArgumentBytes, what: "variable value"))
    }
    inputs = try reader.ascending(
      limit: JobSpecification.maximumEntries, what: "inputs", by: { ByteOrder(Array($0.name.utf8)) }
    ) { (reader) throws(WireError) in try Input(from: &reader) }
  }
}
