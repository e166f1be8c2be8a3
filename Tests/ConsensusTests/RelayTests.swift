import Consensus
import Primitives
import Testing
import Wire

@Suite struct RelayTests {
  /// Three of four live; two of them have no link to each other, so each lacks a vote that it needs. Certificates do not
  /// get through: only relayed votes make a quorum.
  @Test func votesComeByAnother() {
    let network = Network(4)
    network.isUnlinked = { $0 == 0 && $1 == 1 }
    network.cuts = { _, _, message in
      switch message {
      case .certificate, .certificates, .chain: true
      default: false
      }
    }
    for index in 0..<3 { network.start(index) }
    #expect(network.run(until: { network.reached(10, [0, 1, 2]) }, limit: .seconds(60)))
    #expect(network.nodes[2].machine!.counters["relayed"] > 20)
    network.checkSafety()
  }

  @Test func relaysEndWithTheirTime() {
    let network = Network(4)
    var unlinked = true
    network.isUnlinked = { unlinked && $0 == 0 && $1 == 1 }
    var requests: [(from: Int, at: Instant)] = []
    network.watch = { from, message, at in
      if case .relayRequest = message { requests.append((from, at)) }
    }
    network.startAll()
    network.run(for: .seconds(21))
    // Both ask two of the others, every five seconds.
    #expect(requests.count == 2 * 2 * 5)
    #expect(Set(requests.map(\.from)) == [0, 1])
    unlinked = false
    for (one, other) in [(0, 1), (1, 0)] { network.step(one, .linkUp(network.nodes[other].signer.id)) }
    network.run(for: .seconds(11))
    #expect(requests.count == 20)
    let relayed = (2...3).map { network.nodes[$0].machine!.counters["relayed"] }
    #expect(relayed.allSatisfy { $0 > 0 })
    network.run(for: .seconds(5))
    #expect((2...3).map { network.nodes[$0].machine!.counters["relayed"] } == relayed)
    for index in 0..<4 {
      #expect(network.nodes[index].machine!.occupancy.first { $0.name == "relays" }?.count == 0)
    }
    network.checkSafety()
  }

  @Test func onlyValidatorsOfTheEpochAreRelayedTo() {
    let network = Network(4, observers: 1)
    network.setWork(false)
    network.startAll()
    for (index, epoch) in [(4, 0), (3, 1)] as [(Int, UInt64)] {
      network.inject(.relayRequest(epoch: epoch, voters: [1, 2]), as: index, to: [0])
    }
    network.inject(.relayRequest(epoch: 0, voters: [50, 99]), as: 2, to: [0])
    network.run(for: .milliseconds(50))
    #expect(network.nodes[0].machine!.counters["relayRefused"] == 2)
    #expect(network.nodes[0].machine!.occupancy.first { $0.name == "relays" }?.count == 0)
  }

  /// What was relayed is not relayed again.
  @Test func relaysDoNotChain() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    for index in 0..<4 { network.inject(.relayRequest(epoch: 0, voters: [0, 1, 2, 3]), as: index, to: [0, 1, 2, 3]) }
    network.run(for: .milliseconds(50))
    let before = network.messagesSent
    network.inject(.vote(network.vote(.nullify(epoch: 0, view: 1), by: 3).value), as: 3, to: [0])
    network.run(for: .milliseconds(100))
    // Node 0 hands it to the three that asked, its own signer among them; each takes it from there no further.
    #expect(network.messagesSent - before == 1 + 2)
  }
}
