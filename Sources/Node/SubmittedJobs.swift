import Control
import Primitives
import Synchronization

/// The jobs that this node's users submitted since it started, the oldest forgotten first: known from the moment of
/// submission, ahead of any block.
final class SubmittedJobs: Sendable {
  private static let capacity = 16_384

  private let jobs = Mutex(BoundedMap<Digest, SubmittedJob>(capacity: capacity))

  func add(_ id: Digest, _ job: SubmittedJob) { jobs.withLock { _ = $0.insert(job, forKey: id) } }

  subscript(id: Digest) -> SubmittedJob? { jobs.withLock { $0[id] } }

  var ids: [Digest] { jobs.withLock { $0.entries.map(\.key) } }
}
