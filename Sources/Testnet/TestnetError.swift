/// Why a testnet could not be started, found or stopped.
package struct TestnetError: Error, Sendable, CustomStringConvertible {
  /// What was tried and what went wrong.
  package let message: String
  /// What to do next.
  package let suggestion: String

  /// A failure.
  package init(_ message: String, suggestion: String) {
    self.message = message
    self.suggestion = suggestion
  }

  /// Message and suggestion.
  package var description: String { "\(message)\ntry: \(suggestion)" }
}
