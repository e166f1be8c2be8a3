import Foundation
import Testing

extension Acceptance {
  /// Nodes that are killed without warning.
  @Suite("crashes", .serialized) struct Crashes {
    init() throws { try Requirement.check() }

    @Test("one node killed while it runs jobs: they run elsewhere, and it comes back") func one() throws {
      try LocalTestnet.with { net in
        let ids = try net.ids()
        let victim = 3
        let victimID = try #require(ids[victim])
        let submitted = try (0..<8).map { _ in
          try net.submit(1, "--cpu-milli", "150", "--memory", "32MiB", "--", "sh", "-c", "sleep 8; echo done")
        }
        try eventually(within: 30, "the victim runs one of the jobs") {
          try net.jobs(1).contains {
            $0.state == "running" && $0.leases.contains { $0.provider == victimID && $0.state == "active" }
          }
        }
        let before = try net.chain(1).height
        let killed = ContinuousClock.now
        try net.crash(victim)
        let hit = try net.jobs(1).filter { $0.leases.contains { $0.provider == victimID } && !$0.hasEnded }.map(\.id)
        measured("jobs on the killed node", "\(hit.count) of \(submitted.count)")

        for node in net.nodes where node != victim {
          try eventually(within: 15, "node \(node) shows it down") {
            try net.peers(node).contains { $0.id == victimID && $0.state == "down" }
          }
        }
        measured("all others show it down after", text(killed.secondsAgo), bound: "15 s")
        #expect(killed.secondsAgo < 15)
        try eventually(within: 15, "the chain goes on") { try net.chain(1).height > before }

        var jobs: [JobJSON] = []
        try eventually(within: 90, every: 200, "all jobs have ended") {
          jobs = try net.jobs(2).filter { submitted.contains($0.id) }
          return jobs.count == submitted.count && jobs.allSatisfy(\.hasEnded)
        }
        measured("all jobs ended after the crash", text(killed.secondsAgo), bound: "90 s")
        for job in jobs where job.state != "settled" || job.exitCode != 0 { Issue.record("\(job)") }
        for job in jobs where hit.contains(job.id) {
          let paid = try #require(job.paidProvider, "\(job)")
          #expect(paid != victimID && job.leases.count >= 2, "reassigned: \(job)")
        }

        let restarted = ContinuousClock.now
        try net.up()
        let agreed = try net.agreement(within: 30)
        measured("restarted, at the tip after", "\(text(restarted.secondsAgo)), height \(agreed.height)", bound: "30 s")
        for node in net.nodes where node != victim {
          try eventually(within: 15, "node \(node) shows it alive again") {
            try net.peers(node).contains { $0.id == victimID && $0.state == "alive" }
          }
        }
        // It votes again, and nobody has seen two votes of it for one view.
        let height = agreed.height
        try eventually(within: 40, "it signs blocks again") {
          let now = try net.chain(1).height
          guard now > height else { return false }
          return try (height + 1...now).contains {
            try net.block(1, $0).certificate?.signers.contains(victimID) == true
          }
        }
        for node in net.nodes {
          for (name, count) in try net.status(node).refused where name.lowercased().contains("conflicting") {
            #expect(count == 0, "node \(node) counted \(name)")
          }
        }
        let again = try net.linnet(victim, "run", "--", "echo", "back")
        #expect(again.code == 0 && again.stdout == "back\n", "\(again.described)")
      }
    }

