import Foundation
import Glibc
import Testing

extension Acceptance {
  /// What a new user does first, with the bounds that the issue sets.
  @Suite("first minute", .serialized) struct FirstMinute {
    init() throws { try Requirement.check() }

    @Test("four nodes are ready within 10 s, find each other and agree") func readiness() throws {
      let net = LocalTestnet(scratch: try ScratchDirectory(), count: 4)
      defer { net.scratch.remove() }
      defer { _ = try? net.testnet("down", within: 120) }
      let seconds = try net.up()
      expect("testnet up of 4 nodes", took: seconds, below: 10, share: net.processorShare(isWhole: true).value)

      for node in net.nodes {
        try eventually(within: 90, "node \(node) knows three alive peers with round-trip times") {
          let peers = try net.peers(node)
          return peers.count == 3 && peers.allSatisfy { $0.state == "alive" && ($0.rttMicroseconds ?? 0) > 0 }
        }
      }
      let trips = try net.peers(1).compactMap(\.rttMicroseconds)
      measured("round-trip times at node 1", "\(trips) µs")
      let table = try net.linnet(1, "peers")
      #expect(table.code == 0 && table.stdout.split(separator: "\n").count == 4, "\(table.described)")

      let agreed = try net.agreement(within: 90)
      measured("equal height and state root", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
      #expect(try net.testnet("status").stdout.split(separator: "\n").count == 5)

      // A job that runs is a shim and a sandbox of its own: they must not outlive the testnet.
      let job = try net.submit(1, "--", "sleep", "300")
      try eventually(within: 90, "the job runs") { try net.job(1, job).state == "running" }
      // The chain may say so while its provider is about to start it.
      try eventually(within: 90, "four daemons and a shim") { net.processes().count > 4 }
      // What they have for their end cannot be asked afterwards.
      let share = net.processorShare(isWhole: true).value
      let down = try net.testnet("down", within: 120)
      expect("testnet down", took: down.seconds, below: 5, share: share)
      #expect(down.code == 0, "\(down.described)")
      for node in net.nodes {
        let log = try String(contentsOfFile: "\(net.directory)/node\(node)/log", encoding: .utf8)
        #expect(log.contains("stopped"), "node \(node) did not stop by itself")
      }
      // What was killed is there until it has run once more.
      try eventually(within: 60, "nothing is left behind") { net.processes().isEmpty }
    }

    @Test("a job runs elsewhere as if it had run here") func jobs() throws {
      try LocalTestnet.with { net in
        try theJobWithAnInput(net)
        try theExitCodes(net)
        try theOutputDirectory(net)
        try theInterruption(net)
        try theIsolation(net)
      }
    }

    private func theJobWithAnInput(_ net: LocalTestnet) throws {
      let ids = try net.ids()
      let words = (1...20_000).map { "word\($0)" }.joined(separator: " ") + "\n"
      try net.scratch.write(words, to: "report.txt")
      let outcome = try net.linnet(
        1, "run", "-v", "-i", net.scratch.path + "/report.txt", "--", "wc", "-w", "/in/report.txt")
      #expect(outcome.code == 0 && outcome.stdout == "20000 /in/report.txt\n", "\(outcome.described)")
      measured("run of wc on a file", text(outcome.seconds))

      let list = try net.jobs(1)
      let job = try #require(list.first { $0.command.first == "wc" }, "the job is in the list")
      let shown = try net.job(1, job.id)
      let provider = try #require(shown.paidProvider)
      #expect(shown.state == "settled" && shown.exitCode == 0 && shown.submitter == ids[1])
      #expect(provider != ids[1] && ids.values.contains(provider), "run by another node of the testnet")
      #expect(outcome.stderr.contains(provider), "`run -v` says who ran it: \(outcome.stderr)")
      #expect(shown.priceMicrocredits > 0)
      let block = try #require(shown.assignedInBlock)
      #expect(outcome.stderr.contains("assigned in block \(block)"))
      // All nodes say the same of it: it is the ledger's.
      for node in net.nodes {
        try eventually(within: 90, "node \(node) has the job settled") { try net.job(node, job.id).state == "settled" }
        #expect(try net.job(node, job.id).paidProvider == provider)
      }
      measured("ran on", "\(provider.prefix(12)), \(shown.priceMicrocredits) microcredits, assigned in block \(block)")
    }

    private func theExitCodes(_ net: LocalTestnet) throws {
      let own = try net.linnet(2, "run", "--", "sh", "-c", "echo to-out; echo to-err >&2; exit 7")
      #expect(own.code == 7, "\(own.described)")
      #expect(own.stdout == "to-out\n" && own.stderr == "to-err\n", "nothing of linnet's own between: \(own.described)")

      let unknown = try net.linnet(2, "run", "--", "no-such-command-anywhere")
      #expect(unknown.code == 127, "\(unknown.described)")

      let wall = try net.linnet(2, "run", "--wall", "2s", "--", "sleep", "60")
      #expect(wall.code == 124 && wall.stderr.contains("wall limit"), "\(wall.described)")
      measured("run with a wall limit of 2 s", text(wall.seconds))

      let memory = try net.linnet(3, "run", "--memory", "32MiB", "--", "tail", "-n", "1", "/dev/zero")
      #expect(memory.code == 137 && memory.stderr.contains("memory limit"), "\(memory.described)")

      let nobody = try run([Requirement.binary, "run", "--socket", net.scratch.path + "/none.sock", "--", "true"])
      #expect(nobody.code == 125, "\(nobody.described)")
    }

    private func theOutputDirectory(_ net: LocalTestnet) throws {
      let into = net.scratch.path + "/results"
      let outcome = try net.linnet(
        4, "run", "-o", into, "--", "sh", "-c", "mkdir sub && echo one > first.txt && echo two > /out/sub/second.txt")
      #expect(outcome.code == 0, "\(outcome.described)")
      #expect(try String(contentsOfFile: into + "/first.txt", encoding: .utf8) == "one\n")
      #expect(try String(contentsOfFile: into + "/sub/second.txt", encoding: .utf8) == "two\n")
    }

    private func theInterruption(_ net: LocalTestnet) throws {
      let command = try net.startRun(1, "--", "sh", "-c", "echo begun; sleep 300")
      try eventually(within: 90, "the job's output arrives while it runs") { command.stdout == "begun\n" }
      let job = try #require(try net.jobs(1).first { $0.command.last?.contains("sleep 300") == true })
      // Its output takes a shorter way than the block that says so.
      try eventually(within: 90, "it runs") { try net.job(1, job.id).state == "running" }
      command.send(SIGINT)
      let outcome = try command.outcome(within: 90)
      #expect(outcome.code == 130, "\(outcome.described)")
      measured("from Ctrl-C on", "exit code \(outcome.code)")
      let seconds = try eventually(within: 90, "the job is cancelled") { try net.job(1, job.id).state == "cancelled" }
      measured("the job is cancelled after", text(seconds))
      #expect(try net.job(1, job.id).escrowMicrocredits == 0)
      try eventually(within: 90, "its process has ended on the provider") {
        try net.exitRecords().contains { $0.job == job.id && $0.record.reason == "cancelled" }
      }
    }

    private func theIsolation(_ net: LocalTestnet) throws {
      let keys = net.nodes.map { "\(net.directory)/node\($0)/node.key" }
      let sockets = net.nodes.map { "\(net.directory)/node\($0)/control.sock" }
      let script = """
        echo "uid $(id -u)"
        echo "interfaces $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\\n' ' ')"
        for f in \(keys.joined(separator: " ")) /etc/shadow /root/.bashrc; do cat "$f" >/dev/null 2>&1 && echo "READ $f"; done
        for f in \(sockets.joined(separator: " ")); do [ -e "$f" ] && echo "SEES $f"; done
        for f in /usr/x /etc/x /in/x /proc/sys/kernel/core_pattern; do (echo x >"$f") 2>/dev/null && echo "WROTE $f"; done
        mount -t tmpfs none /tmp 2>/dev/null && echo MOUNTED
        unshare -U true 2>/dev/null && echo UNSHARED
        kill -STOP 1 2>/dev/null && grep -q 'State:.*T' /proc/1/status && echo STOPPED
        bash -c 'echo x > /dev/tcp/10.0.0.1/80' 2>/dev/null && echo CONNECTED
        echo end
        """
      let outcome = try net.linnet(1, "run", "--", "sh", "-c", script)
      let lines = outcome.stdout.split(separator: "\n").map(String.init)
      let uid = try #require(lines.first.flatMap { Int($0.dropFirst(4)) }, "\(outcome.described)")
      #expect(uid >= 1_000, "a user of the job's own")
      #expect(
        lines.dropFirst().map { $0.trimmingCharacters(in: .whitespaces) } == ["interfaces lo", "end"],
        "\(outcome.described)")
      measured(
        "what a job sees",
        "uid \(uid), interface lo alone, no key, no control socket; isolation \(try net.status(1).isolation)")
    }
  }

