import Primitives
import Wire

/// What happens to the membership of a node.
public enum MembershipInput: Sendable {
  /// Begin: the first timers are set.
  case start
  /// `nextWake` has come.
  case tick
  /// A datagram for this node: a ping, ack, nack or ping-request, and those of its rumours whose signatures held.
  case datagram(Verified<Message>, rumours: [Verified<Message>], from: PeerAddress)
  /// What a linked node knows: records, accusations and farewells whose signatures held. An empty list asks for this
  /// node's own record.
  case members([Verified<Message>], from: NodeID)
  /// What a linked node's table of members hashes to.
  case digest(MemberDigest, from: NodeID)
  /// A linked node asks for the members of some buckets.
  case memberRequest(MemberRequest, from: NodeID)
  /// A link with a node is up; the address is the link's other end. It is outbound when this node dialled.
  case linkUp(NodeID, PeerAddress, isOutbound: Bool)
  /// A link with a node is gone.
  case linkDown(NodeID)
  /// The height of this node's last finalized block.
  case height(UInt64)
  /// The addresses that this node listens on now: where it listens on all, those of the host's interfaces that are up.
  case interfaces([PeerAddress])
  /// This node's own record has changed.
  case updateRecord(NodeRecord)
  /// Ping a member because a person asks; answered by one `.pinged` with the same number, unless this node leaves first.
  case ping(NodeID, request: UInt64)
  /// Tell the others that this node goes, and stop.
  case leave
}

/// What the shell is to do, in this order.
public enum MembershipEffect: Sendable {
  /// Send a datagram.
  case send(Verified<Message>, to: PeerAddress, receiver: NodeID)
  /// Send `LinkMessage.members` over the link with a node.
  case exchange([Envelope], to: NodeID)
  /// Send `LinkMessage.memberDigest` over the link with a node.
  case digest(MemberDigest, to: NodeID)
  /// Send `LinkMessage.memberRequest` over the link with a node.
  case memberRequest(MemberRequest, to: NodeID)
  /// Try to link with a node.
  case dial(PeerAddress, NodeID)
  /// A member's state has changed; `from` is nil for a new member.
  case changed(NodeID, from: MemberState?, to: MemberState)
  /// A record or a farewell that is new to this node.
  case learned(Verified<Message>)
  /// What came of a ping that a person asked for.
  case pinged(request: UInt64, PingOutcome)
  /// This node has reached another at the first of these addresses: worth an entry in the address book.
  case met(NodeID, [PeerAddress])
  /// A member, or this node, is accused of not answering. The accuser may be this node.
  case accused(NodeID, by: NodeID, incarnation: UInt64)
  /// A member, or this node, has refuted these accusers by a record of a new incarnation.
  case refuted(NodeID, incarnation: UInt64, accusers: [NodeID])
  /// These have accused this node, or a member that answers it, and were wrong.
  case blamed([NodeID])
  /// So many see this node at an address that enters its record.
  case addressLearned(PeerAddress, reporters: Int)
  /// The addresses of the own record are others now.
  case addressChanged(from: [PeerAddress], to: [PeerAddress])
  /// So many members, as many as are left or more, went down within 30 seconds.
  case split(members: Int)
  /// So many of those are back, half or more.
  case healed(members: Int)
  /// This node is behind a NAT now, reached through these members, or it is not any more.
  case nat(isBehind: Bool, via: [NodeID])
}
