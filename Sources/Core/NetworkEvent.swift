import Primitives
import Wire

/// What happened around this node in the network, for people who want to follow it. Nothing is decided by it. The shell
/// adds what only it knows: links, sockets, beacons, load.
public enum NetworkEvent: Hashable, Sendable {
  /// A member is accused, in an incarnation, of not answering. The accuser may be this node.
  case accused(NodeID, by: NodeID, incarnation: UInt64)
  /// A node, or this one, refuted these accusers by a record of a new incarnation.
  case refuted(NodeID, incarnation: UInt64, accusers: [NodeID])
  /// A link is closed because the node's score fell to `score` points, and it is not let in for so many seconds. With 0
  /// seconds it is a validator's: the link stays, and what it spreads is not heard for a while.
  case closedForMisconduct(NodeID, score: Int64, banSeconds: UInt32)
  /// This many members see this node at an address that entered its record.
  case addressLearned(PeerAddress, reporters: Int)
  /// The addresses of this node's record are others now.
  case addressChanged(from: [PeerAddress], to: [PeerAddress])
  /// This node has found that it is behind a NAT, or no longer is; it is reached through these members.
  case nat(isBehind: Bool, via: [NodeID])
  /// So many members, half of the known or more, went down within 30 seconds.
  case split(members: Int)
  /// So many of the members that went down in a split are back.
  case healed(members: Int)
}
