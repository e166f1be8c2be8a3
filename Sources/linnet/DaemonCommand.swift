import ArgumentParser
import Config
import Control
import Glibc
import Logging
import Node

/// `linnet daemon`
struct DaemonCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "daemon", abstract: "Run a node in the foreground, logging to stderr, until TERM or Ctrl-C.",
    discussion: "Every key of node.conf can be given as --set section.key=value.")

  @OptionGroup var file: ConfigCommand.FileOptions
  @Option(help: ArgumentHelp("A key of node.conf; repeat for each.", valueName: "section.key=value"))
  var set: [String] = []
  @Option(help: ArgumentHelp("Where the node keeps its state.", valueName: "directory")) var dataDirectory: String?
  @Option(help: ArgumentHelp("The network's genesis document.", valueName: "file")) var genesis: String?
  @Option(help: ArgumentHelp("trace, debug, info, notice, warning or error.", valueName: "level")) var logLevel: String?

  func run() async throws {
    var flags: [String: String] = [:]
    for entry in set {
      let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw ValidationError("'\(entry)' is not section.key=value") }
      flags[parts[0]] = parts[1]
    }
    flags["node.data_directory"] = dataDirectory ?? flags["node.data_directory"]
    flags["node.genesis"] = genesis ?? flags["node.genesis"]
    flags["log.level"] = logLevel ?? flags["log.level"]
    let file = file
    let flagged = flags
    let configuration = try file.load(flags: flagged).configuration
    // A client that goes away while it is answered must not end the daemon.
    signal(SIGPIPE, SIG_IGN)
    let logger = DaemonLog.logger(configuration.log)
    logger.notice("linnet \(LinnetVersion.current) starts", metadata: ["pid": "\(getpid())"])
    try await NodeDaemon(configuration: configuration, version: LinnetVersion.current, logger: logger) {
      let newer = try file.load(flags: flagged).configuration
      DaemonLog.setLevel(newer.log.level)
      return newer
    }.run()
  }
}
