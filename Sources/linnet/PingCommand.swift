import ArgumentParser
import Control

/// `linnet ping <id>`
struct PingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ping", abstract: "Ping a peer over UDP and over the link, and show times and losses.",
    discussion: "Exits with 3 when nothing was answered. The peer is not suspected for it.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Argument(help: "The peer's id, or its unique beginning.") var id: String
  @Option(name: .shortAndLong, help: "How many pings, 1 to 100.") var count = 4
  @Option(name: .shortAndLong, help: ArgumentHelp("The time between two, 100 to 10000.", valueName: "milliseconds"))
  var interval = 1_000

  private var request: PeerPingRequest { PeerPingRequest(count: count, intervalMilliseconds: interval) }

  func validate() throws {
    try PingCommand.check("--count", count, PeerPingRequest.counts)
    try PingCommand.check("--interval", interval, PeerPingRequest.intervalsMilliseconds)
  }

  private static func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw ValidationError("\(option) must be \(range.lowerBound) to \(range.upperBound)")
    }
  }

  func run() async throws {
    var statistics = PingStatistics()
    try await connection.client().ping(id: id, request) { answer in
      statistics.take(answer)
      if format.json { return try Console.print(line: answer) }
      try Console.print(PingStatistics.render(answer, style: Console.style))
    }
    if !format.json { try Console.print("\n" + statistics.rendered(style: Console.style)) }
    guard statistics.isAnswered else { throw ExitCode(Failure.badNetworkExitCode) }
  }
}
