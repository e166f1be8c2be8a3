import Blobs
import Core
import Dispatch
import Executor
import Foundation
import Hardware
import Logging
import Primitives
import Wire

/// Turns leases into jobs of the executor, and their ends into outcomes for the core: fetch inputs, prepare, start,
/// run, collect. Each phase that fails has its own text for the submitter.
actor LeaseRunner {
  /// The most jobs that have ended whose logs and exit records are kept; the oldest go first.
  private static let maximumKept = 1_000
  private static let maximumSpecificationBytes = 4 * 1_024 * 1_024

  private let supervisor: JobSupervisor
  private let store: BlobStore
  private let fetcher: BlobFetcher
  private let outcomes: OutcomeStore
  private let inputsDirectory: String
  private let gpus: [String]
  private let logger: Logger
  private let post: @Sendable (CoreInput) -> Void

  private enum Phase {
    case preparing(Task<Void, Never>)
    case running
    case ended
  }

  private var phases: [Digest: Phase] = [:]
  private var usedGPUs: [Digest: [String]] = [:]
  private var kept: [Digest] = []
  /// Leases that were stopped while their job was being started.
  private var unwanted: Set<Digest> = []
  /// Copying trees takes long, and must not hold this actor or a thread of Swift's pool.
  private let files = DispatchQueue(label: "linnet.leases.files", attributes: .concurrent)

  init(
    supervisor: JobSupervisor, store: BlobStore, fetcher: BlobFetcher, directory: String, gpus: [String],
    logger: Logger, post: @escaping @Sendable (CoreInput) -> Void
  ) throws {
    self.supervisor = supervisor
    self.store = store
    self.fetcher = fetcher
    outcomes = try OutcomeStore(directory: directory + "/outcomes")
    inputsDirectory = directory + "/inputs"
    self.gpus = gpus
    self.logger = logger
    self.post = post
    try FileManager.default.createDirectory(
      atPath: inputsDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
  }

  /// The number of leases that are prepared or run.
  var runningCount: Int {
    phases.values.count {
      if case .ended = $0 { return false }
      return true
    }
  }

  /// Finds again what an earlier run of the daemon left, and reports what ended meanwhile.
  func adopt() async {
    for lease in outcomes.leases() {
      guard let outcome = outcomes.load(lease) else { continue }
      phases[lease] = .ended
      post(.leaseFinished(outcome))
    }
    var settled: [ExitRecord] = []
    for adopted in await supervisor.adopt() {
      switch adopted {
      case .running(let leaseID):
        guard let lease = Digest(hex: leaseID) else { continue }
        phases[lease] = .running
        usedGPUs[lease] = outcomes.gpus(of: lease)
        logger.notice("lease \(lease.short) runs on from before the restart")
        post(.leaseRunning(lease))
      case .ended(let record):
        guard let lease = Digest(hex: record.lease) else { continue }
        if outcomes.isSettled(lease) { settled.append(record) } else { await ended(record) }
      }
    }
    for record in settled.sorted(by: { $0.endedMicroseconds < $1.endedMicroseconds }) {
      guard let lease = Digest(hex: record.lease) else { continue }
      phases[lease] = .ended
      kept.append(lease)
    }
    // A lease that ended before its job had a directory has left nothing but its mark.
    for lease in outcomes.settledLeases() where phases[lease] == nil { outcomes.remove(lease) }
    releasePins()
  }

  /// Handles the executor's events until it is shut down.
  func watch() async {
    for await event in supervisor.events {
      if case .ended(let record) = event { await ended(record) }
    }
  }

  /// Runs a lease's job. One that is known already is left alone.
  func start(_ order: LeaseOrder) {
    if let outcome = outcomes.load(order.lease) {
      post(.leaseFinished(outcome))
      return
    }
    guard phases[order.lease] == nil else { return }
    phases[order.lease] = .preparing(Task { await self.prepare(order) })
  }

  /// Ends a lease's job: nobody wants its result.
  func stop(_ lease: Digest) async {
    switch phases[lease] {
    case .preparing(let task): task.cancel()
    case .running:
      unwanted.insert(lease)
      try? await supervisor.cancel(leaseID: lease.description)
    case .ended, nil: break
    }
  }

  /// The lease is over: its outcome, its inputs and its output can go. Logs and exit record stay for a while.
  func forget(_ lease: Digest) async {
    outcomes.settle(lease)
    removeInputs(lease)
    release(lease)
    if case .preparing = phases[lease] { phases[lease] = nil }
    try? await supervisor.removeOutput(leaseID: lease.description)
    if !kept.contains(lease) { kept.append(lease) }
    while kept.count > LeaseRunner.maximumKept {
      let oldest = kept.removeFirst()
      phases[oldest] = nil
      try? await supervisor.remove(leaseID: oldest.description)
      outcomes.remove(oldest)
    }
  }

  /// Lets the blobs go that were held for a lease; the store keeps them while it has room.
  private func release(_ lease: Digest) {
    do { try store.unpinAll { $0 == LeaseRunner.pin(lease) } } catch {
      logger.warning("the blobs of lease \(lease.short) stay pinned: \(error)")
    }
  }

  /// After a restart: pins of leases that nothing is known of.
  private func releasePins() {
    let wanted = Set(phases.keys.map { LeaseRunner.pin($0) })
    do { try store.unpinAll { $0.hasPrefix(LeaseRunner.pinPrefix) && !wanted.contains($0) } } catch {
      logger.warning("old leases' blobs stay pinned: \(error)")
    }
  }

  private static let pinPrefix = "lease-"

  private static func pin(_ lease: Digest) -> String { "\(pinPrefix)\(lease)" }

  /// Ends all jobs, for a node that shuts down for good.
  func killAll() async {
    for case .preparing(let task) in phases.values { task.cancel() }
    await supervisor.killAll()
  }

  /// A part of a job's output stream on this host.
  func log(_ request: LogRequest) async -> LogAnswer? {
    if case .preparing = phases[request.lease] {
      return LogAnswer(bytes: [], nextOffset: request.offset, isComplete: false)
    }
    guard
      let chunk = try? await supervisor.logs(
        leaseID: request.lease.description, stream: request.isError ? .stderr : .stdout, offset: request.offset,
        maximumBytes: LogAnswer.maximumBytes)
    else { return nil }
    return LogAnswer(bytes: chunk.bytes, nextOffset: chunk.nextOffset, isComplete: chunk.isComplete)
  }

  // MARK: - Phases

  private func prepare(_ order: LeaseOrder) async {
    let owner = LeaseRunner.pin(order.lease)
    var phase = "fetching the job's specification"
    do {
      try await fetcher.fetch(
        order.terms.specification, from: [order.submitter], pinnedBy: owner,
        maximumBytes: UInt64(LeaseRunner.maximumSpecificationBytes))
      let bytes = try store.bytes(of: order.terms.specification, limit: LeaseRunner.maximumSpecificationBytes)
      phase = "reading the job's specification"
      let specification = try JobSpecification(decoding: bytes)
      phase = "fetching the job's inputs"
      for input in specification.inputs {
        phase = "fetching the input \(input.name)"
        try await fetcher.fetch(
          input.root, from: [order.submitter], pinnedBy: owner, maximumBytes: order.terms.resources.diskBytes)
      }
      phase = "preparing the job's inputs"
      let staged = try await stage(specification.inputs, for: order.lease)
      phase = "starting the sandbox"
      try Task.checkCancellation()
      let assigned = try takeGPUs(Int(order.terms.gpuCount), for: order.lease)
      let run = JobRun(
        leaseID: order.lease.description, jobID: order.job.description, command: specification.command,
        environment: specification.environment.map { ($0.key, $0.value) }, inputs: staged,
        cpuMilli: Int(order.terms.resources.cpuMilli),
        memoryBytes: Int64(clamping: order.terms.resources.memoryBytes),
        diskBytes: Int64(clamping: order.terms.resources.diskBytes),
        wallLimitMicroseconds: LeaseRunner.microseconds(order.terms.wallLimitMilliseconds),
        gpus: assigned)
      phases[order.lease] = .running
      try await supervisor.start(run)
      // A stop that overtook the start found no job to cancel.
      if unwanted.contains(order.lease) { try? await supervisor.cancel(leaseID: order.lease.description) }
      logger.info("lease \(order.lease.short) of job \(order.job.short) runs: \(specification.command[0])")
    } catch is CancellationError {
      phases[order.lease] = nil
      removeInputs(order.lease)
      release(order.lease)
    } catch {
      giveBackGPUs(of: order.lease)
      removeInputs(order.lease)
      if unwanted.remove(order.lease) != nil {
        phases[order.lease] = .ended
        return
      }
      logger.warning("lease \(order.lease.short) failed while \(phase): \(error)")
      finish(
        LeaseOutcome(
          lease: order.lease, outputRoot: .zero, exit: .startFailed,
          usage: Usage(wallMilliseconds: 0, cpuMicroseconds: 0, peakMemoryBytes: 0),
          message: LeaseRunner.bounded("failed while \(phase): \(error)")))
    }
  }

  private static func microseconds(_ milliseconds: UInt64) -> UInt64 {
    let (product, isOver) = milliseconds.multipliedReportingOverflow(by: 1_000)
    return isOver ? .max : product
  }

  private func stage(
    _ inputs: [JobSpecification.Input], for lease: Digest
  ) async throws -> [(name: String, hostPath: String)] {
    let directory = "\(inputsDirectory)/\(lease)"
    removeInputs(lease)
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    // The name comes from a peer: on this host the input has a number.
    let staged = inputs.enumerated().map { (name: $1.name, hostPath: "\(directory)/\($0)") }
    try await onFiles { [store] in
      for (input, place) in zip(inputs, staged) { try store.export(input.root, to: place.hostPath) }
    }
    return staged
  }

  private func onFiles<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      files.async { continuation.resume(with: Result { try body() }) }
    }
  }

  private func removeInputs(_ lease: Digest) {
    try? FileManager.default.removeItem(atPath: "\(inputsDirectory)/\(lease)")
  }

  private func takeGPUs(_ count: Int, for lease: Digest) throws -> [String] {
    guard count > 0 else { return [] }
    let taken = Set(usedGPUs.values.flatMap { $0 })
    let free = gpus.filter { !taken.contains($0) }
    guard free.count >= count else {
      throw NodeError(
        .executor, "\(count) GPUs are leased and \(free.count) are free", suggestion: "look at `linnet hardware`")
    }
    let assigned = Array(free.prefix(count))
    usedGPUs[lease] = assigned
    outcomes.keepGPUs(assigned, of: lease)
    return assigned
  }

  private func giveBackGPUs(of lease: Digest) {
    usedGPUs[lease] = nil
    outcomes.keepGPUs([], of: lease)
  }

  private func ended(_ record: ExitRecord) async {
    guard let lease = Digest(hex: record.lease) else { return }
    giveBackGPUs(of: lease)
    let wasUnwanted = unwanted.remove(lease) != nil
    if let known = outcomes.load(lease) {
      phases[lease] = .ended
      return post(.leaseFinished(known))
    }
    phases[lease] = .ended
    if wasUnwanted || outcomes.isSettled(lease) {
      logger.info("lease \(lease.short) was stopped")
      try? await supervisor.removeOutput(leaseID: record.lease)
      return removeInputs(lease)
    }
    var message = record.message
    var root = Digest.zero
    if record.reason != .startFailed, record.reason != .lost, record.reason != .cancelled {
      do {
        let manifest = try await supervisor.collectOutput(leaseID: record.lease, maximumBytes: .max)
        root = try await onFiles { [store] in
          try store.importDirectory(
            path: manifest.directory, unsupported: .skip, pinnedBy: LeaseRunner.pin(lease)
          ).summary.root
        }
      } catch {
        logger.warning("the output of lease \(lease.short) can't be collected: \(error)")
        message = "the output could not be collected: \(error)"
      }
    }
    let wall =
      record.endedMicroseconds > record.startedMicroseconds
      ? (record.endedMicroseconds - record.startedMicroseconds) / 1_000 : 0
    finish(
      LeaseOutcome(
        lease: lease, outputRoot: root, exit: LeaseRunner.status(of: record),
        usage: Usage(
          wallMilliseconds: wall, cpuMicroseconds: record.cpuMicroseconds, peakMemoryBytes: record.peakMemoryBytes),
        message: LeaseRunner.bounded(message)))
    removeInputs(lease)
  }

  private func finish(_ outcome: LeaseOutcome) {
    phases[outcome.lease] = .ended
    do {
      try outcomes.save(outcome)
      post(.leaseFinished(outcome))
    } catch {
      // Without its outcome on the disk a restart could reveal something else than was committed.
      logger.error("the outcome of lease \(outcome.lease.short) can't be kept: \(error)")
    }
  }

  private static func status(of record: ExitRecord) -> ExitStatus {
    switch record.reason {
    case .exited: .exited(code: UInt8(clamping: record.exitCode ?? 255))
    case .signalled: .signalled(signal: UInt8(clamping: record.signal ?? 9))
    case .wallLimit: .wallLimit
    case .memoryLimit: .memoryLimit
    case .diskLimit: .diskLimit
    case .startFailed: .startFailed
    // Whoever ended it, the lease was not: the job went with its node, as when a host is switched off.
    case .lost, .cancelled: .lost
    }
  }

  /// As much of a text as fits a result's message or so many bytes, in whole characters and without NUL.
  static func bounded(_ text: String, bytes: Int = LeaseResult.maximumMessageBytes) -> String {
    var result = ""
    for character in text where character != "\0" {
      if result.utf8.count + character.utf8.count > bytes { break }
      result.append(character)
    }
    return result
  }
}
