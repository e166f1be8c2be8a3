/// Everything that an operator can set of a node, checked. Made only by `load`, so that one that exists is valid.
///
/// `ConfigurationKey.all` declares each key; this type only gives the checked values names and types.
package struct NodeConfiguration: Sendable {
  /// Who this node is and where it keeps its state.
  package internal(set) var node = NodeSection()
  /// Where it listens and whom it first asks.
  package internal(set) var network = NetworkSection()
  /// The socket by which commands reach it.
  package internal(set) var control = ControlSection()
  /// What it offers to the network, and for how much.
  package internal(set) var offer = OfferSection()
  /// How it runs jobs.
  package internal(set) var executor = ExecutorSection()
  /// Where it keeps content-addressed data.
  package internal(set) var blobs = BlobsSection()
  /// Where it keeps its journal and blocks.
  package internal(set) var journal = JournalSection()
  /// What it logs.
  package internal(set) var log = LogSection()

  /// Every key with its value and where that came from, in the order of the key table.
  package internal(set) var entries: [ConfigurationEntry] = []

  /// [node]
  package struct NodeSection: Hashable, Sendable {
    /// Absolute path of the directory that holds all state.
    package internal(set) var dataDirectory = ""
    /// A name for people, 1 to 63 bytes; not an identity.
    package internal(set) var name = ""
    /// Absolute path of the genesis document.
    package internal(set) var genesis = ""
    /// Absolute path of the node's secret key.
    package internal(set) var key = ""
  }

  /// [network]
  package struct NetworkSection: Hashable, Sendable {
    /// Literal addresses to bind, UDP and TCP on the same port. At least one.
    package internal(set) var listen: [SocketAddressText] = []
    /// Literal addresses to announce; empty announces what is bound and what peers report.
    package internal(set) var advertise: [SocketAddressText] = []
    /// First peers to ask.
    package internal(set) var bootstrap: [BootstrapAddress] = []
    /// Which set of protocol timings to use.
    package internal(set) var profile = NetworkProfile.lan
    /// Whether beacons are sent and heard on the local network segments.
    package internal(set) var isFoundOnLAN = true
    /// Whether nodes that were met are kept on disk, to be dialled when links are few.
    package internal(set) var hasAddressBook = true
    /// DNS names whose TXT records list nodes to begin with.
    package internal(set) var dns: [String] = []
    /// Most links at once.
    package internal(set) var maximumLinks: UInt32 = 256
  }

  /// What kind of network the peers are on; decides protocol timings.
  package enum NetworkProfile: String, CaseIterable, Hashable, Sendable {
    case lan, wan, loopback
  }

  /// [control]
  package struct ControlSection: Hashable, Sendable {
    /// Absolute path of the Unix socket, at most 107 bytes.
    package internal(set) var socket = ""
  }

  /// [offer]
  package struct OfferSection: Hashable, Sendable {
    /// Whether the node offers itself as a provider at all.
    package internal(set) var isEnabled = true
    /// Thousandths of a core; 0 is all that was found.
    package internal(set) var cpuMilli: UInt64 = 0
    /// 0 is three quarters of what was found.
    package internal(set) var memoryBytes: UInt64 = 0
    /// 0 is half of what is free below the executor's directory.
    package internal(set) var diskBytes: UInt64 = 0
    /// Which GPUs are offered.
    package internal(set) var gpus = GPUSelection.all
    /// Price of one core for one second.
    package internal(set) var priceCPUSecondMicrocredits: UInt64 = 0
    /// Price of one GiB of memory for one second.
    package internal(set) var priceMemoryGiBSecondMicrocredits: UInt64 = 0
    /// Price of one GPU for one second.
    package internal(set) var priceGPUSecondMicrocredits: UInt64 = 0
    /// What jobs can ask for by name.
    package internal(set) var labels: [OfferLabel] = []
    /// Most jobs at a time, at least 1.
    package internal(set) var maximumJobs: UInt64 = 0
  }

  /// Which of the host's GPUs are offered.
  package enum GPUSelection: String, CaseIterable, Hashable, Sendable {
    case all, none
  }

  /// One `key=value` that jobs can ask for.
  package struct OfferLabel: Hashable, Sendable {
    /// 1 to 63 bytes of letters, digits, `.`, `_`, `-`, `/`.
    package let key: String
    /// 0 to 63 bytes of the same.
    package let value: String
  }

  /// [executor]
  package struct ExecutorSection: Hashable, Sendable {
    /// Absolute path below which jobs are staged.
    package internal(set) var directory = ""
    /// Most bytes kept of each of a job's output streams.
    package internal(set) var logCapBytes: UInt64 = 0
    /// Between TERM and KILL.
    package internal(set) var graceSeconds: UInt64 = 0
    /// First user id that jobs run under when the daemon is root.
    package internal(set) var firstJobUserID: UInt32 = 0
    /// How many user ids from the first on belong to jobs.
    package internal(set) var jobUserCount: UInt32 = 0
  }

  /// [blobs]
  package struct BlobsSection: Hashable, Sendable {
    /// Absolute path.
    package internal(set) var directory = ""
    /// Most bytes stored.
    package internal(set) var maximumBytes: UInt64 = 0
  }

  /// [journal]
  package struct JournalSection: Hashable, Sendable {
    /// Absolute path.
    package internal(set) var directory = ""
  }

  /// [log]
  package struct LogSection: Hashable, Sendable {
    /// Least severe level that is written.
    package internal(set) var level = LogLevel.info
    /// How a line is written.
    package internal(set) var format = LogFormat.text
  }

  /// Severity, least first; the names are swift-log's.
  package enum LogLevel: String, CaseIterable, Hashable, Sendable {
    case trace, debug, info, notice, warning, error
  }

  /// How a log line is written.
  package enum LogFormat: String, CaseIterable, Hashable, Sendable {
    case text, json
  }
}

/// One key of a loaded configuration, as `linnet config show` prints it.
package struct ConfigurationEntry: Hashable, Sendable {
  /// Dotted name, such as `offer.cpu_milli`.
  package let key: String
  /// The value in TOML notation.
  package let value: String
  /// Where it came from.
  package let source: ConfigurationSource
  /// Whether a running daemon takes a change of it on SIGHUP.
  package let isReloadable: Bool
}

/// One key that differs between two configurations.
package struct ConfigurationChange: Hashable, Sendable {
  /// Dotted name.
  package let key: String
  /// The value in TOML notation before and after.
  package let before: String, after: String
  /// Whether a running daemon can take it, or must be restarted.
  package let isReloadable: Bool
}

extension NodeConfiguration {
  /// What changed from this configuration to `newer`, in the order of the key table; for SIGHUP.
  package func changes(to newer: NodeConfiguration) -> [ConfigurationChange] {
    zip(entries, newer.entries).compactMap { before, after in
      guard before.value != after.value else { return nil }
      return ConfigurationChange(
        key: before.key, before: before.value, after: after.value, isReloadable: before.isReloadable)
    }
  }

  /// What flags make different from what holds without them, which is what a start without these flags goes by.
  package func overruledByFlags(in flagged: NodeConfiguration) -> [ConfigurationChange] {
    let keys = flagged.entries.filter { $0.source == .flag(name: $0.key) }.map(\.key)
    return changes(to: flagged).filter { keys.contains($0.key) }
  }
}
