import Testing

@testable import Transport

extension LinkQueue {
  /// The next fragment, when there is room for everything.
  fileprivate mutating func take(_ maximumByteCount: Int = LinkFormat.maximumDataByteCount) -> Fragment? {
    next(maximumByteCount: maximumByteCount) { _ in .max }
  }
}

@Suite struct LinkQueueTests {
  private func frame(_ byte: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }

  @Test func aVoteOvertakesBlocksBetweenTwoFragments() throws {
    var queue = LinkQueue(limits: [1_000, 1_000, 1_000, 1_000])
    #expect(queue.push(frame(9, 250), on: .sync) == .accepted)
    #expect(queue.push(frame(8, 10), on: .services) == .accepted)
    let taken = queue.take(100)
    let first = try #require(taken)
    #expect(first.channel == .sync && first.range == 0..<96 && first.isFirst && first.byteCount == 100)
    #expect(queue.push(frame(1, 5), on: .consensus) == .accepted)
    #expect(queue.push(frame(2, 5), on: .broadcast) == .accepted)
    var order: [String] = []
    while let fragment = queue.take(100) { order.append("\(fragment.channel) \(fragment.range) \(fragment.isFirst)") }
    #expect(
      order == [
        "consensus 0..<5 true", "sync 96..<196 false", "sync 196..<250 false", "broadcast 0..<5 true",
        "services 0..<10 true",
      ])
    #expect(queue.isEmpty)
  }

  @Test func aChannelWithoutRoomHoldsUpNoOther() throws {
    var queue = LinkQueue(limits: [1_000, 1_000, 1_000, 1_000])
    var room: [LinkChannel: Int] = [.consensus: 0, .sync: 50, .services: 1_000]
    for channel in LinkChannel.allCases { #expect(queue.push(frame(1, 100), on: channel) == .accepted) }
    func take() -> String? {
      let fragment = queue.next(maximumByteCount: 80) { room[$0, default: 0] }
      guard let fragment else { return nil }
      room[fragment.channel, default: 0] -= fragment.byteCount
      return "\(fragment.channel) \(fragment.range)"
    }
    #expect(take() == "sync 0..<46")
    #expect(take() == "services 0..<76")
    #expect(take() == "services 76..<100")
    #expect(take() == nil)
    // A frame is not begun without room for a byte of it besides its length, and goes on with any.
    room[.broadcast] = 4
    #expect(take() == nil)
    room[.sync] = 1
    #expect(take() == "sync 46..<47")
    room[.broadcast] = 5
    #expect(take() == "broadcast 0..<1")
    room[.consensus] = 1_000
    #expect(take() == "consensus 0..<76")
  }

  @Test func congestionBeginsAtHalfAndEndsAtAQuarter() {
    var queue = LinkQueue(limits: [0, 4 * (100 + LinkQueue.overheadByteCount), 0, 0])
    func changes() -> [Bool] { queue.congestionChanges().map(\.isCongested) }
    _ = queue.push(frame(1, 100), on: .broadcast)
    #expect(changes().isEmpty)
    _ = queue.push(frame(2, 100), on: .broadcast)
    #expect(changes() == [true])
    _ = queue.push(frame(3, 100), on: .broadcast)
    #expect(changes().isEmpty)
    _ = queue.take()
    #expect(changes().isEmpty)
    _ = queue.take()
    #expect(changes() == [false])
    #expect(changes().isEmpty)
  }

  @Test func aFullConsensusChannelDropsItsOldest() throws {
    var queue = LinkQueue(limits: [3 * (100 + LinkQueue.overheadByteCount), 0, 0, 0])
    for byte in 1...3 { #expect(queue.push(frame(UInt8(byte), 100), on: .consensus) == .accepted) }
    #expect(queue.push(frame(4, 100), on: .consensus) == .acceptedDropping(1))
    #expect(queue.take()?.frame.first == 2)
    // A frame that is larger than one is worth two of the old.
    #expect(queue.push(frame(5, 100), on: .consensus) == .accepted)
    #expect(queue.push(frame(6, 250), on: .consensus) == .acceptedDropping(2))
    #expect(queue.take()?.frame.first == 5)
    #expect(queue.take()?.frame.first == 6)
    #expect(queue.isEmpty)
    #expect(queue.push(frame(7, 1_000), on: .consensus) == .refused)
  }

  @Test func aFrameThatIsPartlySentIsNotDropped() throws {
    var queue = LinkQueue(limits: [2 * (100 + LinkQueue.overheadByteCount), 0, 0, 0])
    #expect(queue.push(frame(1, 100), on: .consensus) == .accepted)
    _ = queue.take(64)
    #expect(queue.push(frame(2, 100), on: .consensus) == .accepted)
    #expect(queue.push(frame(3, 100), on: .consensus) == .acceptedDropping(1))
    #expect(queue.push(frame(4, 200), on: .consensus) == .refused)
    let taken = queue.take()
    let rest = try #require(taken)
    #expect(rest.frame.first == 1 && rest.range == 60..<100)
    #expect(queue.take()?.frame.first == 3)
    #expect(queue.take() == nil)
  }

  @Test func otherFullChannelsRefuseTheNewest() {
    for channel in [LinkChannel.broadcast, .sync, .services] {
      var queue = LinkQueue(limits: [0, 200, 200, 200])
      #expect(queue.push(frame(1, 100), on: channel) == .accepted)
      #expect(queue.push(frame(2, 100), on: channel) == .refused)
      #expect(queue.take()?.frame.first == 1)
      #expect(queue.push(frame(3, 100), on: channel) == .accepted)
    }
  }

  // Frames without a byte cost memory too.
  @Test func emptyFramesAreBounded() {
    var queue = LinkQueue(limits: [0, 0, 0, 10 * LinkQueue.overheadByteCount])
    let accepted = (0..<100).filter { _ in queue.push([], on: .services) == .accepted }
    #expect(accepted.count == 10)
    #expect(queue.take()?.range == 0..<0)
  }
}
