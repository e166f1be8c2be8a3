import Sodium
import Wire

// Four types of datagram, by their first byte:
//
//   1 plain         01 | mac1 16 | payload
//   2 with cookie   02 | mac1 16 | mac2 16 | payload
//   3 cookie reply  03 | mac1 16 | echo 16 | cookie 16
//   4 beacon        04 | tag 16  | payload
//
// mac1 is keyed BLAKE2b-128 over all that follows the MACs, by a key that whoever knows the receiver's identity and the
// network can make. It has the same value in types 1 and 2, so that neither a datagram sent again with a cookie nor one
// put into the other type by somebody on the path passes for a new one. mac2 is keyed by a cookie, over the type and
// mac1, which stands for the payload: a wrong one costs a block of the hash, however long the datagram.

/// The shapes and lengths of datagrams.
package enum DatagramFormat {
  /// What a datagram is: its first byte.
  package enum Kind: UInt8, CaseIterable, Sendable {
    /// An envelope of probe traffic.
    case plain = 1
    /// An envelope of probe traffic, from who can receive at its address.
    case withCookie = 2
    /// What to prove that with, in answer to one of the above.
    case cookieReply = 3
    /// A node's record for everyone on the same network segment; by multicast only.
    case beacon = 4

    /// Bytes before the payload.
    package var headerByteCount: Int {
      self == .withCookie ? 1 + 2 * DatagramMAC.byteCount : 1 + DatagramMAC.byteCount
    }
  }

  /// Bytes in the longest datagram: it fits every path's packets.
  package static let maximumByteCount = 1_200
  /// Bytes in the longest payload: any fits a datagram with a cookie.
  package static let maximumPayloadByteCount = maximumByteCount - Kind.withCookie.headerByteCount
  /// Bytes in the shortest payload: an envelope of nothing.
  package static let minimumPayloadByteCount = Envelope.overheadBytes + 1
  /// Bytes that a payload may have.
  package static let payloadByteCounts = minimumPayloadByteCount...maximumPayloadByteCount
  /// Bytes in a cookie.
  package static let cookieByteCount = 16
  /// Bytes in a cookie reply: fewer than in any datagram that it answers.
  package static let cookieReplyByteCount =
    Kind.cookieReply.headerByteCount + DatagramMAC.byteCount + cookieByteCount

  /// True when a datagram of this type may have this length.
  static func isLength(_ byteCount: Int, of kind: Kind) -> Bool {
    if kind == .cookieReply { return byteCount == cookieReplyByteCount }
    return payloadByteCounts.contains(byteCount - kind.headerByteCount)
  }

  static func plain(_ payload: [UInt8], mac1: DatagramMAC) -> [UInt8] {
    [Kind.plain.rawValue] + mac1.bytes + payload
  }

  static func withCookie(_ payload: [UInt8], mac1: DatagramMAC, cookie: [UInt8]) -> [UInt8] {
    let head = [Kind.withCookie.rawValue] + mac1.bytes
    return head + mac2(of: head, cookie: cookie) + payload
  }

  static func cookieReply(echo: DatagramMAC, cookie: [UInt8], key: [UInt8]) -> [UInt8] {
    let body = echo.bytes + cookie
    return [Kind.cookieReply.rawValue] + DatagramMAC(of: body, key: key).bytes + body
  }

  static func beacon(_ payload: [UInt8], key: [UInt8]) -> [UInt8] {
    [Kind.beacon.rawValue] + DatagramMAC(of: payload, key: key).bytes + payload
  }

  /// The second MAC of a datagram that opens with `head`, its type and first MAC.
  static func mac2(of head: [UInt8], cookie: [UInt8]) -> [UInt8] {
    BLAKE2b.hash(head, count: DatagramMAC.byteCount, key: cookie)
  }
}
