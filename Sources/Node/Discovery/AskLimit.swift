import Primitives
import Wire

/// How often each peer, or each network, may ask for something: so many times in `window`, which begins with the first.
struct AskLimit<Asker: Comparable & Sendable>: Sendable {
  static var window: Microseconds { .seconds(60) }
  /// The most askers that are counted; the one that asked longest ago goes first.
  private static var maximumAskers: Int { 1_024 }

  private struct Count {
    var from: Instant
    var count: Int
  }

  let perWindow: Int
  private var counts = BoundedMap<Asker, Count>(capacity: AskLimit.maximumAskers)

  init(perWindow: Int) { self.perWindow = perWindow }

  /// Whether this one may ask now; notes that it did.
  mutating func take(_ asker: Asker, at now: Instant) -> Bool {
    guard var last = counts[asker], now - last.from < AskLimit.window else {
      counts.insert(Count(from: now, count: 1), forKey: asker)
      return true
    }
    guard last.count < perWindow else { return false }
    last.count += 1
    counts.insert(last, forKey: asker)
    return true
  }
}
