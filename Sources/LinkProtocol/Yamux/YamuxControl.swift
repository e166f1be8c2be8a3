import Primitives

/// The control frames that are due, each kind bounded by itself.
struct YamuxControl: Sendable {
  /// Answers to pings: the values, oldest first.
  var pongs: [UInt32] = []
  /// Streams to reset.
  var resets: [UInt32] = []
  /// Streams with a window update due; in the order of their ids, so that the ids of new ones ascend.
  var updates = OrderedSet<UInt32>()
  /// Own pings: the values, oldest first.
  var pings: [UInt32] = []
  /// The code of the go-away, if one is due.
  var goAway: UInt32?

  var isEmpty: Bool {
    pongs.isEmpty && resets.isEmpty && updates.isEmpty && pings.isEmpty && goAway == nil
  }
}
