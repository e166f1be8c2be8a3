import Primitives

/// What a simulation found.
package struct SimulationReport: Sendable, Equatable {
  /// The options that give the same run again.
  package var options: SimulationOptions
  /// Nodes, newcomers and Byzantine ones among them.
  package var nodes: Int
  /// The validators of the genesis.
  package var validators: Int
  /// Byzantine nodes.
  package var byzantine: Int
  /// Events that were handled.
  package var steps: UInt64
  /// How long the simulated network ran.
  package var elapsed: Microseconds
  /// The hash of everything that happened.
  package var transcriptHash: Digest
  /// The highest final block.
  package var finalizedHeight: UInt64
  /// Its epoch.
  package var epoch: UInt64
  /// Jobs that ended.
  package var jobs: Int
  /// What `SimulationOptions.without` could still take away.
  package var removable: [String]
  /// Broken invariants; the run ends with the first. 0 is a scenario that did not come about.
  package var violations: [Violation]
  /// The last lines of the transcript; empty unless they were asked for or an invariant broke.
  package var lines: [String]
}

extension SimulationOptions {
  /// Runs the simulation. When an invariant breaks, it is run again with its transcript in words: the run is the same.
  ///
  /// - Parameter recordsTranscript: whether the lines are wanted in any case.
  package func run(recordsTranscript: Bool = false) -> SimulationReport {
    let simulation = Simulation(self, recordsTranscript: recordsTranscript)
    simulation.run()
    let checker = simulation.checker
    if !checker.violations.isEmpty, !recordsTranscript { return run(recordsTranscript: true) }
    return SimulationReport(
      options: self, nodes: simulation.setup.nodes, validators: simulation.setup.validators,
      byzantine: simulation.setup.habits.count,
      steps: simulation.steps, elapsed: simulation.now - .zero, transcriptHash: simulation.transcript.hash,
      finalizedHeight: checker.finalizedHeight, epoch: checker.epoch(of: checker.finalizedHeight),
      jobs: checker.jobs.ended, removable: simulation.setup.removable, violations: checker.violations,
      lines: simulation.transcript.lines)
  }
}
