import Primitives
import Simulator
import Testing

@Suite struct ScenarioTests {
  /// Those in which something must break, and those that take a debug build too long: `scripts/seeds` runs them all.
  private static let others = ["two-liars", "split", "deaf", "one-way", "liar", "readdress"]
  private static let sound = Scenario.all.map(\.name).filter { !others.contains($0) }

  @Test(arguments: sound) func comesAboutAndBreaksNothing(name: String) {
    var options = SimulationOptions(seed: 1)
    options.scenario = name
    let report = options.run()
    #expect(report.violations.map(\.detail) == [])
  }
}

/// The checker itself: what breaks the rules must be found.
@Suite struct CheckerTests {
  @Test(arguments: UInt64(1)...3) func moreLiarsThanAreToleratedAreFound(seed: UInt64) {
    // Not every seed gives them the chance: within ten, one does.
    let isFound = (seed * 10..<seed * 10 + 10).contains { seed in
      var options = SimulationOptions(seed: seed, profile: .hostile)
      options.nodes = 4
      options.byzantine = 2
      let found = options.run().violations.first?.invariant
      return found.map { [1, 2, 3].contains($0) } ?? false
    }
    #expect(isFound)
  }

  @Test func aFailingRunIsMadeSmaller() throws {
    var options = SimulationOptions(seed: 2, profile: .hostile)
    options.nodes = 4
    options.byzantine = 2
    options.duration = .seconds(9)
    let failing = try #require(
      (UInt64(1)...20).lazy.map { seed -> SimulationReport in
        options.seed = seed
        return options.run()
      }.first { !$0.violations.isEmpty })
    var shrinker = try #require(Shrinker(failing))
    shrinker.shrink()
    let smallest = shrinker.smallest
    #expect(smallest.violations.first?.invariant == failing.violations.first?.invariant)
    #expect(smallest.removable.count <= failing.removable.count)
    // The command that is printed gives the same run.
    #expect(smallest.options.run() == smallest)
    #expect(smallest.options.arguments.contains("--seed"))
  }
}
