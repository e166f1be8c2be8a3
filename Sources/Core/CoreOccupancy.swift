import Consensus

/// How full a bounded collection is.
public struct CoreOccupancy: Hashable, Sendable {
  /// What it holds.
  public let name: String
  /// The entries now.
  public let count: Int
  /// The most there may be.
  public let limit: Int

  init(name: String, count: Int, limit: Int) {
    self.name = name
    self.count = count
    self.limit = limit
  }
}

extension NodeCore {
  /// How full every bounded collection of the core and of consensus is. (Membership and broadcast have their own
  /// bounds.)
  public var occupancy: [CoreOccupancy] {
    var all = [
      CoreOccupancy(name: "mempool", count: mempool.count, limit: Mempool.maximumTransactions),
      CoreOccupancy(name: "mempoolAccounts", count: mempool.accountCount, limit: Mempool.maximumTransactions),
      CoreOccupancy(name: "outbox", count: outbox.pending.count, limit: Outbox.maximumPending),
      CoreOccupancy(name: "refusals", count: refusals.count, limit: refusals.capacity),
      CoreOccupancy(name: "leasesStarted", count: leases.started.count, limit: LeaseKeeper.maximumLeases),
      CoreOccupancy(name: "leaseOutcomes", count: leases.outcomes.count, limit: LeaseKeeper.maximumLeases),
      CoreOccupancy(name: "leaseRefusals", count: leases.refused.count, limit: LeaseKeeper.maximumLeases),
      CoreOccupancy(
        name: "evidence", count: evidenceKeeper.found.count, limit: EvidenceKeeper.maximumOffenders),
      CoreOccupancy(name: "servedPeers", count: servingLimits.count, limit: ServingLimits.maximumPeers),
      CoreOccupancy(name: "links", count: links.count, limit: NodeCore.maximumLinks),
      CoreOccupancy(name: "revealChains", count: reveals.count, limit: RevealChains.limit),
    ]
    all += sync.occupancy
    all += consensus.occupancy.map { CoreOccupancy(name: "consensus.\($0.name)", count: $0.count, limit: $0.limit) }
    return all
  }
}
