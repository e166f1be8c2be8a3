import NIOCore

// What a full channel does, by the rules:
// 1. Each channel holds a bounded number of bytes; every frame counts 64 more than it has, for what holding it costs.
// 2. A full consensus channel drops its oldest frames for a new one: an old vote is worth less than a new one.
// 3. Every other channel refuses the new frame: what was promised first is sent first.
// 4. A frame of which a part is sent is never dropped: the other side could not make sense of the rest.

/// The frames that wait to be sent on one link.
struct LinkQueue {
  /// Bytes counted for each frame besides its own.
  static let overheadByteCount = 64

  /// A part of a frame, as large as one Noise message takes.
  struct Fragment {
    var channel: LinkChannel
    /// True when more of the frame follows.
    var isFollowed: Bool
    var frame: [UInt8]
    /// Which bytes of the frame.
    var range: Range<Int>
  }

  /// What became of a frame.
  enum Outcome: Equatable {
    case accepted
    /// Accepted, and this many older frames were dropped for it.
    case acceptedDropping(Int)
    case refused
  }

  private struct Lane {
    /// The frame of which a part was taken (rule 4), apart from those that may still be dropped.
    var current: [UInt8]?
    /// Bytes of `current` that were taken.
    var taken = 0
    var frames = CircularBuffer<[UInt8]>()
    /// What the frames count together, `current` as a whole included.
    var byteCount = 0
    var limit: Int

    mutating func push(_ frame: [UInt8], isDroppingOldest: Bool) -> Outcome {
      let cost = LinkQueue.cost(of: frame)
      let kept = isDroppingOldest ? current.map(LinkQueue.cost) ?? 0 : byteCount
      // Judged first: nothing is dropped for a frame that does not fit all the same.
      guard kept + cost <= limit else { return .refused }
      var dropped = 0
      while byteCount + cost > limit, let oldest = frames.popFirst() {
        byteCount -= LinkQueue.cost(of: oldest)
        dropped += 1
      }
      frames.append(frame)
      byteCount += cost
      return dropped == 0 ? .accepted : .acceptedDropping(dropped)
    }

    mutating func next(_ channel: LinkChannel, maximumByteCount: Int) -> Fragment? {
      guard let frame = current ?? frames.popFirst() else { return nil }
      let start = taken
      let end = min(frame.count, start + maximumByteCount)
      let isFollowed = end < frame.count
      current = isFollowed ? frame : nil
      taken = isFollowed ? end : 0
      if !isFollowed { byteCount -= LinkQueue.cost(of: frame) }
      return Fragment(channel: channel, isFollowed: isFollowed, frame: frame, range: start..<end)
    }
  }

  private var lanes: [Lane]

  /// An empty queue.
  ///
  /// - Parameter limits: bytes that each channel holds at most, in the order of the channels.
  init(limits: [Int]) {
    precondition(limits.count == LinkChannel.allCases.count)
    lanes = limits.map { Lane(limit: $0) }
  }

  /// True when nothing waits.
  var isEmpty: Bool { byteCount == 0 }

  /// What all channels count together.
  var byteCount: Int { lanes.reduce(0) { $0 + $1.byteCount } }

  /// Takes a frame in, by the rules above.
  mutating func push(_ frame: [UInt8], on channel: LinkChannel) -> Outcome {
    lanes[Int(channel.rawValue)].push(frame, isDroppingOldest: channel == .consensus)
  }

  /// The next fragment to send: of the most urgent channel that has anything.
  mutating func next(maximumByteCount: Int = LinkFormat.maximumFragmentByteCount) -> Fragment? {
    for channel in LinkChannel.byPriority {
      if let fragment = lanes[Int(channel.rawValue)].next(channel, maximumByteCount: maximumByteCount) {
        return fragment
      }
    }
    return nil
  }

  static func cost(of frame: [UInt8]) -> Int { frame.count + overheadByteCount }
}
