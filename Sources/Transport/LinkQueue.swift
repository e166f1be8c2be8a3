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
    var frames = CircularBuffer<[UInt8]>()
    /// Bytes of the first frame that were taken.
    var taken = 0
    /// What the frames count together.
    var byteCount = 0
    var limit: Int
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
  var isEmpty: Bool { lanes.allSatisfy(\.frames.isEmpty) }

  /// Takes a frame in, by the rules above.
  mutating func push(_ frame: [UInt8], on channel: LinkChannel) -> Outcome {
    let index = Int(channel.rawValue)
    let cost = frame.count + LinkQueue.overheadByteCount
    // Rule 4: the first frame stays when a part of it is sent.
    let kept = lanes[index].taken > 0 ? 1 : 0
    var droppable = 0
    if channel == .consensus {
      let keptCost = kept == 0 ? 0 : (lanes[index].frames.first?.count ?? 0) + LinkQueue.overheadByteCount
      droppable = lanes[index].byteCount - keptCost
    }
    // Judged first: nothing is dropped for a frame that does not fit all the same.
    guard lanes[index].byteCount - droppable + cost <= lanes[index].limit else { return .refused }
    var dropped = 0
    while lanes[index].byteCount + cost > lanes[index].limit {
      let oldest = lanes[index].frames.index(lanes[index].frames.startIndex, offsetBy: kept)
      let removed = lanes[index].frames.remove(at: oldest)
      lanes[index].byteCount -= removed.count + LinkQueue.overheadByteCount
      dropped += 1
    }
    lanes[index].frames.append(frame)
    lanes[index].byteCount += cost
    return dropped == 0 ? .accepted : .acceptedDropping(dropped)
  }

  /// The next fragment to send: of the most urgent channel that has anything.
  mutating func next(maximumByteCount: Int = LinkFormat.maximumFragmentByteCount) -> Fragment? {
    for channel in LinkChannel.allCases {
      let index = Int(channel.rawValue)
      guard let frame = lanes[index].frames.first else { continue }
      let start = lanes[index].taken
      let end = min(frame.count, start + maximumByteCount)
      if end == frame.count {
        lanes[index].frames.removeFirst()
        lanes[index].taken = 0
        lanes[index].byteCount -= frame.count + LinkQueue.overheadByteCount
      } else {
        lanes[index].taken = end
      }
      return Fragment(channel: channel, isFollowed: end < frame.count, frame: frame, range: start..<end)
    }
    return nil
  }
}
