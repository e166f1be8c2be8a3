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

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var again: WatchOptions
  @Flag(inversion: .prefixedNo, help: "Whether peers are asked to dial the node.") var dialBack = true

  func run() async throws {
    let client = try connection.client()
    var isBad = false
    try await Console.show(watch: again.watch, json: format.json) {
      let network = try await client.network(dialBack: dialBack && !again.watch)
      isBad = network.verdict.contains { $0.severity == .bad }
      return network
    } _: {
      NetworkText.render($0, style: Console.style)
    }
    guard !isBad else { throw ExitCode(Failure.badNetworkExitCode) }
  }
}
