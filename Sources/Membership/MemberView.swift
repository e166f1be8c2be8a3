import Primitives
import Wire

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

/// An accusation that stands against a member.
public struct AccusationView: Sendable, Equatable {
  /// Who accuses.
  public var accuser: NodeID
  /// The incarnation that did not answer.
  public var incarnation: UInt64
  /// When this node learned of it.
  public var since: Instant
}

/// A member has cleared itself of accusations by a new record.
public struct Refutation: Sendable, Equatable {
  /// When this node learned of the record.
  public var at: Instant
  /// The sequence of the record.
  public var incarnation: UInt64
  /// Who had accused it, in the order of their ids.
  public var accusers: [NodeID]
}

/// An address that was seen rather than claimed.
public struct ReportedAddress: Sendable, Equatable {
  /// The address.
  public var address: PeerAddress
  /// Nil: this node saw the member there. Else the member itself, which says that it reaches this node there.
  public var reporter: NodeID?
  /// When.
  public var at: Instant
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
  /// When this node first learned of it.
  public var firstSeen: Instant
  /// When it last answered this node, by datagram or link; nil when it never did.
  public var lastSeen: Instant?
  /// True when this node has only been told of it: it has neither answered a ping nor spoken over a link.
  public var isUnseen: Bool
  /// When it entered its state.
  public var since: Instant
  /// The accusations that stand against it, in the order of their authors.
  public var accusations: [AccusationView]
  /// The last times that it refuted accusations, the newest last.
  public var refutations: [Refutation]
  /// Where this node saw it, and where it says that it sees this node.
  public var reportedAddresses: [ReportedAddress]
  /// How far its clock is ahead of this node's (behind when negative), give or take half of the round trip; nil before
  /// its second answer, and while its sequences do not run with a clock.
  public var clockOffset: Microseconds?
  /// True when there is a link with it.
  public var isLinked: Bool

  /// The software it runs and its version.
  public var agent: String { record.agent }

  /// Through whom it is reached when nobody can dial it; empty for all others.
  public var via: [NodeID] { record.via }
}
