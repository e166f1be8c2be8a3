import ArgumentParser
import Control

/// `linnet account`
struct AccountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account", abstract: "Show accounts and pay.",
    subcommands: [Show.self, Transfer.self], defaultSubcommand: Show.self)

  /// `linnet account show`
  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show an account: the node's own, or another.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "The account's id.") var id: String?

    func run() async throws {
      let account = try await connection.client().account(id: id)
      if format.json { return try Console.print(json: account) }
      var fields = TextFields()
      fields.add("id", account.id)
      fields.add("balance", Quantity.credits(account.balanceMicrocredits) + " credits")
      fields.add("in escrow", Quantity.credits(account.escrowMicrocredits) + " credits")
      fields.add("bonded", Quantity.credits(account.bondedMicrocredits) + " credits")
      fields.add("at stake", Quantity.credits(account.stakeMicrocredits) + " credits")
      fields.add("nonce", "\(account.nonce)")
      try Console.print(fields.rendered(style: Console.style))
    }
  }

  /// `linnet account transfer`
  struct Transfer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Pay credits from the node's own account.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "The account that receives.") var to: String
    @Argument(help: "How many credits, with up to six decimals.") var amount: String

    func validate() throws { _ = try microcredits() }

    func run() async throws {
      let transaction = try await connection.client().transfer(
        TransferRequest(to: to, amountMicrocredits: try microcredits()))
      if format.json {
        try Console.print(json: transaction)
      } else if let block = transaction.inBlock, transaction.refusal == nil {
        try Console.print("\(transaction.id) final in block \(block)\n")
      } else if transaction.refusal == nil {
        try Console.print("\(transaction.id) sent, not final yet\n")
      }
      if let refusal = transaction.refusal {
        throw Failure(
          "the ledger refused the transfer \(transaction.id): \(refusal)", suggestion: "linnet account show")
      }
    }

    private func microcredits() throws -> UInt64 {
      guard let microcredits = Quantity.microcredits(amount), microcredits > 0 else {
        throw ValidationError("'\(amount)' is not an amount of credits, such as 25 or 0.5")
      }
      return microcredits
    }
  }
}
