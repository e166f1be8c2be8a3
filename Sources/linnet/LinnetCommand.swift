import ArgumentParser
import Control
import Glibc

/// `linnet`: the daemon and its client in one program.
@main
struct LinnetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linnet",
    abstract: "A node of a decentralized compute network, and the client that talks to it.",
    discussion: "First steps: linnet testnet up --nodes 4, then linnet run -- uname -a",
    version: LinnetVersion.current,
    groupedSubcommands: [
      CommandGroup(name: "Jobs:", subcommands: [RunCommand.self, JobCommand.self, BlobCommand.self]),
      CommandGroup(
        name: "Node and network:",
        subcommands: [
          StatusCommand.self, PeersCommand.self, PeerCommand.self, PingCommand.self, NetcheckCommand.self,
          EventsCommand.self, HardwareCommand.self,
        ]),
      CommandGroup(name: "Ledger:", subcommands: [AccountCommand.self, ChainCommand.self, ValidatorCommand.self]),
      CommandGroup(
        name: "Running a node:",
        subcommands: [
          InitCommand.self, InviteCommand.self, JoinCommand.self, GenesisCommand.self, ConsensusCommand.self,
          DaemonCommand.self, ConfigCommand.self, TestnetCommand.self, SimulateCommand.self, JournalCommand.self,
          VersionCommand.self,
        ]),
    ])

  /// Runs the command that the arguments name; every failure ends as "linnet: what went wrong" on stderr.
  static func main() async {
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      Failure.exit(with: error)
    }
  }
}