    @Test("half of the nodes killed: nothing becomes final, and a submitted job runs when they are back") func half()
      throws
    {
      try LocalTestnet.with { net in
        for node in [3, 4] { try net.crash(node) }
        // A block that had its votes when they died may still become final.
        usleep(500_000)
        let before = try net.chain(1).height
        let waiting = try net.submit(1, "--", "echo", "patience")
        // Two idle intervals: with a quorum there would be two blocks at least.
        usleep(10_000_000)
        #expect(try net.chain(1).height == before && net.chain(2).height == before, "two of four are no quorum")
        #expect(try net.job(1, waiting).state == "pending")

        let restarted = ContinuousClock.now
        try net.up()
        try eventually(within: 60, "the job settles") { try net.job(1, waiting).state == "settled" }
        measured("with the quorum back, the job settled after", text(restarted.secondsAgo), bound: "60 s")
        let agreed = try net.agreement(within: 20)
        measured("all nodes at", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
      }
    }

    @Test("a node that was away for a hundred blocks and more catches up") func late() throws {
      try LocalTestnet.with { net in
        let away = 4
        try net.crash(away)
        let before = try net.chain(1).height
        var jobs = 0
        while try net.chain(1).height < before + 100 {
          #expect(try net.linnet(jobs % 3 + 1, "run", "--", "true").code == 0)
          jobs += 1
          guard jobs < 100 else { throw Trouble("a hundred jobs made no hundred blocks") }
        }
        let missed = try net.chain(1).height - before
        let restarted = ContinuousClock.now
        try net.up()
        let agreed = try net.agreement(within: 30)
        measured("\(missed) blocks made by \(jobs) jobs, caught up after", text(restarted.secondsAgo), bound: "30 s")
        #expect(agreed.height >= before + 100)
        for height in [before + 1, before + missed / 2, before + missed] {
          #expect(try net.block(away, height).header.id == net.block(1, height).header.id)
        }
        let books = try net.books(away)
        #expect(books.accounts.reduce(0) { $0 + $1.total } + books.feesBurnt == books.opening)
      }
    }

    @Test("all nodes killed at once: they go on from the last final block") func all() throws {
      try LocalTestnet.with { net in
        let ids = try net.ids()
        for node in [1, 2, 3] {
          #expect(try net.linnet(node, "run", "--", "echo", "\(node)").stdout == "\(node)\n")
        }
        let running = try net.submit(2, "--", "sh", "-c", "sleep 5; echo survived")
        try eventually(within: 30, "it runs") { try net.job(1, running).state == "running" }
        let transfer = try run(net.words(1, ["account", "transfer", try #require(ids[4]), "25"], subcommands: 2))
        #expect(transfer.code == 0 && transfer.stdout.contains("final in block"), "\(transfer.described)")

        let before = try net.books(1)
        let settled = try net.jobs(1).filter(\.hasEnded)
        #expect(settled.count == 3)
        let blocks = try (1...before.height).map { try net.block(1, $0).header.id }
        for node in net.nodes { try net.crash(node) }
        for node in net.nodes {
          let pid = try net.pid(of: node)
          try eventually(within: 5, "node \(node) is gone") { LocalTestnet.isGone(pid) }
        }

        let restarted = ContinuousClock.now
        try net.up()
        measured("up again after", text(restarted.secondsAgo))
        for node in net.nodes { #expect(try net.chain(node).height >= before.height, "nothing final is lost") }
        try eventually(within: 40, "the chain goes on") { try net.chain(1).height > before.height }
        for node in net.nodes {
          for (index, id) in blocks.enumerated() {
            #expect(try net.block(node, UInt64(index + 1)).header.id == id, "node \(node), block \(index + 1)")
          }
        }
        measured("the same blocks on all nodes", "\(blocks.count)")
        let again = try net.jobs(1)
        for job in settled {
          let now = try #require(again.first { $0.id == job.id })
          #expect(
            now.state == job.state && now.priceMicrocredits == job.priceMicrocredits && now.exitCode == job.exitCode)
          #expect(now.paidProvider == job.paidProvider && now.assignedInBlock == job.assignedInBlock)
        }

        // The job was its shim's, not the daemon's: it ran on, once.
        try eventually(within: 60, "the job that ran during the crash settles") { try net.job(1, running).hasEnded }
        let survivor = try net.job(1, running)
        #expect(survivor.state == "settled" && survivor.exitCode == 0 && survivor.leases.count == 1, "\(survivor)")
        #expect(try net.exitRecords().filter { $0.job == running && $0.record.reason == "exited" }.count == 1)
        #expect(try run(net.words(2, ["job", "logs", running], subcommands: 2)).stdout == "survived\n")

        let after = try net.books(1)
        #expect(after.accounts.reduce(0) { $0 + $1.total } + after.feesBurnt == after.opening)
        // Between the two, accounts changed by the survivor's price and by fees, and by nothing else.
        for (old, new) in zip(before.accounts, after.accounts) {
          var fees: UInt64 = 0
          for height in before.height + 1...after.height {
            for transaction in try net.block(1, height).transactions where transaction.from == old.id {
              fees += transaction.feeMicrocredits
            }
          }
          let earned = survivor.paidProvider == old.id ? survivor.priceMicrocredits : 0
          let spent = survivor.submitter == old.id ? survivor.priceMicrocredits : 0
          #expect(old.total + earned == new.total + spent + fees, "\(old) -> \(new)")
        }
        let agreed = try net.agreement(within: 20)
        measured("all nodes at", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
      }
    }
  }
}
