import Foundation
import Testing

@testable import Executor

@Suite("Limits hold", .enabled(if: canRunJobs, whyNot))
struct LimitTests {
  @Test func wallLimitGivesGraceThenKills() async throws {
    let patient = try Workbench(grace: 300_000_000)
    // The least of these limits in which a job gets as far as to say something: a busy machine starts it late.
    var limit: UInt64 = 30_000
    var polite: Workbench.Outcome
    repeat {
      limit *= 10
      polite = try await patient.shell("trap 'echo bye; exit 3' TERM; echo up; sleep 600 & wait") { [limit] in
        $0.wallLimitMicroseconds = limit
      }
    } while polite.stdout.isEmpty && limit < 100_000_000
    #expect(polite.record.reason == .wallLimit && polite.stdout == "up\nbye\n" && polite.record.exitCode == 3)
    #expect(polite.record.message.contains(String(format: "%.3f s", Double(limit) / 1_000_000)))
    let bench = try Workbench()
    let deaf = try await bench.shell("trap '' TERM; while :; do :; done") { $0.wallLimitMicroseconds = 300_000 }
    #expect(deaf.record.reason == .wallLimit)
    #expect(bench.groups().isEmpty)
  }

  @Test func memoryBomb() async throws {
    let bench = try Workbench()
    let heap = try await bench.python("a = []\nwhile True: a.append(bytearray(1 << 20))") { $0.memoryBytes = 64 << 20 }
    #expect(heap.record.reason == .memoryLimit, "\(heap.record) \(heap.stderr)")
    #expect(heap.record.peakMemoryBytes <= 64 << 20)
    // A tmpfs is limited twice: by its own size, and by the memory of the job.
    let files = try await bench.shell("head -c 60M /dev/zero > /tmp/a; head -c 60M /dev/zero > /dev/shm/b") {
      $0.memoryBytes = 64 << 20
      $0.diskBytes = 1 << 30
    }
    #expect(files.record.reason == .memoryLimit || files.stderr.contains("No space left"))
    let next = try await bench.run(["true"])
    #expect(next.record.exitCode == 0)
  }

  @Test func forkBombIsBoundedAndGone() async throws {
    let bench = try Workbench()
    let outcome = try await bench.python(
      """
      import os, time
      n = 0
      while True:
        try:
          if os.fork() == 0: time.sleep(600); os._exit(0)
          n += 1
        except OSError: break
      print(n, flush=True)
      """
    ) { $0.pidsLimit = 20 }
    let count = Int(outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    #expect((15...21).contains(count), "\(outcome.stdout) \(outcome.stderr)")
    #expect(bench.groups().isEmpty)
  }

  @Test func withoutCgroupKill() async throws {
    var layout = CgroupLayout.detect()
    try #require(layout.kind != .rlimit)
    guard layout.kind == .cgroup1 else { return }
    layout.parents["unified"] = nil
    let bench = try Workbench(layout: layout)
    // Every child forks on, so that a list of processes is old when it is read.
    let outcome = try await bench.python(
      """
      import os, signal
      signal.signal(signal.SIGTERM, signal.SIG_IGN)
      os.setsid() if os.fork() == 0 else None
      while True:
        try: os._exit(0) if os.fork() > 0 and os.getpid() > 3 else None
        except OSError: pass
      """
    ) {
      $0.wallLimitMicroseconds = 400_000
      $0.pidsLimit = 100
    }
    #expect(outcome.record.reason == .wallLimit)
    #expect(bench.groups().isEmpty)
  }

  @Test func cpuIsLimited() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell("while :; do :; done") {
      $0.cpuMilli = 100
      $0.wallLimitMicroseconds = 500_000
    }
    let elapsed = outcome.record.endedMicroseconds - outcome.record.startedMicroseconds
    #expect(outcome.record.reason == .wallLimit && outcome.record.cpuMicroseconds > 0)
    // A tenth, and twice that for the period in which it starts.
    #expect(outcome.record.cpuMicroseconds < elapsed * 3 / 10, "\(outcome.record)")
  }

