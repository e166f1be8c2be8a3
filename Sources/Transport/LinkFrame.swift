import LinkProtocol

// What travels inside one Noise message, by the rules:
// 1. On the wire, a Noise message is its length in two bytes, big-endian, and its ciphertext (at most 65,535 bytes, so
//    at most 65,519 bytes of plaintext).
// 2. The first byte of the plaintext says what it is; the rest is its body:
//      0b0000_0mcc  a fragment of a frame: channel cc; m set when more fragments of the frame follow
//      0x80         ping: 8 bytes that the answer repeats        0x81  pong
//      0x82         close: one byte of `LinkNotice`
//      0x83         rekey: the sender's next message is under the next key
//    Anything else closes the link.
// 3. A frame's fragments are in order within their channel; fragments of different channels may alternate.
// 4. A fragment that is followed by more is not empty.

/// The four channels of a link.
package enum LinkChannel: UInt8, Sendable, CaseIterable {
  /// Votes and certificates.
  case consensus
  /// Gossip.
  case broadcast
  /// Proposals, and blocks for nodes that are behind.
  case sync
  /// Blobs, logs, requests and answers.
  case services

  /// In the order of their priority on sending: as long as an earlier one has something to send, no later one is served.
  /// A proposal does not wait for gossip: every transaction that is still on its way can come a block later.
  static let byPriority: [LinkChannel] = [.consensus, .sync, .broadcast, .services]
}

/// Why the other side said that it closes a link.
package enum LinkNotice: UInt8, Sendable {
  case unspecified
  /// Its process ends.
  case shutdown
  /// It keeps another link between the same two nodes.
  case replaced
  /// Its limit of links is reached.
  case tooManyLinks
  /// It found fault with what was sent.
  case misbehaviour
}

/// Sizes of the format.
enum LinkFormat {
  /// Bytes of the length before each Noise message.
  static let lengthByteCount = 2
  /// Bytes in the longest Noise message.
  static let maximumMessageByteCount = 65_535
  /// Bytes in the longest plaintext of a Noise message.
  static let maximumPlaintextByteCount = maximumMessageByteCount - NoiseCipher.tagByteCount
  /// Bytes in the longest fragment of a frame.
  static let maximumFragmentByteCount = maximumPlaintextByteCount - 1

  static let channelMask: UInt8 = 0b011
  static let moreFlag: UInt8 = 0b100
  static let ping: UInt8 = 0x80
  static let pong: UInt8 = 0x81
  static let close: UInt8 = 0x82
  static let rekey: UInt8 = 0x83
  /// Bytes in the body of a ping and of a pong.
  static let pingByteCount = 8
}
