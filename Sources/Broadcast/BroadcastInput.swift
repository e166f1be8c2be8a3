import Primitives
import Wire

/// What happens to the broadcast of a node.
public enum BroadcastInput: Sendable {
  /// A message of this node's own is to reach everyone.
  case publish(Verified<Message>)
  /// A peer sent messages whose signatures held (`GossipMessage.publish`).
  case received([Verified<Message>], from: NodeID)
  /// Of what a peer sent and was seen before, a message that was forgotten and is needed after all.
  case renewed(Verified<Message>, from: NodeID)
  /// The shell or the core refused something that a peer relayed.
  case invalid(from: NodeID)
  /// A peer says what it has (`GossipMessage.announce`).
  case announced([Digest], from: NodeID)
  /// A peer says what it wants (`GossipMessage.request`).
  case requested([Digest], from: NodeID)
  /// A link with a node is up; it is outbound when this node dialled.
  case linkUp(NodeID, isOutbound: Bool)
  /// A link with a node is gone.
  case linkDown(NodeID)
  /// Messages that nobody needs any more: included, or expired.
  case forget([Digest])
  /// How many nodes there are: small networks have a quicker heartbeat.
  case nodes(Int)
  /// `nextWake` has come.
  case tick
}

/// What the shell is to do, in this order.
public enum BroadcastEffect: Sendable {
  /// Send over the link with a node.
  case send(GossipMessage, to: NodeID)
  /// A message that was not seen before.
  case deliver(Verified<Message>)
  /// Close the link with a node: it costs too much. Where it stays open, the node is not heard for a while.
  case close(NodeID)
}

/// What the broadcast knows of a linked node.
public struct BroadcastPeer: Sendable, Equatable {
  /// Its identity.
  public var id: NodeID
  /// True when new messages go to it at once.
  public var isEager: Bool
  /// True when this node dialled it.
  public var isOutbound: Bool
  /// Its score in points: what it brought first, less what it cost.
  public var score: Int64
}
