/// What the operator decides about how jobs run.
package struct ExecutorConfiguration: Sendable {
  /// The executor's own directory, made with mode 0711; one daemon uses it at a time.
  package var directory: String
  /// Bytes kept of each of a job's two streams, half of them from its start and half from its end.
  package var logCapBytes: Int
  /// The first of the user ids that jobs run under when the daemon is root; the range must belong to nobody else.
  package var firstJobUserID: UInt32
  /// How many user ids the range has: more jobs cannot run at once.
  package var jobUserCount: Int
  /// Time between TERM and kill when a job is cancelled or over its wall limit.
  package var graceMicroseconds: UInt64
  /// Jobs that may run at the same time.
  package var maximumConcurrentJobs: Int
  /// The executable that holds the shim: any that links CLinux. The daemon's own is `/proc/self/exe`.
  package var shimExecutable: String
  /// Files and directories that a job may leave in `/out`.
  package var maximumOutputEntries: Int

  /// A configuration with the defaults of an ordinary host.
  package init(
    directory: String,
    logCapBytes: Int = 4 << 20,
    firstJobUserID: UInt32 = 710_000,
    jobUserCount: Int = 10_000,
    graceMicroseconds: UInt64 = 5_000_000,
    maximumConcurrentJobs: Int = 64,
    shimExecutable: String = "/proc/self/exe",
    maximumOutputEntries: Int = 100_000
  ) {
    self.directory = directory
    self.logCapBytes = logCapBytes
    self.firstJobUserID = firstJobUserID
    self.jobUserCount = jobUserCount
    self.graceMicroseconds = graceMicroseconds
    self.maximumConcurrentJobs = maximumConcurrentJobs
    self.shimExecutable = shimExecutable
    self.maximumOutputEntries = maximumOutputEntries
  }

  static let logCapBounds = 4096...(1 << 30)

  func check() throws(ExecutorError) {
    guard directory.hasPrefix("/"), !directory.utf8.contains(0) else {
      throw ExecutorError(.storage, "the executor's directory \"\(directory)\" must be an absolute path")
    }
    guard Self.logCapBounds.contains(logCapBytes), jobUserCount > 0, maximumConcurrentJobs > 0,
      maximumOutputEntries > 0, firstJobUserID > 0,
      UInt64(firstJobUserID) + UInt64(jobUserCount) < UInt64(UInt32.max)
    else {
      throw ExecutorError(
        .storage,
        "the executor's configuration is out of bounds: the log cap is \(Self.logCapBounds) bytes, "
          + "counts are positive, and job user ids lie between 1 and \(UInt32.max - 1)")
    }
  }
}
