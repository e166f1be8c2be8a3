import ArgumentParser
import Config
import Control
import FoundationEssentials
import Glibc
import Logging
import Node
import Primitives
import Sodium
import Wire

/// `linnet join`
struct JoinCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "join", abstract: "Make a node on this host for the network of an invite.",
    discussion: """
      Fetches the genesis from the node that the invite names, checks it against the network's id, and writes it, the \
      node's key and its node.conf. Nothing is overwritten: a key that is there is used, and so is a node.conf, which then \
      must name the node of the invite under [network] bootstrap or leave that key as the example has it, and say what \
      --data-directory, --name and --listen say.
      """)

  @Argument(help: "What `linnet invite` printed on another host; - reads it from standard input.") var invite: String
  @Option(help: ArgumentHelp("The node.conf to write.", valueName: "node.conf")) var config: String?
  @Option(help: ArgumentHelp("Where the node keeps its state.", valueName: "directory")) var dataDirectory: String?
  @Option(help: ArgumentHelp("A name for people.", valueName: "text")) var name: String?
  @Option(help: ArgumentHelp("An address to listen on; repeat for each (0.0.0.0:7447).", valueName: "ip:port"))
  var listen: [String] = []
  @OptionGroup var format: FormatOptions

  private struct Answer: Encodable {
    var id: String
    var network: String
    var networkId: String
    var key: String
    var config: String
    var genesis: String
    var bootstrap: [String]
    var hasGrant: Bool
  }

  func run() async throws {
    // Whoever may list processes here could read a grant in the arguments, and be the first to claim it.
    let invite = try Self.read(invite == "-" ? readLine() ?? "" : invite)
    var flags: [String: String] = [:]
    flags["node.data_directory"] = dataDirectory.map(NodeSetup.absolute)
    flags["node.name"] = name
    flags["network.listen"] = listen.isEmpty ? nil : listen.joined(separator: ",")
    let setup = try NodeSetup(config: config, flags: flags)
    let node = setup.configuration.node
    let bootstrap = invite.addresses.map { "\(invite.node)@\($0)" }
    let changed = try rewritten(setup, naming: bootstrap, of: invite.node)
    try setup.refuseOverruledFlags(retry: "join again")

    let directory = try DataDirectory(path: node.dataDirectory)
    _ = try directory.isBound(to: invite.networkID)
    let hasGenesis = try Self.hasGenesis(at: node.genesis, of: invite)
    let oldKey = access(node.key, F_OK) == 0 ? try Self.readKey(node.key) : nil
    let genesis = try await GenesisFetch(invite, logger: Logger(label: "join") { _ in SwiftLogNoOpLogHandler() }).run()

    // In this order a command that was broken off can be given again.
    if !hasGenesis {
      try GenesisDocument.render(genesis).write(toFile: node.genesis, atomically: true, encoding: .utf8)
    }
    if let grant = invite.grant { try GrantFile(dataDirectory: node.dataDirectory).write(grant) }
    let key = try oldKey ?? setup.makeKey()
    if let changed {
      try changed.write(toFile: setup.path, atomically: true, encoding: .utf8)
    } else if !setup.isConfigured {
      try setup.writeConfiguration(settings(setup, bootstrap: bootstrap))
    }
    _ = directory
    if format.json {
      return try Console.print(
        json: Answer(
          id: "\(key.id)", network: genesis.name, networkId: "\(invite.networkID)", key: node.key, config: setup.path,
          genesis: node.genesis, bootstrap: bootstrap, hasGrant: invite.grant != nil))
    }
    try Console.print(
      """
      node id    \(key.id)
      network    \(genesis.name) (\(invite.networkID.short))
      key        \(node.key)
      config     \(setup.path)

      Keep a copy of the key in a safe place: a lost key is a lost identity, and whoever has it is you.
      \(invite.grant == nil ? "" : "The grant of the invite is claimed by the daemon, once it has caught up.\n")\
      Start the node with `linnet daemon\(config == nil ? "" : " --config \(setup.path)")`.

      """)
  }

  private static func read(_ text: String) throws -> Invite {
    do throws(InviteError) {
      return try Invite(text: text.trimmingCharacters(in: .whitespacesAndNewlines))
    } catch {
      throw JoinError(error)
    }
  }

  private static func readKey(_ path: String) throws -> SigningKey {
    do { return try KeyFile.read(path) } catch {
      throw NodeError(
        .key, "the key \(path) is there and can't be used",
        suggestion: "correct that, or name another --data-directory",
        cause: error)
    }
  }

  /// Whether the genesis is there; refuses that of another network.
  private static func hasGenesis(at path: String, of invite: Invite) throws -> Bool {
    guard access(path, F_OK) == 0 else { return false }
    let known: Genesis
    do { known = try GenesisDocument.read(path: path) } catch {
      throw NodeError(
        .genesis, "there is a genesis at \(path), and it can't be read",
        suggestion: "move it away, or name another --data-directory", cause: error)
    }
    guard known.networkID == invite.networkID else {
      throw NodeError(
        .wrongNetwork,
        "this is a node of another network already: the genesis \(path) is of \(known.networkID.short), and the invite is "
          + "to \(invite.networkID.short)", suggestion: "name another --data-directory and --config")
    }
    return true
  }

  /// The new text of a node.conf that is there and asks nobody yet; nil when it may stay as it is, or when there is none.
  private func rewritten(_ setup: NodeSetup, naming bootstrap: [String], of node: NodeID) throws -> String? {
    guard setup.isConfigured else { return nil }
    let known = setup.configuration.network.bootstrap
    guard !known.contains(where: { $0.identity == "\(node)" }) else { return nil }
    let text = try String(contentsOfFile: setup.path, encoding: .utf8)
    guard known.isEmpty, let changed = NodeSetup.setting("bootstrap", to: TOMLText.quoted(bootstrap), in: text) else {
      throw Failure(
        "there is a node.conf at \(setup.path), and it does not ask the node of the invite",
        suggestion: "add \"\(bootstrap[0])\" to [network] bootstrap there, and join again",
        exitCode: NodeError.Code.configuration.rawValue)
    }
    return changed
  }

  private func settings(_ setup: NodeSetup, bootstrap: [String]) -> [(key: String, value: String)] {
    var settings = [("bootstrap", TOMLText.quoted(bootstrap))]
    if dataDirectory != nil {
      settings.append(("data_directory", TOMLText.quoted(setup.configuration.node.dataDirectory)))
    }
    if let name { settings.append(("name", TOMLText.quoted(name))) }
    if !listen.isEmpty {
      settings.append(("listen", TOMLText.quoted(setup.configuration.network.listen.map(\.description))))
    }
    return settings
  }
}
