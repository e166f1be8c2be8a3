import Control
import Ledger
import Primitives
import Wire

// The ledger's records of jobs as the control API tells them.

extension JobAnswer {
  /// A job that a final block holds. The command is in the job's specification, which the ledger does not have.
  init(_ record: JobRecord, id: Digest) {
    let outcome = record.exit.map { JobOutcome($0) }
    self.init(
      id: "\(id)", state: Control.JobState(record.state), submitter: "\(record.submitter)", command: [],
      leases: record.leases.map { LeaseAnswer($0) }, priceMicrocredits: record.paidMicrocredits,
      escrowMicrocredits: record.escrowMicrocredits,
      submittedAt: NodeControl.wallTime(milliseconds: record.submittedMilliseconds),
      assignedInBlock: record.assignedInBlock, settledInBlock: record.settledInBlock,
      outputRoot: record.outputRoot.flatMap { $0 == .zero ? nil : "\($0)" }, exitCode: outcome?.exitCode,
      reason: JobAnswer.reason(record, outcome))
  }

  private static func reason(_ record: JobRecord, _ outcome: JobOutcome?) -> String? {
    switch record.state {
    case .expired: return JobReason.noProvider
    case .settled: return outcome?.reason
    case .refunded:
      guard let word = outcome?.reason else { return record.message }
      return record.message.isEmpty ? word : "\(word): \(record.message)"
    case .cancelled: return record.message
    case .pending, .assigned, .running, .revealing, .judging: return nil
    }
  }
}

extension LeaseAnswer {
  init(_ lease: LeaseRecord) {
    let outcome = lease.exit.map { JobOutcome($0) }
    self.init(
      provider: "\(lease.provider)", state: Control.LeaseState(lease.state), attempt: Int(lease.attempt) + 1,
      startedAt: lease.startedMilliseconds.map { NodeControl.wallTime(milliseconds: $0) },
      endedAt: lease.endedMilliseconds.map { NodeControl.wallTime(milliseconds: $0) }, exitCode: outcome?.exitCode,
      reason: outcome?.reason ?? (lease.reason.isEmpty ? nil : lease.reason))
  }
}

/// How a job ended, as an exit code and a word.
private struct JobOutcome {
  var exitCode: Int32?
  var reason: String?

  init(_ exit: ExitStatus) {
    switch exit {
    case .exited(let code): exitCode = Int32(code)
    case .signalled(let signal):
      exitCode = 128 + Int32(signal)
      reason = JobReason.killed
    case .wallLimit: reason = JobReason.wallLimit
    case .memoryLimit: reason = JobReason.memoryLimit
    case .diskLimit: reason = JobReason.diskLimit
    case .startFailed: reason = JobReason.startFailed
    case .lost: reason = JobReason.lost
    }
  }
}

extension Control.JobState {
  init(_ state: Ledger.JobState) {
    switch state {
    case .pending: self = .pending
    case .assigned: self = .assigned
    case .running: self = .running
    case .revealing: self = .revealing
    case .judging: self = .judging
    case .settled: self = .settled
    case .refunded: self = .refunded
    case .cancelled: self = .cancelled
    case .expired: self = .expired
    }
  }
}

extension Control.LeaseState {
  init(_ state: Ledger.LeaseState) {
    switch state {
    case .offered: self = .offered
    case .active: self = .active
    case .committed: self = .committed
    case .revealed: self = .revealed
    case .paid: self = .paid
    case .outvoted: self = .outvoted
    case .timedOut: self = .timedOut
    case .declined: self = .declined
    case .cancelled: self = .cancelled
    }
  }
}
