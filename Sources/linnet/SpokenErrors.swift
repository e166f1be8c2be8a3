import NetworkSwitch
import Node
import Testnet

extension NodeError: SpokenError {
  /// The exit codes of a daemon that could not start are listed in docs/operating.md.
  var failure: Failure {
    let because = cause.map { ": \($0)" } ?? ""
    return Failure(message + because, suggestion: suggestion, exitCode: code.rawValue)
  }
}

extension JoinError: SpokenError {
  /// The exit codes of `linnet join` are listed in docs/operating.md.
  var failure: Failure { Failure(message, suggestion: suggestion, exitCode: code.rawValue) }
}

extension TestnetError: SpokenError {
  var failure: Failure { Failure(message, suggestion: suggestion) }
}

extension SwitchError: SpokenError {
  var failure: Failure { Failure(description) }
}
