/// One key of node.conf: its name, what it accepts, its default, its text for people and where its value goes.
struct ConfigurationKey: Sendable {
  /// What holds when no source sets a key.
  enum Fallback: Sendable {
    case fixed(ConfigurationValue)
    /// A value, as the environment would have it, that depends on the host or on keys before it; `example` and `words`
    /// stand for it in node.conf.example.
    case derived(
      example: ConfigurationValue, words: String, text: @Sendable (ConfigurationContext, NodeConfiguration) -> String)
  }

  let section: String
  let name: String
  let kind: ValueKind
  let fallback: Fallback
  let isReloadable: Bool
  let documentation: String
  /// Puts a checked value into its place. Returns false only if kind and place disagree, which a test excludes.
  let assign: @Sendable (inout NodeConfiguration, ConfigurationValue) -> Bool

  /// Dotted name.
  var path: String { "\(section).\(name)" }
  /// The environment variable that sets it.
  var environmentName: String { "LINNET_\(section)_\(name)".uppercased() }

  static let sections = all.reduce(into: [String]()) { names, key in
    if !names.contains(key.section) { names.append(key.section) }
  }

  static func names(in section: String) -> [String] { all.filter { $0.section == section }.map(\.name) }
}

/// A place in a configuration.
private typealias Place<Value> = WritableKeyPath<NodeConfiguration, Value> & Sendable

// One function for each type of place, so that a line of the table is only what differs.
extension ConfigurationKey {
  private static func key(
    _ path: String, _ kind: ValueKind, _ fallback: Fallback, _ isReloadable: Bool, _ documentation: String,
    _ assign: @escaping @Sendable (inout NodeConfiguration, ConfigurationValue) -> Bool
  ) -> ConfigurationKey {
    let pieces = path.split(separator: ".", maxSplits: 1).map(String.init)
    precondition(pieces.count == 2, "the key table names section.key")
    return ConfigurationKey(
      section: pieces[0], name: pieces[1], kind: kind, fallback: fallback, isReloadable: isReloadable,
      documentation: documentation, assign: assign)
  }

  private static func boolean(
    _ path: String, _ place: Place<Bool>, fallback: Bool, isReloadable: Bool, _ documentation: String
  ) -> ConfigurationKey {
    key(path, .boolean, .fixed(.boolean(fallback)), isReloadable, documentation) { configuration, value in
      guard case .boolean(let value) = value else { return false }
      configuration[keyPath: place] = value
      return true
    }
  }

  /// True or false by what other keys say, unless it is set.
  private static func boolean(
    _ path: String, _ place: Place<Bool>, example: Bool, words: String, isReloadable: Bool, _ documentation: String,
    fallback: @escaping @Sendable (NodeConfiguration) -> Bool
  ) -> ConfigurationKey {
    let derived = Fallback.derived(example: .boolean(example), words: words) { "\(fallback($1))" }
    return key(path, .boolean, derived, isReloadable, documentation) { configuration, value in
      guard case .boolean(let value) = value else { return false }
      configuration[keyPath: place] = value
      return true
    }
  }

  private static func number<Number: UnsignedInteger & FixedWidthInteger & Sendable>(
    _ path: String, _ place: Place<Number>, _ kind: ValueKind, fallback: UInt64, isReloadable: Bool,
    _ documentation: String
  ) -> ConfigurationKey {
    key(path, kind, .fixed(.integer(fallback)), isReloadable, documentation) { configuration, value in
      guard case .integer(let value) = value, let number = Number(exactly: value) else { return false }
      configuration[keyPath: place] = number
      return true
    }
  }

  private static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
    _ path: String, _ place: Place<Choice>, fallback: Choice, isReloadable: Bool, _ documentation: String
  ) -> ConfigurationKey {
    let names = Choice.allCases.map(\.rawValue)
    return key(path, .choice(names), .fixed(.text(fallback.rawValue)), isReloadable, documentation) {
      configuration, value in
      guard case .text(let text) = value, let choice = Choice(rawValue: text) else { return false }
      configuration[keyPath: place] = choice
      return true
    }
  }

  private static func text(
    _ path: String, _ place: Place<String>, _ kind: ValueKind, example: String, words: String, isReloadable: Bool,
    _ documentation: String,
    fallback: @escaping @Sendable (ConfigurationContext, NodeConfiguration) -> String
  ) -> ConfigurationKey {
    key(
      path, kind, .derived(example: .text(example), words: words, text: fallback), isReloadable, documentation
    ) { configuration, value in
      guard case .text(let text) = value else { return false }
      configuration[keyPath: place] = text
      return true
    }
  }

  /// A path below the data directory unless it is set.
  private static func pathInData(
    _ path: String, _ place: Place<String>, _ name: String, _ documentation: String
  ) -> ConfigurationKey {
    text(
      path, place, .anyPath, example: "/var/lib/linnet/\(name)", words: "\"\(name)\" in [node] data_directory",
      isReloadable: false, documentation
    ) { _, configuration in configuration.node.dataDirectory + "/" + name }
  }

  private static func list<Element: Sendable>(
    _ path: String, _ place: Place<[Element]>, of words: String, count: ClosedRange<Int>, fallback: [String],
    isReloadable: Bool, _ documentation: String,
    parse: @escaping @Sendable (String) throws(ValueRefusal) -> (Element, canonical: String)
  ) -> ConfigurationKey {
    let kind = ValueKind.list(of: words, count: count) { text throws(ValueRefusal) in try parse(text).canonical }
    return key(path, kind, .fixed(.list(fallback)), isReloadable, documentation) { configuration, value in
      guard case .list(let texts) = value else { return false }
      let elements = texts.compactMap { try? parse($0).0 }
      configuration[keyPath: place] = elements
      return elements.count == texts.count
    }
  }
}

