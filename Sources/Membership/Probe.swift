import Primitives
import Wire

/// A ping that waits for its answer.
struct Probe: Sendable {
  /// What hangs on the answer.
  enum Purpose: Sendable {
    /// Silence is held against the target.
    case verdict
    /// Nothing: it carries word to the target, or looks whether a down member is back.
    case errand
    /// Another member has asked, by its number and from this address.
    case relay(NodeID, number: UInt64, source: PeerAddress)
    /// A person has asked, by this number. It is counted for nobody, and goes on beside the member's probe.
    case asked(request: UInt64)

    var isAsked: Bool { if case .asked = self { true } else { false } }
    var isRelay: Bool { if case .relay = self { true } else { false } }
  }

  enum Stage: Sendable { case direct, indirect }

  var target: NodeID
  var purpose: Purpose
  var stage = Stage.direct
  var sentAt: Instant
  /// The target's incarnation that was probed.
  var incarnation: UInt64
  /// The own incarnation that the ping carried; 0 when it carried none.
  var carried: UInt64
  /// Who was asked to probe it too.
  var helpers: [NodeID] = []
  /// True when the target was asked over its link; what it says there is the answer.
  var isOverLink = false
  /// The helpers that answered with a nack.
  var nacks = OrderedSet<NodeID>()
}

/// A link with a node, as far as membership cares.
struct MemberLink: Sendable {
  var address: PeerAddress
  /// True when this node dialled.
  var isOutbound: Bool
  /// When it came up.
  var since: Instant
  /// For the records that the peer sent and that are passed on at once.
  var news: TokenBucket
  /// When the own digest was last sent over it.
  var digestSent: Instant?
  /// When a digest of the peer's, and a request for members, was last answered.
  var digestAnswered: Instant?
  var requestAnswered: Instant?
  /// Where the next answer begins, when the last one had no room for all.
  var cursor: NodeID?
  /// When the peer was last told that it has signed something newer than its record.
  var outdatedTold: Instant?
  /// When the own record was last sent over it for an empty list.
  var recordSent: Instant?
}
