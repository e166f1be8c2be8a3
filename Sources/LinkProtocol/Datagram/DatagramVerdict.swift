/// What becomes of a datagram. What is sent goes to its source, and nowhere else.
package enum DatagramVerdict: Equatable, Sendable {
  /// It is worth a signature check.
  case pass(AdmittedDatagram)
  /// Send this instead of checking: a cookie, and shorter than the datagram.
  case reply([UInt8])
  /// A cookie for this node: send this, its own last datagram to the source, once more.
  case resend([UInt8])
  /// It is of no use.
  case refuse(DatagramRefusal)
}

/// A datagram that passed a `DatagramFilter`.
package struct AdmittedDatagram: Equatable, Sendable {
  /// The envelope, not verified.
  package var payload: [UInt8]
  /// What names the datagram when it is found to be verified.
  package var mac: DatagramMAC
  /// True when its source is known to receive at its address.
  package var isProven: Bool
  /// True when its source is a known one.
  package var isKnown: Bool
  /// A cookie to send to its source all the same, since the one it used ends soon. Shorter than the datagram.
  package var renewal: [UInt8]?

  /// A datagram that passed.
  package init(payload: [UInt8], mac: DatagramMAC, isProven: Bool, isKnown: Bool, renewal: [UInt8]? = nil) {
    self.payload = payload
    self.mac = mac
    self.isProven = isProven
    self.isKnown = isKnown
    self.renewal = renewal
  }
}

/// Why a datagram is of no use. The raw value is the name under which it is counted.
package enum DatagramRefusal: String, CaseIterable, Sendable {
  /// Nothing can be sent to where it says it comes from: a port of 0, a multicast or broadcast address, or, but for a
  /// beacon, an IPv6 address that means something on one network segment only.
  case badSource
  /// No type there is, or not here: a beacon outside of multicast, anything else by multicast.
  case badType
  /// A length that its type cannot have.
  case badLength
  /// Its envelope is of another version, length or kind.
  case badHeader
  /// Its envelope is of another network.
  case wrongNetwork
  /// Its envelope is for another node, or from this one.
  case wrongReceiver
  /// Its MAC does not fit.
  case wrongTag
  /// It came before, and verified.
  case replayed
  /// Its source, or all sources like it, sent too much.
  case limited
  /// It needs a cookie, and too many were sent to say so.
  case needsCookie
  /// It brings a cookie for nothing that was just sent there.
  case cookieUnexpected
}
