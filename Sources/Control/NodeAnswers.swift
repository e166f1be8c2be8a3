/// What `linnet status` shows: the node in one look.
package struct StatusAnswer: Codable, Sendable, Equatable {
  /// The node's id in text form.
  package var id: String
  /// The name its operator gave it.
  package var name: String
  /// The version of the daemon.
  package var version: String
  /// The name of the network from its genesis document.
  package var network: String
  /// The hash of the genesis document in text form.
  package var networkId: String
  /// What it does: `validator`, `provider`, `client`.
  package var roles: [String]
  /// The height of the last final block.
  package var height: UInt64
  /// The state root after that block.
  package var stateRoot: String
  /// The epoch that the next block belongs to.
  package var epoch: UInt64
  /// The consensus view it is in; views begin anew in each epoch.
  package var view: UInt64
  /// Whether it votes.
  package var voting: VotingAnswer
  /// Peers believed alive, itself not counted.
  package var peersAlive: Int
  /// Leases that it runs as a provider.
  package var offersRunning: Int
  /// Seconds since the daemon started.
  package var uptimeSeconds: UInt64
  /// Its account's free balance.
  package var balanceMicrocredits: UInt64
  /// How jobs are isolated on this host (such as `bubblewrap`), or why they cannot be.
  package var isolation: String
  /// What the operator should know, such as "a committee of up to three tolerates no fault".
  package var warnings: [String]
  /// Everything that was refused, by counter. The control server adds its own, which begin with `control`.
  package var refused: [String: UInt64]

  /// Every field.
  package init(
    id: String, name: String, version: String, network: String, networkId: String, roles: [String], height: UInt64,
    stateRoot: String, epoch: UInt64, view: UInt64, voting: VotingAnswer, peersAlive: Int, offersRunning: Int,
    uptimeSeconds: UInt64, balanceMicrocredits: UInt64, isolation: String, warnings: [String],
    refused: [String: UInt64]
  ) {
    self.id = id
    self.name = name
    self.version = version
    self.network = network
    self.networkId = networkId
    self.roles = roles
    self.height = height
    self.stateRoot = stateRoot
    self.epoch = epoch
    self.view = view
    self.voting = voting
    self.peersAlive = peersAlive
    self.offersRunning = offersRunning
    self.uptimeSeconds = uptimeSeconds
    self.balanceMicrocredits = balanceMicrocredits
    self.isolation = isolation
    self.warnings = warnings
    self.refused = refused
  }
}

/// What membership believes of a peer.
package enum PeerState: String, Codable, Sendable, CaseIterable {
  /// It answers, or others say so.
  case alive
  /// It missed a probe and may still refute.
  case suspect
  /// It did not refute in time.
  case down
  /// It said good-bye.
  case left
}

/// One row of `linnet peers`.
package struct PeerAnswer: Codable, Sendable, Equatable {
  /// The peer's id in text form.
  package var id: String
  /// The name its operator gave it.
  package var name: String
  /// Host and port it is reached at.
  package var address: String
  /// What membership believes of it.
  package var state: PeerState
  /// How it is reached: `in`, `out` (a link that it or we opened), `udp` (datagrams only); nil when not at all.
  package var path: String?
  /// Smoothed round-trip time; nil when never measured.
  package var rttMicroseconds: UInt64?
  /// What it does: `validator`, `provider`, `client`.
  package var roles: [String]
  /// The height that it last reported; nil when it has not.
  package var height: UInt64?
  /// How many GPUs it offers.
  package var gpus: Int
  /// Its standing with this node; negative when it misbehaved.
  package var score: Int
  /// When it was last heard from; nil when never.
  package var lastSeen: WallTime?
  /// True for a validator that was put out because it contradicted itself, until it may stake again.
  package var jailed: Bool

  /// Every field.
  package init(
    id: String, name: String, address: String, state: PeerState, path: String? = nil, rttMicroseconds: UInt64? = nil,
    roles: [String] = [], height: UInt64? = nil, gpus: Int = 0, score: Int = 0, lastSeen: WallTime? = nil,
    jailed: Bool = false
  ) {
    self.id = id
    self.name = name
    self.address = address
    self.state = state
    self.path = path
    self.rttMicroseconds = rttMicroseconds
    self.roles = roles
    self.height = height
    self.gpus = gpus
    self.score = score
    self.lastSeen = lastSeen
    self.jailed = jailed
  }
}

