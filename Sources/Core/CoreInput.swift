import Broadcast
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
  /// A link to a node stands; it is outbound when this node dialled.
  case linkUp(NodeID, PeerAddress, isOutbound: Bool)
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
  /// Records that a peer knows.
  case members([Verified<Message>], from: NodeID)
  /// A peer takes this node into its mesh.
  case graft(from: NodeID)
  /// A peer takes this node out of its mesh; this node must not graft for so long.
  case prune(reason: PruneReason, backoffSeconds: UInt16, from: NodeID)
  /// Ids that a peer does not want to be sent.
  case unwanted([Digest], from: NodeID)
  /// What a peer's table of members hashes to.
  case digest(MemberDigest, from: NodeID)
  /// A peer asks for the members of some buckets.
  case memberRequest(MemberRequest, from: NodeID)
  /// The addresses of this host's interfaces that are up, as they are now, each with the port that is listened on.
  case interfaces([PeerAddress])
  /// Somebody may be found at an address: from a beacon, the address book, a name. Dial if that is of use. The id is nil
  /// where only the handshake will tell.
  case contact(PeerAddress, NodeID?)
  /// A dial came to nothing; the id is that of the node expected there.
  case dialFailed(PeerAddress, NodeID?)
  /// Decoding, verifying or the shell noted what a linked node is to be charged for; its link may have ended since.
  case misconduct(NodeID, Misconduct)
  /// Whether the broadcast channel of the link with a node takes no more: true when it begins, false when it ends.
  case congested(NodeID, Bool)
  /// Ping a member because a person asks; answered by `.pinged` with the same number.
  case ping(NodeID, request: UInt64)
  /// All persists up to this sequence are on the disk.
  case persisted(upTo: UInt64)
  /// Sign and spread a transaction of this node; answered by `.submitted` with the same number.
  case submit(TransactionAction, request: UInt64)
  /// Spread a transaction that the holder of another account's key has signed here; in time it may be given again.
  case spread(Verified<Message>)
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
