/// One input of a job: it appears as `/in/<name>`.
package struct JobInput: Codable, Sendable, Equatable {
  /// A plain file name.
  package var name: String
  /// The blob that it is.
  package var root: String
  /// Whether the blob is a directory.
  package var isDirectory: Bool

  private enum CodingKeys: String, CodingKey {
    case name, root, isDirectory
  }

  /// Every field.
  package init(name: String, root: String, isDirectory: Bool = false) {
    self.name = name
    self.root = root
    self.isDirectory = isDirectory
  }

  /// Reads an input; `isDirectory` is false where absent.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try values.decode(String.self, forKey: .name),
      root: try values.decode(String.self, forKey: .root),
      isDirectory: try values.decodeIfPresent(Bool.self, forKey: .isDirectory) ?? false)
  }
}

/// Asks the node to submit a job that its own account pays for. In JSON only `command` must be there.
package struct JobSubmission: Codable, Sendable, Equatable {
  /// The command and its arguments; the first is looked up in the job's PATH.
  package var command: [String]
  /// Environment variables of the job.
  package var environment: [String: String]
  /// What appears below `/in`.
  package var inputs: [JobInput]
  /// Thousandths of a CPU.
  package var cpuMilli: UInt32
  /// Memory limit.
  package var memoryBytes: UInt64
  /// Disk limit.
  package var diskBytes: UInt64
  /// GPUs of its own.
  package var gpus: UInt32
  /// The job is killed after this time.
  package var wallLimitSeconds: UInt32
  /// The most that the whole job may cost; nil leaves it to the node.
  package var maximumPriceMicrocredits: UInt64?
  /// Labels that the provider's offer must carry.
  package var labels: [String: String]
  /// Whether the submitter's own node may not run it.
  package var excludeSelf: Bool

  /// Half a CPU: on a small host several jobs find room at once.
  package static let defaultCPUMilli: UInt32 = 500
  /// 256 MiB.
  package static let defaultMemoryBytes: UInt64 = 268_435_456
  /// 256 MiB.
  package static let defaultDiskBytes: UInt64 = 268_435_456
  /// Ten minutes.
  package static let defaultWallLimitSeconds: UInt32 = 600

  /// The most arguments of a command.
  package static let maximumArguments = 1024
  /// The most environment variables.
  package static let maximumVariables = 256
  /// The most inputs.
  package static let maximumInputs = 256
  /// The most labels.
  package static let maximumLabels = 32
  /// The most bytes of command, environment and names together; it keeps the specification within one message.
  package static let maximumTextBytes = 65_536
  /// The longest wall limit: 30 days.
  package static let maximumWallLimitSeconds: UInt32 = 2_592_000

  private enum CodingKeys: String, CodingKey {
    case command, environment, inputs, cpuMilli, memoryBytes, diskBytes, gpus, wallLimitSeconds
    case maximumPriceMicrocredits, labels, excludeSelf
  }

  /// Everything but the command has a default.
  package init(
    command: [String], environment: [String: String] = [:], inputs: [JobInput] = [],
    cpuMilli: UInt32 = defaultCPUMilli, memoryBytes: UInt64 = defaultMemoryBytes,
    diskBytes: UInt64 = defaultDiskBytes, gpus: UInt32 = 0, wallLimitSeconds: UInt32 = defaultWallLimitSeconds,
    maximumPriceMicrocredits: UInt64? = nil, labels: [String: String] = [:], excludeSelf: Bool = true
  ) {
    self.command = command
    self.environment = environment
    self.inputs = inputs
    self.cpuMilli = cpuMilli
    self.memoryBytes = memoryBytes
    self.diskBytes = diskBytes
    self.gpus = gpus
    self.wallLimitSeconds = wallLimitSeconds
    self.maximumPriceMicrocredits = maximumPriceMicrocredits
    self.labels = labels
    self.excludeSelf = excludeSelf
  }

  /// Reads a submission with the defaults for what is absent.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(command: try values.decode([String].self, forKey: .command))
    environment = try values.decodeIfPresent([String: String].self, forKey: .environment) ?? environment
    inputs = try values.decodeIfPresent([JobInput].self, forKey: .inputs) ?? inputs
    cpuMilli = try values.decodeIfPresent(UInt32.self, forKey: .cpuMilli) ?? cpuMilli
    memoryBytes = try values.decodeIfPresent(UInt64.self, forKey: .memoryBytes) ?? memoryBytes
    diskBytes = try values.decodeIfPresent(UInt64.self, forKey: .diskBytes) ?? diskBytes
    gpus = try values.decodeIfPresent(UInt32.self, forKey: .gpus) ?? gpus
    wallLimitSeconds = try values.decodeIfPresent(UInt32.self, forKey: .wallLimitSeconds) ?? wallLimitSeconds
    maximumPriceMicrocredits = try values.decodeIfPresent(UInt64.self, forKey: .maximumPriceMicrocredits)
    labels = try values.decodeIfPresent([String: String].self, forKey: .labels) ?? labels
    excludeSelf = try values.decodeIfPresent(Bool.self, forKey: .excludeSelf) ?? excludeSelf
  }

  /// Throws `requestInvalid` when something is missing, out of bounds or could not be written on the other side.
  package func check() throws {
    guard let program = command.first, !program.isEmpty else {
      throw ControlError.invalid("the command is empty", suggestion: "linnet run -- COMMAND ARGUMENTS")
    }
    try Self.require(command.count, atMost: Self.maximumArguments, "arguments")
    try Self.require(environment.count, atMost: Self.maximumVariables, "environment variables")
    try Self.require(inputs.count, atMost: Self.maximumInputs, "inputs")
    try Self.require(labels.count, atMost: Self.maximumLabels, "labels")
    let texts =
      command + environment.flatMap { [$0.key, $0.value] } + labels.flatMap { [$0.key, $0.value] } + inputs.map(\.name)
    try Self.require(texts.reduce(0) { $0 + $1.utf8.count }, atMost: Self.maximumTextBytes, "bytes of text")
    guard !texts.contains(where: { $0.utf8.contains(0) }) else {
      throw ControlError.invalid("an argument, variable, label or name holds a NUL byte")
    }
    for name in environment.keys where name.isEmpty || name.contains("=") {
      throw ControlError.invalid("'\(name)' cannot name an environment variable")
    }
    for name in labels.keys where name.isEmpty {
      throw ControlError.invalid("a label has no name")
    }
    var names = Set<String>()
    for input in inputs {
      guard !input.name.contains("/"), DirectoryManifest.isSafe(path: input.name) else {
        throw ControlError.invalid(
          "'\(input.name)' cannot name an input", suggestion: "give it a plain name: -i name=path")
      }
      guard names.insert(input.name).inserted else {
        throw ControlError.invalid(
          "two inputs are called '\(input.name)'", suggestion: "give one another name: -i name=path")
      }
    }
    guard cpuMilli > 0 else { throw ControlError.invalid("cpuMilli is 0", suggestion: "ask for at least 1") }
    guard memoryBytes > 0 else { throw ControlError.invalid("memoryBytes is 0") }
    guard (1...Self.maximumWallLimitSeconds).contains(wallLimitSeconds) else {
      throw ControlError.invalid(
        "the wall limit is \(wallLimitSeconds) s; it must be between 1 s and \(Self.maximumWallLimitSeconds) s")
    }
  }

  private static func require(_ count: Int, atMost limit: Int, _ what: String) throws {
    guard count <= limit else {
      throw ControlError.invalid("the job has \(count) \(what), at most \(limit) are allowed")
    }
  }
}
