import Control
import Core
import Ledger
import Primitives
import Wire

/// What the ledger and this node know of jobs, at one moment of the core: between two of them a job may get another id, and
/// come into a block.
struct KnownJobs: Sendable {
  private let node: NodeID
  private let state: LedgerReader
  private let refusal: @Sendable (Digest) -> String?
  private let underWay: OrderedSet<Digest>
  private let ids: Successors.Snapshot
  private let own: SubmittedJobs

  init(_ core: NodeCore, ids: Successors.Snapshot, own: SubmittedJobs) {
    let refusals = core.refusals
    self.init(core, ids: ids, own: own) { refusals[$0] }
  }

  /// - Parameter refusal: why no block holds a transaction of this node, or will do what it says.
  init(
    _ core: NodeCore, ids: Successors.Snapshot, own: SubmittedJobs, refusal: @escaping @Sendable (Digest) -> String?
  ) {
    node = core.id
    state = core.finalState
    underWay = core.underWay
    self.ids = ids
    self.own = own
    self.refusal = refusal
  }

  /// The id that a job has now, by any that it has or had, or by what one of these begins with.
  func resolve(_ text: String) throws -> Digest {
    if let given = Digest(hex: text), state.job(ids.current(of: given)) != nil || own[ids.told(of: given)] != nil {
      return ids.current(of: given)
    }
    let known = state.jobs.map(\.id) + own.ids + ids.later.filter { own[ids.told(of: $0)] != nil }
    let found = try Abbreviation.resolve(text, among: Set(known).map(\.description).sorted(), kind: "job")
    guard let given = Digest(hex: found) else { throw ControlError.unknown("job", text) }
    return ids.current(of: given)
  }

  /// The ledger's record of a job, by any of its ids.
  func record(_ id: Digest) -> JobRecord? { state.job(ids.current(of: id)) }

  /// A job by any of its ids; nil when it is not known, or not any more.
  func answer(_ id: Digest) -> JobAnswer? {
    let submitted = own[ids.told(of: id)]
    guard let record = record(id) else { return submitted.flatMap { pending(ids.current(of: id), $0) } }
    var answer = JobAnswer(record, id: ids.current(of: id))
    answer.command = submitted?.specification.command ?? []
    return answer
  }

  /// All jobs, in no order.
  var answers: [JobAnswer] {
    let final = state.jobs.map(\.id)
    let isFinal = Set(final)
    let others = own.ids.map { ids.current(of: $0) }.filter { !isFinal.contains($0) }
    return (final + others).compactMap(answer)
  }

  /// A job that no final block holds: it is on its way, or never will be in one.
  private func pending(_ id: Digest, _ job: SubmittedJob) -> JobAnswer? {
    let refusal = refusal(id)
    guard refusal != nil || underWay.contains(id) else { return nil }
    let state: Control.JobState =
      switch refusal {
      case nil: .pending
      case NodeCore.cancelledReason: .cancelled
      default: .expired
      }
    return JobAnswer(
      id: "\(id)", state: state, submitter: "\(node)", command: job.specification.command, submittedAt: job.at,
      reason: refusal)
  }
}
