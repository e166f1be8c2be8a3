import Primitives
import Synchronization

/// The ids that this node's transactions, and so the jobs that they submit, have since they were signed anew: who was told
/// the first one asks by it. Of this run of the daemon only, the oldest forgotten first.
final class Successors: Sendable {
  private static let capacity = 16_384

  private struct State {
    /// From the id that was told to the one that holds.
    var current = BoundedMap<Digest, Digest>(capacity: capacity)
    /// From the id that holds to the one that was told.
    var told = BoundedMap<Digest, Digest>(capacity: capacity)
  }

  private let state = Mutex(State())

  /// Notes that what had one id has another from now on.
  func note(_ id: Digest, as next: Digest) {
    state.withLock { state in
      let told = state.told.removeValue(forKey: id) ?? id
      state.current.insert(next, forKey: told)
      state.told.insert(told, forKey: next)
    }
  }

  /// The id that holds now: the same, unless that was signed anew.
  func current(of id: Digest) -> Digest { state.withLock { $0.current[id] ?? id } }

  /// The id that was told to who asked for it.
  func told(of id: Digest) -> Digest { state.withLock { $0.told[id] ?? id } }
}
