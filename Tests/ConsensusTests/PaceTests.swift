import Consensus
import Primitives
import Testing
import Wire

@Suite struct PaceTests {
  @Test func anIdleNetworkIsQuietAndWakesAtOnce() {
    let network = Network(4)
    network.hasWork = false
    network.startAll()
    network.run(for: .milliseconds(4_900))
    #expect(network.proposals.isEmpty)
    #expect(network.votesSent.isEmpty)
    network.setWork(true)
    let woken = network.now
    #expect(network.run(until: { network.reached(1) }, limit: .seconds(1)))
    #expect(network.proposals.first?.at == woken)
    #expect(network.now - woken == network.delay * 3)
    network.checkSafety()
  }

  @Test func anIdleLeaderProposesAfterTheInterval() {
    let network = Network(4)
    network.hasWork = false
    network.startAll()
    network.run(for: .seconds(60))
    network.checkSafety()
    // About one each five seconds, none nullified.
    #expect((10...12).contains(network.height(0)))
    #expect(!network.votesSent.contains { $0.vote.subject.kind == .nullify })
    let times = network.proposals.map(\.at)
    for (earlier, later) in zip(times, times.dropFirst()) {
      #expect(later - earlier >= network.settings.blockIntervalIdle)
    }
  }

  @Test func blocksKeepTheirDistance() {
    var parameters = ChainParameters()
    parameters.blockIntervalMinimumMilliseconds = 100
    let network = Network(4, parameters: parameters)
    network.startAll()
    network.run(for: .seconds(5))
    let times = network.proposals.map(\.at)
    #expect(times.count > 20)
    for (earlier, later) in zip(times, times.dropFirst()) { #expect(later - earlier >= .milliseconds(100)) }
  }

  @Test func workKnownToOneOnlyStillMakesABlock() {
    let network = Network(4)
    network.hasWork = false
    network.startAll()
    let leader = network.leader(of: 1)
    network.step((leader + 1) % 4, .work(isPending: true))
    #expect(network.run(until: { network.reached(1) }, limit: .seconds(20)))
    network.checkSafety()
  }

  @Test func deltaGrowsToItsCap() {
    let settings = ConsensusSettings(ChainParameters())
    #expect(settings.delta(distance: 0) == .milliseconds(200))
    #expect(settings.delta(distance: 1) == .milliseconds(200))
    #expect(settings.delta(distance: 2) >= .milliseconds(300))
    #expect(settings.delta(distance: 3) >= .milliseconds(450))
    #expect(settings.delta(distance: .max) == .seconds(60))
    var extreme = ChainParameters()
    extreme.deltaMilliseconds = .max
    extreme.deltaCapMilliseconds = .max
    extreme.standstillMilliseconds = .max
    #expect(ConsensusSettings(extreme).delta(distance: .max) > .zero)
  }

  @Test func sameSeedSameHistory() {
    func history() -> [String] {
      let network = Network(4, seed: 9)
      network.lossPartsPerMillion = 100_000
      network.jitter = .milliseconds(20)
      var lines: [String] = []
      network.watch = { lines.append("\($2) \($0) \($1.encoded.count)") }
      network.startAll()
      network.run(for: .seconds(10))
      return lines
    }
    let first = history()
    #expect(first.count > 100)
    #expect(first == history())
  }
}
