import Ledger
import Primitives
import Wire

// Invariant 14: a leader had its turn by the rules: the time, what it reveals, and the draws in its block.

extension Checker {
  /// How far ahead of true time a final block may be: clocks that jump and drift stay far below, an hour is a lie.
  static let clockBound = Microseconds.seconds(60)

  /// Looks at a block before it is executed.
  mutating func checkTurn(_ header: BlockHeader, of leader: NodeID, at now: Instant) {
    let truth = genesis.createdMilliseconds + UInt64((now + Checker.clockBound).microseconds / 1_000)
    if header.timestampMilliseconds > truth {
      report(14, at: now, "block \(header.height) is final and over \(Checker.clockBound) ahead of all clocks")
    }
    guard let chain = finalState?.validator(leader)?.beacon else {
      if header.reveal != .zero {
        report(14, at: now, "block \(header.height) is final and reveals what nobody registered")
      }
      return
    }
    // An exhausted chain reveals nothing.
    guard header.reveal != .zero || chain.usedCount < chain.length && !isExhausted(chain, header) else { return }
    var element = header.reveal
    for _ in 0..<chain.length where element != chain.lastElement { element = BeaconHash.step(element) }
    if header.reveal == chain.lastElement || element != chain.lastElement {
      report(14, at: now, "block \(header.height) is final and does not reveal the next of its leader's chain")
    }
  }

  /// Each round of the committee takes an element, revealed or not.
  private func isExhausted(_ chain: BeaconChain, _ header: BlockHeader) -> Bool {
    guard let count = sets[header.epoch]?.validators.count else { return false }
    return chain.baseIndex + (header.view - 1) / UInt64(count) >= chain.length
  }

  /// Looks at what the block did: who lets a job in must not know its draw, so that a block of another leader comes
  /// after the one with the job, be it the one that draws.
  mutating func checkDraws(_ header: BlockHeader, _ events: [LedgerEvent], of leader: NodeID, at now: Instant) {
    leaders.append(leader)
    for event in events {
      switch event {
      case .jobChanged(let job, .pending): waiting[job] = leaders.count - 1
      case .leaseOffered(_, let job, _):
        guard let since = waiting[job], let set = sets[header.epoch], set.validators.count > 1 else { continue }
        if leaders[since...].allSatisfy({ $0 == leaders[since] }) {
          report(14, at: now, "job \(job.short) is drawn by the leader that let it in")
        }
      case .jobPruned(let job): waiting[job] = nil
      default: break
      }
    }
  }
}
