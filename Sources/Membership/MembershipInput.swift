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
}

/// What a node thinks of a member.
public enum MemberState: UInt8, Sendable, Comparable, CustomStringConvertible {
  /// Its own record says so, and nobody accuses it.
  case alive
  /// Somebody accuses it, and it has not refuted yet.
  case suspect
  /// Its accusers were enough and its time to refute has run out.
  case down
  /// It said farewell.
  case left

  /// By severity.
  public static func < (left: MemberState, right: MemberState) -> Bool { left.rawValue < right.rawValue }

  /// The name of the state.
  public var description: String {
    switch self {
    case .alive: "alive"
    case .suspect: "suspect"
    case .down: "down"
    case .left: "left"
    }
  }
}

/// One who accuses a member, and since when this node knows.
public struct Accuser: Sendable, Equatable {
  /// Who accuses.
  public var id: NodeID
  /// When this node learned of it.
  public var since: Instant
}

/// What this node knows of a member.
public struct MemberView: Sendable {
  /// Its identity.
  public var id: NodeID
  /// The name it gives itself.
  public var name: String
  /// Where it was last seen, else the first usable address of its record; nil when it has none.
  public var address: PeerAddress?
  /// What this node thinks of it.
  public var state: MemberState
  /// The smoothed round-trip time of direct probes; nil before the first.
  public var rtt: Microseconds?
  /// What it does.
  public var roles: Roles
  /// The height that it last reported.
  public var height: UInt64
  /// The sequence of its record.
  public var incarnation: UInt64
  /// Its record.
  public var record: NodeRecord
  /// When it last answered this node, by datagram or link; nil when it never did.
  public var lastSeen: Instant?
  /// When it entered its state.
  public var since: Instant
  /// Who accuses it, in the order of their ids.
  public var accusers: [Accuser]
  /// True when there is a link with it.
  public var isLinked: Bool

  /// The software it runs and its version.
  public var agent: String { record.agent }
}
