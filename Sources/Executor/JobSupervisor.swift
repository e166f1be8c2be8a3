import CLinux
import Foundation
import Logging

/// Runs leased jobs, one shim process each, and tells when they end. Shims outlive their supervisor: a new one finds
/// them by `adopt()`.
///
/// ```swift
/// let supervisor = try JobSupervisor(ExecutorConfiguration(directory: "/var/lib/linnet/executor"))
/// for job in await supervisor.adopt() { … }
/// try await supervisor.start(JobRun(leaseID: "00c0ffee", jobID: "7", command: ["true"]))
/// for await event in supervisor.events { … }
/// ```
package actor JobSupervisor {
  /// A job that runs, or that has ended with this record.
  enum Phase {
    case running(RunningShim)
    case ended(ExitRecord)
  }

  struct RunningShim {
    var pid: pid_t
    var pidfd: Int32
    /// Only a child can and must be waited for.
    var isChild: Bool
    var startedMicroseconds: UInt64
  }

  /// What jobs are isolated by on this host.
  package nonisolated let isolation: Isolation
  /// What happens to jobs, for one consumer. Not bounded by itself: two events for each job that was started.
  package nonisolated let events: AsyncStream<JobEvent>

  nonisolated let configuration: ExecutorConfiguration
  nonisolated let layout: CgroupLayout
  nonisolated let jobsDirectory: String
  nonisolated let cgroupPrefix: String
  nonisolated let log: Logger
  private let filterPath: String
  private let bubblewrap: String
  private let continuation: AsyncStream<JobEvent>.Continuation
  private let watcher: ProcessWatcher
  /// Walks of trees that jobs made take long, and must not hold a thread of Swift's pool.
  nonisolated let files = DispatchQueue(label: "linnet.executor.files", attributes: .concurrent)

  var jobs: [String: Phase] = [:]
  private var waiters: [String: [CheckedContinuation<ExitRecord, Never>]] = [:]
  /// Jobs whose end is nobody's event: the sandbox's own tests.
  private var quiet: Set<String> = []
  private var runningCount = 0

  /// Prepares the executor's directory and finds out how this host isolates jobs.
  ///
  /// - Throws: `missingTool` when bubblewrap, setpriv or libseccomp is missing; `storage` when the directory cannot
  ///   be used.
  package init(_ configuration: ExecutorConfiguration, log: Logger = Logger(label: "linnet.executor"))
    throws(ExecutorError)
  {
    try self.init(configuration, layout: .detect(), log: log)
  }

  init(_ configuration: ExecutorConfiguration, layout: CgroupLayout, log: Logger = Logger(label: "linnet.executor"))
    throws(ExecutorError)
  {
    try configuration.check()
    self.configuration = configuration
    self.layout = layout
    self.log = log
    isolation = Isolation(mode: getuid() == 0 ? .root : .user, limits: layout.kind)
    bubblewrap = try Self.tool("bwrap", package: "bubblewrap")
    _ = try Self.tool("setpriv", package: "util-linux")
    _ = try Self.tool("prlimit", package: "util-linux")
    jobsDirectory = "\(configuration.directory)/jobs"
    try FileAccess.makeDirectory(configuration.directory, mode: 0o711)
    cgroupPrefix = try JobCgroup.prefix(configuration.directory)
    try FileAccess.makeDirectory(jobsDirectory, mode: 0o711)
    try FileAccess.replace("filter.bpf", in: configuration.directory, with: try SystemCallFilter.program())
    filterPath = "\(configuration.directory)/filter.bpf"
    watcher = try ProcessWatcher()
    (events, continuation) = AsyncStream.makeStream(of: JobEvent.self, bufferingPolicy: .unbounded)
  }

  deinit {
    watcher.stop()
    continuation.finish()
    for case .running(let shim) in jobs.values { close(shim.pidfd) }
  }

  private static func tool(_ name: String, package: String) throws(ExecutorError) -> String {
    for directory in ["/usr/bin", "/bin", "/usr/local/bin"] where access("\(directory)/\(name)", X_OK) == 0 {
      return "\(directory)/\(name)"
    }
    throw ExecutorError(
      .missingTool, "jobs need \(name), which is not in /usr/bin; install it: apt-get install \(package)")
  }

  nonisolated func directory(_ leaseID: String) -> JobDirectory { JobDirectory(path: "\(jobsDirectory)/\(leaseID)") }

  /// Where the job's cgroup would be made now, and where its shim said that it is.
  nonisolated func cgroup(_ leaseID: String) -> JobCgroup {
    let name = cgroupPrefix + leaseID
    let recorded = ShimIdentity.read(directory(leaseID))?.cgroups.filter { $0.hasSuffix("/" + name) } ?? []
    return JobCgroup(directories: Set(layout.directories(name) + recorded).sorted())
  }

  // MARK: - Start

  /// Starts a job. Returns once its shim runs; how it ends comes as an event.
  ///
  /// - Throws: `invalidJob`, `duplicateLease` (a lease is run once, also across restarts), `tooManyJobs`,
  ///   `unreadableInput`, `storage`, `spawn`. After any of these nothing of the job is left but, after
  ///   `duplicateLease`, the earlier one.
  package func start(_ run: JobRun) throws(ExecutorError) { try start(run, isQuiet: false) }

  func start(_ run: JobRun, isQuiet: Bool) throws(ExecutorError) {
    try run.check()
    guard jobs[run.leaseID] == nil else {
      throw ExecutorError(.duplicateLease, "a job with the lease \(run.leaseID) has been started here before")
    }
    guard runningCount < configuration.maximumConcurrentJobs else {
      throw ExecutorError(
        .tooManyJobs, "\(runningCount) jobs run already, as many as this host allows; wait for one to end")
    }
    for input in run.inputs { try checkInput(input.name, input.hostPath) }
    let user = isolation.mode == .root ? try JobUser.take(configuration) : nil
    defer { if let user { close(user.lock) } }
    let directory = directory(run.leaseID)
    let pid: pid_t
    do throws(ExecutorError) {
      try directory.prepare(
        run, configuration: configuration, mode: isolation.mode, userID: user?.id, bubblewrap: bubblewrap,
        layout: layout, cgroup: cgroupPrefix + run.leaseID, filterPath: filterPath)
      pid = try ShimProcess.spawn(configuration.shimExecutable, directory: directory.path, lock: user?.lock)
    } catch {
      if error.code != .duplicateLease { removeTree(run.leaseID, in: jobsDirectory) }
      throw error
    }
    if isQuiet { quiet.insert(run.leaseID) }
    do throws(ExecutorError) {
      try watch(run.leaseID, pid: pid, isChild: true)
    } catch {
      // Unwatched it must not run: its record would be noticed by nobody.
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
      cgroup(run.leaseID).destroy()
      removeTree(run.leaseID, in: jobsDirectory)
      throw error
    }
    if !isQuiet { continuation.yield(.started(leaseID: run.leaseID)) }
  }

  /// The job reads inputs as another user. Directories are checked at their top only.
  private func checkInput(_ name: String, _ path: String) throws(ExecutorError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      throw ExecutorError(
        .unreadableInput, "the input \"\(name)\" is not at \(path)", cause: String(cString: strerror(errno)))
    }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFDIR else {
      throw ExecutorError(.unreadableInput, "the input \"\(name)\" at \(path) is neither a file nor a directory")
    }
    let needed: mode_t = kind == S_IFDIR ? 0o005 : 0o004
    guard isolation.mode == .user || status.st_mode & needed == needed else {
      throw ExecutorError(
        .unreadableInput,
        "the input \"\(name)\" at \(path) has mode \(String(status.st_mode & 0o7777, radix: 8)), "
          + "which a job's own user id cannot read; make it readable for others")
    }
  }

  /// Watches a shim's end from now on.
  func watch(_ leaseID: String, pid: pid_t, isChild: Bool, identity: ShimIdentity? = nil) throws(ExecutorError) {
    let pidfd = linnet_pidfd_open(pid)
    guard pidfd >= 0 else {
      throw ExecutorError(.spawn, "cannot watch the job \(leaseID)", cause: String(cString: strerror(-pidfd)))
    }
    // Checked after the descriptor is open, so that it cannot become another process's in between.
    if let identity, !identity.isAlive() {
      close(pidfd)
      throw ExecutorError(.spawn, "the supervisor of the job \(leaseID) is gone")
    }
    let started = isChild ? WallClock.microseconds() : directory(leaseID).madeMicroseconds()
    jobs[leaseID] = .running(
      RunningShim(pid: pid, pidfd: pidfd, isChild: isChild, startedMicroseconds: started))
    runningCount += 1
    watcher.watch(pidfd) { [weak self] in
      guard let self else { return }
      Task { await self.shimEnded(leaseID) }
    }
  }

  // MARK: - End

  private func shimEnded(_ leaseID: String) async {
    guard case .running(let shim) = jobs[leaseID] else { return }
    if shim.isChild { waitpid(shim.pid, nil, WNOHANG) }
    let directory = directory(leaseID)
    let record: ExitRecord
    if let written = directory.record(), written.lease == leaseID {
      record = written
    } else {
      record = await declareLost(leaseID, started: shim.startedMicroseconds)
    }
    // Not before: until the phase changes a cancellation uses the descriptor, whose number must not be another's.
    close(shim.pidfd)
    jobs[leaseID] = .ended(record)
    runningCount -= 1
    if quiet.remove(leaseID) == nil { continuation.yield(.ended(record)) }
    for waiter in waiters.removeValue(forKey: leaseID) ?? [] { waiter.resume(returning: record) }
  }

  /// Ends what is left of a job without a shim, and records that nobody knows what it did.
  func declareLost(_ leaseID: String, started: UInt64) async -> ExitRecord {
    log.warning("a job's supervisor ended without a record", metadata: ["lease": "\(leaseID)"])
    let group = cgroup(leaseID)
    await onFiles { group.destroy() }
    do throws(ExecutorError) {
      return try directory(leaseID).declareLost(leaseID, started: started)
    } catch {
      log.error("cannot record a lost job", metadata: ["lease": "\(leaseID)", "error": "\(error)"])
      return ExitRecord(
        version: 1, lease: leaseID, reason: .lost, exitCode: nil, signal: nil, startedMicroseconds: started,
        endedMicroseconds: WallClock.microseconds(), cpuMicroseconds: 0, peakMemoryBytes: 0, stdoutBytes: 0,
        stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false, message: error.description)
    }
  }

  private func phase(_ leaseID: String) throws(ExecutorError) -> Phase {
    guard let phase = jobs[leaseID] else {
      throw ExecutorError(.unknownLease, "no job with the lease \(leaseID) is known on this host")
    }
    return phase
  }

  /// Asks a job to stop: TERM, then kill after the configured grace. The `ended` event follows. Does nothing when
  /// the job has ended.
  ///
  /// - Throws: `unknownLease`.
  package func cancel(leaseID: String) throws(ExecutorError) {
    if case .running(let shim) = try phase(leaseID) { _ = linnet_pidfd_send_signal(shim.pidfd, SIGTERM) }
  }

  /// Kills every job at once and returns when all have ended.
  package func killAll() async {
    let running = jobs.compactMap { leaseID, phase -> String? in
      guard case .running(let shim) = phase else { return nil }
      _ = linnet_pidfd_send_signal(shim.pidfd, SIGQUIT)
      return leaseID
    }
    for leaseID in running { _ = try? await wait(leaseID: leaseID) }
  }

  /// Waits for a job's end.
  ///
  /// - Throws: `unknownLease`.
  package func wait(leaseID: String) async throws(ExecutorError) -> ExitRecord {
    if case .ended(let record) = try phase(leaseID) { return record }
    return await withCheckedContinuation { waiters[leaseID, default: []].append($0) }
  }

  /// How a job ended; nil while it runs.
  ///
  /// - Throws: `unknownLease`.
  package func exitRecord(leaseID: String) throws(ExecutorError) -> ExitRecord? {
    guard case .ended(let record) = try phase(leaseID) else { return nil }
    return record
  }

  /// Leases of the jobs that run now.
  package var runningLeases: [String] {
    jobs.compactMap { leaseID, phase in
      if case .running = phase { return leaseID }
      return nil
    }.sorted()
  }

  // MARK: - What a job leaves

  /// Makes what an ended job left in `/out` safe to read and lists it; what is refused is removed.
  ///
  /// - Throws: `unknownLease`, `stillRunning`, `storage`.
  package func collectOutput(leaseID: String, maximumBytes: UInt64) async throws(ExecutorError) -> OutputManifest {
    guard case .ended = try phase(leaseID) else {
      throw ExecutorError(.stillRunning, "the job \(leaseID) still runs; its output is collected when it has ended")
    }
    let path = directory(leaseID).outPath
    let entries = configuration.maximumOutputEntries
    return try await onFiles {
      Result { () throws(ExecutorError) in
        try OutputCollector.collect(path, maximumEntries: entries, maximumBytes: maximumBytes)
      }
    }.get()
  }

  /// Opens a collected file for reading, by a path of the manifest. The caller closes the descriptor.
  ///
  /// - Throws: `storage`, also when the path leaves the output or leads over a link.
  package nonisolated func openOutput(leaseID: String, path: [UInt8]) throws(ExecutorError) -> Int32 {
    guard JobRun.isLeaseID(leaseID), !path.contains(0) else {
      throw ExecutorError(.unknownLease, "no job with the lease \(leaseID) is known on this host")
    }
    let directory = directory(leaseID).outPath
    let top = linnet_open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
    guard top >= 0 else { throw FileAccess.failure("open the output", directory, -top) }
    defer { close(top) }
    let file = linnet_open_beneath(top, DirectoryNames.c(path), O_RDONLY | O_NONBLOCK)
    guard file >= 0 else {
      throw FileAccess.failure("open \(String(decoding: path, as: UTF8.self)) in", directory, -file)
    }
    return file
  }

  /// Part of a job's log, also while it runs. Past the head of a stream that is too long nothing comes until the job
  /// has ended; then a mark and the tail follow.
  ///
  /// - Throws: `unknownLease`.
  package func logs(leaseID: String, stream: LogStream, offset: UInt64, maximumBytes: Int) throws(ExecutorError)
    -> LogChunk
  {
    // The phase is read first: what is then read of an ended job's log is all of it.
    let hasEnded = if case .ended = try phase(leaseID) { true } else { false }
    let file = linnet_open("\(directory(leaseID).path)/\(stream.rawValue)", O_RDONLY | O_NOFOLLOW, 0)
    guard file >= 0, let position = off_t(exactly: offset), maximumBytes > 0 else {
      if file >= 0 { close(file) }
      return LogChunk(bytes: [], nextOffset: offset, isComplete: hasEnded)
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: min(maximumBytes, 1 << 20))
    let count = max(0, bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, position) })
    let next = offset + UInt64(count)
    let isComplete = hasEnded && next >= UInt64(max(0, lseek(file, 0, SEEK_END)))
    return LogChunk(bytes: Array(bytes[..<count]), nextOffset: next, isComplete: isComplete)
  }

  /// Deletes what an ended job left in `/out`, once it is stored elsewhere. Record and logs stay.
  ///
  /// - Throws: `unknownLease`, `stillRunning`.
  package func removeOutput(leaseID: String) async throws(ExecutorError) {
    guard case .ended = try phase(leaseID) else {
      throw ExecutorError(.stillRunning, "the job \(leaseID) still runs; cancel it first")
    }
    await onFiles { [self] in removeTree("out", in: directory(leaseID).path) }
  }

  /// Forgets an ended job and deletes its directory, record included: its lease could then be run again.
  ///
  /// - Throws: `unknownLease`, `stillRunning`.
  package func remove(leaseID: String) async throws(ExecutorError) {
    guard case .ended = try phase(leaseID) else {
      throw ExecutorError(.stillRunning, "the job \(leaseID) still runs; cancel it first")
    }
    await onFiles { [self] in removeTree(leaseID, in: jobsDirectory) }
    jobs[leaseID] = nil
  }

  nonisolated func removeTree(_ name: String, in directory: String) {
    let parent = linnet_open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
    guard parent >= 0 else { return }
    TreeRemover.remove(DirectoryNames.c(Array(name.utf8)), in: parent)
    close(parent)
  }

  nonisolated func onFiles<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      files.async { continuation.resume(returning: body()) }
    }
  }
}
