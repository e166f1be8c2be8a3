/// Why a block can't be executed. All but the first two are a fault of its leader: no honest validator notarizes it.
public enum BlockRefusal: Error, Hashable, Sendable {
  /// Neither the final block nor one that was executed: execute it first.
  case unknownParent
  /// Too many executed blocks above the final one, and all of them have children.
  case tooManyBranches
  /// The height is not the parent's plus one.
  case wrongHeight
  /// The timestamp is not above the parent's, or above 2^48.
  case wrongTimestamp
  /// The epoch is not the one that the height is in.
  case wrongEpoch
  /// The validators it names for the next epoch are not those of the state.
  case wrongValidators
  /// The reveal is not the element that the leader's hash chain demands in that view, or there is one without a chain.
  case wrongReveal
  /// More transactions or bytes than a block may have.
  case tooLarge
  /// A message that is no transaction.
  case notATransaction(index: Int)
  /// A transaction's nonce is not its account's next.
  case wrongNonce(index: Int)
  /// A transaction's time is over.
  case expired(index: Int)
  /// A transaction's fee is below the minimum, or its account does not have it.
  case feeNotPaid(index: Int)
  /// The state after the block has another root than the header says.
  case wrongStateRoot

  /// The name under which a refusal is counted.
  public var counter: String {
    switch self {
    case .unknownParent: "unknownParent"
    case .tooManyBranches: "tooManyBranches"
    case .wrongHeight: "wrongHeight"
    case .wrongTimestamp: "wrongTimestamp"
    case .wrongEpoch: "wrongEpoch"
    case .wrongValidators: "wrongValidators"
    case .wrongReveal: "wrongReveal"
    case .tooLarge: "tooLarge"
    case .notATransaction: "notATransaction"
    case .wrongNonce: "wrongNonce"
    case .expired: "expired"
    case .feeNotPaid: "feeNotPaid"
    case .wrongStateRoot: "wrongStateRoot"
    }
  }
}

/// Whether a block on some parent may include a transaction.
public enum Includability: Hashable, Sendable {
  /// The next block may.
  case now
  /// Not yet: an earlier nonce is missing.
  case later
  /// Its nonce is used, its time over, or the account can't pay its fee as it stands (to keep such would let anyone
  /// fill a mempool for nothing): the reason.
  case never(BlockRefusal)
}
