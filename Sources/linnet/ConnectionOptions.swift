import ArgumentParser
import Control
import Glibc

/// Which node a command talks to.
struct ConnectionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The control socket of the node.", valueName: "path"))
  var socket: String?

  @Option(help: ArgumentHelp("Which node of a testnet, from 1.", valueName: "number"))
  var node: Int?

  @Option(help: ArgumentHelp("The directory of the testnet.", valueName: "directory"))
  var dir: String?

  /// A client of the node that the flags, the environment or a running daemon name.
  func client() throws -> ControlClient {
    let path = try ControlTarget.resolve(
      ControlTarget.Flags(socket: socket, node: node, directory: dir), environment: Console.environment,
      userID: getuid(), answers: ControlSocket.answers(path:))
    return ControlClient(socketPath: path)
  }
}

/// `--json` of commands that print data.
struct FormatOptions: ParsableArguments {
  @Flag(help: "Print JSON for programs; the fields are stable.")
  var json = false
}
