import ArgumentParser
import Control

/// `linnet validator`
struct ValidatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validator", abstract: "Join or leave the committee, change the vote key, see where the node stands.",
    discussion: """
      What is changed in one epoch holds from the second after it. To join, the node locks credits as its stake; it \
      gets them back some epochs after it left. Half of the stake, by default, is burnt when the node contradicts itself.
      """,
    subcommands: [Status.self, Join.self, Leave.self, Rotate.self], defaultSubcommand: Status.self)

  /// `linnet validator status`
  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show where the node stands: stake, keys, votes.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let own = try await connection.client().ownValidator()
      if format.json { return try Console.print(json: own) }
      try Console.print(ValidatorText.render(own, style: Console.style))
    }
  }

  /// `linnet validator join`
  struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lock credits as the node's stake, and be a validator from the second epoch after this one.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Option(help: ArgumentHelp("Credits to add to the stake (what lacks to the least).", valueName: "credits"))
    var stake: String?

    func validate() throws { _ = try microcredits() }

    func run() async throws {
      let change = try await connection.client().joinValidators(StakeRequest(amountMicrocredits: try microcredits()))
      try ValidatorCommand.report(change, "a validator", format: format)
    }

    private func microcredits() throws -> UInt64? {
      guard let stake else { return nil }
      guard let amount = Quantity.microcredits(stake), amount > 0 else {
        throw ValidationError("'\(stake)' is not an amount of credits, such as 25 or 0.5")
      }
      return amount
    }
  }

  /// `linnet validator leave`
  struct Leave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give the membership up; the node votes until it ends, and gets its stake back later.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let change = try await connection.client().leaveValidators()
      try ValidatorCommand.report(change, "no validator", format: format)
    }
  }

  /// `linnet validator rotate`
  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a new key for the node's votes; its identity stays.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let change = try await connection.client().rotateVoteKey()
      try ValidatorCommand.report(
        change, "voting with \(change.key.map(PeerText.short) ?? "the new key")", format: format)
    }
  }

  private static func report(_ change: ValidatorChangeAnswer, _ becomes: String, format: FormatOptions) throws {
    if format.json {
      try Console.print(json: change)
    } else if let block = change.inBlock, change.refusal == nil {
      let from = change.holdsFromEpoch.map { " from epoch \($0)" } ?? ""
      try Console.print("final in block \(block): the node is \(becomes)\(from)\n")
    } else if change.refusal == nil {
      try Console.print("\(change.id) sent, not final yet\n")
    }
    if let refusal = change.refusal {
      throw Failure(
        "the ledger refused the transaction \(change.id): \(refusal)",
        suggestion: "linnet validator status, linnet account show")
    }
  }
}
