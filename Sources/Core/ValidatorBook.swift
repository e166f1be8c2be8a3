import Primitives
import Wire

/// The validator sets that a shell verifies votes by: what `.validators` effects have told, and the genesis. Both shells
/// keep one and answer `KnownValidators` from it.
///
/// The sets told of last stay: the core repeats those that it needs whenever it tells of another.
public struct ValidatorBook: Sendable {
  /// The most sets kept.
  public static let capacity = 8

  /// Those told of last come last.
  private var sets: [ValidatorSet]
  /// The set of the latest epoch ever told of.
  public private(set) var latest: ValidatorSet

  /// A book that knows the validators of the first two epochs.
  public init(genesis: Genesis) {
    sets = [genesis.validatorSet, genesis.validatorSet.inEpoch(1)]
    latest = genesis.validatorSet.inEpoch(1)
  }

  /// Notes a set.
  public mutating func insert(_ set: ValidatorSet) {
    sets.removeAll { $0.epoch == set.epoch }
    sets.append(set)
    if sets.count > ValidatorBook.capacity { sets.removeFirst() }
    if set.epoch >= latest.epoch { latest = set }
  }

  /// The two sets told of last: those of the current and of the next epoch, since the core ends with them whatever it
  /// tells.
  public var inUse: [ValidatorSet] { Array(sets.suffix(2)) }

  /// The set of an epoch; nil for one that is over for long or not known yet.
  public subscript(epoch: UInt64) -> ValidatorSet? {
    latest.epoch == epoch ? latest : sets.last { $0.epoch == epoch }
  }
}
