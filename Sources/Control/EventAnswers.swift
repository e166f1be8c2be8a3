/// What kind of thing happened in the network around a node. The words are stable.
package enum EventKind: String, Codable, Sendable, CaseIterable {
  /// A member's state changed.
  case member
  /// A member is accused of not answering.
  case accusation
  /// A member, or this node, refuted its accusers.
  case refutation
  /// A link came up.
  case linkUp = "link.up"
  /// A link is gone.
  case linkDown = "link.down"
  /// A dial came to nothing.
  case dialFailed = "dial.failed"
  /// A link was closed because its node misbehaved too much.
  case scoreClosed = "score.closed"
  /// Enough members see this node at an address that it did not name.
  case addressLearned = "address.learned"
  /// The addresses of this node's record are others.
  case addressChanged = "address.changed"
  /// This node found that nobody can dial it, or that somebody can again.
  case nat
  /// Half of the known members or more went down within half a minute.
  case split
  /// Most of those are back.
  case healed
  /// A socket for datagrams was lost and opened anew.
  case socketRebound = "socket.rebound"
  /// Whether senders of datagrams were asked for a cookie of late.
  case load
  /// Events were forgotten before this reader had read them.
  case gap

  /// The kinds that a list with commas names.
  package static func listed(_ text: String) throws(ControlError) -> Set<EventKind> {
    var kinds: Set<EventKind> = []
    for name in text.split(separator: ",") {
      guard let kind = EventKind(rawValue: String(name)) else {
        throw ControlError.invalid(
          "'\(name)' is no kind of event",
          suggestion: "the kinds are " + allCases.map(\.rawValue).joined(separator: ", "))
      }
      kinds.insert(kind)
    }
    return kinds
  }
}

/// One thing that happened. On the socket: one JSON object a line.
package struct EventAnswer: Codable, Sendable, Equatable {
  /// What there is to say besides the kind. A field that the kind does not have is absent.
  package struct Detail: Codable, Sendable, Equatable {
    /// The state before, of `member`; absent for one that is new.
    package var from: PeerState?
    /// The state now, of `member`.
    package var to: PeerState?
    /// Those who accuse a member, or whose accusations were refuted.
    package var accusers: [String]?
    /// The incarnation that is accused, or that refutes.
    package var incarnation: UInt64?
    /// Where a link leads, or what was dialled, or the address that was learned.
    package var address: String?
    /// The addresses of the record now, of `address.changed`.
    package var addresses: [String]?
    /// The addresses of the record before.
    package var before: [String]?
    /// How many members see this node at the address.
    package var reporters: Int?
    /// `inbound` or `outbound`.
    package var direction: String?
    /// Why.
    package var reason: String?
    /// The score that a link was closed at.
    package var score: Int64?
    /// For how long the node is not let in.
    package var banSeconds: UInt32?
    /// Whether nobody can dial this node, of `nat`; whether it has begun, of `load`.
    package var isOn: Bool?
    /// The members that this node is reached through.
    package var via: [String]?
    /// How many members, of `split` and `healed`.
    package var members: Int?
    /// How many events a `gap` stands for.
    package var missed: UInt64?

    /// The fields that a kind has.
    package init(
      from: PeerState? = nil, to: PeerState? = nil, accusers: [String]? = nil, incarnation: UInt64? = nil,
      address: String? = nil, addresses: [String]? = nil, before: [String]? = nil, reporters: Int? = nil,
      direction: String? = nil, reason: String? = nil, score: Int64? = nil, banSeconds: UInt32? = nil,
      isOn: Bool? = nil, via: [String]? = nil, members: Int? = nil, missed: UInt64? = nil
    ) {
      self.from = from
      self.to = to
      self.accusers = accusers
      self.incarnation = incarnation
      self.address = address
      self.addresses = addresses
      self.before = before
      self.reporters = reporters
      self.direction = direction
      self.reason = reason
      self.score = score
      self.banSeconds = banSeconds
      self.isOn = isOn
      self.via = via
      self.members = members
      self.missed = missed
    }
  }

  /// Its number: they rise by one from 1 at the start of the daemon. That of a `gap` is the next that is kept.
  package var sequence: UInt64
  /// When it happened.
  package var at: WallTime
  /// What happened.
  package var kind: EventKind
  /// The node that it is about; absent where it is about this node or about none.
  package var peer: String?
  /// What there is to say besides.
  package var detail: Detail

  /// Every field.
  package init(sequence: UInt64, at: WallTime, kind: EventKind, peer: String? = nil, detail: Detail = Detail()) {
    self.sequence = sequence
    self.at = at
    self.kind = kind
    self.peer = peer
    self.detail = detail
  }
}

/// Which events are asked for.
package struct EventRequest: Sendable, Equatable {
  /// The first number wanted; what is not kept any more is told by a `gap`, unless it is 0: all that are kept.
  package var from: UInt64
  /// Only these kinds, all when empty. A `gap` is always told.
  package var kinds: Set<EventKind>
  /// Keep the answer open, with more as they happen.
  package var follow: Bool

  /// Every field.
  package init(from: UInt64 = 0, kinds: Set<EventKind> = [], follow: Bool = true) {
    self.from = from
    self.kinds = kinds
    self.follow = follow
  }
}
