import Primitives
import Wire

/// How often each peer may ask for something: so many times in `window`, which begins with the first.
struct AskLimit: Sendable {
  static let window = Microseconds.seconds(60)
  /// The most peers that are counted; the one that asked longest ago goes first.
  private static let maximumPeers = 1_024

  private struct Count {
    var from: Instant
    var count: Int
  }

  let perWindow: Int
  private var counts = BoundedMap<NodeID, Count>(capacity: AskLimit.maximumPeers)

  init(perWindow: Int) { self.perWindow = perWindow }

  /// Whether this peer may ask now; notes that it did.
  mutating func take(_ peer: NodeID, at now: Instant) -> Bool {
    guard var last = counts[peer], now - last.from < AskLimit.window else {
      counts.insert(Count(from: now, count: 1), forKey: peer)
      return true
    }
    guard last.count < perWindow else { return false }
    last.count += 1
    counts.insert(last, forKey: peer)
    return true
  }
}
