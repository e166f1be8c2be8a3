import Primitives
import Wire

/// How the execution of a block ended.
public enum ExecutionOutcome: Sendable, Hashable {
  /// It executed and its state root is the header's.
  case valid
  /// Deterministic execution refuses it, or its state root is another.
  case invalid
  /// The state of its parent is not at hand; consensus will have the parent executed first.
  case missingParent
}

/// What happens to the machine.
public enum ConsensusInput: Sendable {
  /// Comes once, before all others, with the links that are up: has recovered blocks executed, sends own votes again,
  /// arms the timers.
  case start(links: [NodeID])
  /// A message whose signatures were checked, and the link it came by.
  case message(Verified<ConsensusMessage>, from: NodeID)
  /// A peer spoke in an epoch whose validators are not known here, so nothing that it says can be checked: it is ahead.
  case laterEpoch(NodeID)
  /// All persists up to this sequence are durable.
  case persisted(upTo: UInt64)
  /// `nextWake` has come. A spurious one is harmless.
  case tick
  /// A link to a peer is usable.
  case linkUp(NodeID)
  /// A link to a peer is gone.
  case linkDown(NodeID)
  /// Rule 11: whether a transaction is executable on `workParent`, or a ledger deadline is due. Said again after
  /// each step that changed `workParent`, because the machine then forgets what it knew.
  case work(isPending: Bool)
  /// The answer to `ConsensusEffect.execute`.
  case executed(blockID: Digest, ExecutionOutcome)
  /// The answer to `ConsensusEffect.build`: the block, whose state the caller keeps as if it had been executed; or
  /// nil when none can be built now, which is asked again later.
  case built(view: UInt64, Verified<Block>?)
  /// The wall clock was set or measured anew.
  case wallClock(WallClock)
}

/// Whom a message is for. Never the node itself.
public enum ConsensusRecipient: Sendable, Hashable {
  /// One peer.
  case node(NodeID)
  /// Every other validator that there is a link to, except those that have it already.
  case validators(except: [NodeID])
  /// Every link, except those that have it already.
  case everyone(except: [NodeID])
}

/// What a block to be built must say.
public struct BuildRequest: Sendable, Hashable {
  /// The view that it is proposed in.
  public var view: UInt64
  /// The epoch of the view.
  public var epoch: UInt64
  /// The height: one above the parent's.
  public var height: UInt64
  /// The parent's id.
  public var parentID: Digest
  /// The parent's view.
  public var parentView: UInt64
  /// The least timestamp: the leader's wall clock is taken when it is later.
  public var minimumTimestampMilliseconds: UInt64
}

/// What the machine wants done, in order. `execute` and `build` are answered by inputs right after the step.
public enum ConsensusEffect: Sendable {
  /// Make the record durable. Sequences start above `firstPersist` and rise by one; they become durable in order.
  case persist(sequence: UInt64, ConsensusRecord)
  /// Send a message once the persist with sequence `after` is durable; 0 for none.
  case send(ConsensusMessage, to: ConsensusRecipient, after: UInt64)
  /// Rule 2: build a block and answer `built`.
  case build(BuildRequest)
  /// Execute a block on its parent and answer `executed`.
  case execute(Verified<Block>)
  /// These blocks, in height order, are final; the certificate finalizes the last of them. At most
  /// `ConsensusMessage.maximumChainBlocks`.
  case commit([Verified<Block>], finalization: Verified<Certificate>)
  /// Right after the commit of the epoch's last block, with what proves that final: the machine ignores every further
  /// input, and the caller makes the one of the next epoch.
  case epochEnded(boundary: Verified<Certificate>)
  /// A validator signed two votes that contradict each other; said once for each validator and epoch.
  case evidence(Evidence)
  /// Answer a peer from the block store with `ConsensusMessage.chain`: the blocks from the height on, as many as fit,
  /// up to one that was the last of a commit, with the finalization of that commit.
  case serveChain(fromHeight: UInt64, to: NodeID)
  /// A finalized block does not execute to its state root here: this node must stop, its state is not the network's.
  case diverged(blockID: Digest, reason: String)
}
