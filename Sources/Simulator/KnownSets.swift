import Core
import Primitives
import Synchronization
import Wire

/// The validator sets that a node's messages are verified by, as the daemon keeps them.
final class KnownSets: Sendable {
  private let book: Mutex<ValidatorBook>

  init(genesis: Genesis) { book = Mutex(ValidatorBook(genesis: genesis)) }

  func insert(_ set: ValidatorSet) { book.withLock { $0.insert(set) } }

  /// The set of an epoch.
  func set(of epoch: UInt64) -> ValidatorSet? { book.withLock { $0[epoch] } }

  /// Tells books apart that know other epochs. Sets of one epoch are the same wherever no invariant is broken.
  var mark: UInt64 {
    book.withLock { book in
      let latest = book.latest.epoch
      var mark = latest << 16
      for below in 0..<min(latest, 16) where book[latest - below] != nil { mark |= 1 << below }
      return mark
    }
  }

  var known: KnownValidators {
    KnownValidators(
      set: { epoch in self.book.withLock { $0[epoch] } }, latest: { self.book.withLock { $0.latest } })
  }
}
