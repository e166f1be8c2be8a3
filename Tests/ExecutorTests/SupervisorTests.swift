import Foundation
import Testing

@testable import Executor

@Suite("Jobs and the daemon's life", .enabled(if: canRunJobs, whyNot))
struct SupervisorTests {
  @Test func cancelEndsAJob() async throws {
    // With a grace that no busy machine uses up.
    let bench = try Workbench(grace: 300_000_000)
    let run = bench.job(["/bin/sh", "-c", "trap 'echo stopped; exit 7' TERM; echo up; sleep 600 & wait"])
    try await bench.supervisor.start(run)
    try await bench.awaitOutput(run.leaseID, "up")
    try await bench.supervisor.cancel(leaseID: run.leaseID)
    let record = try await bench.supervisor.wait(leaseID: run.leaseID)
    #expect(record.reason == .cancelled && record.exitCode == 7)
    #expect(try await bench.text(run.leaseID, .stdout) == "up\nstopped\n")
    // Once more does nothing.
    try await bench.supervisor.cancel(leaseID: run.leaseID)
    await #expect(throws: ExecutorError.self) { try await bench.supervisor.cancel(leaseID: "0123456789") }
  }

  @Test func cancelBeforeTheShimRuns() async throws {
    // With a grace longer than the job: it must end by TERM, although it was asked to before it could take one.
    let bench = try Workbench(grace: 300_000_000)
    let run = bench.job(["sleep", "200"]) { $0.wallLimitMicroseconds = 600_000_000 }
    try await bench.supervisor.start(run)
    try await bench.supervisor.cancel(leaseID: run.leaseID)
    let record = try await bench.supervisor.wait(leaseID: run.leaseID)
    #expect(record.reason == .cancelled && record.endedMicroseconds - record.startedMicroseconds < 200_000_000)
  }

  @Test func eventsTellStartAndEnd() async throws {
    let bench = try Workbench()
    let run = bench.job(["true"])
    try await bench.supervisor.start(run)
    var events = bench.supervisor.events.makeAsyncIterator()
    guard case .started(run.leaseID) = await events.next() else { throw TestFailure() }
    guard case .ended(let record) = await events.next() else { throw TestFailure() }
    #expect(record.lease == run.leaseID && record.exitCode == 0)
  }

  @Test func aLeaseRunsOnce() async throws {
    let bench = try Workbench()
    let outcome = try await bench.run(["true"])
    let again = bench.job(["true"]) { $0.leaseID = outcome.lease }
    await #expect(throws: ExecutorError.self) { try await bench.supervisor.start(again) }
    let later = try JobSupervisor(bench.configuration)
    await #expect { try await later.start(again) } throws: { ($0 as? ExecutorError)?.code == .duplicateLease }
    #expect(await later.adopt().count == 1)
    try await later.remove(leaseID: outcome.lease)
    try await later.start(again)
    #expect(try await later.wait(leaseID: again.leaseID).exitCode == 0)
  }

