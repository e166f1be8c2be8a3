import Consensus
import Primitives
import Testing
import Wire

@Suite struct RecoveryTests {
  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
  func restartsNeverContradict(seed: UInt64) {
    let network = Network(4, seed: seed)
    network.diskDelay = .milliseconds(3)
    network.jitter = .milliseconds(5)
    network.startAll()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<40 {
      network.run(for: generator.span(upTo: .milliseconds(300)))
      let victim = generator.index(below: 4)
      network.crash(victim)
      network.run(for: generator.span(upTo: .milliseconds(100)))
      network.start(victim)
    }
    let height = (0..<4).map { network.height($0) }.max()!
    #expect(height > 0)
    #expect(network.run(until: { network.reached(height + 10) }, limit: .seconds(20)))
    network.checkSafety()
  }

  @Test(arguments: [1, 2, 4])
  func allRestartedAtOnceResume(count: Int) {
    let network = Network(count)
    network.diskDelay = .milliseconds(3)
    network.startAll()
    for round in 1...12 {
      network.run(for: .milliseconds(97) + Microseconds(Int64(round) * 3_700))
      let height = (0..<count).map { network.height($0) }.max()!
      for index in 0..<count { network.crash(index) }
      network.startAll()
      #expect(network.run(until: { network.reached(height + 2) }, limit: .seconds(10)), "round \(round)")
    }
    network.checkSafety()
  }

  /// All of them crash between their votes of one view: no certificate, only own votes in the journals.
  @Test func votesOfTheCrashedViewAreSaidAgain() {
    let network = Network(4)
    network.cuts = { _, _, message in
      switch message {
      case .vote(let vote): vote.subject.view == 4
      default: false
      }
    }
    network.startAll()
    #expect(network.run(until: { network.reached(3) }, limit: .seconds(5)))
    for index in 0..<4 { network.crash(index) }
    network.cuts = { _, _, _ in false }
    network.startAll()
    #expect(network.run(until: { network.reached(6) }, limit: .seconds(5)))
    network.checkSafety()
  }

  @Test func aCheckpointStandsForTheWholeJournal() throws {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(5) }, limit: .seconds(5)))
    network.cuts = { _, _, message in
      if case .vote(let vote) = message { return vote.subject.kind == .finalize }
      return false
    }
    network.run(for: .seconds(1))
    #expect(network.commits.count < 60)
    for index in 0..<4 {
      let full = network.nodes[index].journal.count
      let checkpoint = try network.nodes[index].machine!.checkpoint().map {
        try ConsensusRecord(decoding: $0.encoded)
      }
      #expect(checkpoint.count < full)
      network.crash(index)
      network.nodes[index].journal = checkpoint
    }
    let height = network.height(0)
    network.cuts = { _, _, _ in false }
    network.startAll()
    #expect(network.run(until: { network.reached(height + 20) }, limit: .seconds(5)))
    network.checkSafety()
    // The blocks certified before the crash were kept.
    let views = network.commits.map(\.block.header.view).max()!
    #expect(network.votesSent.filter { $0.vote.subject.kind == .nullify }.count < 8)
    #expect(views < UInt64(network.commits.map(\.block.header.height).max()!) + 4)
  }

  @Test func recoveredVotesBind() {
    let network = Network(4)
    let leader = network.leader(of: 1)
    let index = (leader + 1) % 4
    // It nullified view 1 in an earlier life; a valid proposal of view 1 must not tempt it.
    network.nodes[index].journal = [.ownVote(network.vote(.nullify(epoch: 0, view: 1), by: index).value)]
    network.startAll()
    #expect(network.run(until: { network.reached(3) }, limit: .seconds(10)))
    let signed = network.votesSent.filter { $0.node == index && $0.vote.subject.view == 1 }.map(\.vote.subject.kind)
    #expect(!signed.isEmpty && signed.allSatisfy { $0 == .nullify })
    network.checkSafety()
  }

  @Test func aRecoveredFinalizeForbidsToNullify() {
    let network = Network(7)
    let leader = network.leader(of: 1)
    let index = (leader + 1) % 7
    let subject = VoteSubject.finalize(epoch: 0, view: 1, parentView: 0, blockID: Digest(hashing: [1]))
    network.nodes[index].journal = [.ownVote(network.vote(subject, by: index).value)]
    // The leader of view 1 is silent, so all others nullify it; this one may not.
    let live = (0..<7).filter { $0 != leader }
    for node in live { network.start(node) }
    #expect(network.run(until: { network.reached(3, live) }, limit: .seconds(20)))
    #expect(network.votesSent.contains { $0.vote.subject == .nullify(epoch: 0, view: 1) })
    #expect(!network.votesSent.contains { $0.node == index && $0.vote.subject == .nullify(epoch: 0, view: 1) })
    network.checkSafety()
  }

  @Test func damagedRecordsAreDroppedAndVotesStillBind() {
    let network = Network(4)
    let other = network.vote(.nullify(epoch: 0, view: 1), by: 0).value
    let short = network.certificate(.nullify(epoch: 0, view: 2), by: [0, 1])
    network.nodes[2].journal = [.ownVote(other), .certificate(short)]
    network.startAll()
    let machine = network.nodes[2].machine!
    #expect(machine.counters["recoveredVoteUnfit"] == 1)
    #expect(machine.counters["recoveredCertificateUnfit"] == 1)
    #expect(machine.view == 1)
    #expect(network.run(until: { network.reached(3) }, limit: .seconds(10)))
  }

  @Test func aLateNodeCatchesUpOverTwoHundredBlocks() {
    let network = Network(4, observers: 1)
    for index in 0..<3 { network.start(index) }
    #expect(network.run(until: { network.reached(200, [0, 1, 2]) }, limit: .seconds(600)))
    network.start(3)
    network.start(4)
    network.run(for: .seconds(2))
    network.checkSafety()
    for late in [3, 4] { #expect(network.height(late) + 4 >= network.height(0)) }
    #expect(network.run(until: { network.proposals.contains { network.leader(of: $0.view) == 3 } }, limit: .seconds(5)))
  }

  @Test(arguments: [3, 4])
  func aLateNodeCatchesUpWithAQuietNetwork(late: Int) {
    let network = Network(4, observers: 1)
    for index in 0..<3 { network.start(index) }
    #expect(network.run(until: { network.reached(20, [0, 1, 2]) }, limit: .seconds(60)))
    network.setWork(false)
    network.run(for: .milliseconds(200))
    let height = network.height(0)
    network.start(late)
    // Long before the idle interval is over.
    #expect(network.run(until: { network.reached(height, [late]) }, limit: .milliseconds(200)))
    network.checkSafety()
  }

  @Test func catchingUpSurvivesLossAndUselessPeers() {
    let network = Network(4)
    for index in 0..<3 { network.start(index) }
    #expect(network.run(until: { network.reached(150, [0, 1, 2]) }, limit: .seconds(600)))
    // One peer never serves, and a third of everything is lost.
    network.cuts = { from, _, message in
      if case .chain = message { return from == 0 }
      return false
    }
    network.lossPartsPerMillion = 300_000
    network.start(3)
    #expect(network.run(until: { network.height(3) > 150 }, limit: .seconds(60)))
    network.checkSafety()
  }
}
