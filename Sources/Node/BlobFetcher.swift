import Blobs
import Primitives
import Wire

/// Fetches blobs from peers: first from those who should have them, then from everyone with a link.
struct BlobFetcher: Sendable {
  /// A fetch that has made no progress for this long ends.
  private static let stallLimit = Microseconds.seconds(60)
  private static let questionTimeoutSeconds = 20.0
  /// The most nodes that a link is sought with for one fetch.
  private static let maximumReached = 4

  let store: BlobStore
  let hub: ServiceHub
  /// The peers with a link.
  let linkedPeers: @Sendable () -> [NodeID]
  /// Gets a link with a node that should have the blob; false when there is none to be had.
  let reach: @Sendable (NodeID) async -> Bool

  private enum Event: Sendable {
    case answer(UInt64, NodeID, [BlobChunk])
    case undecodable(NodeID)
    case failure(UInt64)
    case reached
    case timer
  }

  /// Fetches `root`, with all below it if it is a directory, and leaves it pinned by `owner`.
  ///
  /// - Parameters:
  ///   - first: who should have it.
  ///   - maximumBytes: the most bytes of all blobs together.
  func fetch(
    _ root: Digest, from first: [NodeID], pinnedBy owner: String, maximumBytes: UInt64 = .max
  ) async throws {
    var fetch = try BlobFetch<NodeID>(root, into: store, pinnedBy: owner, maximumBytes: maximumBytes)
    try await withThrowingTaskGroup(of: Event.self) { group in
      defer { group.cancelAll() }
      for peer in first.prefix(BlobFetcher.maximumReached) {
        group.addTask {
          _ = await reach(peer)
          return .reached
        }
      }
      var hasTimer = false
      var progressAt = MonotonicClock.now()
      var progress: UInt64 = 0
      while true {
        try Task.checkCancellation()
        let now = MonotonicClock.now()
        let linked = linkedPeers()
        for peer in first.filter(linked.contains) + linked { fetch.add(peer) }
        for question in fetch.next(now: now) {
          group.addTask { await ask(question) }
        }
        switch fetch.phase {
        case .done: return
        case .failed(let error): throw error
        case .running: break
        }
        if fetch.receivedBytes > progress {
          progress = fetch.receivedBytes
          progressAt = now
        }
        guard now - progressAt < BlobFetcher.stallLimit else {
          throw BlobError(.missing, "no peer that is linked has the blob \(root)")
        }
        if !hasTimer {
          hasTimer = true
          group.addTask {
            try? await Task.sleep(for: .milliseconds(250))
            return .timer
          }
        }
        switch try await group.next() {
        case .answer(let id, _, let chunks): fetch.receive(chunks, for: id, now: MonotonicClock.now())
        case .undecodable(let peer): fetch.ban(peer)
        case .failure(let id): fetch.fail(id, now: MonotonicClock.now())
        case .reached: continue
        case .timer, nil: hasTimer = false
        }
      }
    }
  }

  private func ask(_ question: BlobQuestion<NodeID>) async -> Event {
    let bytes: [UInt8]
    do {
      bytes = try await hub.ask(
        .blob, question.request.encoded(), of: question.peer, timeoutSeconds: BlobFetcher.questionTimeoutSeconds)
    } catch {
      return .failure(question.id)
    }
    do { return .answer(question.id, question.peer, try BlobChunk.decode(bytes)) } catch {
      return .undecodable(question.peer)
    }
  }
}