extension ConfigurationKey {
  /// Bounds that have no other home. Sizes end at the largest TOML integer.
  private static let anySize: ClosedRange<UInt64> = 0...UInt64(Int64.max)
  private static let mostAddresses = 64
  private static let mostDNSNames = 8
  private static let mostLabels = 32
  private static let mostJobs: UInt64 = 4096
  /// A million cores, in thousandths.
  private static let mostCPUMilli: UInt64 = 1_000_000_000
  /// One credit is a million microcredits; a million credits for a second of anything is a mistake.
  private static let mostPriceMicrocredits: UInt64 = 1_000_000_000_000

  /// Every key there is. Parsing, checking, `config show`, refusals and node.conf.example all follow from it.
  /// Order matters twice: people read it so, and a derived default may use what stands before it.
  static let all: [ConfigurationKey] = [
    text(
      "node.data_directory", \.node.dataDirectory, .anyPath, example: "/var/lib/linnet",
      words: "/var/lib/linnet for root, else $XDG_STATE_HOME/linnet or ~/.local/state/linnet", isReloadable: false,
      """
      The directory that holds all state of this node: its key, chain, blobs and jobs.
      One daemon at a time; it is locked.
      """
    ) { context, _ in context.dataDirectory },
    text(
      "node.name", \.node.name, .text(1...63), example: "node-1", words: "the host name", isReloadable: false,
      "A name for people, shown by `linnet peers`. Not an identity: any node may choose any name."
    ) { context, _ in context.nodeName },
    pathInData(
      "node.genesis", \.node.genesis, "genesis.json",
      "The genesis document, the same on every host of a network."),
    pathInData(
      "node.key", \.node.key, "node.key",
      "The node's secret key. Refused when others can read it."),

    list(
      "network.listen", \.network.listen, of: "an \"ip:port\"", count: 1...mostAddresses, fallback: ["0.0.0.0:7447"],
      isReloadable: false,
      """
      Addresses to listen on, each for UDP and TCP on the same port. IPv6 as "[::]:7447".
      Open this port for both in the firewall.
      """, parse: literalAddress),
    list(
      "network.advertise", \.network.advertise, of: "an \"ip:port\"", count: 0...mostAddresses, fallback: [],
      isReloadable: false,
      """
      Addresses to tell peers, where they differ from what is bound: behind a port forwarding, for example.
      Empty: what is bound, and what peers report.
      """, parse: reachableAddress),
    list(
      "network.bootstrap", \.network.bootstrap, of: "a \"host:port\" or \"id@host:port\"", count: 0...mostAddresses,
      fallback: [], isReloadable: false,
      "Peers to ask first. With an id, only the node of that id will do.", parse: bootstrapAddress),
    choice(
      "network.profile", \.network.profile, fallback: .lan, isReloadable: false,
      """
      Timings for the network between the nodes: "lan" (one site), "wan" (the internet), "loopback" (one host).
      The same on every node of a network.
      """),
    boolean(
      "network.lan_discovery", \.network.isFoundOnLAN, example: true,
      words: "true, but false with profile \"loopback\"", isReloadable: false,
      """
      Find nodes of the same network on the local network segments, and be found, by multicast to port 7448. Being
      found grants no trust.
      """
    ) { $0.network.profile != .loopback },
    boolean(
      "network.address_book", \.network.hasAddressBook, fallback: true, isReloadable: false,
      """
      Keep the nodes that were met in the file "peers" of the data directory, and dial them when links are few. With
      it a node finds its network again when all of [network] bootstrap are gone.
      """),
    list(
      "network.dns", \.network.dns, of: "a DNS name", count: 0...mostDNSNames, fallback: [], isReloadable: false,
      """
      Names whose TXT records list nodes to begin with, signed by a validator of the genesis: `linnet genesis list`
      makes one.
      """, parse: dnsName),
    number(
      "network.maximum_links", \.network.maximumLinks, .integer(16...4_096), fallback: 256, isReloadable: false,
      "Most links with other nodes at once. Links of validators come first."),

    text(
      "control.socket", \.control.socket, .socketPath, example: "/run/linnet/control.sock",
      words: "/run/linnet/control.sock for root, else $XDG_RUNTIME_DIR/linnet/control.sock, else below /tmp",
      isReloadable: false,
      "The Unix socket by which `linnet` commands reach the daemon. At most 107 bytes long."
    ) { context, _ in context.controlSocket },

    boolean(
      "offer.enabled", \.offer.isEnabled, fallback: true, isReloadable: true,
      "Whether this node offers to run jobs. Without it the node is a member, and can submit."),
    number(
      "offer.cpu_milli", \.offer.cpuMilli, .integer(0...mostCPUMilli), fallback: 0, isReloadable: true,
      "Processor time offered, in thousandths of a core. 0: all that is found."),
    number(
      "offer.memory_bytes", \.offer.memoryBytes, .bytes(anySize), fallback: 0, isReloadable: true,
      "Memory offered, in bytes or as \"4GiB\". 0: three quarters of what is found."),
    number(
      "offer.disk_bytes", \.offer.diskBytes, .bytes(anySize), fallback: 0, isReloadable: true,
      "Disk offered for scratch and outputs. 0: half of what is free below [executor] directory."),
    choice(
      "offer.gpus", \.offer.gpus, fallback: .all, isReloadable: true,
      "Which GPUs are offered: \"all\" that are healthy and free, or \"none\"."),
    number(
      "offer.price_cpu_second_microcredits", \.offer.priceCPUSecondMicrocredits, .integer(0...mostPriceMicrocredits),
      fallback: 100, isReloadable: true, "Price of one core for one second. A credit is a million microcredits."),
    number(
      "offer.price_memory_gib_second_microcredits", \.offer.priceMemoryGiBSecondMicrocredits,
      .integer(0...mostPriceMicrocredits), fallback: 10, isReloadable: true,
      "Price of one GiB of memory for one second."),
    number(
      "offer.price_gpu_second_microcredits", \.offer.priceGPUSecondMicrocredits, .integer(0...mostPriceMicrocredits),
      fallback: 5000, isReloadable: true, "Price of one GPU for one second."),
    list(
      "offer.labels", \.offer.labels, of: "a \"key=value\"", count: 0...mostLabels, fallback: [], isReloadable: true,
      "What jobs can ask for by name, such as \"zone=basement\".", parse: label),
    number(
      "offer.maximum_jobs", \.offer.maximumJobs, .integer(1...mostJobs), fallback: 64, isReloadable: true,
      "Most jobs at a time, whatever resources are left."),

    pathInData(
      "executor.directory", \.executor.directory, "jobs",
      "Where jobs are staged and run. A fast disk is worth it."),
    number(
      "executor.log_cap_bytes", \.executor.logCapBytes, .bytes(4096...(1 << 30)), fallback: 8 << 20,
      isReloadable: false,
      "Most bytes kept of each output stream of a job: its head and its tail, with a mark between."),
    number(
      "executor.grace_seconds", \.executor.graceSeconds, .seconds(0...3600), fallback: 10, isReloadable: false,
      "Time between asking a job to end and ending it, in seconds or as \"10s\"."),
    number(
      "executor.first_job_user_id", \.executor.firstJobUserID, .integer(1000...4_294_967_294), fallback: 60600,
      isReloadable: false,
      """
      First of the user ids that jobs run under when the daemon is root. The default lies where systemd leaves
      ids unused. No account may have one of them.
      """),
    number(
      "executor.job_user_count", \.executor.jobUserCount, .integer(1...65536), fallback: 512, isReloadable: false,
      "How many user ids belong to jobs. At least [offer] maximum_jobs."),

    pathInData("blobs.directory", \.blobs.directory, "blobs", "Where inputs and outputs of jobs are kept."),
    number(
      "blobs.maximum_bytes", \.blobs.maximumBytes, .bytes((16 << 20)...UInt64(Int64.max)), fallback: 32 << 30,
      isReloadable: false, "Most bytes kept there. The least recently used go first, pinned ones never."),

    pathInData("journal.directory", \.journal.directory, "journal", "Where the journal and the blocks are kept."),

    choice(
      "log.level", \.log.level, fallback: .info, isReloadable: true, "The least severe messages that are written."),
    choice(
      "log.format", \.log.format, fallback: .text, isReloadable: false,
      "\"text\" for people, \"json\" for programs."),
  ]
}

extension ValueKind {
  fileprivate static var anyPath: ValueKind { .path(maximumBytes: maximumPathBytes, because: "Linux allows") }
  fileprivate static var socketPath: ValueKind {
    .path(maximumBytes: maximumSocketPathBytes, because: "the address of a Unix socket holds")
  }
}
