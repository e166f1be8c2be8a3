import Consensus
import Primitives
import Testing
import Wire

@Suite struct HappyPathTests {
  @Test(arguments: [1, 2, 3, 4, 7])
  func finalizesAfterThreeDelays(count: Int) {
    let network = Network(count)
    network.startAll()
    #expect(network.run(until: { network.reached(20) }, limit: .seconds(10)))
    network.checkSafety()
    // Each block is final on every node three message delays after it was proposed. Alone there are no messages; of two
    // the leader is done when the other has answered.
    let expected: ClosedRange<Int64> = count == 1 ? 0...0 : count == 2 ? 2...3 : 3...3
    for proposal in network.proposals {
      for commit in network.commits where commit.block.header.view == proposal.view {
        #expect(expected.contains((commit.at - proposal.at).count / network.delay.count))
      }
    }
    #expect(Set(network.commits.map(\.block.header.height)).count >= 20)
    for node in network.nodes { #expect(node.machine!.counters["conflictingVote"] == 0) }
  }

  @Test func aBlockEveryTwoDelays() {
    var parameters = ChainParameters()
    parameters.blockIntervalMinimumMilliseconds = 10
    let network = Network(4, parameters: parameters)
    network.startAll()
    #expect(network.run(until: { network.reached(20) }, limit: .seconds(10)))
    let times = network.proposals.map(\.at)
    for (earlier, later) in zip(times, times.dropFirst()) { #expect(later - earlier == network.delay * 2) }
  }

  @Test func leadersTakeTurns() {
    let network = Network(7)
    network.startAll()
    #expect(network.run(until: { network.reached(21) }, limit: .seconds(10)))
    for index in 0..<7 { #expect((3...4).contains(network.nodes[index].builds)) }
    let machine = network.nodes[0].machine!
    #expect(Set((1...7).map { machine.leader(of: $0) }).count == 7)
    #expect(machine.leader(of: 3) == machine.leader(of: 10))
    #expect(machine.leader(of: .max) == machine.leader(of: UInt64.max % 7))
  }

  @Test func aSlowDiskDelaysButNeverReorders() {
    let network = Network(4)
    network.diskDelay = .milliseconds(7)
    network.startAll()
    // The harness checks each vote that leaves against the synced journal.
    #expect(network.run(until: { network.reached(30) }, limit: .seconds(10)))
    network.checkSafety()
    for commit in network.commits {
      let proposed = network.proposals.first { $0.view == commit.block.header.view }!.at
      #expect(commit.at - proposed > network.delay * 3)
    }
  }

  @Test func observersFollow() {
    let network = Network(4, observers: 2)
    network.startAll()
    #expect(network.run(until: { network.reached(30) }, limit: .seconds(20)))
    network.checkSafety()
    #expect(!network.votesSent.contains { $0.node >= 4 })
    #expect(network.nodes[4].machine!.occupancy.allSatisfy { $0.count < 100 })
  }

  @Test func whoMayNotVoteAbstainsAndFollows() {
    let network = Network(4)
    network.nodes[2].mayVote = false
    network.startAll()
    #expect(network.run(until: { network.reached(20) }, limit: .seconds(60)))
    network.checkSafety()
    #expect(!network.votesSent.contains { $0.node == 2 })
  }

  @Test func aCertificateIsNotSentBack() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    let before = network.messagesSent
    network.cuts = { from, _, _ in from == 0 }
    network.inject(
      .certificate(network.certificate(.nullify(epoch: 0, view: 1), by: [1, 2, 3])), as: 3, to: [0])
    network.run(for: .milliseconds(50))
    #expect(network.nodes[0].machine!.view == 2)
    // To the two others only.
    #expect(network.messagesSent - before == 1 + 2)
  }
}
