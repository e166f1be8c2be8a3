/// What `linnet netcheck` shows: how this node stands in the network, seen from within.
package struct NetworkAnswer: Codable, Sendable, Equatable {
  /// The kind of network that the timings are for: `lan`, `wan` or `loopback`.
  package var profile: String
  /// What it listens on.
  package var listening: [ListeningAnswer]
  /// The addresses that its record tells others.
  package var recordAddresses: [String]
  /// When its record expires unless it renews it, which it does in time.
  package var recordExpires: WallTime?
  /// The host's network interfaces.
  package var interfaces: [InterfaceAnswer]
  /// Where others say that they see this node.
  package var observed: [ReportedAddressAnswer]
  /// True when nobody can dial it, as far as it knows.
  package var isBehindNAT: Bool
  /// The members that its record says it is reached through.
  package var via: [String]
  /// What came of asking peers to dial this node; empty when none was asked.
  package var dialBacks: [DialBackReport]
  /// The nodes that the configuration names to begin with.
  package var bootstrap: [BootstrapAnswer]
  /// The names whose lists of nodes are asked for.
  package var names: [DirectoryNameAnswer]
  /// The address book; nil when there is none.
  package var addressBook: AddressBookAnswer?
  /// The members by state.
  package var members: MemberCountsAnswer
  /// The links that stand.
  package var links: LinkCountsAnswer
  /// How many live members have answered a ping of this node over UDP.
  package var answeringByDatagram: Int
  /// 0 when this node answers and probes in time; each point stretches its timeouts.
  package var localHealth: Int
  /// How far most live members' clocks are ahead of this node's: the median; nil when never measured.
  package var clockOffsetMicroseconds: Int64?
  /// The nodes that are not let in, members or not.
  package var bans: [BanAnswer]
  /// The longest datagram that is sent; a path must bear it whole.
  package var longestDatagramBytes: Int
  /// What was sent, received, refused or went wrong on links, datagrams and beacons, by counter.
  package var counters: [String: UInt64]
  /// How many events readers have missed, because they read too slowly.
  package var eventsMissed: UInt64
  /// What it comes to, the worst first.
  package var verdict: [VerdictAnswer]

  /// Every field.
  package init(
    profile: String, listening: [ListeningAnswer] = [], recordAddresses: [String] = [], recordExpires: WallTime? = nil,
    interfaces: [InterfaceAnswer] = [], observed: [ReportedAddressAnswer] = [], isBehindNAT: Bool = false,
    via: [String] = [], dialBacks: [DialBackReport] = [], bootstrap: [BootstrapAnswer] = [],
    names: [DirectoryNameAnswer] = [], addressBook: AddressBookAnswer? = nil,
    members: MemberCountsAnswer = MemberCountsAnswer(), links: LinkCountsAnswer = LinkCountsAnswer(),
    answeringByDatagram: Int = 0, localHealth: Int = 0, clockOffsetMicroseconds: Int64? = nil, bans: [BanAnswer] = [],
    longestDatagramBytes: Int = 0, counters: [String: UInt64] = [:], eventsMissed: UInt64 = 0,
    verdict: [VerdictAnswer] = []
  ) {
    self.profile = profile
    self.listening = listening
    self.recordAddresses = recordAddresses
    self.recordExpires = recordExpires
    self.interfaces = interfaces
    self.observed = observed
    self.isBehindNAT = isBehindNAT
    self.via = via
    self.dialBacks = dialBacks
    self.bootstrap = bootstrap
    self.names = names
    self.addressBook = addressBook
    self.members = members
    self.links = links
    self.answeringByDatagram = answeringByDatagram
    self.localHealth = localHealth
    self.clockOffsetMicroseconds = clockOffsetMicroseconds
    self.bans = bans
    self.longestDatagramBytes = longestDatagramBytes
    self.counters = counters
    self.eventsMissed = eventsMissed
    self.verdict = verdict
  }
}

/// A socket that a node listens on.
package struct ListeningAnswer: Codable, Sendable, Equatable {
  /// `udp` or `tcp`.
  package var transport: String
  /// The host's address and port.
  package var address: String

  /// Every field.
  package init(transport: String, address: String) {
    self.transport = transport
    self.address = address
  }
}

