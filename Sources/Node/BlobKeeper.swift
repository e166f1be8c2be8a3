import Blobs
import Logging
import Primitives
import Synchronization

/// Ends the pins on blobs that this node's users need no longer: what is not pinned goes when the store needs room.
final class BlobKeeper: Sendable {
  /// Pins what was uploaded and belongs to no job yet. Released when the daemon starts.
  static let uploads = "uploads"
  /// Pins what was fetched for a user, the newest `maximumFetched`. Released when the daemon starts.
  static let fetched = "fetched"
  private static let maximumFetched = 64
  private static let jobPrefix = "job-"

  private let store: BlobStore
  private let logger: Logger
  private let recent = Mutex<[Digest]>([])

  init(store: BlobStore, logger: Logger) {
    self.store = store
    self.logger = logger
    release { $0 == BlobKeeper.uploads || $0 == BlobKeeper.fetched }
  }

  /// Hands uploaded blobs to a job.
  func hand(_ roots: [Digest], to job: Digest) {
    for root in roots {
      do {
        try store.pin(root, by: BlobKeeper.jobPrefix + job.description)
        try store.unpin(root, by: BlobKeeper.uploads)
      } catch { logger.warning("a blob of job \(job.short) stays as it was pinned: \(error)") }
    }
  }

  /// Hands the blobs of a job to itself under another id.
  func hand(from job: Digest, to next: Digest) {
    let (owner, nextOwner) = (BlobKeeper.jobPrefix + job.description, BlobKeeper.jobPrefix + next.description)
    do { try store.handPins(of: owner, to: nextOwner) } catch {
      logger.warning("blobs of job \(next.short) stay pinned as of \(job.short): \(error)")
    }
  }

  /// Notes that a blob was fetched for a user, pinned by `fetched`.
  func noteFetched(_ root: Digest) {
    let oldest = recent.withLock { recent -> Digest? in
      recent.removeAll { $0 == root }
      recent.append(root)
      return recent.count > BlobKeeper.maximumFetched ? recent.removeFirst() : nil
    }
    guard let oldest else { return }
    do { try store.unpin(oldest, by: BlobKeeper.fetched) } catch {
      logger.warning("a fetched blob stays pinned: \(error)")
    }
  }

  /// The jobs that hold blobs.
  var jobs: [Digest] {
    store.pinOwners.compactMap {
      $0.hasPrefix(BlobKeeper.jobPrefix) ? Digest(hex: $0.dropFirst(BlobKeeper.jobPrefix.count)) : nil
    }
  }

  /// Lets the blobs of jobs that have ended go.
  func release(jobs: [Digest]) {
    guard !jobs.isEmpty else { return }
    let owners = Set(jobs.map { BlobKeeper.jobPrefix + $0.description })
    release { owners.contains($0) }
  }

  private func release(where isReleased: (String) -> Bool) {
    do { try store.unpinAll(where: isReleased) } catch { logger.warning("old blobs stay pinned: \(error)") }
  }
}
