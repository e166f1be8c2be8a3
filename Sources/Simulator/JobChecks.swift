import Ledger
import Primitives
import Wire

/// Invariant 13: what becomes of jobs, and of what providers offer.
struct JobChecks {
  /// The jobs that were ever seen and have not ended.
  private(set) var open = OrderedSet<Digest>()
  /// How many have ended.
  private(set) var ended = 0

  /// Looks at the state after a block. Returns the invariant that is broken, and how.
  mutating func check(
    _ state: LedgerReader, _ events: [LedgerEvent], at now: Instant, numbers: [NodeID: Int]
  ) -> (Int, String)? {
    var assigned = OrderedSet<NodeID>()
    for event in events {
      switch event {
      case .jobChanged(let job, let change):
        if change.isTerminal {
          if open.remove(job) { ended += 1 }
        } else {
          open.insert(job)
        }
      case .jobPruned(let job):
        if open.contains(job) { return (13, "job \(job.short) is forgotten and had not ended") }
      case .leaseOffered(_, _, let provider): assigned.insert(provider)
      default: break
      }
    }
    return assigned.isEmpty ? nil : checkLeases(state, assigned)
  }

  private func checkLeases(_ state: LedgerReader, _ assigned: OrderedSet<NodeID>) -> (Int, String)? {
    struct Held {
      var cpu: UInt64 = 0
      var memory: UInt64 = 0
      var disk: UInt64 = 0
      var count = 0
    }
    var held = Table<NodeID, Held>()
    for (id, job) in state.jobs where !job.state.isTerminal {
      let live = job.leases.filter(\.state.isLive)
      if live.count > Int(job.terms.replication) {
        return (13, "job \(id.short) has \(live.count) leases, and \(job.terms.replication) were asked for")
      }
      if Set(live.map(\.provider)).count != live.count { return (13, "job \(id.short) has two leases of one provider") }
      for lease in live {
        held[lease.provider, default: Held()].cpu += UInt64(job.terms.resources.cpuMilli)
        held[lease.provider, default: Held()].memory += job.terms.resources.memoryBytes
        held[lease.provider, default: Held()].disk += job.terms.resources.diskBytes
        held[lease.provider, default: Held()].count += 1
      }
    }
    // An offer may shrink below what is held already; then nothing more is assigned.
    for provider in assigned {
      guard let sum = held[provider], let offer = state.offer(of: provider) else { continue }
      if sum.count > Int(offer.maximumJobs) || sum.cpu > UInt64(offer.resources.cpuMilli)
        || sum.memory > offer.resources.memoryBytes || sum.disk > offer.resources.diskBytes
      {
        return (13, "\(provider.short) was assigned more than it offers: \(sum.count) leases, \(sum.cpu) milli-CPU")
      }
    }
    return nil
  }
}
