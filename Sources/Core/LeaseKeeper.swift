import Ledger
import Primitives
import Wire

/// What this node knows of its own leases beyond the ledger: which it started, and how they ended. Everything
/// else is read from the final state each time, so that a restart forgets nothing.
struct LeaseKeeper: Sendable {
  /// The most leases looked after: the ledger assigns no more than an offer's `maximumJobs`.
  static let maximumLeases = 4_096

  /// How long after a start a lease that the final state does not know is held on to.
  static let unknownLeasePatience = Microseconds.seconds(600)

  private(set) var started = OrderedSet<Digest>()
  private(set) var outcomes = BoundedMap<Digest, LeaseOutcome>(capacity: maximumLeases)
  private(set) var refused = BoundedMap<Digest, String>(capacity: maximumLeases)
  var renewedAt: Instant?

  mutating func start(_ lease: Digest) -> Bool {
    started.count < LeaseKeeper.maximumLeases && started.insert(lease)
  }

  mutating func refuse(_ lease: Digest, reason: String) {
    started.remove(lease)
    refused.insert(reason, forKey: lease)
  }

  mutating func finish(_ outcome: LeaseOutcome) {
    // The first outcome stays: what was committed must be what is revealed.
    if !outcomes.contains(outcome.lease) { outcomes.insert(outcome, forKey: outcome.lease) }
    _ = start(outcome.lease)
  }

  mutating func forget(_ lease: Digest) {
    started.remove(lease)
    outcomes.removeValue(forKey: lease)
    refused.removeValue(forKey: lease)
  }
}

extension NodeCore {
  /// Compares the leases of the final state with what runs here, and acts on every difference.
  mutating func keepLeases(now: Instant, into effects: inout [CoreEffect]) {
    let state = finalState
    var commitments: [LeaseCommitment] = []
    var results: [LeaseResult] = []
    var held = OrderedSet<Digest>()
    var mustRenew = false
    for lease in state.leases(of: id) {
      switch lease.state {
      case .offered:
        held.insert(lease.id)
        if let reason = leases.refused[lease.id] {
          submitOnce(.declineLease(lease: lease.id, reason: reason), for: .decline(lease.id), now: now, into: &effects)
        } else {
          submitOnce(.acceptLease(lease: lease.id), for: .accept(lease.id), now: now, into: &effects)
        }
      case .active:
        held.insert(lease.id)
        mustRenew = true
        if let outcome = leases.outcomes[lease.id] {
          commitments.append(
            result(of: outcome).commitment(networkID: identity.signer.networkID, provider: id))
        } else if let reason = leases.refused[lease.id] {
          submitOnce(.declineLease(lease: lease.id, reason: reason), for: .decline(lease.id), now: now, into: &effects)
        } else if let job = state.job(lease.job), leases.start(lease.id) {
          effects.append(
            .startLease(
              LeaseOrder(
                lease: lease.id, job: lease.job, submitter: job.submitter, attempt: UInt64(lease.attempt),
                terms: job.terms)))
        }
      case .committed:
        held.insert(lease.id)
        mustRenew = true
        if let outcome = leases.outcomes[lease.id] {
          results.append(result(of: outcome))
        } else if let job = state.job(lease.job), leases.start(lease.id) {
          // After a restart: the shell finds the lease's outcome where it kept it.
          effects.append(
            .startLease(
              LeaseOrder(
                lease: lease.id, job: lease.job, submitter: job.submitter, attempt: UInt64(lease.attempt),
                terms: job.terms)))
        }
      case .revealed, .paid, .outvoted, .timedOut, .declined, .cancelled: break
      }
    }
    if !commitments.isEmpty {
      let batch = Array(commitments.sorted { $0.lease < $1.lease }.prefix(TransactionAction.maximumLeases))
      submitOnce(.commitResults(batch), for: .commit, now: now, into: &effects)
    }
    if !results.isEmpty {
      let batch = Array(results.sorted { $0.lease < $1.lease }.prefix(NodeCore.maximumRevealsPerTransaction))
      submitOnce(.revealResults(batch), for: .reveal, now: now, into: &effects)
    }
    for lease in leases.started.members where !held.contains(lease) {
      // After a crash the block that assigned a lease may have to be fetched again: its job is not for nothing.
      if state.lease(lease) == nil, let startedAt, now - startedAt < LeaseKeeper.unknownLeasePatience { continue }
      effects.append(.stopLease(lease))
      effects.append(.forgetLease(lease))
      leases.forget(lease)
    }
    if mustRenew { renewLeases(now: now, into: &effects) } else { leases.renewedAt = nil }
  }

  /// A revealed result takes up to 345 bytes of a transaction's 4,096.
  private static let maximumRevealsPerTransaction = 10

  private mutating func renewLeases(now: Instant, into effects: inout [CoreEffect]) {
    let interval = Microseconds.milliseconds(Int64(genesis.parameters.renewIntervalMilliseconds))
    guard let last = leases.renewedAt else {
      // Accepting counts as a renewal.
      leases.renewedAt = now
      return
    }
    guard now - last >= interval else { return }
    leases.renewedAt = now
    submitOnce(.renew, for: .renew, now: now, into: &effects)
  }

  /// The result as it is committed and revealed. The salt comes from a signature, which is the same each time
  /// (Ed25519 is deterministic) and which nobody else can make: nothing need be kept on the disk for it.
  private func result(of outcome: LeaseOutcome) -> LeaseResult {
    let statement = Array("linnet/1/result-salt".utf8) + [0] + outcome.lease.bytes
    return LeaseResult(
      lease: outcome.lease, outputRoot: outcome.outputRoot, exit: outcome.exit, usage: outcome.usage,
      message: outcome.message, salt: Digest(hashing: identity.signer.sign(statement).bytes))
  }

  /// Submits unless a transaction for the same purpose is on its way.
  mutating func submitOnce(
    _ action: TransactionAction, for purpose: Outbox.Purpose, now: Instant, into effects: inout [CoreEffect]
  ) {
    guard !outbox.isPending(purpose), !outbox.isPaused(purpose, at: now) else { return }
    if case .refused = submit(action, for: purpose, now: now, into: &effects) {
      counters.add("ownTransactionNotSigned")
    }
  }
}
