import Primitives
import Simulator
import Testing

@Suite struct SimulationTests {
  @Test func aGoodNetworkMakesProgress() {
    var options = SimulationOptions()
    options.duration = .seconds(20)
    let report = options.run()
    #expect(report.violations.isEmpty)
    #expect(report.finalizedHeight > 10)
  }

  @Test func theSameSeedGivesTheSameRun() {
    var options = SimulationOptions()
    options.seed = 7
    options.duration = .seconds(8)
    options.faults = .swarm(seed: 7)
    #expect(options.run() == options.run())
    var other = options
    other.seed = 8
    #expect(options.run().transcriptHash != other.run().transcriptHash)
  }

  @Test(arguments: UInt64(1)...6) func faultsBreakNoInvariant(seed: UInt64) {
    var options = SimulationOptions()
    options.seed = seed
    options.duration = .seconds(12)
    options.faults = .swarm(seed: seed)
    #expect(options.run().violations.isEmpty)
  }
}
