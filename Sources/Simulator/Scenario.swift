import Primitives
import Wire

/// What a scenario adds to a run.
protocol Script {
  /// Called once, after the nodes were made.
  func begin(_ simulation: Simulation)
  /// True when a message is to be lost.
  func drops(_ carried: Carried, from: Int, to: Int, at now: Instant) -> Bool
  /// What did not happen that should have; nil when all is well.
  func verdict(_ simulation: Simulation) -> String?
}

extension Script {
  func begin(_ simulation: Simulation) {}
  func drops(_ carried: Carried, from: Int, to: Int, at now: Instant) -> Bool { false }
  func verdict(_ simulation: Simulation) -> String? { nil }
}

/// A case that consensus.md warns of, set up on purpose.
package struct Scenario: Sendable {
  /// What it is called by.
  package let name: String
  /// What happens, in a line.
  package let summary: String
  let make: @Sendable (inout Setup) -> any Script

  /// All of them.
  package static let all: [Scenario] = []

  /// The scenario of a name.
  package static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }
}
