import ArgumentParser
import Config
import Control
import Node
import Sodium

/// `linnet init`
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a node on this host: its key and its node.conf.",
    discussion: """
      Nothing is overwritten: a node.conf that is there is used, and must say what the flags say. The key is the node's identity: keep a copy of it in a safe place, for nobody can make \
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
    var flags: [String: String] = [:]
    flags["node.data_directory"] = dataDirectory.map(NodeSetup.absolute)
    flags["node.name"] = name
    let setup = try NodeSetup(config: config, flags: flags)
    try setup.refuseOverruledFlags(retry: "give the command again")
    let path = setup.path
    let node = setup.configuration.node
    let directory = try DataDirectory(path: node.dataDirectory)
    let key: SigningKey
    do { key = try setup.makeKey() } catch let error as KeyFileError where error.code == .exists {
      throw Failure(
        "there is a key at \(node.key) already", suggestion: "use it as it is, or name another --data-directory")
    }
    if !setup.isConfigured {
      var settings: [(key: String, value: String)] = []
      if dataDirectory != nil { settings.append(("data_directory", TOMLText.quoted(node.dataDirectory))) }
      if let name { settings.append(("name", TOMLText.quoted(name))) }
      try setup.writeConfiguration(settings)
    }
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
}