/// Who said that a peer does not answer, and when.
package struct SuspicionAnswer: Codable, Sendable, Equatable {
  /// The id of the accuser.
  package var accuser: String
  /// When this node heard it.
  package var at: WallTime?

  /// Every field.
  package init(accuser: String, at: WallTime? = nil) {
    self.accuser = accuser
    self.at = at
  }
}

/// One connection to a peer.
package struct LinkAnswer: Codable, Sendable, Equatable {
  /// `in` when the peer opened it, `out` when this node did.
  package var direction: String
  /// The remote host and port.
  package var address: String
  /// When it was opened.
  package var since: WallTime?
  /// Bytes received over it.
  package var receivedBytes: UInt64
  /// Bytes sent over it.
  package var sentBytes: UInt64

  /// Every field.
  package init(
    direction: String, address: String, since: WallTime? = nil, receivedBytes: UInt64 = 0, sentBytes: UInt64 = 0
  ) {
    self.direction = direction
    self.address = address
    self.since = since
    self.receivedBytes = receivedBytes
    self.sentBytes = sentBytes
  }
}

/// `linnet peer <id>`: the row of `linnet peers`, in the same JSON object, and the evidence.
package struct PeerDetailAnswer: Codable, Sendable, Equatable {
  /// The row of `linnet peers`.
  package var peer: PeerAnswer
  /// The peer's incarnation: how often it refuted a suspicion or restarted.
  package var incarnation: UInt64
  /// The addresses that its record names.
  package var addresses: [String]
  /// Who accuses it now.
  package var suspicions: [SuspicionAnswer]
  /// The connections to it.
  package var links: [LinkAnswer]
  /// Where it stands as a validator; nil for one that is none.
  package var validator: ValidatorAnswer?
  /// The evidence against it that this node knows, the oldest first.
  package var slashes: [SlashAnswer]

  private enum Keys: String, CodingKey {
    case incarnation, addresses, suspicions, links, validator, slashes
  }

  /// Every field.
  package init(
    peer: PeerAnswer, incarnation: UInt64, addresses: [String] = [], suspicions: [SuspicionAnswer] = [],
    links: [LinkAnswer] = [], validator: ValidatorAnswer? = nil, slashes: [SlashAnswer] = []
  ) {
    self.peer = peer
    self.incarnation = incarnation
    self.addresses = addresses
    self.suspicions = suspicions
    self.links = links
    self.validator = validator
    self.slashes = slashes
  }

  /// Reads the flat object.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Keys.self)
    self.init(
      peer: try PeerAnswer(from: decoder),
      incarnation: try values.decode(UInt64.self, forKey: .incarnation),
      addresses: try values.decode([String].self, forKey: .addresses),
      suspicions: try values.decode([SuspicionAnswer].self, forKey: .suspicions),
      links: try values.decode([LinkAnswer].self, forKey: .links),
      validator: try values.decodeIfPresent(ValidatorAnswer.self, forKey: .validator),
      slashes: try values.decode([SlashAnswer].self, forKey: .slashes))
  }

  /// Writes the flat object.
  package func encode(to encoder: any Encoder) throws {
    try peer.encode(to: encoder)
    var values = encoder.container(keyedBy: Keys.self)
    try values.encode(incarnation, forKey: .incarnation)
    try values.encode(addresses, forKey: .addresses)
    try values.encode(suspicions, forKey: .suspicions)
    try values.encode(links, forKey: .links)
    try values.encodeIfPresent(validator, forKey: .validator)
    try values.encode(slashes, forKey: .slashes)
  }
}

/// JSON text that passes through unread, for reports whose shape belongs to another target.
package struct RawJSON: Sendable, Equatable {
  /// One JSON value in UTF-8.
  package var bytes: [UInt8]

  /// Wraps one JSON value in UTF-8.
  package init(bytes: [UInt8]) {
    self.bytes = bytes
  }
}

/// One key of node.conf with the value in force and where it came from.
package struct ConfigurationEntryAnswer: Codable, Sendable, Equatable {
  /// Section and key, such as `network.listen`.
  package var key: String
  /// The value as node.conf would write it.
  package var value: String
  /// `flag`, `environment`, `file` (with its line) or `default`.
  package var source: String

  /// Every field.
  package init(key: String, value: String, source: String) {
    self.key = key
    self.value = value
    self.source = source
  }
}
