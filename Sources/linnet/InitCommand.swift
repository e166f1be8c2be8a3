import ArgumentParser
import Config
import Control
import FoundationEssentials
import Glibc
import Node
import Sodium

/// `linnet init`
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a node on this host: its key and its node.conf.",
    discussion: """
      Nothing is overwritten. The key is the node's identity: keep a copy of it in a safe place, for nobody can make \
      it again.
      """)

  @Option(help: ArgumentHelp("The node.conf to write.", valueName: "node.conf")) var config: String?
  @Option(help: ArgumentHelp("Where the node keeps its state.", valueName: "directory")) var dataDirectory: String?
  @Option(help: ArgumentHelp("A name for people.", valueName: "text")) var name: String?
  @OptionGroup var format: FormatOptions

  private struct Answer: Encodable {
    var id: String
    var key: String
    var config: String
    var genesis: String
  }

  func run() throws {
    let path = config ?? NodeConfiguration.defaultPath(environment: Console.environment)
    let isPresent = access(path, F_OK) == 0
    var flags: [String: String] = [:]
    flags["node.data_directory"] = dataDirectory.map(Self.absolute)
    flags["node.name"] = name
    let configuration = try NodeConfiguration.load(
      path: isPresent ? path : nil, environment: Console.environment, flags: flags)
    let node = configuration.node
    let directory = try DataDirectory(path: node.dataDirectory)
    let key: SigningKey
    do {
      key = try SigningKey.generate()
      try KeyFile.create(key, at: node.key)
    } catch let error as KeyFileError where error.code == .exists {
      throw Failure(
        "there is a key at \(node.key) already", suggestion: "use it as it is, or name another --data-directory")
    }
    try NeverVotedMarker(keyPath: node.key).write()
    if !isPresent { try writeConfiguration(configuration, to: path) }
    _ = directory
    if format.json {
      return try Console.print(
        json: Answer(id: "\(key.id)", key: node.key, config: path, genesis: node.genesis))
    }
    try Console.print(
      """
      node id    \(key.id)
      key        \(node.key)
      config     \(path)

      Keep a copy of the key in a safe place: a lost key is a lost identity, and whoever has it is you.
      Next: put the network's genesis at \(node.genesis) (`linnet genesis create` makes one),
      name at least one other host under [network] bootstrap in \(path),
      and start the node with `linnet daemon\(config == nil ? "" : " --config \(path)")`.

      """)
  }

  /// The documented example, with the keys that were given on the command line.
  private func writeConfiguration(_ configuration: NodeConfiguration, to path: String) throws {
    var text = NodeConfiguration.example
    func set(_ key: String, _ value: String) {
      let quoted = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
      var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      guard let index = lines.firstIndex(where: { $0.hasPrefix("#\(key) =") }) else { return }
      lines[index] = "\(key) = \"\(quoted)\""
      text = lines.joined(separator: "\n")
    }
    if dataDirectory != nil { set("data_directory", configuration.node.dataDirectory) }
    if let name { set("name", name) }
    let directory = Self.absolute(path).split(separator: "/").dropLast().joined(separator: "/")
    try FileManager.default.createDirectory(atPath: "/" + directory, withIntermediateDirectories: true)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
