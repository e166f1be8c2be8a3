import ArgumentParser
import Control

/// `linnet netcheck`
struct NetcheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "netcheck", abstract: "Tell how the node stands in the network, and what is wrong with it.",
    discussion: """
      Peers are asked to dial the node, which takes a few seconds; not with --watch. Exits with 3 when something is \
      wrong.
      """)

  @OptionGroup var view: ViewOptions
  @Flag(inversion: .prefixedNo, help: "Whether peers are asked to dial the node.") var dialBack = true

  func run() async throws {
    var isBad = false
    try await view.show { client in
      let network = try await client.network(dialBack: dialBack && !view.watch)
      isBad = network.verdict.contains { $0.severity == .bad }
      return network
    } _: {
      NetworkText.render($0, style: $1)
    }
    guard !isBad else { throw ExitCode(Failure.badNetworkExitCode) }
  }
}
