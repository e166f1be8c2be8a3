import LinkProtocol
import NIOCore

// What a full channel does, by the rules:
// 1. Each channel holds a bounded number of bytes; every frame counts 64 more than it has, for what holding it costs.
// 2. A full consensus channel drops its oldest frames for a new one: an old vote is worth less than a new one.
// 3. Every other channel refuses the new frame: what was promised first is sent first.
// 4. A frame of which a part is sent is never dropped: the other side could not make sense of the rest.
// 5. A channel for which the other side has no room keeps what it has, and no other waits for it.
// 6. A channel is congested from half of its bytes on, until no more than a quarter is left.

/// The frames that wait to be sent on one link.
struct LinkQueue {
  /// Bytes counted for each frame besides its own.
  static let overheadByteCount = 64

  /// A part of a frame, as large as one Noise message and the window take.
  struct Fragment {
    var channel: LinkChannel
    var frame: [UInt8]
    /// Which bytes of the frame.
    var range: Range<Int>

    /// True for the first part, before which the frame's length is sent.
    var isFirst: Bool { range.lowerBound == 0 }
    /// Bytes of the stream that it takes.
    var byteCount: Int { range.count + (isFirst ? FramePrefix.byteCount : 0) }
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
    var isCongested = false

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
      guard let frame = current ?? frames.first else { return nil }
      let prefixByteCount = current == nil ? FramePrefix.byteCount : 0
      // A first part has at least a byte of the frame, if there is any: so `taken` says whether a part was sent.
      guard maximumByteCount >= prefixByteCount + min(1, frame.count) else { return nil }
      if current == nil { frames.removeFirst() }
      let start = taken
      let end = min(frame.count, start + maximumByteCount - prefixByteCount)
      let isFollowed = end < frame.count
      current = isFollowed ? frame : nil
      taken = isFollowed ? end : 0
      if !isFollowed { byteCount -= LinkQueue.cost(of: frame) }
      return Fragment(channel: channel, frame: frame, range: start..<end)
    }

    /// Judges rule 6 anew. True when it changed.
    mutating func updateCongestion() -> Bool {
      let before = isCongested
      isCongested = byteCount >= (isCongested ? limit / 4 + 1 : max(1, limit / 2))
      return isCongested != before
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
    lanes[channel.index].push(frame, isDroppingOldest: channel == .consensus)
  }

  /// What a channel counts.
  func byteCount(of channel: LinkChannel) -> Int { lanes[channel.index].byteCount }

  /// The next fragment to send: of the most urgent channel that has anything and room for it at the other side.
  ///
  /// - Parameters:
  ///   - maximumByteCount: what the fragment may take of its stream, the frame's length included.
  ///   - window: the same, for a channel.
  mutating func next(maximumByteCount: Int, window: (LinkChannel) -> Int) -> Fragment? {
    for channel in LinkChannel.byPriority where lanes[channel.index].byteCount > 0 {
      let room = min(maximumByteCount, window(channel))
      if let fragment = lanes[channel.index].next(channel, maximumByteCount: room) { return fragment }
    }
    return nil
  }

  /// The channels that became congested, or ceased to be, since this was asked last.
  mutating func congestionChanges() -> [(channel: LinkChannel, isCongested: Bool)] {
    var changes: [(channel: LinkChannel, isCongested: Bool)] = []
    for channel in LinkChannel.allCases where lanes[channel.index].updateCongestion() {
      changes.append((channel, lanes[channel.index].isCongested))
    }
    return changes
  }

  static func cost(of frame: [UInt8]) -> Int { frame.count + overheadByteCount }
}
