import ArgumentParser
import Control
import Glibc

/// `linnet blob`
struct BlobCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "blob", abstract: "Put files into the node's store and get them out.",
    subcommands: [Add.self, Get.self])

  /// `linnet blob add`
  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Store a file or directory and print the root that names it.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "A file or directory.") var path: String

    func run() async throws {
      let blob = try await Upload(client: try connection.client()).add(path).blob
      if format.json { return try Console.print(json: blob) }
      try Console.print(blob.root + "\n")
    }
  }

  /// `linnet blob get`
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a file to stdout or to a path, or a directory into a directory.")

    @OptionGroup var connection: ConnectionOptions
    @Argument(help: "The root that names it.") var root: String
    @Flag(help: "It is a directory.") var directory = false
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write it.", valueName: "path")) var output: String?

    func validate() throws {
      if directory && output == nil { throw ValidationError("--directory needs --output") }
    }

    func run() async throws {
      let client = try connection.client()
      guard let output else {
        return try await client.blob(root: root) { try Console.write($0, to: STDOUT_FILENO) }
      }
      if directory {
        return try await Download(directory: output).write(try await client.directory(root: root)) { entry, each in
          try await client.blob(root: entry.root ?? "", each: each)
        }
      }
      let sink = try FileSink(path: output, executable: false)
      try await client.blob(root: root) { try sink.write($0) }
      try sink.finish()
    }
  }
}
