import ArgumentParser
import Control

/// `linnet chain`
struct ChainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chain", abstract: "Show the chain, its blocks and validators.",
    subcommands: [Status.self, Block.self, Validators.self], defaultSubcommand: Status.self)

  /// `linnet chain status`
  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the last final block and who validates.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let chain = try await connection.client().chainStatus()
      if format.json { return try Console.print(json: chain) }
      var fields = TextFields()
      fields.add("height", "\(chain.height)")
      fields.add("view", "\(chain.view)")
      fields.add(
        "epoch",
        "\(chain.epoch)  (ends with block \(chain.epochEndHeight): \(chain.blocksToEpochEnd) of "
          + "\(chain.epochBlocks) to go)")
      fields.add("state root", chain.stateRoot)
      fields.add("finalized at", chain.finalizedAt?.description ?? "never")
      fields.add("validators", chain.validators.map(PeerText.short).joined(separator: ", "))
      try Console.print(fields.rendered(style: Console.style))
    }
  }

  /// `linnet chain block N`
  struct Block: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a final block, its transactions and certificate.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: "The block's height.") var height: UInt64

    func run() async throws {
      let block = try await connection.client().block(height: height)
      if format.json { return try Console.print(json: block) }
      try Console.print(Self.render(block, style: Console.style))
    }

    static func render(_ block: BlockAnswer, style: TextStyle) -> String {
      var fields = TextFields()
      fields.add("block", block.header.id)
      fields.add("height", "\(block.header.height)")
      fields.add("view", "\(block.header.view)")
      fields.add("epoch", "\(block.header.epoch)")
      fields.add("parent", block.header.parent)
      fields.add("proposer", block.header.proposer ?? "not kept")
      fields.add("time", block.header.timestamp.description)
      fields.add("state root", block.header.stateRoot)
      if let certificate = block.certificate {
        let signers = certificate.signers.map(PeerText.short).joined(separator: ", ")
        fields.add("certificate", "\(certificate.kind) in view \(certificate.view), signed by \(signers)")
      }
      var text = fields.rendered(style: style)
      if block.transactions.isEmpty { return text + "no transactions\n" }
      var table = TextTable([
        ("TRANSACTION", .left), ("KIND", .left), ("FROM", .left), ("NONCE", .right), ("FEE", .right), ("WHAT", .left),
      ])
      for transaction in block.transactions {
        table.add([
          PeerText.short(transaction.id), transaction.kind, PeerText.short(transaction.from), "\(transaction.nonce)",
          Quantity.credits(transaction.feeMicrocredits),
          transaction.summary + (transaction.refusal.map { " (refused: \($0))" } ?? ""),
        ])
      }
      text += "\n" + table.rendered(style: style)
      return text
    }
  }

  /// `linnet chain validators`
  struct Validators: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the validators: in force, joining, leaving, jailed.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let answer = try await connection.client().validators()
      if format.json { return try Console.print(json: answer) }
      try Console.print(Self.render(answer, style: Console.style))
    }

    static func render(_ answer: ValidatorsAnswer, style: TextStyle) -> String {
      var table = TextTable([
        ("ID", .left), ("NAME", .left), ("KEY", .left), ("STAKE", .right), ("SINCE", .right), ("STATE", .left),
        ("CHANGES", .right), ("STAKE RETURNS", .right), ("SEEN", .left),
      ])
      for validator in answer.validators {
        table.add([
          validator.id, validator.name ?? "-", PeerText.short(validator.key),
          Quantity.credits(validator.stakeMicrocredits), validator.sinceEpoch.map { "epoch \($0)" } ?? "-",
          validator.state.rawValue, validator.changesInEpoch.map { "epoch \($0)" } ?? "-",
          validator.stakeReturnsAfterEpoch.map { "after epoch \($0)" } ?? "-",
          validator.liveness?.rawValue ?? "unknown",
        ])
      }
      return "epoch \(answer.epoch)\n" + table.rendered(style: style)
    }
  }
}
