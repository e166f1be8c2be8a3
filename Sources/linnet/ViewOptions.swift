import ArgumentParser
import Control

/// What commands have in common that show what a node says, once or again and again.
struct ViewOptions: ParsableArguments {
  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions
  @Flag(help: "Show it again every two seconds; with --json one line each time.")
  var watch = false

  /// What `ask` answers, as `render` puts it or as JSON; with `--watch` until the process is interrupted.
  func show<Answer: Encodable>(
    _ ask: (ControlClient) async throws -> Answer, _ render: (Answer, TextStyle) -> String
  ) async throws {
    let client = try connection.client()
    while true {
      let answer = try await ask(client)
      switch (format.json, watch) {
      case (true, true): try Console.print(line: answer)
      case (true, false): try Console.print(json: answer)
      case (false, _):
        let isRedrawn = watch && Console.style.isColoured
        try Console.print((isRedrawn ? "\u{1B}[H\u{1B}[2J" : "") + render(answer, Console.style))
      }
      guard watch else { return }
      try await Task.sleep(for: .seconds(2))
    }
  }
}
