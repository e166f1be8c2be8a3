import LinkProtocol
import Wire

/// A datagram that passed an endpoint's filter. Whether it is signed by whom it names is for the caller to check, who then
/// tells the endpoint: `verified` or `forged`.
package struct ReceivedDatagram: Sendable {
  /// The envelope, not verified.
  package var payload: [UInt8] { admitted.payload }
  /// Where it says it comes from.
  package let source: PeerAddress
  /// True when a member is known at its source, or its source has shown that it receives there. What a flood of forged
  /// addresses brings is neither, or soon needs a cookie: those that are go first.
  package var isPreferred: Bool { admitted.isProven || admitted.isKnown }

  let admitted: AdmittedDatagram

  /// A datagram that a filter admitted.
  package init(_ admitted: AdmittedDatagram, from source: PeerAddress) {
    self.admitted = admitted
    self.source = source
  }
}
