import ArgumentParser
import Control

/// `linnet status`
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the node in one look: chain, peers, balance, what it refused.")

  @OptionGroup var view: ViewOptions

  func run() async throws {
    try await view.show {
      try await $0.status()
    } _: {
      Self.render($0, style: $1)
    }
  }

  static func render(_ status: StatusAnswer, style: TextStyle) -> String {
    var fields = TextFields()
    fields.add("node", "\(status.name)  \(status.id)")
    fields.add("version", status.version)
    fields.add("network", "\(status.network)  \(status.networkId)")
    fields.add("roles", status.roles.joined(separator: ", "))
    fields.add("voting", VotingText.render(status.voting))
    fields.add("height", "\(status.height)  (epoch \(status.epoch), view \(status.view))")
    fields.add("state root", status.stateRoot)
    fields.add("peers alive", "\(status.peersAlive)")
    fields.add("leases running", "\(status.leasesRunning)")
    fields.add("balance", Quantity.credits(status.balanceMicrocredits) + " credits")
    fields.add("isolation", status.isolation)
    fields.add("up", Quantity.duration(seconds: status.uptimeSeconds))
    let refused = status.refused.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    if !refused.isEmpty {
      fields.add("refused", refused.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }
    let warnings = status.warnings.map { style.caution("warning:") + " " + TextTable.printable($0) + "\n" }
    return fields.rendered(style: style) + warnings.joined()
  }
}

/// `linnet version`
struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "version", abstract: "Show the version of this program.")

  @OptionGroup var format: FormatOptions

  func run() throws {
    if format.json { return try Console.print(json: ["version": LinnetVersion.current]) }
    try Console.print("linnet \(LinnetVersion.current)\n")
  }
}
