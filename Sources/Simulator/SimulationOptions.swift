import Primitives

/// What to simulate. The same options and seed give the same run, event for event.
package struct SimulationOptions: Sendable, Equatable {
  /// How many nodes; all are validators and providers.
  package var nodes = 4
  /// Everything random comes from it.
  package var seed: UInt64 = 1
  /// How long the simulated network runs.
  package var duration = Microseconds.seconds(30)
  /// What goes wrong.
  package var faults = FaultPlan()
  /// Submissions in a second of simulated time, over all nodes.
  package var submissionsPerSecond: UInt64 = 4

  /// Four nodes for thirty seconds on a good network.
  package init() {}
}

/// What goes wrong in a simulation. Faults end when two thirds of the time have passed, so that the last third shows
/// whether the network recovers.
package struct FaultPlan: Sendable, Equatable {
  /// Datagrams lost, and link messages delayed by a retransmission, in a million.
  package var lossPartsPerMillion: UInt64 = 0
  /// Datagrams delivered twice, in a million.
  package var duplicationPartsPerMillion: UInt64 = 0
  /// Datagrams with one byte changed, in a million.
  package var corruptionPartsPerMillion: UInt64 = 0
  /// Messages delayed by up to two seconds, in a million.
  package var delaySpikePartsPerMillion: UInt64 = 0
  /// Nodes that crash and start again, counted over the run.
  package var crashes: UInt64 = 0
  /// Crashes of all nodes at once.
  package var blackouts: UInt64 = 0
  /// Times that the network is split in two.
  package var partitions: UInt64 = 0
  /// The longest time a disk takes to sync.
  package var slowestSync = Microseconds.milliseconds(5)
  /// How far the nodes' wall clocks are off, at most, either way.
  package var clockSkew = Microseconds.milliseconds(20)

  /// Nothing goes wrong.
  package init() {}

  /// Which faults there are and how strong they are, drawn from a seed: each seed draws another mixture, so that no
  /// fault hides another.
  package static func swarm(seed: UInt64) -> FaultPlan {
    var generator = SeededGenerator(seed: seed ^ 0x5157_4152_4d00)
    var plan = FaultPlan()
    func often(_ bound: UInt64) -> UInt64 {
      generator.chance(partsPerMillion: 500_000) ? generator.next(below: bound) : 0
    }
    plan.lossPartsPerMillion = often(200_000)
    plan.duplicationPartsPerMillion = often(100_000)
    plan.corruptionPartsPerMillion = often(20_000)
    plan.delaySpikePartsPerMillion = often(20_000)
    plan.crashes = often(6)
    plan.blackouts = generator.chance(partsPerMillion: 200_000) ? 1 : 0
    plan.partitions = often(4)
    plan.slowestSync = .milliseconds(1 + Int64(generator.next(below: 80)))
    plan.clockSkew = .milliseconds(Int64(generator.next(below: 300)))
    return plan
  }
}
