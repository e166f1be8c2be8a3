import Blobs
import Control
import Core
import Ledger
import Primitives
import Wire

// Jobs: submitting, showing, waiting, cancelling.

extension NodeControl {
  /// Attempts after the first.
  private static let retries: UInt8 = 2
  /// How long a job may wait for a provider.
  private static let startMilliseconds: UInt64 = 3_600_000
  /// What a second of a job may cost when neither the submitter says so nor an offer stands.
  private static let fallbackPricePerSecond: UInt64 = 10_000

  func submitJob(_ submission: JobSubmission) async throws -> SubmissionAnswer {
    var inputs: [JobSpecification.Input] = []
    for input in submission.inputs {
      guard let root = Digest(hex: input.root), let summary = node.store.summary(of: root) else {
        throw ControlError.invalid(
          "the input \(input.name) is no blob of this node", suggestion: "upload it first: `linnet blob add`")
      }
      guard (summary.kind == .directory) == input.isDirectory else {
        throw ControlError.invalid("the input \(input.name) is a \(summary.kind)")
      }
      inputs.append(JobSpecification.Input(name: input.name, root: root, isDirectory: input.isDirectory))
    }
    let specification = JobSpecification(
      command: submission.command, environment: submission.environment.map { ($0.key, $0.value) }, inputs: inputs)
    do { _ = try JobSpecification(decoding: specification.encoded) } catch {
      throw ControlError.invalid("the job is over a bound: \(error)")
    }
    let root: Digest
    do { root = try node.store.importBytes(specification.encoded, pinnedBy: BlobKeeper.uploads).root } catch {
      throw ControlError.unavailable(code: "blobStore", "the job can't be stored: \(error)")
    }
    for input in inputs {
      do { _ = try node.store.pin(input.root, by: BlobKeeper.uploads) } catch {
        throw ControlError.unavailable(code: "blobStore", "an input can't be kept: \(error)")
      }
    }
    let terms = await jobTerms(submission, specification: root)
    let id = try await submit(.submitJob(terms))
    // From here on the job holds its blobs, until it has ended.
    node.keeper.hand([root] + inputs.map(\.root), to: id)
    node.jobs.add(id, SubmittedJob(specification: specification, terms: terms, at: WallTimeSource.now()))
    return SubmissionAnswer(id: "\(id)")
  }

  private func jobTerms(_ submission: JobSubmission, specification: Digest) async -> JobTerms {
    let resources = Resources(
      cpuMilli: submission.cpuMilli, memoryBytes: submission.memoryBytes, diskBytes: submission.diskBytes)
    let gpus = UInt8(clamping: submission.gpus)
    let seconds = UInt64(max(1, submission.wallLimitSeconds))
    let (time, offered) = await node.driver.read { core, now in
      let state = core.finalState
      let prices = state.providerIDs.compactMap { state.offer(of: $0) }.compactMap {
        Pricing.perSecond(resources, gpuCount: gpus, at: $0.prices)
      }
      return (
        max(state.ledgerTimeMilliseconds, core.identity.wallClock.unixMilliseconds(at: now)),
        prices.max()
      )
    }
    // Without a limit of the user's, any offer that stands will do, and escrow is what the dearest would cost.
    let price = submission.maximumPriceMicrocredits.map { $0 / seconds } ?? offered ?? Self.fallbackPricePerSecond
    return JobTerms(
      specification: specification, resources: resources, gpuCount: gpus, gpuMemoryBytes: 0,
      labels: Array(
        Label.canonical(submission.labels.map { Label(key: $0.key, value: $0.value) }).prefix(Label.maximumCount)),
      driver: OfferBuilder.nativeDriver, isolation: .rlimit, mayRunOnSubmitter: !submission.excludeSelf,
      replication: 1, retries: Self.retries, maximumPricePerSecondMicrocredits: price,
      wallLimitMilliseconds: seconds * 1_000, startDeadlineMilliseconds: time + Self.startMilliseconds)
  }

  func jobs() async throws -> JobListAnswer {
    let all = await knownJobs().answers.sorted {
      ($0.submittedAt ?? WallTime(microsecondsSinceEpoch: 0), $0.id)
        > ($1.submittedAt ?? WallTime(microsecondsSinceEpoch: 0), $1.id)
    }
    return JobListAnswer(
      jobs: Array(all.prefix(JobListAnswer.maximumJobs)), omitted: max(0, all.count - JobListAnswer.maximumJobs))
  }

  func job(id: String) async throws -> JobAnswer { try await answer(try await resolveJob(id)) }

  /// The core is held for no longer than it takes to copy: there may be many.
  func knownJobs() async -> KnownJobs {
    await node.driver.read { [node] core, _ in
      KnownJobs(core, ids: node.shell.successors.snapshot, own: node.jobs)
    }
  }

  /// The id that a job has now.
  func resolveJob(_ text: String) async throws -> Digest { try await knownJobs().resolve(text) }

  /// One job as it is now, by any of its ids.
  func answer(_ id: Digest) async throws -> JobAnswer {
    guard let answer = await knownJobs().answer(id) else {
      throw ControlError.unknown("job", "\(id)", suggestion: "it may have ended long ago: `linnet job list`")
    }
    return answer
  }

  func waitJob(id: String, timeoutSeconds: UInt32) async throws -> JobAnswer {
    let found = try await resolveJob(id)
    let deadline = MonotonicClock.now() + .seconds(Int64(timeoutSeconds))
    while true {
      let rings = node.shell.bell.rings
      let answer = try await answer(found)
      let left = deadline - MonotonicClock.now()
      if answer.state.isTerminal || left <= .zero || Task.isCancelled { return answer }
      await node.shell.bell.wait(seconds: min(1, Double(left.count) / 1_000_000), seen: rings)
    }
  }

  func cancelJob(id: String) async throws -> JobAnswer {
    let found = try await resolveJob(id)
    let before = try await answer(found)
    guard !before.state.isTerminal else {
      throw ControlError.conflict(
        code: "jobEnded", "the job has ended: it is \(before.state.rawValue)", suggestion: "`linnet job show \(id)`")
    }
    guard before.submitter == "\(node.id)" else {
      throw ControlError.conflict(
        code: "notTheSubmitter", "only the node that submitted a job can cancel it",
        suggestion: "ask the node \(before.submitter)")
    }
    // One that was signed anew meanwhile has another id.
    var target: Digest?
    var current = found
    while current != target {
      _ = try await submit(.cancelJob(job: current))
      target = current
      current = node.shell.successors.snapshot.current(of: current)
    }
    return before
  }
}

/// A job that this node's users submitted, as they gave it.
struct SubmittedJob: Sendable {
  var specification: JobSpecification
  var terms: JobTerms
  var at: WallTime
}
