import ArgumentParser
import Config
import Control
import Glibc
import Node

/// A failure in a person's words, with the exit code that docs/control-api.md gives it.
struct Failure: Error {
  let message: String
  let suggestion: String?
  let exitCode: Int32

  init(_ message: String, suggestion: String? = nil, exitCode: Int32 = EXIT_FAILURE) {
    self.message = message
    self.suggestion = suggestion
    self.exitCode = exitCode
  }

  /// A failed system call on `path`.
  static func system(_ action: String, _ path: String, errno code: Int32 = errno) -> Failure {
    Failure("cannot \(action) '\(path)': \(String(cString: strerror(code)))")
  }

  /// No daemon answers: EX_UNAVAILABLE of sysexits.h.
  static let unavailableExitCode: Int32 = 69

  /// The daemon answered, and what it says of the network is bad.
  static let badNetworkExitCode: Int32 = 3

  /// What `error` is for a person; nil for errors that ArgumentParser words itself.
  init?(_ error: any Error) {
    switch error {
    case let failure as Failure:
      self = failure
    case let spoken as any SpokenError:
      self = spoken.failure
    case let error as ControlError:
      let unavailable = ["noDaemon", "socketForbidden", "brokenOff"].contains(error.code)
      self.init(
        error.detail, suggestion: error.suggestion, exitCode: unavailable ? Self.unavailableExitCode : EXIT_FAILURE)
    case let error as ConfigurationError:
      self.init(
        error.description, suggestion: "correct it, then `linnet config check`",
        exitCode: NodeError.Code.configuration.rawValue)
    case let error as ValidationError:
      // One that `run` threw: ArgumentParser knows no more which command it was of, and would show the root's usage.
      self.init(error.message, exitCode: LinnetCommand.exitCode(for: error).rawValue)
    case is ExitCode, is CleanExit:
      return nil
    default:
      // ArgumentParser's errors are no public types, but their exit code tells them.
      guard LinnetCommand.exitCode(for: error) == .failure else { return nil }
      self.init("\(error)")
    }
  }

  /// Says it on stderr.
  func report() {
    Console.complain(message)
    if let suggestion { Console.error("try: \(suggestion)\n") }
  }

  /// Ends the process with what `error` says and its code.
  static func exit(with error: any Error) -> Never {
    if error is OutputClosed { Glibc.exit(OutputClosed.exitCode) }
    if let failure = Failure(error) {
      failure.report()
      Glibc.exit(failure.exitCode)
    }
    let code = LinnetCommand.exitCode(for: error)
    let text = LinnetCommand.fullMessage(for: error)
    guard code != .success, text.hasPrefix(Self.parserPrefix) else { LinnetCommand.exit(withError: error) }
    Console.complain(String(text.dropFirst(Self.parserPrefix.count)))
    Glibc.exit(code.rawValue)
  }

  private static let parserPrefix = "Error: "
}

/// An error of another target that has words for a person and an exit code of its own.
protocol SpokenError: Error {
  /// The words and the code.
  var failure: Failure { get }
}
