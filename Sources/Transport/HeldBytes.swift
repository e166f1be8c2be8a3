import Primitives

/// What came on a link and is in no frame that was handed on, and for how long. Pure: the time is given.
struct HeldBytes {
  private struct Lane {
    var byteCount = 0
    /// When the last frame was handed on, or the first of these bytes came.
    var since = Instant.zero
  }
  // What is held as long is as bad as can be; and so the product fits.
  private static let maximumAge = Microseconds.seconds(3_600)

  private var lanes = [Lane](repeating: Lane(), count: LinkChannel.allCases.count)

  /// Of all channels.
  var byteCount: Int { lanes.reduce(0) { $0 + $1.byteCount } }

  /// Something came on a channel, or was dealt with.
  ///
  /// - Parameters:
  ///   - byteCount: what is held now.
  ///   - hasHandedOn: whether a frame was handed on.
  mutating func update(_ channel: LinkChannel, byteCount: Int, hasHandedOn: Bool, now: Instant) {
    if hasHandedOn || lanes[channel.index].byteCount == 0 { lanes[channel.index].since = now }
    lanes[channel.index].byteCount = byteCount
  }

  /// Bytes times milliseconds. A long frame on its way is many bytes for a moment, and one that is not finished is few for
  /// ever: neither size nor age alone tells who is in the way of others.
  func claim(_ now: Instant) -> Int {
    lanes.reduce(0) { sum, lane in
      let age = min(max(now - lane.since, .milliseconds(1)), HeldBytes.maximumAge)
      return sum + lane.byteCount * Int(age.count / 1_000)
    }
  }
}
