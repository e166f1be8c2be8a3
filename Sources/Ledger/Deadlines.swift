import Primitives

extension BlockExecution {
  /// Acts on the deadlines that ledger time has reached, up to the bound of a block.
  mutating func passDeadlines() {
    var budget = LedgerBounds.maximumDeadlinesPerBlock
    pass(from: nil, budget: &budget)
    pass(from: .tidyingStart, budget: &budget)
  }

  private mutating func pass(from start: Deadline?, budget: inout Int) {
    let isTidying = start != nil
    var cursor = start
    while budget > 0, let next = state.deadlines.entry(after: cursor)?.key, next.isTidying == isTidying,
      next.timeMilliseconds <= now
    {
      cursor = next
      budget -= 1
      state.deadlines[next] = nil
      switch (next.subject, isTidying) {
      case (.job, false): expire(Digest(next.id))
      case (.job, true): prune(Digest(next.id))
      case (.lease, _): timeOutLease(Digest(next.id))
      case (.provider, false): timeOutRenewals(of: NodeID(next.id))
      case (.provider, true): returnBond(of: NodeID(next.id))
      }
    }
  }

  private mutating func expire(_ id: Digest) {
    guard var job = state.jobs[id], job.state == .pending else { return }
    end(&job, as: .expired, message: "no provider was found until the start deadline")
    state.jobs[id] = job
  }

  private mutating func timeOutLease(_ id: Digest) {
    guard let (job, position) = state.lease(id) else { return }
    switch job.leases[position].state {
    case .offered: timeOut(id, "not accepted within the accept window")
    case .active: timeOut(id, "no result within the wall limit and its grace")
    case .committed: timeOut(id, "the result was not revealed in time")
    case .revealed, .paid, .outvoted, .timedOut, .declined, .cancelled: break
    }
  }

  private mutating func timeOutRenewals(of id: NodeID) {
    for lease in liveLeases(of: id) {
      guard let (job, position) = state.lease(lease), job.leases[position].state == .active else { continue }
      timeOut(lease, "the provider missed \(parameters.renewalsMissed) renewals")
    }
  }
}
