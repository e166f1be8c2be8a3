import Consensus
import Primitives
import Testing
import Wire

@Suite struct FaultTests {
  @Test func aSilentLeaderIsNullifiedAndTheNextProposes() {
    let network = Network(4)
    let silent = network.leader(of: 3)
    let live = (0..<4).filter { $0 != silent }
    for index in live { network.start(index) }
    #expect(network.run(until: { network.reached(30, live) }, limit: .seconds(30)))
    network.checkSafety()
    #expect(!network.commits.contains { network.leader(of: $0.block.header.view) == silent })
    #expect(network.votesSent.contains { $0.vote.subject == .nullify(epoch: 0, view: 3) })
    // Rule 9: known to be silent, it costs no timeout any more.
    let times = network.commits.filter { $0.node == live[0] }.map(\.at)
    for (earlier, later) in zip(times, times.dropFirst()).suffix(10) {
      #expect(later - earlier < network.settings.delta)
    }
  }

  @Test func aLeaderThatComesBackLeadsAgain() {
    let network = Network(4)
    let late = network.leader(of: 3)
    for index in 0..<4 where index != late { network.start(index) }
    network.run(for: .seconds(5))
    network.start(late)
    network.run(for: .seconds(5))
    network.checkSafety()
    #expect(network.nodes[late].builds > 10)
    #expect(network.commits.contains { network.leader(of: $0.block.header.view) == late })
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
  func progressesUnderLoss(seed: UInt64) {
    let network = Network(4, seed: seed)
    network.lossPartsPerMillion = 200_000
    network.jitter = .milliseconds(30)
    network.diskDelay = .milliseconds(2)
    network.startAll()
    #expect(network.run(until: { network.reached(20) }, limit: .seconds(300)))
    network.checkSafety()
  }

  @Test func aPartitionHeals() {
    let network = Network(4)
    network.startAll()
    network.run(for: .seconds(1))
    network.cuts = { from, to, _ in (from < 2) != (to < 2) }
    network.run(for: .seconds(1))
    let before = network.commits.map(\.block.header.height).max() ?? 0
    network.run(for: .seconds(60))
    #expect(network.commits.map(\.block.header.height).max() == before, "two of four are no quorum")
    network.cuts = { _, _, _ in false }
    #expect(network.run(until: { network.reached(Int(before) + 10) }, limit: .seconds(5)))
    network.checkSafety()
  }

  @Test func aMissingBlockIsFetched() {
    let network = Network(4)
    // Node 3 hears votes and certificates, but no proposal; and nothing becomes final that could be fetched as a chain.
    network.cuts = { _, to, message in
      switch message {
      case .proposal: to == 3
      case .vote(let vote): vote.subject.kind == .finalize
      default: false
      }
    }
    var requests = 0
    network.watch = { from, message, _ in
      if case .blockRequest = message, from == 3 { requests += 1 }
    }
    network.startAll()
    #expect(network.run(until: { (network.nodes[3].machine?.certifiedTip.height ?? 0) >= 5 }, limit: .seconds(30)))
    #expect(requests > 0)
    network.cuts = { _, _, _ in false }
    #expect(network.run(until: { network.reached(10) }, limit: .seconds(10)))
    network.checkSafety()
  }

  @Test func aNodeWithoutProposalsFollowsTheChain() {
    let network = Network(4)
    network.cuts = { _, to, message in
      if case .proposal = message { return to == 3 }
      return false
    }
    network.startAll()
    #expect(network.run(until: { network.reached(50) }, limit: .seconds(30)))
    network.checkSafety()
  }

  /// Stuck in a view that all others have left, while these are idle and say nothing by themselves.
  @Test func whoIsStuckAmongTheIdleIsAnswered() {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(4) }, limit: .seconds(5)))
    network.setWork(false)
    network.run(for: .milliseconds(200))
    let height = network.height(0)
    let stuck = (network.leader(of: network.nodes[0].machine!.view) + 1) % 4
    network.cuts = { _, to, _ in to == stuck }
    network.setWork(true)
    #expect(network.run(until: { (0..<4).contains { network.height($0) == height + 1 } }, limit: .seconds(1)))
    network.setWork(false)
    network.run(for: .milliseconds(100))
    network.cuts = { _, _, _ in false }
    network.step(stuck, .work(isPending: true))
    let final = (0..<4).map { network.height($0) }.max()!
    #expect(network.height(stuck) < final)
    #expect(network.run(until: { network.height(stuck) >= final }, limit: .seconds(2)))
    network.checkSafety()
  }

  /// A node that jumped over a nullified view lacks the nullification to judge the next proposal, and its vote is needed.
  @Test func aMissingNullificationIsFetched() {
    let network = Network(4)
    let leader = network.leader(of: 3)
    let lacking = (leader + 1) % 4
    let muted = (leader + 2) % 4
    network.cuts = { from, to, message in
      switch message {
      case .proposal(let block, _): block.header.view < 3
      case .certificate(let certificate):
        (to == lacking && certificate.subject.view == 1) || (from == muted && certificate.subject.view == 3)
      case .vote(let vote):
        (to == lacking && vote.subject.view == 1) || (from == muted && vote.subject.view == 3)
      default: false
      }
    }
    var requests = 0
    network.watch = { from, message, _ in
      if case .certificateRequest = message, from == lacking { requests += 1 }
    }
    network.startAll()
    #expect(network.run(until: { network.reached(1, [leader]) }, limit: .seconds(5)))
    #expect(network.commits.first?.block.header.view == 3)
    #expect(requests > 0)
    network.checkSafety()
  }

  @Test func lostFinalizesAreSaidAgainAtStandstill() {
    let network = Network(4)
    network.cuts = { _, _, message in
      switch message {
      case .vote(let vote): vote.subject.kind == .finalize
      default: false
      }
    }
    network.startAll()
    network.run(for: .seconds(3))
    #expect(network.commits.isEmpty)
    network.hasWork = false
    network.cuts = { _, _, _ in false }
    // The finalizes said from now on would do; but those of the past must too, so all proposals are stopped.
    network.cuts = { _, _, message in
      if case .proposal = message { return true }
      return false
    }
    #expect(network.run(until: { network.reached(1) }, limit: .seconds(15)))
    network.checkSafety()
  }

  @Test func anInvalidBlockIsNullifiedAtOnce() {
    let network = Network(4)
    let liar = network.leader(of: 3)
    network.corruptBuild = { index, header in
      guard index == liar else { return header }
      var header = header
      header.stateRoot = .zero
      return header
    }
    network.startAll()
    #expect(network.run(until: { network.reached(12) }, limit: .seconds(10)))
    network.checkSafety(byzantine: [liar])
    #expect(!network.commits.contains { network.leader(of: $0.block.header.view) == liar })
    // At once: no timeout of 2Δ was waited for.
    let times = network.commits.filter { $0.node == (liar + 1) % 4 }.map(\.at)
    for (earlier, later) in zip(times, times.dropFirst()) { #expect(later - earlier < network.settings.delta) }
  }

  @Test func aTimestampAheadOfTheClockWaits() {
    let network = Network(4)
    let hasty = network.leader(of: 3)
    network.nodes[hasty].clockOffset = .milliseconds(600)
    network.startAll()
    #expect(network.run(until: { network.reached(3) }, limit: .seconds(5)))
    network.checkSafety()
    let third = network.commits.first { $0.block.header.view == 3 }!
    let proposed = network.proposals.first { $0.view == 3 }!.at
    // 100 ms too far ahead, less one delay until it is seen; then two more delays.
    #expect(third.at - proposed == .milliseconds(100) + network.delay * 2)
  }

  @Test func aTimestampFarAheadIsNullified() {
    let network = Network(4)
    let hasty = network.leader(of: 3)
    network.nodes[hasty].clockOffset = .seconds(3_600)
    network.startAll()
    #expect(network.run(until: { network.reached(10) }, limit: .seconds(30)))
    network.checkSafety()
    #expect(!network.commits.contains { network.leader(of: $0.block.header.view) == hasty })
  }

  @Test func aNodeWhoseExecutionIsWrongStops() {
    let network = Network(4)
    network.misexecuting = [3]
    network.startAll()
    #expect(
      network.run(until: { network.reached(10, [0, 1, 2]) && network.nodes[3].divergence != nil }, limit: .seconds(30)))
    #expect(network.nodes[3].machine?.isHalted == true)
    #expect(network.nodes[3].machine?.nextWake == nil)
    #expect(network.nodes[3].chain.isEmpty)
  }
}
