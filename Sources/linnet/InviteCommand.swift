import ArgumentParser
import Control

/// `linnet invite`
struct InviteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "invite", abstract: "Make an invite: all that another host needs to join this node's network.",
    discussion: """
      Prints one line, for `linnet join` on the new host. It names the network, this node and its addresses, and stays \
      good as long as this node answers at one of them. Without a grant it holds no secret.
      """)

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Option(help: ArgumentHelp("Credits from this node's account for who joins.", valueName: "credits"))
  var grant: String?
  @Option(help: ArgumentHelp("An address to name instead of the node's own; repeat, up to 4.", valueName: "ip:port"))
  var address: [String] = []

  func validate() throws { _ = try microcredits() }

  func run() async throws {
    let answer = try await connection.client().invite(
      InviteRequest(addresses: address.isEmpty ? nil : address, grantMicrocredits: try microcredits()))
    if let grant = answer.grant {
      Console.error(
        "whoever has this line can take the \(Quantity.credits(grant.amountMicrocredits)) credits: "
          + "send it as you would send money, and give it to `linnet join -` by standard input\n")
      if grant.transfer.inBlock == nil {
        Console.error("the transfer \(grant.transfer.id) is sent and not final yet\n")
      }
    }
    if format.json { return try Console.print(json: answer) }
    try Console.print(answer.invite + "\n")
  }

  private func microcredits() throws -> UInt64? {
    guard let grant else { return nil }
    guard let microcredits = Quantity.microcredits(grant), microcredits > 0 else {
      throw ValidationError("'\(grant)' is not an amount of credits, such as 25 or 0.5")
    }
    return microcredits
  }
}
