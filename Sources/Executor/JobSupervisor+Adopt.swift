import CLinux
import Foundation

extension JobSupervisor {
  /// How long a shim that runs may take to say who it is.
  private static let identityAttempts = 1000

  /// Finds the jobs of an earlier daemon: to be called once, before the first `start`. What runs is watched again,
  /// what ended meanwhile is read from its record, and what cannot be accounted for is ended and recorded as lost.
  package func adopt() async -> [AdoptedJob] {
    var adopted: [AdoptedJob] = []
    for leaseID in FileAccess.names(in: jobsDirectory).sorted() where JobRun.isLeaseID(leaseID) {
      guard jobs[leaseID] == nil else { continue }
      adopted.append(await adopt(leaseID))
    }
    await removeOrphanedGroups()
    return adopted
  }

  private func adopt(_ leaseID: String) async -> AdoptedJob {
    let directory = directory(leaseID)
    if let record = directory.record(), record.lease == leaseID { return remember(record) }
    let lock = linnet_open(directory.lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
    defer { if lock >= 0 { close(lock) } }
    if lock >= 0, linnet_lock_file(lock) != 0 {
      // Held: a shim lives. It may not have come to say who it is.
      for _ in 0..<Self.identityAttempts {
        if let identity = ShimIdentity.read(directory), identity.lease == leaseID, identity.isAlive(),
          (try? watch(leaseID, pid: identity.pid, isChild: false, identity: identity)) != nil
        {
          return .running(leaseID: leaseID)
        }
        if linnet_lock_file(lock) == 0 { break }
        try? await Task.sleep(for: .milliseconds(5))
      }
    }
    // The lock is ours, or was never to be had: a shim that comes late finds a record and does not run the job.
    if let record = directory.record(), record.lease == leaseID { return remember(record) }
    return remember(await declareLost(leaseID, started: directory.madeMicroseconds()))
  }

  private func remember(_ record: ExitRecord) -> AdoptedJob {
    jobs[record.lease] = .ended(record)
    return .ended(record)
  }

  /// Cgroups of this executor's jobs that no running job owns.
  private func removeOrphanedGroups() async {
    let running = Set(runningLeases.map { cgroupPrefix + $0 })
    var orphans = Set<String>()
    for parent in Set(layout.parents.values) {
      for name in FileAccess.names(in: parent) where name.hasPrefix(cgroupPrefix) && !running.contains(name) {
        orphans.insert("\(parent)/\(name)")
      }
    }
    guard !orphans.isEmpty else { return }
    log.notice("removing cgroups of jobs without a supervisor", metadata: ["count": "\(orphans.count)"])
    let group = JobCgroup(directories: orphans.sorted())
    await onFiles { group.destroy() }
  }
}

extension JobSupervisor {
  private static let selfTestWallMicroseconds: UInt64 = 20_000_000

  /// Runs `true` in the sandbox. Without this a host must not offer to run jobs.
  ///
  /// - Throws: `selfTest` with what went wrong, or what `start` throws.
  package func selfTest() async throws(ExecutorError) {
    let leaseID = (0..<4).map { _ in
      let word = String(UInt32.random(in: .min ... .max), radix: 16)
      return String(repeating: "0", count: 8 - word.count) + word
    }.joined()
    let run = JobRun(
      leaseID: leaseID, jobID: "self-test", command: ["true"], memoryBytes: 64 << 20, diskBytes: 1 << 20,
      pidsLimit: 16, wallLimitMicroseconds: Self.selfTestWallMicroseconds)
    try start(run, isQuiet: true)
    let record = try await wait(leaseID: leaseID)
    try await remove(leaseID: leaseID)
    guard record.reason == .exited, record.exitCode == 0 else {
      throw ExecutorError(
        .selfTest, "the sandbox does not work on this host (\(isolation)), so it must not run jobs",
        cause: record.message)
    }
  }
}
