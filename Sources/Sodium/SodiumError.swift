/// What went wrong in a cryptographic operation: a code for programs and a sentence for a person.
package struct SodiumError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a program tells failures apart by.
  package enum Code: String, Sendable {
    /// Guarded memory could not be had from the operating system.
    case outOfMemory
    /// An input has a length that the primitive does not take.
    case invalidLength
    /// The tag of a sealed message does not match: another key, another nonce, or changed bytes.
    case authenticationFailed
    /// The other side's X25519 key is of small order: the shared secret would be known to everyone.
    case weakSharedSecret
  }

  /// The code.
  package var code: Code
  /// What was tried, what went wrong, and what to do next.
  package var message: String

  /// An error with its code and message.
  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message with its code.
  package var description: String { "\(message) [\(code.rawValue)]" }
}
