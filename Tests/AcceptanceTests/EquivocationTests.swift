import Foundation
import Testing

extension Acceptance {
  /// A validator that signs votes which contradict each other: the daemon with a fault in it (make equivocator).
  @Suite("equivocation", .serialized) struct Equivocation {
    init() throws { try Requirement.check() }

    @Test("a validator that contradicts itself is slashed on the chain, named by `linnet peer`, and nobody else is")
    func slashed() throws {
      try LocalTestnet.with(options: ["--epoch-blocks", "12"]) { net in
        let ids = try net.ids()
        let culprit = 4
        let culpritID = try #require(ids[culprit])
        let stake = try net.account(1, culpritID).stakeMicrocredits
        #expect(stake > 0)
        let honest = [1, 2, 3]
        var trickle = Trickle(net, nodes: honest, target: try #require(ids[1]))
        for _ in 0..<3 { trickle.next() }
        try net.crashAndWait(culprit)
        let started = ContinuousClock.now
        let daemon = try net.start(culprit, binary: Requirement.equivocator)
        defer {
          daemon.send(SIGTERM)
          _ = try? daemon.outcome(within: 60)
        }
        var detail: PeerDetailJSON?
        try eventually(within: 300, every: 10, "the evidence is in a block") {
          guard daemon.isRunning else {
            throw Trouble("the faulty daemon ended: \(net.log(of: culprit).suffix(2_000))")
          }
          trickle.next()
          detail = try net.json(PeerDetailJSON.self, 1, "peer", culpritID)
          return detail?.slashes.isEmpty == false
        }
        let slash = try #require(detail?.slashes.first)
        expect(
          "slashed after its start: \(slash.kind) in view \(slash.view) of epoch \(slash.epoch), in block \(slash.inBlock)",
          took: started.secondsAgo, below: 60, share: net.processorShare(isWhole: true).value)
        #expect(["conflicting-notarize", "conflicting-finalize", "nullify-and-finalize"].contains(slash.kind))
        #expect(honest.contains { ids[$0] == slash.reporter })

        // Every node says so, for people too, and of nobody else.
        for node in honest {
          var told: PeerDetailJSON?
          try eventually(within: 90, "node \(node) knows") {
            told = try net.json(PeerDetailJSON.self, node, "peer", culpritID)
            return told?.slashes.isEmpty == false && told?.jailed == true
          }
          #expect(told?.slashes.first?.inBlock == slash.inBlock)
          let people = try net.linnet(node, "peer", culpritID)
          #expect(people.code == 0 && people.stdout.contains(slash.kind), "\(people.described)")
          for other in honest where other != node {
            let peer = try net.json(PeerDetailJSON.self, node, "peer", try #require(ids[other]))
            #expect(peer.slashes.isEmpty && !peer.jailed, "\(peer)")
          }
        }
        let block = try net.block(1, slash.inBlock)
        #expect(block.transactions.contains { $0.kind == "evidence" && $0.from == slash.reporter })

        // Part of the stake is burnt, and is nowhere else.
        let account = try net.account(1, culpritID)
        let burnt = stake - account.stakeMicrocredits
        measured("its stake", "\(stake) -> \(account.stakeMicrocredits) microcredits")
        #expect(burnt > 0 && slash.burntMicrocredits == burnt)
        let books = try net.books(2)
        #expect(books.accounts.reduce(0) { $0 + $1.total } + books.feesBurnt + burnt == books.opening)

        // It is out from the second epoch on, and the others go on without it.
        let jailed = try #require(try net.validators(1).validators.first { $0.id == culpritID })
        #expect(jailed.state == "jailed", "\(jailed)")
        let out = try #require(jailed.changesInEpoch)
        try eventually(within: 300, every: 1, "epoch \(out) has begun") {
          trickle.next()
          return try net.chain(1).epoch >= out
        }
        let height = try net.chain(1).height
        var later: [UInt64: BlockJSON] = [:]
        try eventually(within: 180, every: 1, "five blocks more") {
          trickle.next()
          later = try net.blocks(1, from: height + 1, to: try net.chain(1).height)
          return later.count >= 5
        }
        for later in later.values { #expect(later.certificate?.signers.contains(culpritID) != true) }
        _ = try net.agreement(of: honest, within: 90)
        var votes = JournalVotes()
        for node in honest { votes.read(directory: net.journal(of: node)) }
        measured("contradictions in the honest nodes' journals", "\(votes.contradictions.count), all of one voter")
        #expect(Set(votes.contradictions.map(\.0.voter)).count <= 1)
      }
    }
  }
}
