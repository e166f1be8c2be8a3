import Primitives
import Synchronization
import Wire

/// Which block made a transaction final, for this node's own transactions of late: others are asked of nobody, and a
/// block may have thousands.
final class Inclusions: Sendable {
  /// The most transactions remembered.
  private static let capacity = 16_384

  private struct State {
    var heights = BoundedMap<Digest, UInt64>(capacity: capacity)
    var lastCommit: Int64?
  }

  private let author: NodeID
  private let state = Mutex(State())

  /// - Parameter author: whose transactions are noted.
  init(of author: NodeID) { self.author = author }

  /// Notes final blocks.
  func add(_ blocks: [Verified<Block>]) {
    state.withLock { state in
      for block in blocks.map(\.value) {
        for transaction in block.transactions where transaction.author == author {
          state.heights.insert(block.header.height, forKey: transaction.id)
        }
      }
      state.lastCommit = MonotonicClock.now().microseconds &+ WallTimeSource.offset().count
    }
  }

  /// The height of the final block that holds the transaction.
  func height(of id: Digest) -> UInt64? { state.withLock { $0.heights[id] } }

  /// When the last block became final here, in microseconds since 1970.
  var lastCommit: Int64? { state.withLock { $0.lastCommit } }
}
