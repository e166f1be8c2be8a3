import ArgumentParser
import Control

/// `linnet events`
struct EventsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Show what happens in the network around the node: the events that it keeps, then each as it comes.",
    discussion: "Kinds: \(EventKind.allCases.map(\.rawValue).joined(separator: ", ")).")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Option(name: .customLong("kind"), help: ArgumentHelp("Only these, separated by commas.", valueName: "kinds"))
  var kinds: String?
  @Option(help: ArgumentHelp("Begin at this event.", valueName: "number")) var from: UInt64 = 0
  @Flag(inversion: .prefixedNo, help: "Whether to go on with what is to come.") var follow = true

  func run() async throws {
    let wanted: Set<EventKind>
    do { wanted = try EventKind.listed(kinds ?? "") } catch {
      throw ValidationError(error.detail + (error.suggestion.map { "; \($0)" } ?? ""))
    }
    let request = EventRequest(from: from, kinds: wanted, follow: follow)
    try await connection.client().events(request) { event in
      if format.json { return try Console.print(line: event) }
      try Console.print(EventText.render(event, style: Console.style))
    }
  }
}
