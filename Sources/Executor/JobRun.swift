/// One leased job as the executor runs it: the command, what it may see, and what it may use.
package struct JobRun: Sendable {
  /// The lease, in hexadecimal; it names the job's directory, and a lease is run once.
  package var leaseID: String
  /// The job, as its submitter knows it: `LINNET_JOB` inside.
  package var jobID: String
  /// Program and arguments.
  package var command: [String]
  /// Variables set for the command, after the fixed ones and before `LINNET_JOB` and `LINNET_LEASE`.
  package var environment: [(name: String, value: String)]
  /// Files or directories shown read-only at `/in/<name>`. Others than the owner must be able to read them,
  /// because the job runs under a user id of its own.
  package var inputs: [(name: String, hostPath: String)]
  /// CPU time in thousandths of a core.
  package var cpuMilli: Int
  /// Memory, without swap. `/tmp` and `/dev/shm` count towards it.
  package var memoryBytes: Int64
  /// Bytes that the job may leave in `/out`, and the size of the largest file it may write anywhere.
  package var diskBytes: Int64
  /// Processes and threads at the same time.
  package var pidsLimit: Int
  /// Wall time from the shim's start to TERM.
  package var wallLimitMicroseconds: UInt64
  /// Device nodes of the leased GPUs.
  package var gpus: [String]

  /// A job with the defaults of a small one.
  package init(
    leaseID: String,
    jobID: String,
    command: [String],
    environment: [(name: String, value: String)] = [],
    inputs: [(name: String, hostPath: String)] = [],
    cpuMilli: Int = 1000,
    memoryBytes: Int64 = 512 << 20,
    diskBytes: Int64 = 1 << 30,
    pidsLimit: Int = 256,
    wallLimitMicroseconds: UInt64 = 3_600_000_000,
    gpus: [String] = []
  ) {
    self.leaseID = leaseID
    self.jobID = jobID
    self.command = command
    self.environment = environment
    self.inputs = inputs
    self.cpuMilli = cpuMilli
    self.memoryBytes = memoryBytes
    self.diskBytes = diskBytes
    self.pidsLimit = pidsLimit
    self.wallLimitMicroseconds = wallLimitMicroseconds
    self.gpus = gpus
  }
}

extension JobRun {
  static let maximumArguments = 4000
  static let maximumTextBytes = 1 << 20
  static let maximumInputs = 1024
  static let maximumNameBytes = 255
  static let maximumGPUs = 64
  /// Ten: the kernel refuses a quota below one millisecond in its period of a hundred.
  static let cpuMilliBounds = 10...4_096_000
  /// Sixteen MiB: the sandbox itself needs a few before the command starts.
  static let memoryBounds: ClosedRange<Int64> = (16 << 20)...(1 << 50)
  static let diskBounds: ClosedRange<Int64> = (64 << 10)...(1 << 50)
  static let pidsBounds = 1...1_000_000
  static let wallBounds: ClosedRange<UInt64> = 1000...(366 * 86_400_000_000)

  /// Whether `text` can be a lease: 8 to 128 lower-case hexadecimal digits, so that it is safe as a directory's name.
  package static func isLeaseID(_ text: String) -> Bool {
    (8...128).contains(text.utf8.count)
      && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (97...102).contains($0) }
  }

  private static func refuse(_ message: String) -> ExecutorError { ExecutorError(.invalidJob, message) }

  /// Refuses what breaks a bound; names and texts come from a submitter.
  func check() throws(ExecutorError) {
    guard Self.isLeaseID(leaseID) else { throw Self.refuse("a lease is 8 to 128 lower-case hexadecimal digits") }
    guard let program = command.first, !program.isEmpty, command.count <= Self.maximumArguments else {
      throw Self.refuse("a command has a program and at most \(Self.maximumArguments) words")
    }
    var textBytes = jobID.utf8.count
    for text in command + environment.flatMap({ [$0.name, $0.value] }) + [jobID] {
      guard !text.utf8.contains(0) else { throw Self.refuse("a command or variable holds a NUL byte") }
      textBytes += text.utf8.count + 1
    }
    guard textBytes <= Self.maximumTextBytes, environment.count <= Self.maximumArguments else {
      throw Self.refuse("command and environment are longer than \(Self.maximumTextBytes) bytes")
    }
    for variable in environment where variable.name.isEmpty || variable.name.utf8.contains(UInt8(ascii: "=")) {
      throw Self.refuse("\"\(variable.name)\" cannot be the name of a variable")
    }
    try checkInputs()
    try checkDevices()
    guard Self.cpuMilliBounds.contains(cpuMilli), Self.memoryBounds.contains(memoryBytes),
      Self.diskBounds.contains(diskBytes), Self.pidsBounds.contains(pidsLimit),
      Self.wallBounds.contains(wallLimitMicroseconds)
    else {
      throw Self.refuse(
        "a limit is out of bounds: cpu \(Self.cpuMilliBounds) thousandths, memory \(Self.memoryBounds) bytes, "
          + "disk \(Self.diskBounds) bytes, processes \(Self.pidsBounds), wall \(Self.wallBounds) microseconds")
    }
  }

  private func checkInputs() throws(ExecutorError) {
    guard inputs.count <= Self.maximumInputs else {
      throw Self.refuse("a job has at most \(Self.maximumInputs) inputs")
    }
    var names = Set<String>()
    for input in inputs {
      let name = Array(input.name.utf8)
      guard !name.isEmpty, name.count <= Self.maximumNameBytes, !name.contains(0), !name.contains(UInt8(ascii: "/")),
        input.name != ".", input.name != ".."
      else { throw Self.refuse("\"\(input.name)\" cannot be the name of an input: one name without a slash") }
      guard names.insert(input.name).inserted else { throw Self.refuse("two inputs are named \"\(input.name)\"") }
      guard input.hostPath.hasPrefix("/"), !input.hostPath.utf8.contains(0) else {
        throw Self.refuse("the input \"\(input.name)\" has no absolute path on this host")
      }
    }
  }

  private func checkDevices() throws(ExecutorError) {
    guard gpus.count <= Self.maximumGPUs else { throw Self.refuse("a job has at most \(Self.maximumGPUs) GPUs") }
    for path in gpus {
      let words = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      guard words.count >= 3, words[0].isEmpty, Array(words[1]) == Array("dev".utf8),
        words.dropFirst().allSatisfy({ !$0.isEmpty && Array($0) != Array("..".utf8) && Array($0) != Array(".".utf8) }),
        !path.utf8.contains(0)
      else { throw Self.refuse("\"\(path)\" is not a device node below /dev") }
    }
  }
}
