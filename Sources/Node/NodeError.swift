/// Why a daemon could not start or had to stop. Each code has its own exit code, listed in docs/operating.md.
package struct NodeError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure; the raw value is the daemon's exit code.
  package enum Code: Int32, Sendable, CaseIterable {
    /// node.conf, environment or flags are wrong.
    case configuration = 10
    /// The data directory can't be made or written.
    case dataDirectory = 11
    /// Another daemon holds the data directory.
    case alreadyRunning = 12
    /// node.key is missing, malformed, or readable by others.
    case key = 13
    /// The genesis document is missing or wrong.
    case genesis = 14
    /// The data directory belongs to another network.
    case wrongNetwork = 15
    /// A port is taken or an address is not this host's.
    case listen = 16
    /// The journal or the block store can't be read or written.
    case storage = 17
    /// The control socket can't be made.
    case control = 18
    /// The executor can't be set up.
    case executor = 19
    /// A final block does not execute to its state root here.
    case diverged = 20
  }

  /// What kind of failure.
  package let code: Code
  /// What was tried and what went wrong.
  package let message: String
  /// What to do next.
  package let suggestion: String
  /// What caused it.
  package let cause: (any Error)?

  /// A failure.
  package init(_ code: Code, _ message: String, suggestion: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.suggestion = suggestion
    self.cause = cause
  }

  /// Message, cause and suggestion.
  package var description: String {
    let because = cause.map { ": \($0)" } ?? ""
    return "\(message)\(because)\ntry: \(suggestion)"
  }
}