  /// What an idle node costs.
  @Suite("idle", .serialized) struct Idle {
    init() throws { try Requirement.check() }

    @Test("an idle node takes under 1 % of a core") func cost() throws {
      try LocalTestnet.with { net in
        // The offers' blocks and the first links are part of the start.
        try eventually(within: 90, "no work is left") {
          try net.states().allSatisfy { ($0.height ?? 0) >= 1 && $0.peersAlive == 3 }
        }
        // What a start leaves to do, no answer tells of: the last dials, tables of members. On a busy host it takes longer.
        usleep(5_000_000)
        try eventually(within: 25, every: 0, "ten seconds in which every node takes under 1 % of a core") {
          let before = try net.nodes.map { try processorSeconds(of: try net.pid(of: $0)) }
          let started = ContinuousClock.now
          usleep(10_000_000)
          let seconds = started.secondsAgo
          var shares: [Double] = []
          for node in net.nodes {
            let pid = try net.pid(of: node)
            let share = (try processorSeconds(of: pid) - before[node - 1]) / seconds * 100
            measured(
              "node \(node) idle",
              "\((share * 100).rounded() / 100) % of a core, \(try memory(pid) / 1_024) MiB resident", bound: "1 %")
            shares.append(share)
          }
          return shares.allSatisfy { $0 < 1 }
        }
      }
    }

    /// Resident memory in KiB.
    private func memory(_ pid: pid_t) throws -> Int {
      let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
      return Int(line.filter { $0.isNumber }) ?? 0
    }
  }
}
