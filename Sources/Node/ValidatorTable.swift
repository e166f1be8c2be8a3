import Core
import Primitives
import Synchronization
import Wire

/// The validator sets that votes are verified by, off the core's loop. The core tells of each set as it becomes known.
final class ValidatorTable: Sendable {
  private struct Known {
    var book: ValidatorBook
    var inUse: Set<NodeID>
  }
  private let known: Mutex<Known>

  init(genesis: Genesis) {
    let book = ValidatorBook(genesis: genesis)
    known = Mutex(Known(book: book, inUse: Set(book.inUse.flatMap(\.members))))
  }

  /// Takes in a set that became known. Returns the validators of the current and of the next epoch.
  func learn(_ set: ValidatorSet) -> Set<NodeID> {
    known.withLock { known in
      known.book.insert(set)
      known.inUse = Set(known.book.inUse.flatMap(\.members))
      return known.inUse
    }
  }

  /// Whether a node is a validator of the current or of the next epoch.
  func isValidator(_ node: NodeID) -> Bool { known.withLock { $0.inUse.contains(node) } }

  /// The set of an epoch; nil for one that is over for long, or not known yet.
  func set(of epoch: UInt64) -> ValidatorSet? { known.withLock { $0.book[epoch] } }

  /// What verifiers ask.
  var answers: KnownValidators {
    KnownValidators(set: { [self] in set(of: $0) }, latest: { [self] in known.withLock { $0.book.latest } })
  }
}
