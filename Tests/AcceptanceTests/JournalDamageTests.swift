import Foundation
import Testing

extension Acceptance {
  /// Journals that lost something: the node says so, follows without a vote, and votes again in an epoch for which
  /// nothing can be lost.
  @Suite("damaged journals", .serialized) struct DamagedJournals {
    init() throws { try Requirement.check() }

    enum Damage: String, CaseIterable {
      case cut
      case flipped
      case deleted

      /// Does it, and returns what it did.
      func apply(to directory: String) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".journal") }
        guard let last = names.max() else { throw Trouble("no journal in \(directory)") }
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(last)")))
        switch self {
        case .deleted:
          for name in names { try FileManager.default.removeItem(atPath: "\(directory)/\(name)") }
          return "\(names.count) segments deleted"
        case .cut: bytes.removeLast(bytes.count / 2)
        case .flipped: bytes[bytes.count / 2] ^= 0x10
        }
        try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/\(last)"))
        return "\(last) \(rawValue), now \(bytes.count) bytes"
      }

      /// What the node must say of it; each is in the log.
      var words: [String] {
        switch self {
        case .cut: ["lostRecords", "badRecord", "brokenChain"]
        case .flipped: ["badRecord", "lostRecords", "brokenChain"]
        case .deleted: ["no journal", "lost", "missing"]
        }
      }
    }

    @Test("a journal cut, one with a changed bit, one deleted: each node says so, abstains, and votes in a later epoch")
    func damaged() throws {
      // Ten validators tolerate three that do not vote.
      try LocalTestnet.with(nodes: 10, options: ["--epoch-blocks", "24"]) { net in
        let ids = try net.ids()
        let victims: [(node: Int, damage: Damage)] = [(8, .cut), (9, .flipped), (10, .deleted)]
        let healthy = Array(1...7)
        var trickle = Trickle(net, nodes: healthy, target: try #require(ids[1]))
        while try net.chain(1).height < 30 { trickle.next() }
        var votes = JournalVotes()
        var daemons: [ChildProcess] = []
        defer {
          for daemon in daemons { daemon.send(SIGTERM) }
          for daemon in daemons { _ = try? daemon.outcome(within: 60) }
        }
        for (node, damage) in victims {
          try net.crashAndWait(node)
          let own = votes.read(directory: net.journal(of: node))
          #expect(own > 0)
          let whole = try net.inspect(node)
          #expect(whole.code == 0, "\(whole.described)")
          let done = try damage.apply(to: net.journal(of: node))
          let seen = try net.inspect(node)
          measured("node \(node): \(done); inspect", "exit code \(seen.code)")
          if damage != .deleted {
            #expect(damage.words.contains { seen.stdout.contains($0) }, "inspect says what it found: \(seen.described)")
          }
        }
        let restarted = ContinuousClock.now
        for (node, _) in victims { daemons.append(try net.start(node)) }
        var reasons: [Int: String] = [:]
        try eventually(within: 90, "the three answer and abstain") {
          for (node, _) in victims where reasons[node] == nil {
            guard let status = try net.connection(to: node).json(StatusJSON.self, "/v1/status") else { continue }
            #expect(status.voting.state == "abstaining", "node \(node): \(status.voting)")
            reasons[node] = status.voting.reason ?? ""
          }
          return reasons.count == victims.count
        }
        for (node, damage) in victims {
          let reason = reasons[node] ?? ""
          measured("node \(node), journal \(damage.rawValue), says", reason)
          let log = net.log(of: node)
          #expect(damage.words.contains { reason.contains($0) || log.contains($0) }, "\(log.suffix(1_500))")
        }

        // While they abstain, no new block has a vote of theirs; then all three vote again.
        let before = try net.chain(1).height
        var again: [Int: (epoch: UInt64, seconds: Double)] = [:]
        try eventually(within: 600, every: 1, "all three vote again") {
          trickle.next()
          for (node, _) in victims where again[node] == nil {
            guard let status = try net.connection(to: node).json(StatusJSON.self, "/v1/status"),
              status.voting.state == "voting"
            else { continue }
            again[node] = (status.epoch, restarted.secondsAgo)
          }
          return again.count == victims.count
        }
        var height = try net.chain(1).height
        let firstEpochs = Dictionary(uniqueKeysWithValues: again.map { (ids[$0.key] ?? "", $0.value.epoch) })
        var signed: Set<String> = []
        try eventually(within: 300, every: 1, "certificates have their signatures again") {
          trickle.next()
          let now = try net.chain(1).height
          for block in try net.blocks(1, from: height + 1, to: now).values {
            signed.formUnion(block.certificate?.signers.filter { firstEpochs[$0] != nil } ?? [])
          }
          height = now
          return signed.count == victims.count
        }
        measured(
          "they vote again",
          again.sorted { $0.key < $1.key }.map {
            "node \($0.key) in epoch \($0.value.epoch) after \(text($0.value.seconds))"
          }.joined(separator: ", "))
        for (number, block) in try net.blocks(1, from: before + 1, to: height) {
          for signer in block.certificate?.signers ?? [] {
            guard let first = firstEpochs[signer] else { continue }
            #expect(
              block.header.epoch >= first, "block \(number) of epoch \(block.header.epoch) has a vote of \(signer)")
          }
        }

        _ = try net.agreement(of: Array(net.nodes), within: 120)
        for node in net.nodes { votes.read(directory: net.journal(of: node)) }
        measured("votes read in journals", "\(votes.count), own \(votes.ownCount)", bound: "no contradiction")
        #expect(votes.contradictions.isEmpty, "\(votes.contradictions.prefix(3))")
        for validator in try net.validators(1).validators { #expect(validator.state == "active", "\(validator)") }
        for node in healthy {
          for (name, count) in try net.status(node).refused where name.lowercased().contains("conflicting") {
            #expect(count == 0, "node \(node) counted \(name)")
          }
        }
      }
    }
  }
}
