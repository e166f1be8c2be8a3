import Core
import Ledger
import Primitives
import Wire

/// Invariants 11, 12 and 13 after the network is whole again: something becomes final within a computed time, again and
/// again; every honest node gets there; every job ends.
struct LivenessChecks {
  private var healedAt: Instant?
  private var heightAtHeal: UInt64 = 0
  private var lastProgress = Instant.zero

  /// How many blocks must become final after the network is whole again.
  static let blocksWanted: UInt64 = 3

  mutating func begin(_ simulation: Simulation) {
    healedAt = simulation.now
    lastProgress = simulation.now
    heightAtHeal = simulation.checker.finalizedHeight
  }

  mutating func progressed(at now: Instant) { lastProgress = now }

  /// True when all that must happen has happened. Reports what takes too long.
  mutating func isOver(_ simulation: Simulation) -> Bool {
    guard let healedAt, simulation.setup.isTolerable else {
      return simulation.now >= .zero + simulation.setup.duration
    }
    let now = simulation.now
    let setup = simulation.setup
    let bound = setup.progressBound(faulty: setup.faulty)
    if now - max(lastProgress, healedAt) > bound {
      simulation.checker.report(
        11, at: now,
        "nothing became final for \(bound), though the network is whole since \(healedAt): height "
          + "\(simulation.checker.finalizedHeight)")
      return true
    }
    guard now >= .zero + setup.duration else { return false }
    let height = simulation.checker.finalizedHeight
    let isMoving = height >= heightAtHeal + LivenessChecks.blocksWanted
    let behind = simulation.nodes.first { node in
      simulation.isHonest(node.number) && (node.running?.core.ledger.finalHeight ?? 0) + 2 < height
    }
    let open = simulation.checker.jobs.open
    if isMoving, behind == nil, open.isEmpty { return true }
    if let behind, now - healedAt > bound + setup.catchUpBound {
      let isNew = behind.startsAt > .zero
      simulation.checker.report(
        isNew ? 12 : 11, at: now,
        "n\(behind.number + 1) is at height \(behind.running?.core.ledger.finalHeight ?? 0), the others at \(height), though the "
          + "network is whole since \(healedAt)")
      return true
    }
    if let job = open.first, now - healedAt > setup.jobsBound() {
      simulation.checker.report(
        13, at: now, "job \(job.short) has not ended, though the network is whole since \(healedAt)")
      return true
    }
    return false
  }
}
