import ArgumentParser
import Config
import Control
import Glibc

/// `linnet config`
struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Check and show a node's configuration.",
    subcommands: [Check.self, Show.self])

  /// The file and what stands above it.
  struct FileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The file to read.", valueName: "node.conf"))
    var config: String?

    /// The checked configuration, and the file it came from when there is one; `flags` stand above file and environment.
    func load(flags: [String: String] = [:]) throws -> (path: String?, configuration: NodeConfiguration) {
      let standard = NodeConfiguration.defaultPath(environment: Console.environment)
      let path = config ?? (access(standard, F_OK) == 0 ? standard : nil)
      return (path, try NodeConfiguration.load(path: path, environment: Console.environment, flags: flags))
    }
  }

  /// `linnet config check`
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say whether node.conf and the environment are valid, and name every fault.")

    @OptionGroup var file: FileOptions

    func run() throws {
      let path = try file.load().path
      try Console.print("\(path ?? "no file, defaults and environment only"): valid\n")
    }
  }

  /// `linnet config show`
  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show every key, its value and where that comes from.",
      discussion: "With --running it asks the daemon what is in force there.")

    @OptionGroup var file: FileOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Flag(help: "Ask the running daemon instead of reading the file.") var running = false

    func run() async throws {
      let entries =
        running
        ? try await connection.client().configuration()
        : try file.load().configuration.entries.map {
          ConfigurationEntryAnswer(key: $0.key, value: $0.value, source: $0.source.description)
        }
      if format.json { return try Console.print(json: entries) }
      var table = TextTable("KEY", "VALUE", "SOURCE")
      for entry in entries { table.add([entry.key, entry.value, entry.source]) }
      try Console.print(table.rendered(style: Console.style))
    }
  }
}
