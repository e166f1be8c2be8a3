// When the credit for received bytes goes back to the sender, by the rules:
// 1. A complete frame waits until it is consumed. Its bytes, prefix included, go back then.
// 2. Bytes of an incomplete frame go back as they arrive while no frame waits: a frame may be longer than the window.
//    When it completes, what went back early is a debt that the next consumed bytes pay: otherwise a sender of long frames
//    would get credit for nearly all of them however many wait.
// 3. No more frames are made than may wait. The bytes of the others are kept as they came, without credit: tiny frames
//    do not cost more memory than their bytes.
// So with a window of W, no more than W and one frame is held at any time.

/// Cuts the bytes of one stream into frames, and says how much credit goes back to the sender.
package struct FrameAssembler: Sendable {
  /// Why bytes were refused. The link ends with it.
  package enum Refusal: Error, Equatable, Sendable {
    /// The frame is announced with more bytes than the limit.
    case oversizedFrame(Int)
  }

  private static let firstRoomByteCount = 1_048_576

  private let maximumFrameByteCount: Int
  private let maximumWaitingFrames: Int

  /// The bytes of the prefix so far.
  private var prefixCount = 0
  /// The length, complete when all bytes of the prefix are there.
  private var length = 0
  private var body: [UInt8] = []
  /// How many bytes of the incomplete frame went back.
  private var partialGiven = 0

  /// Frames that were returned and not consumed.
  package private(set) var waitingFrames = 0
  /// Bytes of these with their prefixes.
  private var waitingBytes = 0
  /// How many of `waitingBytes` went back before.
  private var debt = 0

  /// What came while no more frames might wait, from `backlogStart` on.
  private var backlog: [UInt8] = []
  private var backlogStart = 0

  /// An assembler at the start of a stream.
  ///
  /// - Parameters:
  ///   - maximumFrameByteCount: bytes in the longest frame that is accepted.
  ///   - maximumWaitingFrames: frames that are returned ahead of those consumed, at least one.
  package init(maximumFrameByteCount: Int = FramePrefix.maximumFrameByteCount, maximumWaitingFrames: Int = 4_096) {
    self.maximumFrameByteCount = maximumFrameByteCount
    self.maximumWaitingFrames = max(1, maximumWaitingFrames)
  }

  /// Bytes held and not returned in a frame: of the incomplete one, and those that came while too many waited.
  package var heldByteCount: Int { prefixCount + body.count + backlog.count - backlogStart }

  /// True when no frame is incomplete: a stream that finishes elsewhere was cut off.
  package var isAtBoundary: Bool { heldByteCount == 0 }

  /// Takes bytes of the stream.
  ///
  /// - Parameters:
  ///   - bytes: what came, in any pieces.
  ///   - frames: the frames that are complete now are appended here; each waits until `consumed`.
  /// - Returns: bytes to give back to the sender now.
  package mutating func add(_ bytes: [UInt8], frames: inout [[UInt8]]) throws(Refusal) -> Int {
    // Bytes stay in order: while some are kept, later ones come after them.
    let used = backlog.isEmpty ? try cut(bytes, from: 0, &frames) : 0
    if used < bytes.count { backlog.append(contentsOf: bytes[used...]) }
    return takePartialCredit()
  }

  /// Frames were dealt with.
  ///
  /// - Parameters:
  ///   - count: how many.
  ///   - byteCount: their bytes together, without prefixes.
  ///   - frames: frames that were kept back until now are appended here; each waits until `consumed`.
  /// - Returns: bytes to give back to the sender now; never more than came.
  package mutating func consumed(
    _ count: Int = 1, byteCount: Int, frames: inout [[UInt8]]
  ) throws(Refusal) -> Int {
    let done = min(max(0, count), waitingFrames)
    waitingFrames -= done
    let all = min(max(0, byteCount), waitingBytes) + done * FramePrefix.byteCount
    let bytes = waitingFrames == 0 ? waitingBytes : min(all, waitingBytes)
    waitingBytes -= bytes
    let paid = min(debt, bytes)
    debt -= paid
    if !backlog.isEmpty { try cutBacklog(&frames) }
    return bytes - paid + takePartialCredit()
  }

  private mutating func cutBacklog(_ frames: inout [[UInt8]]) throws(Refusal) {
    // Taken out while it is cut, so that it is not copied.
    var bytes: [UInt8] = []
    swap(&bytes, &backlog)
    var start = 0
    swap(&start, &backlogStart)
    start = try cut(bytes, from: start, &frames)
    guard start < bytes.count else { return }
    if start > bytes.count / 2 {
      bytes.removeFirst(start)
      start = 0
    }
    backlog = bytes
    backlogStart = start
  }

  /// Cuts frames until the bytes end or no more may wait. Returns the index of the first byte not used.
  private mutating func cut(
    _ bytes: [UInt8], from start: Int, _ frames: inout [[UInt8]]
  ) throws(Refusal) -> Int {
    var index = start
    // Refused once is refused for ever.
    if prefixCount == FramePrefix.byteCount, length > maximumFrameByteCount { throw .oversizedFrame(length) }
    while index < bytes.count, waitingFrames < maximumWaitingFrames {
      if prefixCount < FramePrefix.byteCount {
        length = length << 8 | Int(bytes[index])
        prefixCount += 1
        index += 1
        guard prefixCount == FramePrefix.byteCount else { continue }
        guard length <= maximumFrameByteCount else { throw .oversizedFrame(length) }
      } else {
        let count = min(length - body.count, bytes.count - index)
        makeRoom(body.count + count)
        body.append(contentsOf: bytes[index..<index + count])
        index += count
      }
      if body.count == length { complete(&frames) }
    }
    return index
  }

  /// Room is made for what was announced up to 1 MiB, which costs addresses and no memory before it is written to; beyond
  /// that it grows with what arrives, to twice what is there.
  private mutating func makeRoom(_ count: Int) {
    guard count > body.capacity else { return }
    body.reserveCapacity(min(length, max(2 * count, FrameAssembler.firstRoomByteCount)))
  }

  private mutating func complete(_ frames: inout [[UInt8]]) {
    var frame: [UInt8] = []
    swap(&frame, &body)
    frames.append(frame)
    waitingFrames += 1
    waitingBytes += frame.count + FramePrefix.byteCount
    debt += partialGiven
    partialGiven = 0
    prefixCount = 0
    length = 0
  }

  private mutating func takePartialCredit() -> Int {
    guard waitingFrames == 0 else { return 0 }
    let credit = prefixCount + body.count - partialGiven
    partialGiven += credit
    return credit
  }
}