/// A network interface of the host.
package struct InterfaceAnswer: Codable, Sendable, Equatable {
  /// Its name.
  package var name: String
  /// Its addresses, each with the bits that name the network: `10.0.0.5/24`.
  package var addresses: [String]
  /// True when it is switched on and has a carrier.
  package var isUp: Bool
  /// Whether beacons are heard and sent over IPv4: `joined`, `unused`, or why not; nil without beacons.
  package var beaconIPv4: String?
  /// The same for IPv6.
  package var beaconIPv6: String?

  /// Every field.
  package init(name: String, addresses: [String], isUp: Bool, beaconIPv4: String? = nil, beaconIPv6: String? = nil) {
    self.name = name
    self.addresses = addresses
    self.isUp = isUp
    self.beaconIPv4 = beaconIPv4
    self.beaconIPv6 = beaconIPv6
  }
}

/// What came of asking a peer to dial this node.
package struct DialBackReport: Codable, Sendable, Equatable {
  /// The id of the peer.
  package var peer: String
  /// Whether it reached this node; nil when it did not say.
  package var isReached: Bool?
  /// Why not.
  package var reason: String?

  /// Every field.
  package init(peer: String, isReached: Bool? = nil, reason: String? = nil) {
    self.peer = peer
    self.isReached = isReached
    self.reason = reason
  }
}

/// A node that the configuration names to begin with.
package struct BootstrapAnswer: Codable, Sendable, Equatable {
  /// As the configuration has it.
  package var entry: String
  /// What the name resolves to now.
  package var addresses: [String]
  /// True while there is a link to it.
  package var isLinked: Bool
  /// Why the latest dial came to nothing; nil when none did.
  package var failure: String?
  /// When that was.
  package var failedAt: WallTime?

  /// Every field.
  package init(
    entry: String, addresses: [String] = [], isLinked: Bool = false, failure: String? = nil, failedAt: WallTime? = nil
  ) {
    self.entry = entry
    self.addresses = addresses
    self.isLinked = isLinked
    self.failure = failure
    self.failedAt = failedAt
  }
}

/// A name whose list of nodes is asked for in DNS.
package struct DirectoryNameAnswer: Codable, Sendable, Equatable {
  /// The name.
  package var name: String
  /// How many nodes of the latest list are believed; nil before the first question has ended.
  package var nodes: Int?
  /// What of the latest answer was not believed, or that there was none.
  package var failure: String?

  /// Every field.
  package init(name: String, nodes: Int? = nil, failure: String? = nil) {
    self.name = name
    self.nodes = nodes
    self.failure = failure
  }
}

/// How many nodes an address book holds.
package struct AddressBookAnswer: Codable, Sendable, Equatable {
  /// Those that this node has linked with.
  package var tried: Int
  /// Those that it has only heard of.
  package var new: Int

  /// Every field.
  package init(tried: Int, new: Int) {
    self.tried = tried
    self.new = new
  }
}

/// Members by state, this node not counted.
package struct MemberCountsAnswer: Codable, Sendable, Equatable {
  /// Those that are alive.
  package var alive: Int
  /// Those that are suspect.
  package var suspect: Int
  /// Those that are down.
  package var down: Int
  /// Those that said farewell.
  package var left: Int

  /// Every field.
  package init(alive: Int = 0, suspect: Int = 0, down: Int = 0, left: Int = 0) {
    self.alive = alive
    self.suspect = suspect
    self.down = down
    self.left = left
  }
}

/// Links by who dialled.
package struct LinkCountsAnswer: Codable, Sendable, Equatable {
  /// Those that others opened.
  package var inbound: Int
  /// Those that this node opened.
  package var outbound: Int

  /// Every field.
  package init(inbound: Int = 0, outbound: Int = 0) {
    self.inbound = inbound
    self.outbound = outbound
  }
}

/// A node that is not let in.
package struct BanAnswer: Codable, Sendable, Equatable {
  /// Its id.
  package var peer: String
  /// Until when.
  package var until: WallTime
  /// What it did last: of a node that is no member nothing else is told.
  package var reason: String

  /// Every field.
  package init(peer: String, until: WallTime, reason: String) {
    self.peer = peer
    self.until = until
    self.reason = reason
  }
}

/// One line of the verdict.
package struct VerdictAnswer: Codable, Sendable, Equatable {
  /// How much it matters.
  package enum Severity: String, Codable, Sendable, CaseIterable, Comparable {
    /// Something is wrong: the node does not work as it should.
    case bad
    /// Worth a look.
    case caution
    /// All is well.
    case good

    /// The worst first.
    package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }

    private var rank: Int {
      switch self {
      case .bad: 0
      case .caution: 1
      case .good: 2
      }
    }
  }

  /// One word for programs, stable between versions.
  package var code: String
  /// How much it matters.
  package var severity: Severity
  /// What was found, and what to do about it.
  package var text: String

  /// Every field.
  package init(_ code: String, _ severity: Severity, _ text: String) {
    self.code = code
    self.severity = severity
    self.text = text
  }
}
