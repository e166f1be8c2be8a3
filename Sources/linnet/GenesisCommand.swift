import ArgumentParser
import Config
import Control
import FoundationEssentials
import Glibc
import Primitives
import Wire

/// `linnet genesis`
struct GenesisCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "genesis", abstract: "Make and show the document that a network begins with.",
    subcommands: [Create.self, Show.self])

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
}
