import ArgumentParser
import Control

/// `linnet peers`
struct PeersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peers", abstract: "List the peers that the node knows.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var again: WatchOptions

  func run() async throws {
    let client = try connection.client()
    try await Console.show(watch: again.watch, json: format.json) {
      try await client.peers()
    } _: {
      PeerText.render($0, style: Console.style)
    }
  }
}

/// `linnet peer <id>`
struct PeerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer",
    abstract: "Show one peer: who accuses it, what it refuted, its conduct, the links to it, the evidence against it.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @OptionGroup var again: WatchOptions
  @Argument(help: "The peer's id, or its unique beginning.") var id: String

  func run() async throws {
    let client = try connection.client()
    try await Console.show(watch: again.watch, json: format.json) {
      try await client.peer(id: id)
    } _: {
      PeerText.render($0, style: Console.style)
    }
  }
}
