/// Why a job ended.
package enum ExitReason: String, Sendable, Codable {
  /// The command ended by itself, with the record's exit code; 127 for a command that does not exist.
  case exited
  /// The command was ended by the record's signal, and not by the executor.
  case signalled
  /// It ran longer than it may.
  case wallLimit
  /// It needed more memory than it may.
  case memoryLimit
  /// It wrote more to `/out`, or more files, than it may.
  case diskLimit
  /// The daemon was asked to stop it.
  case cancelled
  /// The sandbox did not start, so the command never ran.
  case startFailed
  /// The shim is gone without a record: nobody knows what the job did. Never to be counted as done.
  case lost
}

/// How one job ended and what it used: what the shim writes to `exit.json`, and the only thing that is believed.
package struct ExitRecord: Sendable, Codable, Equatable {
  /// The version of this record's form, 1.
  package var version: Int
  /// The lease it is about.
  package var lease: String
  /// Why it ended.
  package var reason: ExitReason
  /// The command's exit code, also after a limit where the command ended within its grace; 128 + n after signal n.
  package var exitCode: Int?
  /// The signal that ended the command. A command that itself exits with 128 + n cannot be told from it.
  package var signal: Int?
  /// When the shim started, microseconds since 1970 by the host's clock.
  package var startedMicroseconds: UInt64
  /// When the job's last process was gone, microseconds since 1970 by the host's clock.
  package var endedMicroseconds: UInt64
  /// CPU time of all its processes, from the kernel.
  package var cpuMicroseconds: UInt64
  /// The most memory it had at once, from the kernel; without cgroups the most that was measured.
  package var peakMemoryBytes: UInt64
  /// Bytes that it wrote to stdout, kept or not.
  package var stdoutBytes: UInt64
  /// Bytes that it wrote to stderr, kept or not.
  package var stderrBytes: UInt64
  /// Whether the middle of stdout is left out of the log.
  package var stdoutTruncated: Bool
  /// Whether the middle of stderr is left out of the log.
  package var stderrTruncated: Bool
  /// What happened, for people.
  package var message: String
}

/// A job's two streams.
package enum LogStream: String, Sendable {
  /// Standard output.
  case stdout
  /// Standard error.
  case stderr
}

/// Part of a job's log.
package struct LogChunk: Sendable {
  /// What was read.
  package var bytes: [UInt8]
  /// Where to read on.
  package var nextOffset: UInt64
  /// Whether the job has ended and nothing follows.
  package var isComplete: Bool
}

/// What the supervisor tells its owner.
package enum JobEvent: Sendable {
  /// The job's shim runs.
  case started(leaseID: String)
  /// The job is over, its processes are gone and its record is on disk.
  case ended(ExitRecord)
}

/// A job that an earlier daemon started.
package enum AdoptedJob: Sendable {
  /// It runs and is watched again: an `ended` event follows.
  case running(leaseID: String)
  /// It ended meanwhile, or is lost; no event follows.
  case ended(ExitRecord)
}