  @Test func daemonThatIgnoresTermIsGone() async throws {
    let bench = try Workbench()
    let outcome = try await bench.python(
      """
      import os, signal, time
      r, w = os.pipe()
      if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
          for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
          os.write(w, b"x")
          while True: time.sleep(1)
        os._exit(0)
      os.read(r, 1)
      print("left")
      """)
    #expect(outcome.record.reason == .exited && outcome.record.exitCode == 0 && outcome.stdout == "left\n")
    #expect(bench.groups().isEmpty, "a cgroup can be removed only when no process is in it")
  }

  @Test func endlessOutputKeepsHeadAndTail() async throws {
    let bench = try Workbench(logCapBytes: 8192)
    let outcome = try await bench.shell(
      "echo first; i=0; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last; yes | head -c 1000000 1>&2")
    #expect(outcome.record.stdoutTruncated && outcome.record.stdoutBytes == 300_000 + 12)
    #expect(outcome.stdout.hasPrefix("first\nxxx") && outcome.stdout.hasSuffix("xxx\nlast\n"))
    #expect(outcome.stdout.contains("[linnet: \(300_012 - 8192) bytes left out here]"))
    #expect(outcome.record.stderrTruncated && outcome.record.stderrBytes == 1_000_000)
    #expect(outcome.stderr.utf8.count < 8192 + 100)
    #expect(outcome.record.reason == .exited)
  }

  @Test func closedStreamsDoNotEndAJob() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell("exec >&- 2>&-; sleep 0.1; exit 5")
    #expect(outcome.record.exitCode == 5)
  }

  @Test func diskLimit() async throws {
    let bench = try Workbench()
    let large = try await bench.shell("head -c 20M /dev/zero > big; echo $?; stat -c %s big") {
      $0.diskBytes = 1 << 20
    }
    #expect(large.stdout.hasSuffix("\n1048576\n"), "\(large)")
    let many = try await bench.shell("for i in 1 2 3 4 5; do head -c 900K /dev/zero > f$i; done; sleep 600") {
      $0.diskBytes = 1 << 20
    }
    #expect(many.record.reason == .diskLimit && many.record.message.contains("/out"))
    let deleted = try await bench.python(
      """
      import os, time
      kept = []
      for i in range(5):
        kept.append(open("f", "wb")); os.unlink("f"); kept[-1].write(b"x" * 900_000); kept[-1].flush()
      time.sleep(600)
      """
    ) { $0.diskBytes = 1 << 20 }
    #expect(deleted.record.reason == .diskLimit)
    let inodes = try await bench.shell("i=0; while [ $i -lt 2000 ]; do : > f$i; i=$((i+1)); done")
    #expect(inodes.record.reason == .diskLimit)
  }

  // Who sleeps for 600 s here never ends by itself: a limit does it, long before, or the test fails by what was noted.
  @Test func withoutCgroups() async throws {
    let bench = try Workbench(layout: CgroupLayout.none)
    #expect(bench.supervisor.isolation.limits == .rlimit)
    try await bench.supervisor.selfTest()
    let memory = try await bench.python(
      "import time\na = bytearray(100 << 20)\ntime.sleep(600)"
    ) { $0.memoryBytes = 64 << 20 }
    #expect(memory.record.reason == .memoryLimit)
    // The kernel counts the processes of a user until somebody has reaped them: those of no other job are to be among them.
    let alone = try Workbench(layout: CgroupLayout.none, firstUser: .random(in: 730_000..<990_000))
    let forks = try await alone.python(
      """
      import os, time
      n = 0
      while True:
        try:
          if os.fork() == 0: time.sleep(600); os._exit(0)
          n += 1
        except OSError: break
      print(n, flush=True)
      """
    ) { $0.pidsLimit = 10 }
    #expect(forks.stdout == "9\n" && forks.record.reason == .exited)
    let wall = try await bench.shell("trap '' TERM; sleep 600 & while :; do :; done") {
      $0.wallLimitMicroseconds = 200_000
    }
    #expect(wall.record.reason == .wallLimit)
  }
}
