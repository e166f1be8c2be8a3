import Foundation
import Testing

extension Acceptance {
  /// A hundred jobs at once, and the books after them.
  @Suite("many jobs", .serialized) struct ManyJobs {
    init() throws { try Requirement.check() }

    @Test("100 jobs from two nodes: each runs once, all settle, the books balance") func hundred() throws {
      try LocalTestnet.with { net in
        let ids = try net.ids()
        let share = net.processorShare()
        let started = ContinuousClock.now
        // All at once: every command is a process of its own, started before any is waited for.
        // The jobs last, so that the nodes' loads count when they are drawn, and not which node is the quickest.
        let commands = try (0..<100).map { number in
          try ChildProcess(
            net.words(
              number % 2 + 1,
              [
                "job", "submit", "--cpu-milli", "100", "--memory", "32MiB", "--disk", "16MiB", "--", "sh", "-c",
                "sleep 2; echo $LINNET_JOB",
              ], subcommands: 2))
        }
        let submitted = try commands.map { command in
          let outcome = try command.outcome(within: 300)
          guard outcome.code == 0 else { throw Trouble("job submit: \(outcome.described)") }
          return outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        measured("100 jobs submitted after", text(started.secondsAgo))
        #expect(Set(submitted).count == 100)

        var jobs: [JobJSON] = []
        try eventually(within: 600, every: 500, "all 100 jobs have ended") {
          jobs = try net.jobs(3).filter { submitted.contains($0.id) }
          return jobs.count == 100 && jobs.allSatisfy(\.hasEnded)
        }
        expect("100 jobs settled", took: started.secondsAgo, below: 120, share: share.value)
        for job in jobs where job.state != "settled" || job.exitCode != 0 { Issue.record("\(job)") }

        let records = try net.exitRecords().filter { submitted.contains($0.job) }
        for job in submitted {
          let runs = records.filter { $0.job == job }
          #expect(
            runs.count == 1 && runs.first?.record.reason == "exited" && runs.first?.record.exitCode == 0,
            "\(job): \(runs)")
          let provider = jobs.first { $0.id == job }?.paidProvider
          #expect(runs.first.flatMap { ids[$0.node] } == provider, "who ran it is who was paid")
        }
        let spread = net.nodes.map { node in records.filter { $0.node == node }.count }
        measured("runs by node", "\(spread)", bound: "at least 10 each")
        #expect(spread.allSatisfy { $0 >= 10 })
        // A job's output is what it printed on that provider.
        let one = try #require(submitted.last)
        #expect(try run(net.words(2, ["job", "logs", one], subcommands: 2)).stdout == one + "\n")

        let agreed = try net.agreement(within: 90)
        measured("all nodes at", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
        let books = try net.books(1)
        let held = books.accounts.reduce(0) { $0 + $1.total }
        measured("opening \(books.opening) =", "held \(held) + fees burnt \(books.feesBurnt) at height \(books.height)")
        #expect(held + books.feesBurnt == books.opening)
        let paid = jobs.reduce(0) { $0 + $1.priceMicrocredits }
        measured("paid for the 100 jobs", "\(paid) microcredits")
        #expect(paid > 0)
      }
    }
  }
}
