import ArgumentParser
import Config
import Control
import FoundationEssentials
import Glibc
import Logging
import Node
import Primitives
import Wire

/// `linnet consensus`
struct ConsensusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consensus", abstract: "What only operators can decide about the chain.",
    subcommands: [Recover.self])

  /// `linnet consensus recover`
  struct Recover: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new network of the last final state of one that has lost too many journals.",
      discussion: """
        Offline: the daemon must not run. Balances, and what was locked in jobs, offers and stakes, go back to their \
        owners; jobs end. All operators must do this from the same block with the same validators: then all get the \
        same file, and the same network id. Whoever is behind takes the file of one who is not: --use FILE --adopt.
        """)

    @OptionGroup var file: ConfigCommand.FileOptions
    @Option(help: ArgumentHelp("Where the node keeps its state.", valueName: "directory")) var dataDirectory: String?
    @Option(help: ArgumentHelp("The genesis of the network that stopped.", valueName: "file")) var genesis: String?
    @Option(help: ArgumentHelp("A validator of the new network; repeat for each.", valueName: "id"))
    var validator: [String] = []
    @Option(name: .shortAndLong, help: ArgumentHelp("The genesis to write.", valueName: "file")) var output: String?
    @Option(help: ArgumentHelp("Take this genesis, which another host made, and make none.", valueName: "file"))
    var use: String?
    @Flag(help: "Make the data directory the new network's; the old chain is kept beside it.") var adopt = false
    @OptionGroup var format: FormatOptions

    func validate() throws {
      if use != nil {
        guard adopt, validator.isEmpty, output == nil else {
          throw ValidationError("--use goes with --adopt, and without --validator and --output")
        }
      } else if validator.isEmpty || output == nil {
        throw ValidationError("name the new network's validators with --validator and the file to write with --output")
      }
    }

    private struct Answer: Encodable {
      var networkId: String
      var height: UInt64
      var stateRoot: String
      var accounts: Int
      var written: String
      var oldChain: String?
    }

    func run() throws {
      var validators: [NodeID] = []
      for text in validator {
        guard let id = NodeID(text: text) else {
          throw Failure(
            "--validator \(text): that is not a node id",
            suggestion: "`linnet init` and `linnet status` show a node's id",
            exitCode: ExitCode.validationFailure.rawValue)
        }
        validators.append(id)
      }
      var flags: [String: String] = [:]
      flags["node.data_directory"] = dataDirectory.map(NodeSetup.absolute)
      let configuration = try file.load(flags: flags).configuration
      let old: Genesis
      do { old = try GenesisDocument.read(path: genesis ?? configuration.node.genesis) } catch {
        throw Failure("\(error)", suggestion: "name the genesis of the network that stopped with --genesis")
      }
      let restart = try ConsensusRestart(
        configuration: configuration, genesis: old, logger: DaemonLog.logger(configuration.log))
      if let use {
        let made: Genesis
        do { made = try GenesisDocument.read(path: use) } catch { throw Failure("\(error)") }
        let oldChain = try restart.adopt(made)
        return try Console.print(
          "network id \(made.networkID)\nthe old chain is in \(oldChain); start the daemon\n")
      }
      guard let output else { return }
      let outcome = try restart.make(validators: validators)
      let text = GenesisDocument.render(outcome.genesis)
      if access(output, F_OK) == 0 {
        guard try String(contentsOfFile: output, encoding: .utf8) == text else {
          throw Failure("there is another file at \(output) already", suggestion: "name another with --output")
        }
      } else {
        try text.write(toFile: output, atomically: true, encoding: .utf8)
      }
      let oldChain = adopt ? try restart.adopt(outcome.genesis) : nil
      if format.json {
        return try Console.print(
          json: Answer(
            networkId: "\(outcome.genesis.networkID)", height: outcome.height, stateRoot: "\(outcome.stateRoot)",
            accounts: outcome.genesis.balances.count, written: output, oldChain: oldChain))
      }
      try Console.print(
        """
        from block \(outcome.height), state root \(outcome.stateRoot)
        network id \(outcome.genesis.networkID)
        written to \(output): every operator must have the same network id
        \(oldChain.map { "the old chain is in \($0); start the daemon" }
          ?? "run it again with --adopt on each host of the old network, and start the daemons")

        """)
    }
  }
}
