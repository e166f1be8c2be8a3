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

  @Test func optionsThatCannotBeMeantAreRefused() {
    func mistake(_ change: (inout SimulationOptions) -> Void) -> String? {
      var options = SimulationOptions(seed: 1, profile: .hostile)
      change(&options)
      return options.mistake
    }
    #expect(mistake { _ in } == nil)
    #expect(
      mistake { ($0.nodes, $0.byzantine) = (4, 9) } == "--byzantine 9 is more than there are: --nodes is 4")
    // More than are tolerated may be asked for, since the checker must find them.
    #expect(mistake { ($0.nodes, $0.byzantine) = (4, 4) } == nil)
    #expect(mistake { $0.byzantine = 4 } == nil)
    #expect(mistake { $0.byzantine = 5 }?.contains("--nodes 5") == true)
    #expect(mistake { $0.byzantine = -1 } != nil)
    #expect(mistake { $0.nodes = 0 } != nil)
    #expect(mistake { $0.nodes = 101 } != nil)
    #expect(mistake { $0.scenario = "nothing" }?.contains("ring") == true)
    #expect(mistake { $0.scenario = "ring" } == nil)
    #expect(mistake { ($0.scenario, $0.byzantine) = ("ring", 1) }?.contains("sets its own") == true)
  }
}
