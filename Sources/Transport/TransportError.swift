import LinkProtocol

/// Why a connection, a handshake or a socket failed: a code for programs and a sentence for a person.
package struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a program tells failures apart by. The raw value is also the name of the counter.
  package enum Code: String, Sendable, CaseIterable {
    /// Another program listens on the address.
    case addressInUse
    /// The address cannot be listened on: not an address of this host, no right to the port, or the like.
    case cannotListen
    /// `start` was called twice, or after `shutdown`.
    case alreadyStarted
    /// The endpoint was not started, or is shut down.
    case notRunning

    /// An address that no connection can be made to: port 0, unspecified, multicast or broadcast.
    case unusableAddress
    /// Too many dials are under way.
    case tooManyDials
    /// The connection was refused, timed out, or could not be routed.
    case connectFailed

    /// The handshake took longer than its limit.
    case handshakeTimeout
    /// The other side closed the connection before the handshake was done.
    case closedDuringHandshake
    /// What came is no handshake message: wrong length, or not this protocol at all.
    case malformedHandshake
    /// A handshake message could not be decrypted: it was changed on the way, or made for another network.
    case badHandshake
    /// The other side is a node of another network.
    case wrongNetwork
    /// The identity shown does not belong to the key that the handshake was made with.
    case badIdentity
    /// Another node than the one expected answered.
    case unexpectedIdentity
    /// The node reached itself.
    case ownIdentity
    /// There is a link to this node already.
    case alreadyLinked
    /// The limit of links is reached, here or on the other side.
    case tooManyLinks
    /// The node is banned here for some time.
    case banned
    /// Too many handshakes from one address prefix, or under way at once.
    case tooManyHandshakes
    /// Something that does not depend on the other side failed here, such as memory for keys.
    case internalFailure
  }

  /// The code.
  package var code: Code
  /// What was tried, what went wrong, and what to do next.
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

extension TransportError {
  /// A failed handshake as a connection that failed.
  init(_ error: LinkProtocolError) {
    let code: Code =
      switch error.code {
      case .malformedHandshake: .malformedHandshake
      case .badHandshake: .badHandshake
      case .wrongNetwork: .wrongNetwork
      case .badIdentity: .badIdentity
      case .ownIdentity: .ownIdentity
      case .internalFailure: .internalFailure
      }
    self.init(code, error.message, cause: error.cause)
  }

  /// The answer of `body`, its errors mapped.
  static func mapping<Answer>(
    _ body: () throws(LinkProtocolError) -> Answer
  ) throws(TransportError) -> Answer {
    do { return try body() } catch { throw TransportError(error) }
  }
}
