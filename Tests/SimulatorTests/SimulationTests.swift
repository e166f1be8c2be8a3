import Primitives
import Simulator
import Testing

@Suite struct SimulationTests {
  @Test func aGoodNetworkMakesProgress() {
    var options = SimulationOptions()
    options.duration = .seconds(15)
    let report = options.run()
    #expect(report.violations.isEmpty)
    #expect(report.finalizedHeight > 10)
    #expect(report.jobs > 0)
  }

  @Test func theSameSeedGivesTheSameRun() {
    var options = SimulationOptions(seed: 18, profile: .hostile)
    options.duration = .seconds(9)
    options.nodes = 4
    let report = options.run()
    #expect(options.run() == report)
    // What is told of a run changes nothing in it.
    let told = options.run(recordsTranscript: true)
    #expect(told.transcriptHash == report.transcriptHash)
    #expect(!told.lines.isEmpty)
    var other = options
    other.seed = 19
    #expect(other.run().transcriptHash != report.transcriptHash)
  }

  @Test(arguments: UInt64(1)...4) func faultsBreakNoInvariant(seed: UInt64) {
    var options = SimulationOptions(seed: seed, profile: .hostile)
    options.duration = .seconds(12)
    options.nodes = 4 + Int(seed % 2) * 3
    let report = options.run()
    #expect(report.violations.isEmpty)
  }

  @Test func anEarlyEndChangesNothingBefore() {
    var options = SimulationOptions(seed: 3, profile: .hostile)
    options.nodes = 4
    options.duration = .seconds(9)
    let whole = options.run(recordsTranscript: true)
    options.until = .zero + .seconds(4)
    let part = options.run(recordsTranscript: true)
    #expect(part.lines.count < whole.lines.count)
    #expect(Array(whole.lines.prefix(part.lines.count)) == part.lines)
  }
}
