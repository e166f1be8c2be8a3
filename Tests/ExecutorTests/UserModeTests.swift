import Foundation
import Testing

@testable import Executor

@Suite(
  "The sandbox of an ordinary user",
  .enabled(if: getuid() != 0 && access("/usr/bin/bwrap", X_OK) == 0, "run the tests as another user than root"))
struct UserModeTests {
  @Test func jobsRunWithoutRoot() async throws {
    let bench = try Workbench()
    #expect(bench.supervisor.isolation.mode == .user)
    try await bench.supervisor.selfTest()
    let outcome = try await bench.shell(
      """
      id -un; cat /proc/1/cmdline | tr '\\0' ' '; unshare -Ur true; true > /x; true > /etc/x; true > /in/x
      mkdir d; echo kept > d/f; chmod 0 d; cat /no/such; exit 6
      """)
    #expect(outcome.record.reason == .exited && outcome.record.exitCode == 6, "\(outcome)")
    #expect(outcome.stdout.hasPrefix("job\n") && !outcome.stdout.contains(bench.directory))
    #expect(outcome.stderr.contains("unshare failed: Operation not permitted"))
    #expect(outcome.stderr.contains("cannot create /x: Read-only"))
    let manifest = try await bench.supervisor.collectOutput(leaseID: outcome.lease, maximumBytes: 1000)
    #expect(manifest.entries.map { String(decoding: $0.path, as: UTF8.self) } == ["d", "d/f"])
    let missing = try await bench.run(["no-such-command"])
    #expect(missing.record.exitCode == 127)
    let memory = try await bench.python("import time\na = bytearray(100 << 20)\ntime.sleep(600)") {
      $0.memoryBytes = 64 << 20
    }
    #expect(memory.record.reason == .memoryLimit)
  }
}
