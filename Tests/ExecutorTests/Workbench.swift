import Foundation
import Testing

@testable import Executor

/// Jobs need root here: the sandbox's root mode is what is tested, and continuous integration runs as root.
let canRunJobs: Bool = getuid() == 0 && access("/usr/bin/bwrap", X_OK) == 0
let whyNot: Comment = "jobs are tested as root with bubblewrap installed: sudo make test"

/// A supervisor with a directory of its own, removed at the end.
final class Workbench: Sendable {
  let directory: String
  let configuration: ExecutorConfiguration
  let supervisor: JobSupervisor

  /// - Parameter firstUser: the first user id of its jobs.
  init(
    logCapBytes: Int = 64 << 10, grace: UInt64 = 200_000, layout: CgroupLayout? = nil, jobs: Int = 64,
    firstUser: UInt32 = 710_000
  ) throws {
    directory = "/tmp/linnet-executor-\(getpid())-\(UInt32.random(in: .min ... .max))"
    configuration = ExecutorConfiguration(
      directory: directory, logCapBytes: logCapBytes, firstJobUserID: firstUser, graceMicroseconds: grace,
      maximumConcurrentJobs: jobs, maximumOutputEntries: 1000)
    supervisor = try JobSupervisor(configuration, layout: layout ?? .detect())
  }

  deinit {
    let parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    TreeRemover.remove(DirectoryNames.c(Array(directory.dropFirst("/tmp/".count).utf8)), in: parent)
    close(parent)
  }

  static func lease() -> String { String(UInt64.random(in: (1 << 60) ... .max), radix: 16) }

  func jobPath(_ lease: String) -> String { "\(directory)/jobs/\(lease)" }

  struct Outcome {
    var lease: String
    var record: ExitRecord
    var stdout: String
    var stderr: String
  }

  /// Runs a command to its end.
  func run(_ command: [String], _ change: (inout JobRun) -> Void = { _ in }) async throws -> Outcome {
    let run = job(command, change)
    try await supervisor.start(run)
    let record = try await supervisor.wait(leaseID: run.leaseID)
    return Outcome(
      lease: run.leaseID, record: record, stdout: try await text(run.leaseID, .stdout),
      stderr: try await text(run.leaseID, .stderr))
  }

  /// Runs a shell script to its end.
  func shell(_ script: String, _ change: (inout JobRun) -> Void = { _ in }) async throws -> Outcome {
    try await run(["/bin/sh", "-c", script], change)
  }

  /// Runs a Python script to its end.
  func python(_ script: String, _ change: (inout JobRun) -> Void = { _ in }) async throws -> Outcome {
    try await run(["/usr/bin/python3", "-I", "-S", "-c", script], change)
  }

  func job(_ command: [String], _ change: (inout JobRun) -> Void = { _ in }) -> JobRun {
    var run = JobRun(
      leaseID: Self.lease(), jobID: "17", command: command, memoryBytes: 128 << 20, diskBytes: 8 << 20, pidsLimit: 32,
      wallLimitMicroseconds: 600_000_000)
    change(&run)
    return run
  }

  /// - Parameter other: the supervisor that runs the job, when it is not the workbench's.
  func text(_ lease: String, _ stream: LogStream, of other: JobSupervisor? = nil) async throws -> String {
    var bytes: [UInt8] = []
    while true {
      let chunk = try await (other ?? supervisor).logs(
        leaseID: lease, stream: stream, offset: UInt64(bytes.count), maximumBytes: 10_000)
      bytes += chunk.bytes
      if chunk.isComplete || chunk.bytes.isEmpty { return String(decoding: bytes, as: UTF8.self) }
    }
  }

  /// Waits until a running job has written this to its stdout.
  func awaitOutput(_ lease: String, _ wanted: String, of other: JobSupervisor? = nil) async throws {
    while try await !text(lease, .stdout, of: other).contains(wanted) {
      let record = try await (other ?? supervisor).exitRecord(leaseID: lease)
      try #require(record == nil, "the job ended before it said \(wanted)")
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Cgroups of this workbench's jobs that still exist.
  func groups() -> [String] {
    Set(supervisor.layout.parents.values).flatMap { parent in
      FileAccess.names(in: parent).filter { $0.hasPrefix(supervisor.cgroupPrefix) }
    }
  }
}