  @Test func concurrentJobsAreBounded() async throws {
    let bench = try Workbench(jobs: 1)
    let run = bench.job(["sleep", "600"])
    try await bench.supervisor.start(run)
    await #expect { try await bench.supervisor.start(bench.job(["true"])) } throws: {
      ($0 as? ExecutorError)?.code == .tooManyJobs
    }
    await #expect(throws: ExecutorError.self) { try await bench.supervisor.remove(leaseID: run.leaseID) }
    await bench.supervisor.killAll()
    try await bench.supervisor.start(bench.job(["true"]))
    await bench.supervisor.killAll()
  }

  @Test func runningJobIsAdopted() async throws {
    let bench = try Workbench()
    var first: JobSupervisor? = try JobSupervisor(bench.configuration)
    let running = bench.job(["/bin/sh", "-c", "echo up; while [ ! -e go ]; do sleep 0.02; done; echo done; exit 4"])
    let ended = bench.job(["false"])
    try await first?.start(running)
    try await first?.start(ended)
    _ = try await first?.wait(leaseID: ended.leaseID)
    // A job whose shim has not come so far is lost with its supervisor.
    try await bench.awaitOutput(running.leaseID, "up", of: first)
    first = nil
    let second = try JobSupervisor(bench.configuration)
    let adopted = await second.adopt()
    #expect(adopted.count == 2)
    #expect(await second.runningLeases == [running.leaseID])
    #expect(try await second.exitRecord(leaseID: ended.leaseID)?.exitCode == 1)
    try FileAccess.write([], to: "\(bench.jobPath(running.leaseID))/out/go", mode: 0o644)
    let record = try await second.wait(leaseID: running.leaseID)
    #expect(record.reason == .exited && record.exitCode == 4)
    let log = try await second.logs(leaseID: running.leaseID, stream: .stdout, offset: 0, maximumBytes: 100)
    #expect(log.bytes == Array("up\ndone\n".utf8) && log.isComplete)
    #expect(bench.groups().isEmpty)
  }

  @Test func killedShimIsLostAndItsJobGone() async throws {
    let bench = try Workbench()
    let run = bench.job(["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"])
    try await bench.supervisor.start(run)
    try await bench.awaitOutput(run.leaseID, "up")
    let identity = try #require(ShimIdentity.read(JobDirectory(path: bench.jobPath(run.leaseID))))
    #expect(identity.isAlive())
    kill(identity.pid, SIGKILL)
    let record = try await bench.supervisor.wait(leaseID: run.leaseID)
    #expect(record.reason == .lost && record.exitCode == nil)
    #expect(bench.groups().isEmpty)
    #expect(JobDirectory(path: bench.jobPath(run.leaseID)).record() == record)
    #expect(!identity.isAlive())
  }

  @Test func whatCannotBeAccountedForIsLost() async throws {
    let bench = try Workbench()
    let never = Workbench.lease()
    let recycled = Workbench.lease()
    let partial = Workbench.lease()
    for lease in [never, recycled, partial] { try FileAccess.makeDirectory(bench.jobPath(lease), mode: 0o711) }
    // Our own pid with another start time, and another boot: neither is a shim.
    let identity = #"{"version":1,"lease":"\#(recycled)","pid":\#(getpid()),"startTime":1,"bootID":"x","cgroups":[]}"#
    try FileAccess.write(Array(identity.utf8), to: "\(bench.jobPath(recycled))/shim.json", mode: 0o600)
    try FileAccess.write(Array("{\"vers".utf8), to: "\(bench.jobPath(partial))/exit.json", mode: 0o600)
    let adopted = await bench.supervisor.adopt()
    #expect(adopted.count == 3)
    for lease in [never, recycled, partial] {
      #expect(try await bench.supervisor.exitRecord(leaseID: lease)?.reason == .lost)
    }
    // A shim that comes late finds the record and does not run its job.
    let pid = try ShimProcess.spawn("/proc/self/exe", directory: bench.jobPath(never), lock: nil)
    var status: Int32 = -1
    #expect(waitpid(pid, &status, 0) == pid && status == 0)
    #expect(JobDirectory(path: bench.jobPath(never)).record()?.reason == .lost)
  }

  @Test func badInstructionsAreARecordedFailure() async throws {
    let bench = try Workbench()
    for text in ["", "lease", "lease\0", "lease\0aa\0unknown\0x\0", "lease\0aa\0wallMicroseconds\0-1\0"] {
      let lease = Workbench.lease()
      try FileAccess.makeDirectory(bench.jobPath(lease), mode: 0o711)
      try FileAccess.write(Array(text.utf8), to: "\(bench.jobPath(lease))/shim.args", mode: 0o600)
      let pid = try ShimProcess.spawn("/proc/self/exe", directory: bench.jobPath(lease), lock: nil)
      #expect(waitpid(pid, nil, 0) == pid)
      let record = try #require(JobDirectory(path: bench.jobPath(lease)).record())
      #expect(record.reason == .startFailed && record.message.contains("instruction"))
    }
  }

  @Test func sandboxThatCannotStartSaysWhy() async throws {
    let bench = try Workbench()
    let input = "\(bench.directory)/input"
    try FileAccess.makeDirectory(input, mode: 0o755)
    let outcome = try await bench.run(["true"]) { $0.gpus = ["/dev/no-such-gpu"] }
    #expect(outcome.record.reason == .startFailed && outcome.record.exitCode == nil)
    #expect(outcome.record.message.contains("no-such-gpu"))
    #expect(bench.groups().isEmpty)
  }

  struct TestFailure: Error {}
}
