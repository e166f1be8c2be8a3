import Consensus
import Ledger
import Membership
import Primitives
import Wire

/// Everything that a node does to the world, in order. A shell performs it.
public enum CoreEffect: Sendable {
  /// Send a datagram. Depends on no persist: a slow disk must not silence probes.
  case datagram(Verified<Message>, to: PeerAddress, receiver: NodeID)
  /// Send over a link once the persist `after` is durable (0: at once). Without a link it is dropped.
  case send(LinkMessage, to: NodeID, after: UInt64)
  /// A link is wanted.
  case dial(PeerAddress, NodeID)
  /// A link is not wanted any more, nor another with the same node for so many seconds from now on; 0 ends what was said
  /// before. There may be no link.
  case close(NodeID, reason: String, banSeconds: UInt32)
  /// Append to the journal; answer `.persisted` once it is durable. Sequences increase by one.
  case persist(sequence: UInt64, ConsensusRecord)
  /// Blocks are final, in the order of heights; the certificate finalizes the last.
  case committed([Verified<Block>], finalization: Verified<Certificate>, events: [LedgerEvent])
  /// The validators of an epoch became known: keep them in the `ValidatorBook` that votes are verified by.
  case validators(ValidatorSet)
  /// An epoch has begun: its boundary, the last block of the epoch before, was committed just now. Write the snapshot,
  /// to serve and to restart from, and the `EpochLink` of the boundary; `next` is what that link names: the validators
  /// of `epoch`.
  case epochBegan(
    epoch: UInt64, boundary: Verified<Block>, finalization: Verified<Certificate>, snapshot: StateSnapshot,
    next: ValidatorSet)
  /// Links of epochs that were fetched and verified: keep those that changed the validators, to serve them.
  case epochLinks([EpochLink])
  /// A state was fetched instead of the blocks up to it: store it, and let the block store go on at its height. What the
  /// journal holds of older epochs can go once both are durable, and not before.
  case installed(SnapshotInstall)
  /// Send final blocks from a height on, from the block store.
  case serveChain(fromHeight: UInt64, to: NodeID)
  /// Answer with `ConsensusMessage.epochs`: the links from this epoch on that changed the validators, and the last one;
  /// none when there is none.
  case serveEpochs(fromEpoch: UInt64, to: NodeID)
  /// Answer with `ConsensusMessage.snapshot`: the chunk that covers a key hash, of the state at this height; nothing when
  /// it is not kept.
  case serveSnapshot(height: UInt64, covering: Digest, to: NodeID)
  /// Fetch, prepare and run the job of a lease. Repeated after a restart; a lease that runs already is left alone.
  case startLease(LeaseOrder)
  /// End a lease's job: nobody wants its result any more.
  case stopLease(Digest)
  /// Everything kept for a lease can go: it is settled, or another's.
  case forgetLease(Digest)
  /// The answer to `.submit`: the id of the transaction, or why there is none.
  case submitted(request: UInt64, Submission)
  /// A transaction that was answered by `.submitted` can't be included any more, as another has taken its nonce or it has
  /// expired; the same was signed again, under another id.
  case signedAnew(Digest, as: Digest)
  /// A member's state changed; `from` is nil for one that is new. The accusers are those that stand against it.
  case memberChanged(NodeID, from: MemberState?, to: MemberState, accusers: [NodeID])
  /// Something happened that people may want to know.
  case network(NetworkEvent)
  /// The answer to `.ping`.
  case pinged(request: UInt64, PingOutcome)
  /// A node was found alive by this one itself, at these addresses, best first: worth an entry in the address book.
  case met(NodeID, [PeerAddress])
  /// The node can't go on without contradicting what is final. The shell stops it with this message.
  case halt(reason: String)
}

/// What became of a transaction of one's own.
public enum Submission: Hashable, Sendable {
  /// Signed and spread.
  case accepted(id: Digest)
  /// Not signed, with the reason for the person who asked.
  case refused(reason: String)
}

/// A state that was fetched in chunks, each proven under the state root of a final header.
public struct SnapshotInstall: Sendable {
  /// The end of the epoch that the state is of.
  public var link: EpochLink
  /// What proves the link's block final.
  public var finalization: Verified<Certificate>
  /// The state after it.
  public var snapshot: StateSnapshot
  /// The validators of the epoch that begins.
  public var validators: ValidatorSet

  /// An installed state.
  public init(
    link: EpochLink, finalization: Verified<Certificate>, snapshot: StateSnapshot, validators: ValidatorSet
  ) {
    self.link = link
    self.finalization = finalization
    self.snapshot = snapshot
    self.validators = validators
  }
}

/// A lease to be run by this node.
public struct LeaseOrder: Hashable, Sendable {
  /// The lease.
  public var lease: Digest
  /// The job.
  public var job: Digest
  /// Who has the inputs.
  public var submitter: NodeID
  /// The attempt, from 0.
  public var attempt: UInt64
  /// What was asked for.
  public var terms: JobTerms

  /// An order.
  public init(lease: Digest, job: Digest, submitter: NodeID, attempt: UInt64, terms: JobTerms) {
    self.lease = lease
    self.job = job
    self.submitter = submitter
    self.attempt = attempt
    self.terms = terms
  }
}
