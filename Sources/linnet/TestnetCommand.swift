import ArgumentParser
import Config
import Control
import FoundationEssentials
import Node
import Testnet

/// `linnet testnet`
struct TestnetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "testnet", abstract: "Run several nodes on this machine, each a real process.",
    subcommands: [Up.self, Down.self, Status.self, Net.self, Switch.self])

  /// The program that runs, for starting more of it.
  static func ownBinary() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  /// `--dir`
  struct DirectoryOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The directory of the testnet.", valueName: "directory")) var dir: String?

    var control: TestnetControl {
      TestnetControl(
        layout: TestnetLayout(
          directory: ControlTarget.testnetDirectory(flag: dir, environment: Console.environment)))
    }
  }

  /// `linnet testnet up`
  struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Start the testnet, made anew when there is none; ready when every node has a final block and sees all others.")

    @OptionGroup var directory: DirectoryOptions
    @Option(
      help: ArgumentHelp(
        "How many nodes, 1 to \(TestnetLayout.maximumNodes) (4 for a new testnet).", valueName: "number"))
    var nodes: Int?
    @Option(help: ArgumentHelp("How many of a new testnet's are validators (all).", valueName: "number"))
    var validators: Int?
    @Option(help: ArgumentHelp("Blocks of an epoch of a new testnet (3600).", valueName: "number"))
    var epochBlocks: UInt64?
    @Option(
      help: ArgumentHelp(
        "How many nodes, 2 to \(LabOptions.maximumHosts), each a host of its own: a network namespace, with a switch "
          + "between them (root).",
        valueName: "number"))
    var hosts: Int?
    @Option(help: ArgumentHelp("Hosts behind an address translation, such as 5,6.", valueName: "numbers"))
    var nat: String?
    @Flag(help: "Hosts with IPv6 addresses alone.") var ipv6 = false
    @Flag(help: "Hosts with IPv4 and IPv6 addresses.") var dual = false
    @Option(help: ArgumentHelp("The hosts' timings: lan, wan or loopback (lan).", valueName: "name"))
    var profile: String?
    @Option(help: ArgumentHelp("Of how many hosts the nodes are told, the first ones (2).", valueName: "number"))
    var bootstrap: Int?
    @Flag(help: "Let the hosts find each other by multicast, too.") var lan = false
    @Flag(help: "Start the nodes and don't wait until they are ready.") var noWait = false

    func validate() throws {
      guard hosts == nil else {
        if nodes != nil { throw ValidationError("either --nodes or --hosts") }
        if ipv6 && dual { throw ValidationError("either --ipv6 or --dual") }
        if let profile, NodeConfiguration.NetworkProfile(rawValue: profile) == nil {
          throw ValidationError("'\(profile)' is none of lan, wan, loopback")
        }
        return
      }
      if nat != nil || ipv6 || dual || profile != nil || bootstrap != nil || lan {
        throw ValidationError("--nat, --ipv6, --dual, --profile, --bootstrap and --lan go with --hosts")
      }
    }

    private func labOptions() throws -> LabOptions? {
      guard hosts != nil else { return nil }
      let parts = nat.map { $0.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) } } ?? []
      let numbers = parts.compactMap { $0 }
      guard numbers.count == parts.count else { throw ValidationError("'\(nat ?? "")' is no list such as 5,6") }
      return LabOptions(
        family: ipv6 ? .ipv6 : dual ? .dual : .ipv4, natHosts: numbers, profile: profile ?? "lan",
        entranceCount: bootstrap ?? 2, isFoundOnLAN: lan)
    }

    func run() async throws {
      let control = directory.control
      let binary = try TestnetCommand.ownBinary()
      var options: TestnetOptions?
      if nodes != nil || hosts != nil || validators != nil || epochBlocks != nil {
        let present = control.layout.nodes.count
        options = TestnetOptions(
          count: nodes ?? hosts ?? (present > 0 ? present : TestnetOptions().count), validators: validators,
          epochBlocks: epochBlocks, lab: try labOptions())
      }
      let seconds = try await control.up(options, binary: binary, isWaiting: !noWait) {
        try NeverVotedMarker(keyPath: $0).write()
      }
      let count = control.layout.nodes.count
      // Seconds with one decimal, without a formatter's locale.
      let tenths = Int((seconds * 10).rounded())
      if noWait { return try Console.print("\(count) nodes were started in \(control.layout.directory)\n") }
      try Console.print(
        """
        \(count) nodes are ready after \(tenths / 10).\(tenths % 10) s in \(control.layout.directory)
        try: linnet run --dir \(control.layout.directory) -- uname -a

        """)
    }
  }

  /// `linnet testnet down`
  struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stop every node and every job, and remove the hosts of a lab; the state is kept.")

    @OptionGroup var directory: DirectoryOptions

    func run() async throws {
      let stopped = try await directory.control.down()
      try Console.print("\(stopped) nodes stopped\n")
    }
  }

  /// `linnet testnet status`
  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show every node: height, state root, peers.")

    @OptionGroup var directory: DirectoryOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let states = try await directory.control.status()
      if format.json { return try Console.print(json: states) }
      var table = TextTable([
        ("NODE", .right), ("PID", .right), ("ADDRESS", .left), ("HEIGHT", .right), ("VIEW", .right), ("PEERS", .right),
        ("LEASES", .right), ("STATE ROOT", .left),
      ])
      for state in states {
        table.add([
          "\(state.node)", state.pid.map { "\($0)" } ?? "-", state.address, state.height.map { "\($0)" } ?? "-",
          state.view.map { "\($0)" } ?? "-", state.peersAlive.map { "\($0)" } ?? "-",
          state.leasesRunning.map { "\($0)" } ?? "-",
          state.stateRoot.map { String($0.prefix(16)) } ?? "does not answer",
        ])
      }
      try Console.print(table.rendered(style: Console.style))
    }
  }
}
