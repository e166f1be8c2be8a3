import Foundation
import Testing

extension Acceptance {
  /// Nodes that are killed without warning.
  @Suite("crashes", .serialized) struct Crashes {
    init() throws { try Requirement.check() }

    @Test("one node killed while it runs jobs: they run elsewhere, and it comes back") func one() throws {
      try LocalTestnet.with { net in
        let ids = try net.ids()
        let share = net.processorShare()
        let options = ["--cpu-milli", "150", "--memory", "32MiB"]
        let words = ["job", "submit"] + options + ["--", "sh", "-c", "sleep 20; echo done"]
        // All at once, so that none has ended before the last is submitted.
        let commands = try (0..<8).map { _ in try ChildProcess(net.words(1, words, subcommands: 2)) }
        let submitted = try commands.map { command in
          let outcome = try command.outcome(within: 90)
          guard outcome.code == 0 else { throw Trouble("job submit: \(outcome.described)") }
          return outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        // Whichever of the two runs one: who does is drawn.
        var victim = 0
        try eventually(within: 90, "node 3 or 4 runs one of the jobs") {
          let running = try net.jobs(1).filter { $0.state == "running" }
          let active = running.flatMap(\.leases).filter { $0.state == "active" }
          victim = [3, 4].first { node in active.contains { $0.provider == ids[node] } } ?? 0
          return victim > 0
        }
        let victimID = try #require(ids[victim])
        let before = try net.chain(1).height
        let killed = ContinuousClock.now
        try net.crashAndWait(victim)
        // What its shims have noted by now may have been on its way to the ledger.
        let done = Set(try net.exitRecords().map(\.job))
        let hit = try net.jobs(1).filter { job in
          job.leases.contains { $0.provider == victimID } && !job.hasEnded && !done.contains(job.id)
        }.map(\.id)
        try #require(!hit.isEmpty, "the killed node had jobs that had not ended")
        measured("jobs on the killed node", "\(hit.count) of \(submitted.count)")

        for node in net.nodes where node != victim {
          try eventually(within: 180, "node \(node) shows it down") {
            try net.peers(node).contains { $0.id == victimID && $0.state == "down" }
          }
        }
        expect("all others show it down", took: killed.secondsAgo, below: 15, share: share.value)
        try eventually(within: 90, "the chain goes on") { try net.chain(1).height > before }

        var jobs: [JobJSON] = []
        try eventually(within: 600, every: 200, "all jobs have ended") {
          jobs = try net.jobs(2).filter { submitted.contains($0.id) }
          return jobs.count == submitted.count && jobs.allSatisfy(\.hasEnded)
        }
        expect("all jobs ended after the crash", took: killed.secondsAgo, below: 90, share: share.value)
        for job in jobs where job.state != "settled" || job.exitCode != 0 { Issue.record("\(job)") }
        for job in jobs where hit.contains(job.id) {
          let paid = try #require(job.paidProvider, "\(job)")
          #expect(paid != victimID && job.leases.count >= 2, "reassigned: \(job)")
        }

        let restarted = ContinuousClock.now
        try net.up()
        let agreed = try net.agreement(within: 180)
        expect(
          "restarted, at the tip, height \(agreed.height)", took: restarted.secondsAgo, below: 30, share: share.value)
        for node in net.nodes where node != victim {
          try eventually(within: 90, "node \(node) shows it alive again") {
            try net.peers(node).contains { $0.id == victimID && $0.state == "alive" }
          }
        }
        // It votes again, and nobody has seen two votes of it for one view.
        let height = agreed.height
        try eventually(within: 180, "it signs blocks again") {
          try net.blocks(1, from: height + 1, to: try net.chain(1).height).values.contains {
            $0.certificate?.signers.contains(victimID) == true
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
        try net.crashAndWait(3, 4)
        // A block that had its votes when they died may still become final, at one node sooner than at the other: until
        // both stand still for two seconds, many times what a vote takes.
        var before: UInt64 = 0
        try eventually(within: 90, every: 0, "what had its votes is final") {
          before = try net.chain(1).height
          usleep(2_000_000)
          return try net.chain(1).height == before && net.chain(2).height == before
        }
        let waiting = try net.submit(1, "--", "echo", "patience")
        // Two idle intervals: with a quorum there would be two blocks at least.
        usleep(10_000_000)
        #expect(try net.chain(1).height == before && net.chain(2).height == before, "two of four are no quorum")
        #expect(try net.job(1, waiting).state == "pending")

        let restarted = ContinuousClock.now
        try net.up()
        try eventually(within: 300, "the job settles") { try net.job(1, waiting).state == "settled" }
        expect(
          "with the quorum back, the job settled", took: restarted.secondsAgo, below: 60,
          share: net.processorShare(isWhole: true).value)
        let agreed = try net.agreement(within: 90)
        measured("all nodes at", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
      }
    }

    @Test("a node that was away for a hundred blocks and more catches up") func late() throws {
      try LocalTestnet.with { net in
        let away = 4
        try net.crashAndWait(away)
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
        let agreed = try net.agreement(within: 180)
        expect(
          "catching up with \(missed) blocks made by \(jobs) jobs", took: restarted.secondsAgo, below: 30,
          share: net.processorShare(isWhole: true).value)
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
        // Long enough to be running still when all are killed, however busy the host is.
        let running = try net.submit(2, "--", "sh", "-c", "sleep 20; echo survived")
        try eventually(within: 90, "it runs") { try net.job(1, running).state == "running" }
        let transfer = try run(net.words(1, ["account", "transfer", try #require(ids[4]), "25"], subcommands: 2))
        #expect(transfer.code == 0 && transfer.stdout.contains("final in block"), "\(transfer.described)")

        let before = try net.books(1)
        let blocks = try net.blocks(1, to: before.height)
        #expect(UInt64(blocks.count) == before.height)
        let settled = try net.jobs(1).filter(\.hasEnded)
        #expect(settled.count == 3)
        try net.crashAndWait(Array(net.nodes))
        #expect(try net.exitRecords().allSatisfy { $0.job != running }, "it ran when all were killed")

        let restarted = ContinuousClock.now
        try net.up()
        expect(
          "all nodes restarted", took: restarted.secondsAgo, below: 60, share: net.processorShare(isWhole: true).value)
        for node in net.nodes { #expect(try net.chain(node).height >= before.height, "nothing final is lost") }
        try eventually(within: 90, "the chain goes on") { try net.chain(1).height > before.height }
        for node in net.nodes {
          let now = try net.blocks(node, to: before.height)
          for (height, block) in blocks {
            #expect(now[height]?.header.id == block.header.id, "node \(node), block \(height)")
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
        try eventually(within: 180, "the job that ran during the crash settles") { try net.job(1, running).hasEnded }
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
        let agreed = try net.agreement(within: 90)
        measured("all nodes at", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
      }
    }
  }
}
