import Core
import Primitives
import Synchronization
import Wire

/// The validator sets that votes are verified by, off the core's loop. The core tells of each set as it becomes known.
final class ValidatorTable: Sendable {
  private let book: Mutex<ValidatorBook>

  init(genesis: Genesis) { book = Mutex(ValidatorBook(genesis: genesis)) }

  /// Takes in a set that became known. Returns the validators of the current and of the next epoch.
  func learn(_ set: ValidatorSet) -> Set<NodeID> {
    book.withLock { book in
      book.insert(set)
      return Set(book.inUse.flatMap(\.members))
    }
  }

  /// The set of an epoch; nil for one that is over for long, or not known yet.
  func set(of epoch: UInt64) -> ValidatorSet? { book.withLock { $0[epoch] } }

  /// What verifiers ask.
  var known: KnownValidators {
    KnownValidators(set: { [self] in set(of: $0) }, latest: { [self] in book.withLock { $0.latest } })
  }
}
