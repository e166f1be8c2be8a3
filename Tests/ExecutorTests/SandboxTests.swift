import Foundation
import Testing

@testable import Executor

@Suite("What a job gets and sees", .enabled(if: canRunJobs, whyNot))
struct SandboxTests {
  @Test func selfTest() async throws {
    let bench = try Workbench()
    try await bench.supervisor.selfTest()
    #expect(bench.supervisor.isolation.mode == .root)
    #expect(FileAccess.names(in: "\(bench.directory)/jobs").isEmpty)
  }

  @Test func exitCodes() async throws {
    let bench = try Workbench()
    let good = try await bench.run(["true"])
    #expect(good.record.reason == .exited && good.record.exitCode == 0)
    #expect(good.record.lease == good.lease)
    #expect(good.record.startedMicroseconds > 1_600_000_000_000_000)
    #expect(good.record.endedMicroseconds > good.record.startedMicroseconds)
    #expect(good.record.cpuMicroseconds > 0 && good.record.peakMemoryBytes > 0)
    let bad = try await bench.run(["false"])
    #expect(bad.record.reason == .exited && bad.record.exitCode == 1)
    let other = try await bench.shell("exit 42")
    #expect(other.record.exitCode == 42)
    let missing = try await bench.run(["no-such-command-anywhere"])
    #expect(missing.record.reason == .exited && missing.record.exitCode == 127)
    #expect(missing.stderr.contains("no-such-command-anywhere"))
    let killed = try await bench.shell("kill -9 $$")
    #expect(killed.record.reason == .signalled && killed.record.signal == 9 && killed.record.exitCode == 137)
    #expect(bench.groups().isEmpty)
  }

  @Test func streamsAndEnvironment() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell("echo out; echo err >&2; pwd; cat; env") {
      $0.environment = [("COLOUR", "a=b c"), ("LINNET_JOB", "forged")]
    }
    let lines = outcome.stdout.split(separator: "\n").map(String.init)
    #expect(lines.first == "out" && outcome.stderr == "err\n")
    #expect(lines.contains("/out"))
    let variables = Set(lines.dropFirst(2)).subtracting(["PWD=/out", "_=/usr/bin/env", "SHLVL=1", "OLDPWD=/"])
    #expect(
      variables == [
        "COLOUR=a=b c", "HOME=/tmp", "LANG=C.UTF-8", "LINNET_JOB=17", "LINNET_LEASE=\(outcome.lease)",
        "PATH=\(SandboxOptions.searchPath)", "TMPDIR=/tmp",
      ])
  }

  @Test func inputsAreReadOnly() async throws {
    let bench = try Workbench()
    let data = "\(bench.directory)/data"
    try FileAccess.makeDirectory(data, mode: 0o755)
    try FileAccess.write(Array("hello".utf8), to: "\(data)/file", mode: 0o644)
    let outcome = try await bench.shell(
      "cat /in/one; cat /in/all/file; echo x > /in/one; echo x > /in/all/new; rm -f /in/all/file; ls /in"
    ) { $0.inputs = [("one", "\(data)/file"), ("all", data)] }
    #expect(outcome.stdout == "hellohelloall\none\n")
    #expect(outcome.stderr.contains("Read-only file system"))
    #expect(FileAccess.text("\(data)/file") == "hello" && FileAccess.names(in: data) == ["file"])
  }

  @Test func unreadableInputIsRefusedAtOnce() async throws {
    let bench = try Workbench()
    try FileAccess.write([1], to: "\(bench.directory)/secret", mode: 0o600)
    let run = bench.job(["true"]) { $0.inputs = [("secret", "\(bench.directory)/secret")] }
    await #expect { try await bench.supervisor.start(run) } throws: { error in
      (error as? ExecutorError)?.code == .unreadableInput
    }
    #expect(FileAccess.names(in: "\(bench.directory)/jobs").isEmpty)
  }

  @Test func hostIsOutOfSight() async throws {
    let bench = try Workbench()
    try FileAccess.write([1], to: "\(bench.directory)/node.key", mode: 0o644)
    let outcome = try await bench.shell(
      """
      ls /; echo --; ls /etc; echo --; ls /in /tmp /home /root /var /run /work \(bench.directory) 2>&1
      cat \(bench.directory)/node.key; ls /proc | grep -c '^[0-9]'; id -u; id -un; hostname
      """)
    let parts = outcome.stdout.components(separatedBy: "--\n")
    try #require(parts.count == 3, "\(outcome.record.message)")
    let root = Set(parts[0].split(separator: "\n").map(String.init))
    #expect(
      root.isSubset(of: [
        "bin", "dev", "etc", "in", "lib", "lib32", "lib64", "libx32", "out", "proc", "sbin", "tmp", "usr",
      ]))
    let etc = Set(parts[1].split(separator: "\n").map(String.init))
    #expect(etc.isSubset(of: ["alternatives", "group", "hosts", "ld.so.cache", "nsswitch.conf", "passwd"]))
    #expect(outcome.stderr.contains("node.key: No such file"))
    let tail = outcome.stdout.split(separator: "\n").suffix(4).map(String.init)
    try #require(tail.count == 4)
    #expect(Int(tail[0]).map { $0 < 8 } == true)
    #expect(Int(tail[1]).map { $0 >= 710_000 } == true)
    #expect(tail[2...] == ["job", "linnet-job"])
  }

  @Test func inheritedDescriptorsAreClosed() async throws {
    let bench = try Workbench()
    // Without close-on-exec, as a careless library would leave it.
    let leaked = open("/etc/shadow", O_RDONLY)
    defer { close(leaked) }
    let high = fcntl(leaked, F_DUPFD, 200)
    defer { close(high) }
    let outcome = try await bench.shell("ls -l /proc/self/fd | tail -n +2 | wc -l; ls -l /proc/self/fd; ls /proc/1/fd")
    #expect(outcome.stdout.hasPrefix("4\n"), "\(outcome.stdout)")
    #expect(!outcome.stdout.contains("shadow"))
  }

  @Test func twoJobsHaveTwoUsers() async throws {
    let bench = try Workbench()
    let first = bench.job(["/bin/sh", "-c", "id -u; sleep 600"])
    let second = bench.job(["/bin/sh", "-c", "id -u; sleep 600"])
    try await bench.supervisor.start(first)
    try await bench.supervisor.start(second)
    try await bench.awaitOutput(first.leaseID, "\n")
    try await bench.awaitOutput(second.leaseID, "\n")
    let one = try await bench.text(first.leaseID, .stdout)
    let two = try await bench.text(second.leaseID, .stdout)
    #expect(one != two)
    #expect(await bench.supervisor.runningLeases.count == 2)
    await bench.supervisor.killAll()
    #expect(await bench.supervisor.runningLeases.isEmpty)
    #expect(try await bench.supervisor.exitRecord(leaseID: first.leaseID)?.reason == .cancelled)
    #expect(bench.groups().isEmpty)
  }
}
