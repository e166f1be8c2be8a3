import LinkProtocol
import Primitives

/// The limits and timers of an endpoint's links. Every one has a default that suits a node on the internet.
package struct LinkConfiguration: Sendable {
  /// Bytes in the longest frame, a constant of the protocol: a longer one is refused on sending and ends the link on
  /// receiving.
  package static let maximumFrameByteCount = FramePrefix.maximumFrameByteCount

  /// The most links at once. A further one is refused once its handshake is done, unless it replaces one, or is to a
  /// preferred node and takes the place of one that is not.
  package var maximumLinks = 256
  /// One of so many links is kept for those that this node dials: whoever connects to it cannot take all its places.
  /// Preferred nodes are not counted out.
  package var outboundShare = 4
  /// The most accepted links from one public /24 or /56. Preferred nodes are not counted out.
  package var maximumLinksPerPrefix = 32
  /// The same for a private prefix: a network of one's own.
  package var maximumLinksPerPrivatePrefix = 256
  /// The most accepted connections whose handshakes are under way at once; a further one takes the place of one of the prefix
  /// that has most (`HandshakePlaces`), or is closed unread.
  package var maximumHandshakes = 128
  /// The most of them from one /24 or /56: who opens connections and says nothing takes up a part only.
  package var maximumHandshakesPerPrefix = 32
  /// The most connections being made at once; further dials fail. As many again may be made to preferred nodes.
  package var maximumDials = 64
  /// Accepted connections a second from one /24 or /56; further ones are closed unread.
  package var handshakesPerSecondPerPrefix = 20
  /// Accepted connections at once from one /24 or /56 after a pause.
  package var handshakeBurstPerPrefix = 64
  /// Accepted connections a second from everywhere; further ones are closed unread.
  package var handshakesPerSecond = 200
  /// Accepted connections at once from everywhere after a pause.
  package var handshakeBurst = 400
  /// How long connecting may take, and then how long the handshake.
  package var handshakeTimeout = Microseconds.seconds(5)
  /// A ping is sent when nothing was heard for so long, and in any case every sixth interval.
  package var pingInterval = Microseconds.seconds(5)
  /// A link is closed when nothing was heard for so long.
  package var silenceLimit = Microseconds.seconds(15)
  /// A link is closed when something has waited on a channel for so long and nothing of it could be sent. Some silence
  /// limits: a node that has much to do may deal with nothing for a while, and it lives.
  package var stallLimit = Microseconds.seconds(60)
  /// Messages that one key seals at most.
  package var rekeyMessages: UInt64 = 1 << 20
  /// How long one key is used at most, when there is anything to seal.
  package var rekeyInterval = Microseconds.seconds(3_600)
  /// Times that the other side may go on to its next key at once after a pause, and one more a second: each is a message of
  /// 18 bytes that costs more than its sender spends.
  package var rekeyBurst = 64
  /// How long a link that was closed waits for the other side to have read why.
  package var lingerLimit = Microseconds.seconds(1)
  /// Bytes that the other side may send on the consensus channel ahead of what is dealt with. For this and the other
  /// three the protocol asks for 262,144 at least.
  package var consensusWindowByteCount: UInt32 = 4 * 1_024 * 1_024
  /// The same for the broadcast channel.
  package var broadcastWindowByteCount: UInt32 = 4 * 1_024 * 1_024
  /// The same for the sync channel: many blocks, so that none waits a round trip for room.
  package var syncWindowByteCount: UInt32 = 16 * 1_024 * 1_024
  /// The same for the services channel.
  package var servicesWindowByteCount: UInt32 = 4 * 1_024 * 1_024
  /// Frames of one channel that are handed on ahead of those dealt with; further ones wait as bytes within the window.
  package var maximumWaitingFrames = 1_024
  /// Bytes that may wait on one link's consensus channel; then the oldest frames are dropped for new ones.
  package var consensusQueueByteCount = 16 * 1_024 * 1_024
  /// Bytes that may wait on one link's broadcast channel; then new frames are refused.
  package var broadcastQueueByteCount = 16 * 1_024 * 1_024
  /// Bytes that may wait on one link's sync channel; then new frames are refused.
  package var syncQueueByteCount = 32 * 1_024 * 1_024
  /// Bytes that may wait on one link's services channel; then new frames are refused.
  package var servicesQueueByteCount = 32 * 1_024 * 1_024
  /// Bytes that may wait on all links together; then the link on which most wait is closed, and until it is, new frames are
  /// refused on every channel but consensus where more waits than the link's share.
  package var queueByteCount = 512 * 1_024 * 1_024
  /// Bytes held in no frame yet, for all links together; when they are more, the link that has held most for longest is closed.
  package var reassemblyByteCount = 128 * 1_024 * 1_024

  /// The defaults.
  package init() {}

  /// By channel.
  var windows: [UInt32] {
    [consensusWindowByteCount, broadcastWindowByteCount, syncWindowByteCount, servicesWindowByteCount]
  }

  /// By channel.
  var queueLimits: [Int] {
    [consensusQueueByteCount, broadcastQueueByteCount, syncQueueByteCount, servicesQueueByteCount]
  }
}
