import Primitives
import Wire

// A lease: offered -> active -> committed -> paid, or revealed when its result was a failed attempt, or declined,
// timedOut, cancelled.
//
// 1. Offered: to be accepted within the accept window. Active: to be committed within wall limit and grace after
//    acceptance, and its provider renews all its active leases at once. Committed: to be revealed within its window.
// 2. Accepting locks the stake and counts as a renewal. The stake returns however the lease ends: only a proven lie,
//    which one replica can't prove, is to cost it.
// 3. With one replica a result stands, so it may be revealed as soon as its commit is in the state. `startFailed` and
//    `lost` are failed attempts; everything else settles and pays.
// 4. A batch of commits or reveals does what it can; it is refused when nothing in it can be done.

extension BlockExecution {
  /// A live lease of the author, as the last of its job's leases.
  private func held(_ id: Digest, by author: NodeID) throws(TransactionRefusal) -> (job: JobRecord, lease: LeaseRecord)
  {
    guard let (job, position) = state.lease(id) else { throw .unknownLease }
    let lease = job.leases[position]
    guard lease.provider == author else { throw .notTheProvider }
    guard lease.state.isLive else { throw .wrongLeaseState }
    return (job, lease)
  }

  /// Puts the changed live lease back, with a new deadline.
  private mutating func update(_ job: inout JobRecord, _ lease: LeaseRecord, deadlineMilliseconds: UInt64) {
    var lease = lease
    state.deadlines[lease.deadline] = nil
    lease.deadlineMilliseconds = deadlineMilliseconds
    state.deadlines[lease.deadline] = Present()
    job.leases[job.leases.count - 1] = lease
  }

  mutating func acceptLease(_ id: Digest, by author: NodeID) throws(TransactionRefusal) {
    var (job, lease) = try held(id, by: author)
    guard lease.state == .offered else { throw .wrongLeaseState }
    try lockBond(parameters.jobStakeMicrocredits, of: author)
    lease.stakeMicrocredits = parameters.jobStakeMicrocredits
    lease.state = .active
    lease.startedMilliseconds = now
    update(
      &job, lease,
      deadlineMilliseconds: now.clampedSum(job.terms.wallLimitMilliseconds)
        .clampedSum(parameters.commitGraceMilliseconds))
    change(&job, to: .running)
    state.jobs[job.id] = job
    changeProvider(author) { $0.activeLeaseCount += 1 }
    renewDeadline(of: author)
  }

  mutating func declineLease(_ id: Digest, reason: String, by author: NodeID) throws(TransactionRefusal) {
    var (job, lease) = try held(id, by: author)
    guard lease.state != .committed else { throw .wrongLeaseState }
    endLease(of: &job, as: .declined, reason: reason, wallMilliseconds: 0)
    retry(&job, costsAttempt: lease.state == .active, message: "declined: \(reason)")
    state.jobs[job.id] = job
  }

  mutating func renew(_ author: NodeID) throws(TransactionRefusal) {
    guard let provider = state.providers[author], provider.activeLeaseCount > 0 else { throw .noLeases }
    renewDeadline(of: author)
  }

  mutating func commitResults(_ commitments: [LeaseCommitment], by author: NodeID) throws(TransactionRefusal) {
    var first: TransactionRefusal?
    var isDone = false
    for entry in commitments {
      do {
        try commit(entry, by: author)
        isDone = true
      } catch { first = first ?? error }
    }
    if !isDone { throw first ?? .unknownLease }
  }

  private mutating func commit(_ entry: LeaseCommitment, by author: NodeID) throws(TransactionRefusal) {
    var (job, lease) = try held(entry.lease, by: author)
    guard lease.state == .active else { throw .wrongLeaseState }
    lease.state = .committed
    lease.commitment = entry.commitment
    update(&job, lease, deadlineMilliseconds: now.clampedSum(parameters.revealWindowMilliseconds))
    change(&job, to: .revealing)
    state.jobs[job.id] = job
    deactivate(author)
  }

  mutating func revealResults(_ results: [LeaseResult], by author: NodeID) throws(TransactionRefusal) {
    var first: TransactionRefusal?
    var isDone = false
    for result in results {
      do {
        try reveal(result, by: author)
        isDone = true
      } catch { first = first ?? error }
    }
    if !isDone { throw first ?? .unknownLease }
  }

