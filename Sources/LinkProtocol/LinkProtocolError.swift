/// Why a handshake failed: a code for programs and a sentence for a person.
package struct LinkProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a program tells failures apart by.
  package enum Code: String, Sendable, CaseIterable {
    /// What came is no handshake message: wrong length, out of turn, or not this protocol at all.
    case malformedHandshake
    /// A handshake message could not be decrypted, or holds a key of small order: it was changed on the way, or made for
    /// another network.
    case badHandshake
    /// The other side is a node of another network.
    case wrongNetwork
    /// The identity shown does not belong to the key that the handshake was made with.
    case badIdentity
    /// The node reached itself.
    case ownIdentity
    /// Something that does not depend on the other side failed here, such as memory for keys.
    case internalFailure
  }

  /// The code.
  package var code: Code
  /// What was tried, and what went wrong.
  package var message: String
  /// The underlying reason, if another layer gave one.
  package var cause: String?

  /// An error with its code, message and cause.
  package init(_ code: Code, _ message: String, cause: String? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message with cause and code.
  package var description: String { "\(message)\(cause.map { " (\($0))" } ?? "") [\(code.rawValue)]" }
}
