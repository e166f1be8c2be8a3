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
  package var leasesRunning: Int
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
    stateRoot: String, epoch: UInt64, view: UInt64, voting: VotingAnswer, peersAlive: Int, leasesRunning: Int,
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
    self.leasesRunning = leasesRunning
    self.uptimeSeconds = uptimeSeconds
    self.balanceMicrocredits = balanceMicrocredits
    self.isolation = isolation
    self.warnings = warnings
    self.refused = refused
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
