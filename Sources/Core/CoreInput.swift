import Consensus
import Primitives
import Wire

/// Everything that can happen to a node. Signatures were checked before; what is not `Verified` needs none.
public enum CoreInput: Sendable {
  /// The first input: arms the timers, executes again what was recovered.
  case start
  /// The time that `nextWake` named has come. Spurious ones are harmless.
  case tick
  /// The offset between monotonic and wall time changed.
  case wallClock(WallClock)
  /// A probe datagram, and those of its rumours whose signatures fit.
  case datagram(Verified<Message>, rumours: [Verified<Message>], from: PeerAddress)
  /// A link to a node stands.
  case linkUp(NodeID, PeerAddress)
  /// The link to a node ended.
  case linkDown(NodeID)
  /// A consensus message over a link.
  case consensus(Verified<ConsensusMessage>, from: NodeID)
  /// A peer spoke in an epoch that is later than all whose validators are known: this node is behind.
  case laterEpoch(from: NodeID)
  /// Envelopes that a peer spread.
  case gossip([Verified<Message>], from: NodeID)
  /// Ids that a peer has.
  case announced([Digest], from: NodeID)
  /// Ids that a peer wants.
  case requested([Digest], from: NodeID)
  /// A peer relayed something that was refused.
  case invalidGossip(from: NodeID)
  /// Records that a peer knows.
  case members([Verified<Message>], from: NodeID)
  /// All persists up to this sequence are on the disk.
  case persisted(upTo: UInt64)
  /// Sign and spread a transaction of this node; answered by `.submitted` with the same number.
  case submit(TransactionAction, request: UInt64)
  /// What this node offers from now on; nil to offer nothing.
  case offer(OfferTerms?)
  /// A lease's job runs on from before a restart. It is stopped if the lease turns out to be another's by now.
  case leaseRunning(Digest)
  /// The executor can't take the lease; it is declined.
  case leaseRefused(Digest, reason: String)
  /// A lease's job has ended, here or before a restart. May be repeated.
  case leaseFinished(LeaseOutcome)
  /// The keys that this node can sign votes with; one that is new here is used from the next epoch on whose validators
  /// name it.
  case voteSigners([Signer])
  /// The node is about to stop: say farewell.
  case leave
}

/// What the executor found at the end of a lease. The shell keeps it until the lease is settled, so that the
/// same values are committed and revealed, over any restart.
public struct LeaseOutcome: Hashable, Sendable {
  /// The lease.
  public var lease: Digest
  /// The blob root of its output directory.
  public var outputRoot: Digest
  /// How the job ended.
  public var exit: ExitStatus
  /// What it used.
  public var usage: Usage
  /// For the submitter, at most `LeaseResult.maximumMessageBytes` of UTF-8.
  public var message: String

  /// An outcome.
  public init(lease: Digest, outputRoot: Digest, exit: ExitStatus, usage: Usage, message: String) {
    self.lease = lease
    self.outputRoot = outputRoot
    self.exit = exit
    self.usage = usage
    self.message = message
  }
}
