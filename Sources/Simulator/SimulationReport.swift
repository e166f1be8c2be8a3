import Primitives

/// What a simulation found.
package struct SimulationReport: Sendable, Equatable {
  /// The options that give the same run again.
  package var options: SimulationOptions
  /// Events that were handled.
  package var steps: UInt64
  /// The hash of everything that happened.
  package var transcriptHash: Digest
  /// The highest final block.
  package var finalizedHeight: UInt64
  /// Broken invariants; the run ends with the first.
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
    if !simulation.checker.violations.isEmpty, !recordsTranscript { return run(recordsTranscript: true) }
    return SimulationReport(
      options: self, steps: simulation.steps, transcriptHash: simulation.transcript.hash(),
      finalizedHeight: simulation.checker.finalizedHeight, violations: simulation.checker.violations,
      lines: simulation.transcript.lines)
  }
}
