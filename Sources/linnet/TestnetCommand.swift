import ArgumentParser
import Control
import FoundationEssentials
import Node
import Testnet

/// `linnet testnet`
struct TestnetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "testnet", abstract: "Run several nodes on this machine, each a real process.",
    subcommands: [Up.self, Down.self, Status.self])

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
      abstract: "Start the testnet, made anew when there is none; ready when every node has a final block.")

    @OptionGroup var directory: DirectoryOptions
    @Option(help: ArgumentHelp("How many nodes (4 for a new testnet).", valueName: "number")) var nodes: Int?
    @Option(help: ArgumentHelp("How many of a new testnet's are validators (all).", valueName: "number"))
    var validators: Int?
    @Option(help: ArgumentHelp("Blocks of an epoch of a new testnet (3600).", valueName: "number"))
    var epochBlocks: UInt64?

    func run() async throws {
      let control = directory.control
      let binary = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      var options: TestnetOptions?
      if nodes != nil || validators != nil || epochBlocks != nil {
        let present = control.layout.nodes.count
        options = TestnetOptions(
          count: nodes ?? (present > 0 ? present : TestnetOptions().count), validators: validators,
          epochBlocks: epochBlocks)
      }
      let seconds = try await control.up(options, binary: binary) {
        try NeverVotedMarker(keyPath: $0).write()
      }
      let count = control.layout.nodes.count
      // Seconds with one decimal, without a formatter's locale.
      let tenths = Int((seconds * 10).rounded())
      try Console.print(
        """
        \(count) nodes are ready after \(tenths / 10).\(tenths % 10) s in \(control.layout.directory)
        try: linnet run --dir \(control.layout.directory) -- uname -a

        """)
    }
  }

  /// `linnet testnet down`
  struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop every node and every job; the state is kept.")

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
          state.offersRunning.map { "\($0)" } ?? "-",
          state.stateRoot.map { String($0.prefix(16)) } ?? "does not answer",
        ])
      }
      try Console.print(table.rendered(style: Console.style))
    }
  }
}
