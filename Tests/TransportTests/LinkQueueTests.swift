import Testing

@testable import Transport

@Suite struct LinkQueueTests {
  private func frame(_ byte: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }

  @Test func aVoteOvertakesBlocksBetweenTwoFragments() throws {
    var queue = LinkQueue(limits: [1_000, 1_000, 1_000, 1_000])
    #expect(queue.push(frame(9, 250), on: .sync) == .accepted)
    #expect(queue.push(frame(8, 10), on: .services) == .accepted)
    let next = queue.next(maximumByteCount: 100)
    let first = try #require(next)
    #expect(first.channel == .sync && first.range == 0..<100 && first.isFollowed)
    #expect(queue.push(frame(1, 5), on: .consensus) == .accepted)
    #expect(queue.push(frame(2, 5), on: .broadcast) == .accepted)
    var order: [String] = []
    while let fragment = queue.next(maximumByteCount: 100) {
      order.append("\(fragment.channel) \(fragment.range) \(fragment.isFollowed)")
    }
    #expect(
      order == [
        "consensus 0..<5 false", "sync 100..<200 true", "sync 200..<250 false", "broadcast 0..<5 false",
        "services 0..<10 false",
      ])
    #expect(queue.isEmpty)
  }

  @Test func aFullConsensusChannelDropsItsOldest() throws {
    var queue = LinkQueue(limits: [3 * (100 + LinkQueue.overheadByteCount), 0, 0, 0])
    for byte in 1...3 { #expect(queue.push(frame(UInt8(byte), 100), on: .consensus) == .accepted) }
    #expect(queue.push(frame(4, 100), on: .consensus) == .acceptedDropping(1))
    #expect(queue.next()?.frame.first == 2)
    // A frame that is larger than one is worth two of the old.
    #expect(queue.push(frame(5, 100), on: .consensus) == .accepted)
    #expect(queue.push(frame(6, 250), on: .consensus) == .acceptedDropping(2))
    #expect(queue.next()?.frame.first == 5)
    #expect(queue.next()?.frame.first == 6)
    #expect(queue.isEmpty)
    #expect(queue.push(frame(7, 1_000), on: .consensus) == .refused)
  }

  @Test func aFrameThatIsPartlySentIsNotDropped() throws {
    var queue = LinkQueue(limits: [2 * (100 + LinkQueue.overheadByteCount), 0, 0, 0])
    #expect(queue.push(frame(1, 100), on: .consensus) == .accepted)
    _ = queue.next(maximumByteCount: 60)
    #expect(queue.push(frame(2, 100), on: .consensus) == .accepted)
    #expect(queue.push(frame(3, 100), on: .consensus) == .acceptedDropping(1))
    #expect(queue.push(frame(4, 200), on: .consensus) == .refused)
    let next = queue.next()
    let rest = try #require(next)
    #expect(rest.frame.first == 1 && rest.range == 60..<100)
    #expect(queue.next()?.frame.first == 3)
    #expect(queue.next() == nil)
  }

  @Test func otherFullChannelsRefuseTheNewest() {
    for channel in [LinkChannel.broadcast, .sync, .services] {
      var queue = LinkQueue(limits: [0, 200, 200, 200])
      #expect(queue.push(frame(1, 100), on: channel) == .accepted)
      #expect(queue.push(frame(2, 100), on: channel) == .refused)
      #expect(queue.next()?.frame.first == 1)
      #expect(queue.push(frame(3, 100), on: channel) == .accepted)
    }
  }

  // Frames without a byte cost memory too.
  @Test func emptyFramesAreBounded() {
    var queue = LinkQueue(limits: [0, 0, 0, 10 * LinkQueue.overheadByteCount])
    let accepted = (0..<100).filter { _ in queue.push([], on: .services) == .accepted }
    #expect(accepted.count == 10)
    #expect(queue.next()?.range == 0..<0)
  }
}

@Suite struct FrameAssemblerTests {
  private func add(
    _ assembler: inout FrameAssembler, _ bytes: [UInt8], _ channel: LinkChannel, more: Bool = false
  ) throws(FrameAssembler.Refusal) -> [UInt8]? {
    let result = bytes.withUnsafeBytes { buffer -> Result<[UInt8]?, FrameAssembler.Refusal> in
      Result { () throws(FrameAssembler.Refusal) in
        try assembler.add(buffer, channel: channel, isFollowed: more)
      }
    }
    return try result.get()
  }

  @Test func channelsAreAssembledApart() throws {
    var assembler = FrameAssembler(maximumFrameByteCount: 10)
    #expect(try add(&assembler, [1, 2], .sync, more: true) == nil)
    #expect(try add(&assembler, [9], .consensus) == [9])
    #expect(try add(&assembler, [7], .services, more: true) == nil)
    #expect(assembler.byteCount == 3)
    #expect(try add(&assembler, [3], .sync) == [1, 2, 3])
    #expect(try add(&assembler, [], .services) == [7])
    #expect(assembler.byteCount == 0)
    #expect(try add(&assembler, [], .broadcast) == [])
  }

  @Test func theLimitIsExact() throws {
    var assembler = FrameAssembler(maximumFrameByteCount: 4)
    #expect(try add(&assembler, [1, 2, 3, 4], .sync) == [1, 2, 3, 4])
    #expect(try add(&assembler, [1, 2], .sync, more: true) == nil)
    #expect(try add(&assembler, [3, 4], .sync) == [1, 2, 3, 4])
    #expect(throws: FrameAssembler.Refusal.oversizedFrame) { try add(&assembler, [1, 2, 3, 4, 5], .sync) }
    #expect(try add(&assembler, [1, 2, 3], .sync, more: true) == nil)
    #expect(throws: FrameAssembler.Refusal.oversizedFrame) { try add(&assembler, [4, 5], .sync, more: true) }
    #expect(throws: FrameAssembler.Refusal.emptyFragment) { try add(&assembler, [], .broadcast, more: true) }
  }
}
