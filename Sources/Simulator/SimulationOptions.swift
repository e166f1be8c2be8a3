import Primitives

/// What kind of network is simulated.
package enum Profile: String, Sendable, CaseIterable {
  /// Hosts on one local network, where nothing goes wrong.
  case lan
  /// Hosts spread over the world, where nothing goes wrong.
  case wan
  /// Every fault there is, each drawn with its strength from the seed; nodes, Byzantine nodes and the chain's
  /// parameters are drawn, too.
  case hostile
}

/// What to simulate. The same options give the same run, event for event.
package struct SimulationOptions: Sendable, Equatable {
  /// The fewest and the most nodes. One to three tolerate no fault.
  package static let nodeRange = 1...100
  /// The fewest that any profile has when the options do not say how many: four of lan and wan, four or more of hostile.
  static let fewestNodes = 4

  /// Everything random comes from it.
  package var seed: UInt64
  /// What kind of network.
  package var profile: Profile
  /// How many nodes there are at first; nil: drawn by the hostile profile, else four.
  package var nodes: Int?
  /// How many of them are Byzantine; nil: drawn by the hostile profile, up to what is tolerated, else none.
  package var byzantine: Int?
  /// How long it goes on before it may end: faults come in the first two thirds. What takes its time afterwards (a job
  /// that has not ended, a newcomer) is waited for, within computed bounds.
  package var duration = Microseconds.seconds(30)
  /// The run ends here whatever has happened: nothing before it is changed.
  package var until: Instant?
  /// What is left out of the faults that the seed draws: their numbers, and names of what has no number.
  package var without: [String] = []
  /// A scenario instead of drawn faults.
  package var scenario: String?
  /// Submissions in a second of simulated time, over all nodes.
  package var submissionsPerSecond: UInt64 = 4

  /// A run of a seed.
  package init(seed: UInt64 = 1, profile: Profile = .lan) {
    self.seed = seed
    self.profile = profile
  }

  /// What is wrong with the options, in words for a person; nil when they can be run.
  package var mistake: String? {
    if let nodes, !SimulationOptions.nodeRange.contains(nodes) {
      return "--nodes must be \(SimulationOptions.nodeRange.lowerBound) to \(SimulationOptions.nodeRange.upperBound)"
    }
    if let scenario {
      guard Scenario.named(scenario) != nil else {
        return "there is no scenario '\(scenario)': there are \(Scenario.all.map(\.name).joined(separator: ", "))"
      }
      if nodes != nil || byzantine != nil || !without.isEmpty {
        return
          "a scenario sets its own nodes, Byzantine nodes and faults: leave out --nodes, --byzantine and --without, "
          + "or --scenario"
      }
    }
    guard let byzantine else { return nil }
    if byzantine < 0 { return "--byzantine must not be negative" }
    let fewest = nodes ?? SimulationOptions.fewestNodes
    if byzantine > fewest {
      return nodes == nil
        ? "--byzantine \(byzantine) needs --nodes \(byzantine) or more: without it there may be only \(fewest)"
        : "--byzantine \(byzantine) is more than there are: --nodes is \(fewest)"
    }
    return nil
  }

  /// The arguments of `linnet simulate` that give the same run.
  package var arguments: [String] {
    var words = ["--seed", "\(seed)"]
    if let scenario { words += ["--scenario", scenario] }
    if profile != .lan { words += ["--profile", profile.rawValue] }
    if let nodes { words += ["--nodes", "\(nodes)"] }
    if let byzantine { words += ["--byzantine", "\(byzantine)"] }
    if duration != .seconds(30) { words += ["--time", "\(duration.count / 1_000)ms"] }
    if let until { words += ["--until", "\(until.microseconds)us"] }
    if !without.isEmpty { words += ["--without", without.joined(separator: ",")] }
    return words
  }
}
