import Broadcast
import Consensus
import Membership
import Primitives

extension NodeCore {
  /// How full every bounded collection of the core and of its machines is.
  public var occupancy: [Occupancy] {
    var all = [
      Occupancy(name: "mempool", count: mempool.count, limit: Mempool.maximumTransactions),
      Occupancy(name: "mempoolAccounts", count: mempool.accountCount, limit: Mempool.maximumTransactions),
      Occupancy(name: "outbox", count: outbox.pending.count, limit: Outbox.maximumPending),
      Occupancy(name: "refusals", count: refusals.count, limit: refusals.capacity),
      Occupancy(name: "leasesStarted", count: leases.started.count, limit: LeaseKeeper.maximumLeases),
      Occupancy(name: "leaseOutcomes", count: leases.outcomes.count, limit: LeaseKeeper.maximumLeases),
      Occupancy(name: "leaseRefusals", count: leases.refused.count, limit: LeaseKeeper.maximumLeases),
      Occupancy(
        name: "evidence", count: evidenceKeeper.found.count, limit: EvidenceKeeper.maximumOffenders),
      Occupancy(name: "servedPeers", count: servingLimits.count, limit: ServingLimits.maximumPeers),
      Occupancy(name: "links", count: links.count, limit: NodeCore.maximumLinks),
      Occupancy(name: "validatorDials", count: validatorLinks.attempts.count, limit: validatorLinks.attempts.capacity),
      Occupancy(name: "accusers", count: refutedAccusations.count, limit: refutedAccusations.maximumAskers),
      Occupancy(name: "worthlessPeers", count: worthlessGossip.count, limit: worthlessGossip.maximumAskers),
      Occupancy(name: "revealChains", count: reveals.count, limit: RevealChains.limit),
    ]
    all += sync.occupancy
    all += membership.occupancy.map { $0.of("membership") }
    all += broadcast.occupancy.map { $0.of("broadcast") }
    all += consensus.occupancy.map { $0.of("consensus") }
    return all
  }
}
