import Primitives
import Synchronization

/// Counts by name, from any thread.
final class TransportCounters: Sendable {
  private let counters = Mutex(Counters())

  func add(_ name: String, _ amount: UInt64 = 1) { counters.withLock { $0.add(name, amount) } }

  var all: [(String, UInt64)] { counters.withLock { $0.all.map { ($0.name, $0.count) } } }
}
