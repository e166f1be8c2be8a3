import Testing

@testable import LinkProtocol

/// Session and assembler together, as a link has them.
@Suite struct YamuxFrameFlowTests {
  /// One stream that carries frames to a reader, who consumes only when nothing else moves.
  private struct Flow {
    var sender = YamuxSession(role: .client)
    var reader = YamuxSession(role: .server)
    var assembler = FrameAssembler()
    var frames: [[UInt8]] = []
    var consumed = 0
    /// The most bytes that the reader held at any time.
    var mostHeld = 0

    init() { _ = sender.open(window: 0) }

    /// Sends what the window allows of `bytes`, from `position` on, and hands it over.
    mutating func move(_ bytes: [UInt8], _ position: inout Int) throws {
      var wire = sender.takeControl()
      let count = min(bytes.count - position, sender.sendWindow(1), 65_507)
      if count > 0, let header = sender.dataHeader(1, count: count, isLast: false) {
        wire += header + bytes[position..<position + count]
        position += count
      }
      for event in reader.events(wire) {
        guard case .data(let id, let piece) = event else { continue }
        reader.consumed(id, try assembler.add(piece, frames: &frames))
      }
      let waiting = frames[consumed...].reduce(0) { $0 + $1.count + FramePrefix.byteCount }
      mostHeld = max(mostHeld, waiting + assembler.heldByteCount)
      _ = sender.events(reader.takeControl())
    }

    mutating func consume() throws {
      let count = frames[consumed].count
      consumed += 1
      reader.consumed(1, try assembler.consumed(byteCount: count, frames: &frames))
      _ = sender.events(reader.takeControl())
    }
  }

  private func run(_ flow: inout Flow, _ bytes: [UInt8], frames: Int) throws {
    var position = 0
    while flow.consumed < frames {
      let before = position
      try flow.move(bytes, &position)
      if position == before {
        try #require(flow.consumed < flow.frames.count, "nothing moves and nothing waits")
        try flow.consume()
      }
    }
    #expect(position == bytes.count)
    #expect(flow.sender.violation == nil && flow.reader.violation == nil)
    #expect(flow.reader.stream(1)?.unconsumedBytes == 0)
  }

  @Test func theLongestFramePassesTheInitialWindow() throws {
    let frame = [UInt8](repeating: 5, count: FramePrefix.maximumFrameByteCount)
    let prefix = try #require(FramePrefix.encoded(frame.count))
    var flow = Flow()
    try run(&flow, prefix + frame, frames: 1)
    #expect(flow.frames == [frame])
  }

  @Test func aReaderThatSleepsHoldsOneFrameAndOneWindowAtMost() throws {
    let frame = [UInt8](repeating: 6, count: 1_000_000)
    let prefix = try #require(FramePrefix.encoded(frame.count))
    let bytes = [[UInt8]](repeating: prefix + frame, count: 6).flatMap { $0 }
    var flow = Flow()
    try run(&flow, bytes, frames: 6)
    #expect(flow.frames == [[UInt8]](repeating: frame, count: 6))
    #expect(flow.mostHeld <= 262_144 + frame.count + FramePrefix.byteCount)
  }

  @Test func tinyFramesHoldNoMoreThanMayWait() throws {
    let prefix = try #require(FramePrefix.encoded(1))
    let bytes = [[UInt8]](repeating: prefix + [9], count: 9_000).flatMap { $0 }
    var flow = Flow()
    var position = 0
    try flow.move(bytes, &position)
    #expect(position == 45_000)
    #expect(flow.frames.count == 4_096)
    #expect(flow.assembler.heldByteCount == 45_000 - 4_096 * 5)
    while flow.consumed < flow.frames.count { try flow.consume() }
    #expect(flow.frames.count == 9_000)
    #expect(flow.reader.stream(1)?.unconsumedBytes == 0)
  }
}