  /// Rule 3.
  private mutating func reveal(_ result: LeaseResult, by author: NodeID) throws(TransactionRefusal) {
    var (job, lease) = try held(result.lease, by: author)
    guard lease.state == .committed else { throw .wrongLeaseState }
    guard result.commitment(networkID: networkID, provider: author).commitment == lease.commitment else {
      throw .wrongCommitment
    }
    lease.exit = result.exit
    lease.usage = result.usage
    job.leases[job.leases.count - 1] = lease
    change(&job, to: .judging)
    switch result.exit {
    case .startFailed, .lost:
      endLease(of: &job, as: .revealed, reason: result.message, wallMilliseconds: 0)
      let kind = result.exit == .lost ? "the provider lost the job" : "the job could not be started"
      retry(&job, costsAttempt: true, message: result.message.isEmpty ? kind : "\(kind): \(result.message)")
    case .exited, .signalled, .wallLimit, .memoryLimit, .diskLimit:
      endLease(of: &job, as: .paid, reason: result.message, wallMilliseconds: result.usage.wallMilliseconds)
      job.outputRoot = result.outputRoot
      job.exit = result.exit
      end(&job, as: .settled, message: result.message)
    }
    state.jobs[job.id] = job
  }

  // MARK: - Ends

  /// Ends a live lease whose time is over, and its attempt.
  mutating func timeOut(_ id: Digest, _ reason: String) {
    guard let found = state.lease(id), found.job.leases[found.position].state.isLive else { return }
    var job = found.job
    let hasStarted = found.job.leases[found.position].startedMilliseconds != nil
    endLease(of: &job, as: .timedOut, reason: reason, wallMilliseconds: 0)
    retry(&job, costsAttempt: hasStarted, message: reason)
    state.jobs[job.id] = job
  }

  /// Ends the live lease of a job: pays for the time, gives back stake and resources.
  mutating func endLease(of job: inout JobRecord, as outcome: LeaseState, reason: String, wallMilliseconds: UInt64) {
    guard var lease = job.liveLease else { preconditionFailure("the lease that ends is live") }
    let due = Pricing.paymentMicrocredits(
      wallMilliseconds: wallMilliseconds, limitMilliseconds: job.terms.wallLimitMilliseconds,
      pricePerSecondMicrocredits: lease.pricePerSecondMicrocredits)
    // The price is within the limit that escrow was counted with, so this bound never bites; it must never be passed.
    let pay = min(due ?? .max, job.escrowMicrocredits)
    releaseEscrow(pay, of: job.submitter, to: lease.provider)
    job.escrowMicrocredits -= pay
    job.paidMicrocredits += pay
    releaseBond(lease.stakeMicrocredits, of: lease.provider)
    state.deadlines[lease.deadline] = nil
    state.holdings[HoldingKey(provider: lease.provider, lease: lease.id)] = nil
    if lease.state == .active { deactivate(lease.provider) }
    let terms = job.terms
    let gpus = lease.gpus
    changeProvider(lease.provider) { provider in
      provider.leaseCount -= 1
      provider.usedCPUMilli -= UInt64(terms.resources.cpuMilli)
      provider.usedMemoryBytes -= terms.resources.memoryBytes
      provider.usedDiskBytes -= terms.resources.diskBytes
      provider.usedGPUs &= ~gpus
    }
    capacityFreed = true
    lease.state = outcome
    lease.stakeMicrocredits = 0
    lease.paidMicrocredits = pay
    lease.endedMilliseconds = now
    lease.deadlineMilliseconds = 0
    lease.reason = BlockExecution.bounded(reason)
    job.leases[job.leases.count - 1] = lease
    events.append(.leaseEnded(lease: lease.id, provider: lease.provider, outcome))
  }

  // MARK: - Renewals

  mutating func changeProvider(_ id: NodeID, _ body: (inout ProviderRecord) -> Void) {
    guard var provider = state.providers[id] else { preconditionFailure("who holds a lease is a provider") }
    body(&provider)
    state.providers[id] = provider
  }

  /// One active lease less; without any there is nothing to renew.
  private mutating func deactivate(_ id: NodeID) {
    guard var provider = state.providers[id] else { preconditionFailure("who holds a lease is a provider") }
    provider.activeLeaseCount -= 1
    if provider.activeLeaseCount == 0 {
      state.deadlines[provider.renewalDeadline(of: id)] = nil
      provider.renewDeadlineMilliseconds = 0
    }
    state.providers[id] = provider
  }

  private mutating func renewDeadline(of id: NodeID) {
    guard var provider = state.providers[id] else { preconditionFailure("who holds a lease is a provider") }
    if provider.renewDeadlineMilliseconds > 0 { state.deadlines[provider.renewalDeadline(of: id)] = nil }
    let span = Pricing.product(parameters.renewIntervalMilliseconds, parameters.renewalsMissed) ?? .max
    provider.renewDeadlineMilliseconds = now.clampedSum(span)
    state.deadlines[provider.renewalDeadline(of: id)] = Present()
    state.providers[id] = provider
  }
}

extension LeaseRecord {
  /// When the lease's present state times out.
  var deadline: Deadline {
    Deadline(isTidying: false, timeMilliseconds: deadlineMilliseconds, subject: .lease, id: id.value)
  }
}

extension ProviderRecord {
  /// When the active leases of the provider time out.
  func renewalDeadline(of id: NodeID) -> Deadline {
    Deadline(isTidying: false, timeMilliseconds: renewDeadlineMilliseconds, subject: .provider, id: id.value)
  }
}
