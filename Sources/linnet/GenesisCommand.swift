import ArgumentParser
import Config
import Control
import FoundationEssentials
import Glibc
import Node
import Primitives
import Sodium
import Wire

/// `linnet genesis`
struct GenesisCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "genesis", abstract: "Make and show the document that a network begins with.",
    subcommands: [Create.self, Show.self, List.self])

  /// `linnet genesis create`
  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the genesis of a new network; every host gets the same file.",
      discussion: """
        linnet genesis create --name lab --validator ln1... --validator ln1... --balance ln1...=1000
        Without --balance every validator opens with a million credits.
        """)

    @Option(help: ArgumentHelp("The network's name.", valueName: "text")) var name: String
    @Option(help: ArgumentHelp("A validator's node id; repeat for each.", valueName: "id")) var validator: [String]
    @Option(help: ArgumentHelp("Opening credits of an account; repeat for each.", valueName: "id=credits"))
    var balance: [String] = []
    @Option(help: ArgumentHelp("The blocks of an epoch (3600).", valueName: "number")) var epochBlocks: UInt64?
    @Option(help: ArgumentHelp("A chain parameter by its name in the document.", valueName: "name=number"))
    var parameter: [String] = []
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output = "genesis.json"

    func run() throws {
      var validators: [NodeID] = []
      for text in validator { validators.append(try Self.id(text)) }
      var balances: [Genesis.Balance] = []
      for entry in balance {
        let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let amount = Quantity.microcredits(parts[1]) else {
          throw ValidationError("'\(entry)' is not ID=CREDITS")
        }
        balances.append(Genesis.Balance(account: try Self.id(parts[0]), amountMicrocredits: amount))
      }
      if balance.isEmpty {
        balances = validators.map {
          Genesis.Balance(account: $0, amountMicrocredits: 1_000_000 * Quantity.microcreditsPerCredit)
        }
      }
      var parameters = ChainParameters()
      for entry in parameter {
        let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let number = UInt64(parts[1]),
          let known = GenesisDocument.parameters.first(where: { $0.name == parts[0] })
        else { throw ValidationError("'\(entry)' is not the NAME=NUMBER of a chain parameter") }
        parameters[keyPath: known.path] = number
      }
      if let epochBlocks { parameters.epochBlocks = epochBlocks }
      let genesis: Genesis
      do {
        genesis = try Genesis(
          name: name, createdMilliseconds: UInt64(Date().timeIntervalSince1970 * 1_000), parameters: parameters,
          validators: validators, balances: balances)
      } catch {
        throw Failure(
          "that makes no valid genesis: \(error)",
          suggestion: "name each validator and account once, and see `linnet genesis show` for the parameters")
      }
      guard access(output, F_OK) != 0 else {
        throw Failure("there is a file at \(output) already", suggestion: "name another with --output")
      }
      try GenesisDocument.render(genesis).write(toFile: output, atomically: true, encoding: .utf8)
      try Console.print("network id \(genesis.networkID)\nwritten to \(output): copy it unchanged to every host\n")
    }

    private static func id(_ text: String) throws -> NodeID {
      guard let id = NodeID(text: text) else { throw ValidationError("'\(text)' is not a node id") }
      return id
    }
  }

  /// `linnet genesis show`
  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Check a genesis and show what it says.")

    @Argument(help: "The file.") var file: String

    func run() throws {
      let genesis: Genesis
      do { genesis = try GenesisDocument.read(path: file) } catch { throw Failure("\(error)") }
      try Console.print("network id \(genesis.networkID)\n\(GenesisDocument.render(genesis))")
    }
  }

  /// `linnet genesis list`
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Sign a list of nodes for a DNS TXT record, by which others find the network.",
      discussion: """
        linnet genesis list --days 90 ln1...@192.0.2.1:7447 ln1...@192.0.2.2:7447
        Prints the value of the record, whose name the others have under [network] dns. The key must be that of a \
        validator of the genesis.
        """)

    @OptionGroup var file: ConfigCommand.FileOptions
    @Option(help: ArgumentHelp("The key of a validator (the node's).", valueName: "node.key")) var key: String?
    @Option(help: ArgumentHelp("The network's genesis (the node's).", valueName: "file")) var genesis: String?
    @Option(help: ArgumentHelp("For how many days it holds.", valueName: "number")) var days: UInt64 = 90
    @Argument(help: "A node and where it listens; repeat one for each of its addresses.") var nodes: [String]

    func validate() throws {
      guard (1...3_650).contains(days) else { throw ValidationError("a list holds for 1 to 3650 days") }
    }

    func run() throws {
      let node = try file.load().configuration.node
      let genesis: Genesis
      do { genesis = try GenesisDocument.read(path: self.genesis ?? node.genesis) } catch { throw Failure("\(error)") }
      let key: SigningKey
      do { key = try KeyFile.read(self.key ?? node.key) } catch { throw Failure(error.message) }
      guard genesis.validators.contains(key.id) else {
        throw Failure(
          "\(key.id) is no validator of the genesis, so nobody would believe its list",
          suggestion: "name the key of one with --key")
      }
      var hints: [NodeHint] = []
      for text in nodes {
        guard let entry = try? BootstrapAddress(text), let id = entry.identity.flatMap({ NodeID(text: $0) }),
          let address = PeerAddress(text: "\(entry.address)"), address.isUsable
        else { throw ValidationError("'\(text)' is not ID@IP:PORT") }
        if let index = hints.firstIndex(where: { $0.id == id }) {
          hints[index].addresses.append(address)
        } else {
          hints.append(NodeHint(id: id, addresses: [address]))
        }
      }
      let now = UInt64(Date().timeIntervalSince1970)
      let list: NodeList
      do { list = try NodeList(expiresUnixSeconds: now + days * 86_400, nodes: hints) } catch {
        throw Failure(
          "that is too much for one list (\(error))",
          suggestion: "name at most \(NodeList.maximumNodes) nodes with \(NodeHint.maximumAddresses) addresses each")
      }
      let signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
      try Console.print(NodeListText.text(of: signer.seal(.nodeList(list), sequence: now * 1_000_000)) + "\n")
    }
  }
}
