import Primitives
import Wire

/// What happens to the broadcast of a node.
public enum BroadcastInput: Sendable {
  /// A message of this node's own is to reach everyone.
  case publish(Verified<Message>)
  /// A peer sent messages whose signatures held (`GossipMessage.publish`), each of which was seen before or is of use here.
  case received([Verified<Message>], from: NodeID)
  /// A peer sent messages whose signatures held and that are of no use here: they are remembered, and go no further.
  case refused([Digest], from: NodeID)
  /// Of what a peer sent and was seen before, a message that was forgotten and is needed after all.
  case renewed(Verified<Message>, from: NodeID)
  /// Some part of this node found misconduct of a node, which may be linked no more.
  case misconduct(NodeID, Misconduct)
  /// A peer says what it has (`GossipMessage.announce`).
  case announced([Digest], from: NodeID)
  /// A peer says what it wants (`GossipMessage.request`).
  case requested([Digest], from: NodeID)
  /// A peer says what it does not want to be sent (`GossipMessage.unwanted`).
  case unwanted([Digest], from: NodeID)
  /// A peer takes this node into its mesh.
  case graft(from: NodeID)
  /// A peer takes this node out of its mesh, or does not take it in, and wants no graft for so long.
  case prune(backoffSeconds: UInt16, from: NodeID)
  /// Whether the broadcast channel of the link with a node takes no more: true when it begins, false when it ends.
  case congested(NodeID, Bool)
  /// A link with a node is up; it is outbound when this node dialled.
  case linkUp(NodeID, isOutbound: Bool)
  /// A link with a node is gone.
  case linkDown(NodeID)
  /// The nodes whose links stay whatever they do, at most `BroadcastMachine.maximumLinks`: those told of before are not
  /// among them any more.
  case keep([NodeID])
  /// Messages that nobody needs any more: included, or expired.
  case forget([Digest])
  /// How many nodes there are: small networks have a quicker heartbeat.
  case nodes(Int)
  /// This node is about to stop.
  case leave
  /// `nextWake` has come.
  case tick
}

/// What the shell is to do, in this order.
public enum BroadcastEffect: Sendable {
  /// Send over the link with a node.
  case send(GossipMessage, to: NodeID)
  /// Close the link with a node, and let it in no more for so many seconds: it has cost too much, last by this. Where the
  /// link stays open, the node is not heard for a while.
  case close(NodeID, Misconduct, score: Int64, banSeconds: UInt32)
  /// A node has cost too much whose link stays (`BroadcastInput.keep`): it is not heard for a while.
  case muted(NodeID, Misconduct, score: Int64)
}

/// What the broadcast knows of a linked node.
public struct BroadcastPeer: Sendable, Equatable {
  /// Its identity.
  public var id: NodeID
  /// True when new messages go to it at once.
  public var isInMesh: Bool
  /// True when this node dialled it.
  public var isOutbound: Bool
  /// True when nothing is taken from it, for what it has cost.
  public var isMuted: Bool
  /// True when its link takes no more: it is told what there is, and not sent it.
  public var isCongested: Bool
  /// Until when neither of the two may take the other into its mesh; nil when they may.
  public var backoffUntil: Instant?
  /// Its score in points: what it brought first, less what it cost.
  public var score: Int64
}
