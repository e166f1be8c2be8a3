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
  /// Host and port where it was last seen, else the first of its record.
  package var address: String
  /// What membership believes of it.
  package var state: PeerState
  /// When it entered that state.
  package var since: WallTime?
  /// How it is reached: `tcp inbound`, `tcp outbound` (a link that it or this node opened), `udp`, or `via` and the id
  /// of a member that it is linked with, for one that cannot be dialled; nil for one that is down or has left.
  package var path: String?
  /// Smoothed round-trip time; nil when never measured.
  package var rttMicroseconds: UInt64?
  /// What it does: `validator`, `provider`, `client`.
  package var roles: [String]
  /// The height that it last said.
  package var height: UInt64?
  /// GPUs in its offer.
  package var gpus: Int
  /// The points of its conduct: below 0 it costs more than it brings.
  package var score: Int
  /// When it was last heard from; nil when never.
  package var lastSeen: WallTime?
  /// Seconds since this node first heard of it.
  package var ageSeconds: UInt64?
  /// How far its wall clock is ahead of this node's, as of its last answer; nil when never measured.
  package var clockOffsetMicroseconds: Int64?
  /// The members that it is reached through, because nobody can dial it.
  package var via: [String]
  /// True while this node has only heard of it and never from it.
  package var isUnseen: Bool
  /// True when this node sends it messages as soon as they come, and not only their ids.
  package var isMesh: Bool
  /// True when the messages that it spreads are not heard for a while, for its misconduct; its link stays, since it is a
  /// validator.
  package var isMuted: Bool
  /// The software that it runs and its version.
  package var agent: String
  /// True for a validator that was put out because it contradicted itself, until it may stake again.
  package var jailed: Bool

  /// Every field.
  package init(
    id: String, name: String, address: String, state: PeerState, since: WallTime? = nil, path: String? = nil,
    rttMicroseconds: UInt64? = nil, roles: [String] = [], height: UInt64? = nil, gpus: Int = 0, score: Int = 0,
    lastSeen: WallTime? = nil, ageSeconds: UInt64? = nil, clockOffsetMicroseconds: Int64? = nil, via: [String] = [],
    isUnseen: Bool = false, isMesh: Bool = false, isMuted: Bool = false, agent: String = "", jailed: Bool = false
  ) {
    self.id = id
    self.name = name
    self.address = address
    self.state = state
    self.since = since
    self.path = path
    self.rttMicroseconds = rttMicroseconds
    self.roles = roles
    self.height = height
    self.gpus = gpus
    self.score = score
    self.lastSeen = lastSeen
    self.ageSeconds = ageSeconds
    self.clockOffsetMicroseconds = clockOffsetMicroseconds
    self.via = via
    self.isUnseen = isUnseen
    self.isMesh = isMesh
    self.isMuted = isMuted
    self.agent = agent
    self.jailed = jailed
  }
}

/// `linnet peer <id>`: the row of `linnet peers`, in the same JSON object, and the evidence.
package struct PeerDetailAnswer: Codable, Sendable, Equatable {
  /// The row of `linnet peers`.
  package var peer: PeerAnswer
  /// The peer's incarnation: the sequence of its record, which it renews to refute, at a change and in time.
  package var incarnation: UInt64
  /// The addresses that its record names.
  package var addresses: [String]
  /// When its record expires unless it renews it.
  package var recordExpires: WallTime?
  /// The hash of what it says that its host has.
  package var capabilities: String?
  /// Who accuses it now.
  package var suspicions: [SuspicionAnswer]
  /// Its latest refutations, the oldest first.
  package var refutations: [RefutationAnswer]
  /// Where this node saw it, the latest last.
  package var seenAddresses: [ReportedAddressAnswer]
  /// Where it says that it sees this node, the latest last.
  package var reportedAddresses: [ReportedAddressAnswer]
  /// What it has cost and brought this node; nil when nothing is known.
  package var conduct: ConductAnswer?
  /// The connections to it.
  package var links: [LinkAnswer]
  /// Where it stands as a validator; nil for one that is none.
  package var validator: ValidatorAnswer?
  /// The evidence against it that this node knows, the oldest first.
  package var slashes: [SlashAnswer]

  private enum Keys: String, CodingKey {
    case incarnation, addresses, recordExpires, capabilities, suspicions, refutations, seenAddresses, reportedAddresses,
      conduct, links, validator, slashes
  }

  /// Every field.
  package init(
    peer: PeerAnswer, incarnation: UInt64, addresses: [String] = [], recordExpires: WallTime? = nil,
    capabilities: String? = nil, suspicions: [SuspicionAnswer] = [], refutations: [RefutationAnswer] = [],
    seenAddresses: [ReportedAddressAnswer] = [], reportedAddresses: [ReportedAddressAnswer] = [],
    conduct: ConductAnswer? = nil, links: [LinkAnswer] = [],
    validator: ValidatorAnswer? = nil, slashes: [SlashAnswer] = []
  ) {
    self.peer = peer
    self.incarnation = incarnation
    self.addresses = addresses
    self.recordExpires = recordExpires
    self.capabilities = capabilities
    self.suspicions = suspicions
    self.refutations = refutations
    self.seenAddresses = seenAddresses
    self.reportedAddresses = reportedAddresses
    self.conduct = conduct
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
      recordExpires: try values.decodeIfPresent(WallTime.self, forKey: .recordExpires),
      capabilities: try values.decodeIfPresent(String.self, forKey: .capabilities),
      suspicions: try values.decode([SuspicionAnswer].self, forKey: .suspicions),
      refutations: try values.decode([RefutationAnswer].self, forKey: .refutations),
      seenAddresses: try values.decode([ReportedAddressAnswer].self, forKey: .seenAddresses),
      reportedAddresses: try values.decode([ReportedAddressAnswer].self, forKey: .reportedAddresses),
      conduct: try values.decodeIfPresent(ConductAnswer.self, forKey: .conduct),
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
    try values.encodeIfPresent(recordExpires, forKey: .recordExpires)
    try values.encodeIfPresent(capabilities, forKey: .capabilities)
    try values.encode(suspicions, forKey: .suspicions)
    try values.encode(refutations, forKey: .refutations)
    try values.encode(seenAddresses, forKey: .seenAddresses)
    try values.encode(reportedAddresses, forKey: .reportedAddresses)
    try values.encodeIfPresent(conduct, forKey: .conduct)
    try values.encode(links, forKey: .links)
    try values.encodeIfPresent(validator, forKey: .validator)
    try values.encode(slashes, forKey: .slashes)
  }
}
