import LinkProtocol

// What a link carries, by the rules:
// 1. On the wire, a Noise message is its length in two bytes, big-endian, and its ciphertext (at most 65,535 bytes, so
//    at most 65,519 bytes of plaintext).
// 2. The plaintexts, one after the other, are the bytes of one Yamux session, whose client is who dialled. A Yamux frame
//    may begin in one message and end in another.
// 3. An empty plaintext says that its sender's next message is under the next key.
// 4. Right after the handshake the client opens the streams 1, 3, 5 and 7 in this order: the four channels. They last as
//    long as the link. Every other stream is refused.
// 5. On a channel's stream each frame has its length before it (`FramePrefix`).
// 6. A go-away ends the link; its code says why (`LinkNotice`).

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

  /// In the order of their priority on sending: as long as an earlier one has something to send, and room for it at the
  /// other side, no later one is served. A proposal does not wait for gossip: every transaction that is still on its way
  /// can come a block later.
  static let byPriority: [LinkChannel] = [.consensus, .sync, .broadcast, .services]

  /// Where it stands in arrays of one element a channel.
  var index: Int { Int(rawValue) }

  /// The id of its stream.
  var streamID: UInt32 { UInt32(rawValue) * 2 + 1 }

  /// The channel of a stream; nil for one that is none.
  init?(streamID: UInt32) {
    guard streamID & 1 == 1, let value = UInt8(exactly: streamID / 2) else { return nil }
    self.init(rawValue: value)
  }
}

/// Why the other side said that it closes a link. The raw value is the code of the go-away: up to 2 those of the Yamux
/// specification, then Linnet's.
package enum LinkNotice: UInt32, Sendable {
  /// Its process ends, or it has no more use for the link. Unknown codes are taken for this one.
  case normal = 0
  /// It found fault with the form of what was sent.
  case protocolError = 1
  /// Something failed there.
  case internalError = 2
  /// It keeps another link between the same two nodes.
  case replaced = 16
  /// Its limits of links are reached.
  case tooManyLinks = 17
  /// It found fault with what this node did, and may refuse it for some time.
  case misbehaviour = 18
}

/// Sizes of the format.
enum LinkFormat {
  /// Bytes of the length before each Noise message.
  static let lengthByteCount = 2
  /// Bytes in the longest that is sent. With its length it has 64 KiB: what a read takes at once, and no more than a buffer
  /// of that size, for which the next larger would have twice as many bytes.
  static let maximumSentByteCount = 65_536 - lengthByteCount
  /// Bytes in the longest plaintext that is sent.
  static let maximumPlaintextByteCount = maximumSentByteCount - NoiseCipher.tagByteCount
  /// Bytes of a stream in the longest message that is sent.
  static let maximumDataByteCount = maximumPlaintextByteCount - YamuxHeader.byteCount
}
