import LinkProtocol
import Primitives

/// Whether what waits on a link gets away: the other side may live and yet read nothing, or not what is sent to it. Pure:
/// the time is given.
struct LinkProgress {
  private struct Lane {
    var sentBytes: UInt64 = 0
    var movedAt: Instant
  }

  private let limit: Microseconds
  private var lanes: [Lane]

  init(configuration: LinkConfiguration, now: Instant) {
    limit = configuration.stallLimit
    lanes = LinkChannel.allCases.map { _ in Lane(movedAt: now) }
  }

  /// Looks at the streams, in the order of the channels.
  ///
  /// - Parameter only: the channel that counts; nil when all do.
  /// - Returns: true when something has waited on a channel for the limit and nothing of it was sent.
  mutating func isStalled(_ streams: [StreamInfo], only: LinkChannel? = nil, now: Instant) -> Bool {
    let hasMoved = zip(streams, lanes).contains { $0.sentBytes != $1.sentBytes }
    for (index, stream) in streams.enumerated() {
      let isWaiting = stream.queuedBytes > 0 && stream.sentBytes == lanes[index].sentBytes
      // One that has room waits for those that are sent first, which is no fault of the other side.
      let isPassedOver = hasMoved && stream.sendWindowBytes > FramePrefix.byteCount
      if !isWaiting || isPassedOver { lanes[index].movedAt = now }
      lanes[index].sentBytes = stream.sentBytes
    }
    return lanes.enumerated().contains { index, lane in
      now - lane.movedAt >= limit && (only == nil || only?.index == index)
    }
  }
}
