import Primitives
import Testing

@testable import LinkProtocol

@Suite struct YamuxFrameAssemblerTests {
  private func framed(_ frame: [UInt8]) -> [UInt8] {
    let count = frame.count
    return [UInt8(count >> 24), UInt8(count >> 16 & 0xff), UInt8(count >> 8 & 0xff), UInt8(count & 0xff)] + frame
  }

  @Test func thePrefixIsTheLength() {
    #expect(FramePrefix.encoded(0) == [0, 0, 0, 0])
    #expect(FramePrefix.encoded(0x01_0203) == [0, 1, 2, 3])
    #expect(FramePrefix.encoded(8_388_608) == [0, 0x80, 0, 0])
    #expect(FramePrefix.encoded(8_388_609) == nil)
    #expect(FramePrefix.encoded(-1) == nil)
  }

  @Test func framesAreCutOutOfAnyPieces() throws {
    let sent: [[UInt8]] = [[1, 2, 3], [], [4], [UInt8](repeating: 9, count: 300)]
    let bytes = sent.flatMap(framed)
    for size in 1...bytes.count {
      var assembler = FrameAssembler()
      var frames: [[UInt8]] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        _ = try assembler.add(Array(bytes[start..<min(start + size, bytes.count)]), frames: &frames)
      }
      #expect(frames == sent)
      #expect(assembler.isAtBoundary)
    }
  }

  @Test func aCompleteFrameKeepsItsCreditUntilItIsConsumed() throws {
    var assembler = FrameAssembler()
    var frames: [[UInt8]] = []
    #expect(try assembler.add(framed([1, 2, 3]) + framed([4]), frames: &frames) == 0)
    #expect(assembler.waitingFrames == 2)
    #expect(try assembler.consumed(byteCount: 3, frames: &frames) == 7)
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 5)
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 0)
    #expect(frames == [[1, 2, 3], [4]])
  }

  @Test func anIncompleteFrameGivesItsCreditBackAsItArrives() throws {
    var assembler = FrameAssembler()
    var frames: [[UInt8]] = []
    #expect(try assembler.add([0, 0], frames: &frames) == 2)
    #expect(try assembler.add([0, 10, 1, 2], frames: &frames) == 4)
    #expect(!assembler.isAtBoundary)
    #expect(assembler.heldByteCount == 6)
    // Its last bytes complete it, and the next frame has begun: nothing goes back while it waits.
    #expect(try assembler.add([3, 4, 5, 6, 7, 8, 9, 10] + [0, 0, 0, 9, 1], frames: &frames) == 0)
    #expect(try assembler.add([2], frames: &frames) == 0)
    // 14 bytes less the 6 that went back, and the 6 of the next frame.
    #expect(try assembler.consumed(byteCount: 10, frames: &frames) == 14)
    #expect(try assembler.add([3], frames: &frames) == 1)
    #expect(frames == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
  }

  @Test func whatWentBackEarlyIsADebtOfTheFramesThatFollow() throws {
    var assembler = FrameAssembler()
    var frames: [[UInt8]] = []
    // 100 of 104 bytes went back before the frame was complete.
    #expect(try assembler.add([0, 0, 0, 100] + [UInt8](repeating: 1, count: 96), frames: &frames) == 100)
    #expect(try assembler.add([1, 1, 1, 1] + framed([2]) + framed([3]), frames: &frames) == 0)
    #expect(frames.count == 3)
    // Whichever is done first pays.
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 0)
    #expect(try assembler.consumed(byteCount: 100, frames: &frames) == 9)
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 5)
  }

  @Test func noMoreFramesAreMadeThanMayWait() throws {
    var assembler = FrameAssembler(maximumWaitingFrames: 2)
    var frames: [[UInt8]] = []
    let bytes = (1...5).flatMap { framed([UInt8($0)]) }
    #expect(try assembler.add(bytes, frames: &frames) == 0)
    #expect(frames == [[1], [2]])
    #expect(assembler.heldByteCount == 15)
    #expect(try assembler.add(framed([6]), frames: &frames) == 0)
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 5)
    #expect(frames == [[1], [2], [3]])
    #expect(try assembler.consumed(2, byteCount: 2, frames: &frames) == 10)
    #expect(frames == [[1], [2], [3], [4], [5]])
    #expect(try assembler.consumed(2, byteCount: 2, frames: &frames) == 10)
    #expect(try assembler.consumed(byteCount: 1, frames: &frames) == 5)
    #expect(frames.last == [6])
    #expect(assembler.isAtBoundary)
    // Empty ones are bounded as well.
    var empty = FrameAssembler(maximumWaitingFrames: 0)
    frames = []
    #expect(try empty.add([UInt8](repeating: 0, count: 40), frames: &frames) == 0)
    #expect(frames == [[]])
    #expect(try empty.consumed(9, byteCount: 9, frames: &frames) == 4)
    #expect(frames == [[], []])
  }

  @Test func aFrameOverTheLimitIsRefusedForEver() throws {
    var assembler = FrameAssembler(maximumFrameByteCount: 1_000)
    var frames: [[UInt8]] = []
    #expect(try assembler.add([0, 0, 3, 0xe8], frames: &frames) == 4)
    #expect(try assembler.add([UInt8](repeating: 0, count: 1_000), frames: &frames) == 0)
    #expect(frames.count == 1)
    #expect(throws: FrameAssembler.Refusal.oversizedFrame(1_001)) {
      _ = try assembler.add([0, 0, 3, 0xe9, 1, 2, 3], frames: &frames)
    }
    #expect(throws: FrameAssembler.Refusal.oversizedFrame(1_001)) { _ = try assembler.add([1], frames: &frames) }
    #expect(assembler.heldByteCount == 4)
    var longest = FrameAssembler()
    #expect(throws: FrameAssembler.Refusal.oversizedFrame(8_388_609)) {
      _ = try longest.add([0, 0x80, 0, 1], frames: &frames)
    }
    // Also when it comes out of what was kept.
    var kept = FrameAssembler(maximumFrameByteCount: 2, maximumWaitingFrames: 1)
    _ = try kept.add(framed([1]) + framed([1, 2, 3]), frames: &frames)
    #expect(throws: FrameAssembler.Refusal.oversizedFrame(3)) {
      _ = try kept.consumed(byteCount: 1, frames: &frames)
    }
  }

  /// A sender that uses its window to the last byte, and a reader that is as slow as it likes.
  @Test(arguments: 0..<60 as Range<UInt64>) func framesLongerThanTheWindowPassAndMemoryIsBounded(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let window = 1 + generator.index(below: 200)
    let longest = 1 + generator.index(below: 500)
    let sent = (0..<40).map { _ in
      (0..<generator.index(below: longest + 1)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
    let bytes = sent.flatMap(framed)
    var assembler = FrameAssembler(
      maximumFrameByteCount: longest, maximumWaitingFrames: 1 + generator.index(below: 6))
    var got: [[UInt8]] = []
    var consumed = 0
    var consumedBytes = 0
    var position = 0
    var credit = window
    while consumed < sent.count {
      let piece = min(credit, bytes.count - position, 1 + generator.index(below: 90))
      let isReading = generator.chance(partsPerMillion: 300_000)
      // Quiescence that is not the end would be a deadlock.
      try #require(piece > 0 || consumed < got.count)
      if piece > 0, !isReading || consumed == got.count {
        credit += try assembler.add(Array(bytes[position..<position + piece]), frames: &got) - piece
        position += piece
      } else if consumed < got.count {
        let count = got[consumed].count
        consumed += 1
        consumedBytes += count + 4
        credit += try assembler.consumed(byteCount: count, frames: &got)
      }
      #expect((0...window).contains(credit))
      #expect(position - consumedBytes <= window + longest + 4)
    }
    #expect(got == sent)
    #expect(credit == window)
    #expect(assembler.isAtBoundary)
  }
}
