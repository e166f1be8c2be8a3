import Primitives
import Wire

/// What a final block did, for those who watch, in the order in which it happened.
public enum LedgerEvent: Hashable, Sendable {
  /// What follows, up to the next of these, happened in this block.
  case block(id: Digest, height: UInt64)
  /// A job was assigned.
  case leaseOffered(lease: Digest, job: Digest, provider: NodeID)
  /// A provider holds a lease no more.
  case leaseEnded(lease: Digest, provider: NodeID, LeaseState)
  /// A job came into being or its state changed.
  case jobChanged(job: Digest, JobState)
  /// A job's retention is over: the ledger has forgotten it.
  case jobPruned(job: Digest)
  /// A quorum found a provider down, or up again.
  case attested(provider: NodeID, isDown: Bool)
  /// Evidence against a validator: this much of its stake was burnt, and it is jailed.
  case validatorSlashed(node: NodeID, kind: Evidence.Kind, amountMicrocredits: UInt64)
  /// A validator has left and its stake is in its balance again.
  case stakeReturned(node: NodeID, amountMicrocredits: UInt64)
  /// The validators of an epoch were computed and differ from those of the epoch before it.
  case validatorsChosen(epoch: UInt64, count: Int)
  /// A transaction was included and refused: its fee is burnt, its nonce used.
  case transactionRefused(id: Digest, author: NodeID, reason: String)
}

/// What one transaction of a block came to.
public struct Receipt: Hashable, Sendable {
  /// The transaction.
  public let id: Digest
  /// Nil when it did what it says.
  public let refusal: TransactionRefusal?
}

/// What executing a block gave.
public struct ExecutionReport: Hashable, Sendable {
  /// The root of the state after it.
  public let stateRoot: Digest
  /// Ledger time after it, in milliseconds since 1970.
  public let ledgerTimeMilliseconds: UInt64
  /// What became of each transaction, in order; at most `Block.maximumTransactions`.
  public let receipts: [Receipt]
  /// What `finalize` will report of it.
  public let events: [LedgerEvent]
}
