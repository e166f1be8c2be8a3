import CLinux
import Foundation

/// One job's directory and what lies in it:
/// `shim.args`, `sandbox.args` and `etc/` written by the daemon before the shim starts; `lock`, held by the shim as
/// long as it lives; `shim.json`, who it is; `stdout`, `stderr`; `out/`, the job's; `exit.json`, written last.
struct JobDirectory {
  let path: String

  var outPath: String { "\(path)/out" }
  var recordPath: String { "\(path)/exit.json" }
  var lockPath: String { "\(path)/lock" }

  static let nobody: UInt32 = 65534

  /// Makes the directory with everything the shim needs. Throws `duplicateLease` when there is one.
  func prepare(
    _ run: JobRun, configuration: ExecutorConfiguration, mode: SandboxMode, userID: UInt32?, bubblewrap: String,
    layout: CgroupLayout, cgroup: String, filterPath: String
  ) throws(ExecutorError) {
    if mkdir(path, 0o711) < 0 {
      guard errno == EEXIST else { throw FileAccess.failure("make the directory", path, errno) }
      throw ExecutorError(.duplicateLease, "a job with the lease \(run.leaseID) has been started here before")
    }
    // The mode is set apart because of the umask: the job's user id must be able to pass.
    try FileAccess.makeDirectory(path, mode: 0o711)
    // Its group stays ours: bubblewrap enters it when it has given up the right to enter what is not its own.
    try FileAccess.makeDirectory(outPath, mode: 0o710)
    if let userID, chown(outPath, userID, getgid()) < 0 { throw FileAccess.failure("hand over", outPath, errno) }
    try writeEtc(userID ?? getuid(), userID ?? getgid())
    let sandbox = SandboxOptions(
      run, directory: path, mode: mode, userID: userID, hasCgroup: layout.kind != .rlimit)
    try FileAccess.write(Self.joined(sandbox.options), to: "\(path)/sandbox.args", mode: 0o600)
    var orders = [
      ("lease", run.leaseID), ("executable", bubblewrap), ("options", "\(path)/sandbox.args"),
      ("filter", filterPath), ("wallMicroseconds", "\(run.wallLimitMicroseconds)"),
      ("graceMicroseconds", "\(configuration.graceMicroseconds)"), ("logCapBytes", "\(configuration.logCapBytes)"),
      ("memoryBytes", "\(run.memoryBytes)"), ("diskBytes", "\(run.diskBytes)"),
      ("outputEntries", "\(configuration.maximumOutputEntries)"),
    ]
    orders += sandbox.command.map { ("argument", $0) }
    orders += layout.orders(cgroup, run: run)
    try FileAccess.write(Self.joined(orders.flatMap { [$0.0, $0.1] }), to: "\(path)/shim.args", mode: 0o600)
  }

  private static func joined(_ words: [String]) -> [UInt8] { words.flatMap { Array($0.utf8) + [0] } }

  private func writeEtc(_ user: UInt32, _ group: UInt32) throws(ExecutorError) {
    let directory = "\(path)/etc"
    try FileAccess.makeDirectory(directory, mode: 0o755)
    let files = [
      "passwd": """
      root:x:0:0:root:/:/usr/sbin/nologin
      job:x:\(user):\(group):job:/tmp:/bin/sh
      nobody:x:\(Self.nobody):\(Self.nobody):nobody:/:/usr/sbin/nologin

      """,
      "group": "root:x:0:\njob:x:\(group):\nnogroup:x:\(Self.nobody):\n",
      "hosts": "127.0.0.1 localhost linnet-job\n::1 localhost\n",
      "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    ]
    for (name, text) in files { try FileAccess.write(Array(text.utf8), to: "\(directory)/\(name)", mode: 0o644) }
  }

  /// The shim's record of the job's end; nil while there is none or it cannot be understood.
  func record() -> ExitRecord? {
    guard let bytes = FileAccess.read(recordPath) else { return nil }
    return try? JSONDecoder().decode(ExitRecord.self, from: Data(bytes))
  }

  func write(_ record: ExitRecord) throws(ExecutorError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      try FileAccess.replace("exit.json", in: path, with: Array(try encoder.encode(record)) + [UInt8(ascii: "\n")])
    } catch let error as ExecutorError {
      throw error
    } catch {
      throw ExecutorError(.storage, "cannot encode the exit record of \(record.lease)", cause: "\(error)")
    }
  }

  /// Records that nobody knows what the job did.
  func declareLost(_ lease: String, started: UInt64) throws(ExecutorError) -> ExitRecord {
    let now = WallClock.microseconds()
    let record = ExitRecord(
      version: 1, lease: lease, reason: .lost, exitCode: nil, signal: nil, startedMicroseconds: started,
      endedMicroseconds: now, cpuMicroseconds: 0, peakMemoryBytes: 0, stdoutBytes: 0, stderrBytes: 0,
      stdoutTruncated: false, stderrTruncated: false,
      message: "the job's supervisor ended without a record; what the job did is not known")
    try write(record)
    return record
  }

  /// When the directory was made, as the start of a job that has no better one.
  func madeMicroseconds() -> UInt64 {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mtim.tv_sec >= 0 else { return 0 }
    return UInt64(status.st_mtim.tv_sec) * 1_000_000 + UInt64(status.st_mtim.tv_nsec / 1000)
  }
}

/// The host's clock, for records that people read.
enum WallClock {
  static func microseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec / 1000)
  }
}
