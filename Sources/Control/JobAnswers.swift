import FoundationEssentials

/// Where a job stands in the ledger.
package enum JobState: String, Codable, Sendable, CaseIterable {
  case pending, assigned, running, revealing, judging, settled, refunded, cancelled, expired

  /// Whether it can never change again.
  package var isTerminal: Bool {
    switch self {
    case .settled, .refunded, .cancelled, .expired: true
    case .pending, .assigned, .running, .revealing, .judging: false
    }
  }
}

/// Where one provider's share of a job stands.
package enum LeaseState: String, Codable, Sendable, CaseIterable {
  case offered, active, committed, revealed, paid, outvoted, timedOut, declined, cancelled
}

/// Reasons that the client maps to exit codes, one for each way of ending that the ledger knows besides a plain exit;
/// any other text may appear too and is shown as it is.
package enum JobReason {
  /// The wall limit was reached.
  package static let wallLimit = "wallLimit"
  /// The memory limit was reached.
  package static let memoryLimit = "memoryLimit"
  /// The disk limit was reached.
  package static let diskLimit = "diskLimit"
  /// A signal ended it: the exit code is 128 and its number.
  package static let killed = "killed"
  /// The sandbox could not start it, or an input could not be fetched.
  package static let startFailed = "startFailed"
  /// The provider cannot account for it.
  package static let lost = "lost"
  /// The start deadline passed without a provider.
  package static let noProvider = "noProvider"
}

/// One lease of a job.
package struct LeaseAnswer: Codable, Sendable, Equatable {
  /// The id of the node that holds it.
  package var provider: String
  /// Where it stands.
  package var state: LeaseState
  /// Which attempt of the job it belongs to, from 1.
  package var attempt: Int
  /// When the provider accepted it.
  package var startedAt: WallTime?
  /// When it ended.
  package var endedAt: WallTime?
  /// The exit code that the provider reported.
  package var exitCode: Int32?
  /// Why it ended, one of `JobReason` or other text.
  package var reason: String?

  /// Every field.
  package init(
    provider: String, state: LeaseState, attempt: Int, startedAt: WallTime? = nil, endedAt: WallTime? = nil,
    exitCode: Int32? = nil, reason: String? = nil
  ) {
    self.provider = provider
    self.state = state
    self.attempt = attempt
    self.startedAt = startedAt
    self.endedAt = endedAt
    self.exitCode = exitCode
    self.reason = reason
  }
}

/// `linnet job show`.
package struct JobAnswer: Codable, Sendable, Equatable {
  /// The job's id in text form.
  package var id: String
  /// Where it stands.
  package var state: JobState
  /// The account that pays.
  package var submitter: String
  /// The command and its arguments; empty where only the hash of the specification is known here.
  package var command: [String]
  /// Its leases, oldest first.
  package var leases: [LeaseAnswer]
  /// What was paid so far, all leases together.
  package var priceMicrocredits: UInt64
  /// What is locked for it now.
  package var escrowMicrocredits: UInt64
  /// When it was submitted: the time of the block that took it in, or of the request while none has.
  package var submittedAt: WallTime?
  /// The height of the block that last assigned it.
  package var assignedInBlock: UInt64?
  /// The height of the block that ended it.
  package var settledInBlock: UInt64?
  /// The root of its output directory, when it has one.
  package var outputRoot: String?
  /// The agreed exit code: the command's own, 128 + n after signal n.
  package var exitCode: Int32?
  /// Why it ended as it did, one of `JobReason` or other text; nil for a plain exit.
  package var reason: String?

  /// Every field.
  package init(
    id: String, state: JobState, submitter: String, command: [String], leases: [LeaseAnswer] = [],
    priceMicrocredits: UInt64 = 0, escrowMicrocredits: UInt64 = 0, submittedAt: WallTime? = nil,
    assignedInBlock: UInt64? = nil, settledInBlock: UInt64? = nil, outputRoot: String? = nil, exitCode: Int32? = nil,
    reason: String? = nil
  ) {
    self.id = id
    self.state = state
    self.submitter = submitter
    self.command = command
    self.leases = leases
    self.priceMicrocredits = priceMicrocredits
    self.escrowMicrocredits = escrowMicrocredits
    self.submittedAt = submittedAt
    self.assignedInBlock = assignedInBlock
    self.settledInBlock = settledInBlock
    self.outputRoot = outputRoot
    self.exitCode = exitCode
    self.reason = reason
  }
}

/// `linnet job list`: newest first, at most `maximumJobs` of them.
package struct JobListAnswer: Codable, Sendable, Equatable {
  /// The most jobs that one answer holds.
  package static let maximumJobs = 1000

  /// The jobs.
  package var jobs: [JobAnswer]
  /// How many more there are than the answer holds.
  package var omitted: Int

  /// Every field.
  package init(jobs: [JobAnswer], omitted: Int = 0) {
    self.jobs = jobs
    self.omitted = omitted
  }
}

/// The answer to a submission: the node has signed it and put it into its mempool.
package struct SubmissionAnswer: Codable, Sendable, Equatable {
  /// The new job's id.
  package var id: String

  /// Every field.
  package init(id: String) {
    self.id = id
  }
}

/// Which of a job's two output streams.
package enum LogStream: String, Codable, Sendable, CaseIterable {
  case stdout, stderr
}

/// A piece of what a job printed. On the socket: one JSON object a line, the bytes in base64.
package struct JobLogChunk: Codable, Sendable, Equatable {
  /// The most bytes in one chunk.
  package static let maximumBytes = 65_536

  /// Which stream.
  package var stream: LogStream
  /// The attempt that printed it; when it rises, the job runs again and its output begins anew.
  package var attempt: Int
  /// Where in the attempt's stream it begins.
  package var offset: UInt64
  /// The bytes.
  package var bytes: [UInt8]

  private enum Keys: String, CodingKey {
    case stream, attempt, offset, data
  }

  /// Every field.
  package init(stream: LogStream, attempt: Int, offset: UInt64, bytes: [UInt8]) {
    self.stream = stream
    self.attempt = attempt
    self.offset = offset
    self.bytes = bytes
  }

  /// Reads the object with `data` in base64.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Keys.self)
    self.init(
      stream: try values.decode(LogStream.self, forKey: .stream),
      attempt: try values.decode(Int.self, forKey: .attempt),
      offset: try values.decode(UInt64.self, forKey: .offset),
      bytes: Array(try values.decode(Data.self, forKey: .data)))
  }

  /// Writes the object with `data` in base64.
  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Keys.self)
    try values.encode(stream, forKey: .stream)
    try values.encode(attempt, forKey: .attempt)
    try values.encode(offset, forKey: .offset)
    try values.encode(Data(bytes), forKey: .data)
  }
}

/// What of a job's output is asked for.
package struct JobLogRequest: Sendable, Equatable {
  /// Only this stream, or both when nil.
  package var stream: LogStream?
  /// Skip this many bytes of each stream of the first attempt that is shown.
  package var offset: UInt64
  /// Keep the answer open, with more chunks as they come, until the job has ended.
  package var follow: Bool

  /// Every field.
  package init(stream: LogStream? = nil, offset: UInt64 = 0, follow: Bool = false) {
    self.stream = stream
    self.offset = offset
    self.follow = follow
  }
}
