import Primitives
import Synchronization

/// The ids that this node's transactions, and so the jobs that they submit, have since they were signed anew: who was told
/// an earlier one asks by it. Of this run of the daemon only, the oldest forgotten first.
final class Successors: Sendable {
  /// What is known at one moment.
  struct Snapshot: Sendable {
    private static let capacity = 16_384

    /// From the id that was told first to the one that holds.
    private var latest = BoundedMap<Digest, Digest>(capacity: capacity)
    /// From each later id to the one that was told first.
    private var first = BoundedMap<Digest, Digest>(capacity: capacity)

    fileprivate mutating func note(_ id: Digest, as next: Digest) {
      let told = told(of: id)
      latest.insert(next, forKey: told)
      first.insert(told, forKey: next)
    }

    /// The id that holds now: the same, unless that was signed anew.
    func current(of id: Digest) -> Digest { latest[told(of: id)] ?? id }

    /// All ids that came after the first.
    var later: [Digest] { first.entries.map(\.key) }

    /// The id that was told to who asked for it.
    func told(of id: Digest) -> Digest { first[id] ?? id }
  }

  private let state = Mutex(Snapshot())

  /// Notes that what had one id has another from now on.
  func note(_ id: Digest, as next: Digest) { state.withLock { $0.note(id, as: next) } }

  /// What is known now. Taken on the core's loop, it fits what is read of the core there.
  var snapshot: Snapshot { state.withLock { $0 } }
}
