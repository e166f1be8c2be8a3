/// What a session holds and accepts at most.
package struct YamuxLimits: Sendable, Equatable {
  /// Streams open at once, for each side that opens them. A further one of the peer is refused by a reset and counted.
  package var maximumStreams: Int
  /// Bytes that either side may send on a new stream before any window update. Both sides must mean the same; the
  /// specification says 256 KiB.
  package var initialWindow: UInt32
  /// Bytes in the longest data frame accepted: as long as one travels, no other stream is served. A frame that is longer
  /// than the window of its stream is a violation in any case.
  package var maximumFrame: UInt32
  /// Resets that are due, and streams that may still need one, at most. A peer that makes more due and does not read them
  /// violates.
  package var maximumPendingControl: Int
  /// Pings, and answers to pings, that are due at most, each; the oldest is dropped and counted.
  package var maximumPendingPings: Int
  /// Closed streams of each side that are remembered at most, the most recent ones. What comes late on them is skipped.
  package var tombstones: Int

  /// Limits; without arguments those of a link.
  package init(
    maximumStreams: Int = 64, initialWindow: UInt32 = 262_144, maximumFrame: UInt32 = 1_048_576,
    maximumPendingControl: Int = 1_024, maximumPendingPings: Int = 16, tombstones: Int = 256
  ) {
    self.maximumStreams = maximumStreams
    self.initialWindow = initialWindow
    self.maximumFrame = maximumFrame
    self.maximumPendingControl = maximumPendingControl
    self.maximumPendingPings = maximumPendingPings
    self.tombstones = tombstones
  }

  /// Bytes that `takeControl` returns at most: resets and one window update a stream together, pings and pongs, and one
  /// go-away.
  package var maximumControlByteCount: Int {
    (maximumPendingControl + 2 * maximumPendingPings + 1) * YamuxHeader.byteCount
  }
}
