import Primitives
import Wire

// A job: pending -> assigned -> running -> revealing -> (judging) -> settled, or back to pending after an attempt
// that failed, or refunded, cancelled, expired.
//
// 1. Submitting locks the escrow; whatever is not paid returns in the block that ends the job.
// 2. A pending job expires at its start deadline. A job that is pending again after a lease waits as long anew as it
//    was ready to wait at first, so that a late failure does not use up its retries.
// 3. A lease that ran and came to nothing costs an attempt; one that was declined or timed out before it was accepted
//    does not, but there are at most `LedgerBounds.maximumUnstartedLeases` of these.
// 4. An ended job is forgotten after the retention time.

extension BlockExecution {
  mutating func submitJob(
    _ terms: JobTerms, id: Digest, feeMicrocredits: UInt64, by author: NodeID
  ) throws(TransactionRefusal) {
    guard terms.replication == 1 else { throw .replicationUnsupported }
    guard terms.retries <= LedgerBounds.maximumRetries else { throw .tooManyRetries }
    guard terms.wallLimitMilliseconds > 0,
      terms.wallLimitMilliseconds <= LedgerBounds.maximumWallLimitMilliseconds
    else { throw .badWallLimit }
    guard terms.startDeadlineMilliseconds > now else { throw .startDeadlinePassed }
    guard let escrow = Pricing.escrowMicrocredits(of: terms, parameters: parameters) else { throw .priceOverflow }
    guard chain.jobCount < LedgerBounds.maximumJobs else { throw .jobsFull }
    try lockEscrow(escrow, of: author)
    var job = JobRecord(
      id: id, submitter: author, terms: terms, feeMicrocredits: feeMicrocredits, order: chain.submissionCount,
      escrowMicrocredits: escrow, submittedMilliseconds: now, submittedInBlock: chain.height, leader: leader)
    chain.submissionCount += 1
    chain.jobCount += 1
    enterPending(&job)
    state.jobs[id] = job
  }

  mutating func cancelJob(_ id: Digest, by author: NodeID) throws(TransactionRefusal) {
    guard var job = state.jobs[id] else { throw .unknownJob }
    guard job.submitter == author else { throw .notTheSubmitter }
    switch job.state {
    case .pending, .assigned, .running: break
    case .revealing, .judging: throw .jobCommitted
    case .settled, .refunded, .cancelled, .expired: throw .jobEnded
    }
    let reason = "cancelled by the submitter"
    if let lease = job.liveLease {
      let used = lease.startedMilliseconds.map { now - $0 } ?? 0
      endLease(of: &job, as: .cancelled, reason: reason, wallMilliseconds: used)
    }
    end(&job, as: .cancelled, message: reason)
    state.jobs[id] = job
  }

  /// Rule 2.
  private mutating func enterPending(_ job: inout JobRecord) {
    let window = min(
      job.terms.startDeadlineMilliseconds - job.submittedMilliseconds, LedgerBounds.maximumStartWindowMilliseconds)
    change(&job, to: .pending)
    job.pendingLeader = leader
    job.pendingInBlock = chain.height
    job.deadlineMilliseconds = now.clampedSum(window)
    state.deadlines[job.deadline(isTidying: false)] = Present()
    state.pending[job.pendingKey] = Present()
    state.fresh[job.pendingKey] = Present()
    chain.freshCount += 1
  }

  /// Takes a pending job out of the queue, to be assigned or ended.
  mutating func leavePending(_ job: inout JobRecord) {
    leaveFresh(job.pendingKey)
    state.pending[job.pendingKey] = nil
    state.deadlines[job.deadline(isTidying: false)] = nil
    job.deadlineMilliseconds = 0
  }

  /// A block has drawn for a pending job, or it needs no draw.
  mutating func leaveFresh(_ key: PendingKey) {
    guard state.fresh[key] != nil else { return }
    state.fresh[key] = nil
    chain.freshCount -= 1
  }

  /// Another attempt, or the end (rule 3). The live lease has been ended.
  mutating func retry(_ job: inout JobRecord, costsAttempt: Bool, message: String) {
    if costsAttempt {
      job.failedAttempts += 1
    } else if job.leases.count(where: { $0.startedMilliseconds == nil }) >= LedgerBounds.maximumUnstartedLeases {
      return end(&job, as: .refunded, message: "no provider took the job: \(message)")
    }
    if job.failedAttempts > job.terms.retries { return end(&job, as: .refunded, message: message) }
    enterPending(&job)
  }

  /// The last state of a job (rules 1 and 4).
  mutating func end(_ job: inout JobRecord, as outcome: JobState, message: String) {
    if job.state == .pending { leavePending(&job) }
    releaseEscrow(job.escrowMicrocredits, of: job.submitter, to: job.submitter)
    job.escrowMicrocredits = 0
    change(&job, to: outcome)
    job.message = BlockExecution.bounded(message)
    job.settledInBlock = chain.height
    job.endedMilliseconds = now
    job.deadlineMilliseconds = now.clampedSum(parameters.retentionMilliseconds)
    state.deadlines[job.deadline(isTidying: true)] = Present()
  }

  mutating func change(_ job: inout JobRecord, to next: JobState) {
    job.state = next
    events.append(.jobChanged(job: job.id, next))
  }

  mutating func prune(_ id: Digest) {
    guard let job = state.jobs[id], job.state.isTerminal else { return }
    for lease in job.leases { state.leases[lease.id] = nil }
    state.jobs[id] = nil
    chain.jobCount -= 1
    events.append(.jobPruned(job: id))
  }

  /// Text cut to what a record holds, at a character.
  static func bounded(_ text: String) -> String {
    guard text.utf8.count > LeaseRecord.maximumReasonBytes else { return text }
    var scalars = String.UnicodeScalarView()
    var bytes = 0
    for scalar in text.unicodeScalars {
      bytes += String(scalar).utf8.count
      if bytes > LeaseRecord.maximumReasonBytes { break }
      scalars.append(scalar)
    }
    return String(scalars)
  }
}

extension JobRecord {
  /// The job's own deadline: to be assigned by, or to be forgotten at.
  func deadline(isTidying: Bool) -> Deadline {
    Deadline(isTidying: isTidying, timeMilliseconds: deadlineMilliseconds, subject: .job, id: id.value)
  }
}
