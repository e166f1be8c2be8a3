import ArgumentParser
import Control

/// `linnet peers`
struct PeersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peers", abstract: "List the peers that the node knows.")

  @OptionGroup var view: ViewOptions

  func run() async throws {
    try await view.show {
      try await $0.peers()
    } _: {
      PeerText.render($0, style: $1)
    }
  }
}

/// `linnet peer <id>`
struct PeerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer",
    abstract: "Show one peer: who accuses it, what it refuted, its conduct, the links to it, the evidence against it.")

  @OptionGroup var view: ViewOptions
  @Argument(help: "The peer's id, or its unique beginning.") var id: String

  func run() async throws {
    try await view.show {
      try await $0.peer(id: id)
    } _: {
      PeerText.render($0, style: $1)
    }
  }
}
