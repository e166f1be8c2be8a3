import Foundation
import Testing

extension Acceptance {
  /// Nodes that are killed again and again, in the middle of whatever they do.
  @Suite("kills", .serialized) struct Kills {
    static let rounds = 100
    static let nodes = 7

    init() throws { try Requirement.check() }

    /// Its numbers are in the output, so that a failure can be played again: the rounds, not the scheduler.
    struct Dice {
      var state: UInt64

      /// Below `bound` (SplitMix64).
      mutating func roll(_ bound: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
      }

      /// Some of the nodes: one most often, a few, now and then all.
      mutating func victims() -> [Int] {
        let count =
          switch roll(20) {
          case 0..<10: 1
          case 10..<15: 2
          case 15..<18: 3
          case 18: 4
          default: nodes
          }
        var left = Array(1...nodes)
        return (0..<count).map { _ in left.remove(at: roll(left.count)) }
      }
    }

    /// A job that a node took, and what became of that node.
    struct Submitted {
      var id: String
      var node: Int
      var round: Int
    }

    @Test("100 rounds of kill -9 of random nodes of seven: one chain, no vote contradicts another, every job ends")
    func hundredRounds() throws {
      try LocalTestnet.with(nodes: Kills.nodes) { net in
        var dice = Dice(state: .random(in: 0 ... .max))
        print("  dice: \(dice.state)")
        let ids = try net.ids()
        let target = try #require(ids[1])
        let connections = Dictionary(uniqueKeysWithValues: net.nodes.map { ($0, net.connection(to: $0)) })
        var daemons: [Int: ChildProcess] = [:]
        // They are ended before the testnet goes down, whatever happens.
        defer {
          for (_, daemon) in daemons { daemon.send(SIGTERM) }
          for (_, daemon) in daemons { _ = try? daemon.outcome(within: 60) }
        }
        var votes = JournalVotes()
        var submitted: [Submitted] = []
        var kills: [(node: Int, round: Int)] = []
        var transfers = 0
        let began = ContinuousClock.now
        for round in 1...Kills.rounds {
          load(round, connections, target, &dice, &submitted, &transfers)
          // The random moment that the test is about; nothing is waited for.
          usleep(UInt32(dice.roll(250_000)))
          let victims = dice.victims()
          try net.crashAndWait(victims)
          for victim in victims {
            kills.append((victim, round))
            // What was durable when it died: what it says later must not contradict it.
            votes.read(directory: net.journal(of: victim))
          }
          usleep(UInt32(dice.roll(300_000)))
          for victim in victims { daemons[victim] = try net.start(victim) }
          // Some rounds find nodes in the middle of their start, others a whole committee.
          usleep(UInt32(200_000 + dice.roll(700_000)))
          for (node, daemon) in daemons where !daemon.isRunning {
            throw Trouble("round \(round): node \(node) ended by itself\n\(net.log(of: node).suffix(2_000))")
          }
        }
        measured("\(Kills.rounds) rounds, \(kills.count) kills", text(began.secondsAgo))

        let last = ContinuousClock.now
        let share = net.processorShare()
        try eventually(within: 300, every: 200, "all nodes answer after the last kill") {
          try net.states().allSatisfy { $0.height != nil }
        }
        _ = try net.agreement(within: 300)
        expect("all nodes agree after the last kill", took: last.secondsAgo, below: 90, share: share.value)
        try jobsEnd(net, submitted, kills)
        expect("every job had ended after the last kill", took: last.secondsAgo, below: 120, share: share.value)

        let agreed = try net.agreement(within: 90)
        try oneChain(net, agreed.height)
        for node in net.nodes { votes.read(directory: net.journal(of: node)) }
        measured(
          "votes read in journals", "\(votes.count), own \(votes.ownCount), turns \(votes.turns.count)",
          bound: "no contradiction")
        // Each final block alone has the votes of five of the seven.
        #expect(votes.ownCount > Int(agreed.height) && votes.turns.count > Int(agreed.height))
        #expect(votes.contradictions.isEmpty, "\(votes.contradictions.prefix(3))")
        for node in net.nodes {
          let inspected = try net.inspect(node, "--json")
          #expect(inspected.code == 0, "node \(node): \(inspected.stdout.suffix(500)) \(inspected.stderr)")
          for (name, count) in try net.status(node).refused where name.lowercased().contains("conflicting") {
            #expect(count == 0, "node \(node) counted \(name)")
          }
          for validator in try net.validators(node).validators { #expect(validator.state == "active", "\(validator)") }
        }
        let books = try net.books(Int.random(in: net.nodes))
        let held = books.accounts.reduce(0) { $0 + $1.total }
        measured("opening \(books.opening) =", "held \(held) + fees burnt \(books.feesBurnt) at height \(books.height)")
        #expect(held + books.feesBurnt == books.opening)
        measured("load", "\(submitted.count) jobs, \(transfers) transfers")
        #expect(submitted.count >= Kills.rounds / 2)
      }
    }

    /// Jobs and transfers at nodes that may be dead, or die before they answer.
    private func load(
      _ round: Int, _ connections: [Int: NodeConnection], _ target: String, _ dice: inout Dice,
      _ submitted: inout [Submitted], _ transfers: inout Int
    ) {
      struct ID: Decodable { var id: String }
      let seconds = ["0.05", "0.3", "1.5"][dice.roll(3)]
      let job =
        #"{"command": ["sleep", "\#(seconds)"], "cpuMilli": 100, "memoryBytes": 33554432, "#
        + #""diskBytes": 16777216, "wallLimitSeconds": 20}"#
      let first = 1 + dice.roll(Kills.nodes)
      for step in 0..<Kills.nodes {
        let node = (first + step - 1) % Kills.nodes + 1
        guard let answer = connections[node]?.ask("POST", "/v1/jobs", job, seconds: 2) else { continue }
        guard answer.status == 201, let id = try? JSONDecoder().decode(ID.self, from: Data(answer.body)) else { break }
        submitted.append(Submitted(id: id.id, node: node, round: round))
        break
      }
      for _ in 0..<3 {
        let node = 1 + dice.roll(Kills.nodes)
        // Nobody waits for the block: a route that does would be in the way of the next kill.
        let body = #"{"to": "\#(target)", "amountMicrocredits": \#(1 + dice.roll(1_000))}"#
        let connection = connections[node]
        if connection?.post("/v1/transfers", body) == true { transfers += 1 }
      }
    }

    /// Every job that came into the ledger ends. One that did not was known to nobody but a node that was killed.
    private func jobsEnd(
      _ net: LocalTestnet, _ submitted: [Submitted], _ kills: [(node: Int, round: Int)]
    ) throws {
      // Who submitted a job and lived since may have had to sign it anew, which gives it another id: only that node knows
      // it by the id that it told.
      var found: [String: JobJSON] = [:]
      var jobs: [JobJSON] = []
      try eventually(within: 600, every: 500, "every job in the ledger has ended") {
        jobs = try net.jobs(2)
        let known = Dictionary(uniqueKeysWithValues: jobs.map { ($0.id, $0) })
        let connections = Dictionary(uniqueKeysWithValues: net.nodes.map { ($0, net.connection(to: $0)) })
        found = [:]
        for job in submitted {
          found[job.id] = try known[job.id] ?? connections[job.node]?.json(JobJSON.self, "/v1/jobs/\(job.id)")
        }
        return jobs.allSatisfy(\.hasEnded) && found.values.allSatisfy(\.hasEnded)
      }
      var lost = 0
      for job in submitted where found[job.id] == nil {
        lost += 1
        // Two rounds take longer than a job to reach the others.
        #expect(
          kills.contains { $0.node == job.node && (job.round...job.round + 2).contains($0.round) },
          "the job \(job.id) of node \(job.node) is nowhere, and the node lived for two rounds")
      }
      let ledger = Set(try net.jobs(2).map(\.id))
      for job in found.values { #expect(ledger.contains(job.id), "no block holds \(job)") }
      let states = Dictionary(grouping: jobs, by: \.state).mapValues(\.count)
      measured("jobs", "\(states), \(lost) died with their node before a block held them")
      #expect(jobs.count >= submitted.count - lost && jobs.contains { $0.state == "settled" })
      // Three in ten jobs have their node killed in their round, as a rule after the job was spread.
      #expect(lost * 5 <= submitted.count * 2, "most jobs reach the ledger")
    }

    /// The same block at each height, on every node.
    private func oneChain(_ net: LocalTestnet, _ height: UInt64) throws {
      let started = ContinuousClock.now
      var chain: [UInt64: String] = [:]
      for node in net.nodes {
        let blocks = try net.blocks(node, to: height)
        // A node that was level all the time has every block of the epoch; pruning would take whole epochs.
        #expect(UInt64(blocks.count) == height, "node \(node) has \(blocks.count) of \(height) blocks")
        for (number, block) in blocks {
          if let id = chain[number] {
            #expect(block.header.id == id, "node \(node), block \(number)")
          } else {
            chain[number] = block.header.id
          }
          if let parent = blocks[number - 1] { #expect(block.header.parent == parent.header.id) }
        }
      }
      measured("the same blocks on all nodes", "\(height), read in \(text(started.secondsAgo))")
    }
  }
}
