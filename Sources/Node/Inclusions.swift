import Primitives
import Synchronization
import Wire

/// Which block made a transaction final, for the transactions of late.
final class Inclusions: Sendable {
  /// The most transactions remembered.
  private static let capacity = 65_536

  private struct State {
    var heights = BoundedMap<Digest, UInt64>(capacity: capacity)
    var lastCommit: Int64?
  }

  private let state = Mutex(State())

  /// Notes final blocks.
  func add(_ blocks: [Verified<Block>]) {
    state.withLock { state in
      for block in blocks.map(\.value) {
        for transaction in block.transactions { state.heights.insert(block.header.height, forKey: transaction.id) }
      }
      state.lastCommit = MonotonicClock.now().microseconds &+ WallTimeSource.offset().count
    }
  }

  /// The height of the final block that holds the transaction.
  func height(of id: Digest) -> UInt64? { state.withLock { $0.heights[id] } }

  /// When the last block became final here, in microseconds since 1970.
  var lastCommit: Int64? { state.withLock { $0.lastCommit } }
}
