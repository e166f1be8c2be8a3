import Primitives
import Testing

@testable import LinkProtocol

@Suite struct YamuxPropertyTests {
  private func limits(_ generator: inout SeededGenerator) -> YamuxLimits {
    YamuxLimits(
      maximumStreams: 1 + generator.index(below: 6), initialWindow: UInt32(1 + generator.index(below: 100)),
      maximumFrame: UInt32(1 + generator.index(below: 80)))
  }

  /// One step of one side, whatever comes to its mind.
  private func step(_ pair: inout YamuxPair, resets: Bool, _ generator: inout SeededGenerator) {
    let side = generator.index(below: 2)
    let ids = pair.sides[side].session.streams.map(\.id)
    let id = ids.isEmpty ? 0 : ids[generator.index(below: ids.count)]
    switch generator.index(below: 12) {
    case 0:
      _ = pair.sides[side].session.open(window: UInt32(generator.index(below: 300)))
    case 1:
      pair.takeControl(side, maximumByteCount: generator.index(below: 40))
    case 2, 3:
      pair.takeControl(side)
    case 4, 5, 6:
      let isLast = generator.chance(partsPerMillion: 60_000)
      _ = pair.send(side, id, count: generator.index(below: 120), isLast: isLast, &generator)
    case 7, 8:
      pair.deliver(side, count: generator.index(below: 100))
    case 9:
      pair.consume(side, id, count: generator.index(below: 100))
    case 10:
      pair.sides[side].session.raiseWindow(id, to: UInt32(generator.index(below: 400)))
      pair.sides[side].session.ping(id)
    default:
      if resets, generator.chance(partsPerMillion: 100_000) {
        pair.sides[side].session.reset(id)
        pair.sides[side].reset.insert(id)
      }
    }
  }

  @Test(arguments: 0..<60 as Range<UInt64>) func randomDataArrivesExactly(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var pair = YamuxPair(limits: limits(&generator))
    for _ in 0..<1_500 { step(&pair, resets: false, &generator) }
    // To the end: every stream sends some more, in as many rounds as it takes, and finishes.
    pair.settle()
    for side in 0...1 {
      for stream in pair.sides[side].session.streams where !stream.isFinishedHere {
        var left = 500
        while left > 0 {
          let sent = pair.send(side, stream.id, count: left, isLast: false, &generator)
          // After settling there is always window again: no deadlock.
          try #require(sent > 0)
          left -= sent
          pair.settle()
        }
        _ = pair.send(side, stream.id, count: 0, isLast: true, &generator)
        pair.settle()
      }
    }
    var streams = 0
    for side in 0...1 {
      #expect(pair.sides[side].session.streams.isEmpty)
      for id in pair.sides[side].ended where !pair.sides[side].reset.contains(id) {
        streams += 1
        #expect(pair.sides[1 - side].received[id, default: []] == pair.sides[side].sent[id, default: []])
        #expect(pair.sides[1 - side].finished.contains(id))
      }
      // Nothing was refused but for want of places, and nothing that was not sent came.
      #expect(pair.sides[side].reset.count == Int(pair.sides[1 - side].session.counts.refusedStreams))
      for (id, bytes) in pair.sides[side].received {
        #expect(bytes == pair.sides[1 - side].sent[id])
      }
    }
    #expect(streams > 0)
  }

  @Test(arguments: 0..<60 as Range<UInt64>) func withResetsWhatArrivesIsTheBeginning(seed: UInt64) {
    var generator = SeededGenerator(seed: seed &+ 1_000)
    var pair = YamuxPair(limits: limits(&generator))
    for _ in 0..<3_000 { step(&pair, resets: true, &generator) }
    pair.settle()
    for side in 0...1 {
      for (id, bytes) in pair.sides[side].received {
        #expect(pair.sides[1 - side].sent[id, default: []].starts(with: bytes))
      }
      // Both sides agree on what is open.
      #expect(pair.sides[0].session.streams.map(\.id) == pair.sides[1].session.streams.map(\.id))
      // And on the windows: what one may send is what the other expects.
      for stream in pair.sides[side].session.streams {
        let there = pair.sides[1 - side].session.stream(stream.id)
        #expect(there?.receiveWindow == stream.sendWindow)
        #expect(there?.isFinishedThere == stream.isFinishedHere)
      }
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func aStalledStreamDoesNotHoldUpAnother(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let window = UInt32(1 + generator.index(below: 60))
    var pair = YamuxPair(limits: YamuxLimits(initialWindow: window, maximumFrame: 50))
    let ids = (0..<4).compactMap { _ in pair.sides[0].session.open(window: window) }
    #expect(ids == [1, 3, 5, 7])
    pair.settle()
    // The readers of 1 and 5 sleep: each fills its window and no more.
    let stalled: OrderedSet<UInt32> = OrderedSet([1, 5])
    for _ in 0..<100 {
      for id in ids {
        let sent = pair.send(0, id, count: 1 + generator.index(below: 50), isLast: false, &generator)
        if !stalled.contains(id) { try #require(sent > 0) }
      }
      pair.settle(stalled: stalled)
    }
    for id in ids {
      let received = pair.sides[1].received[id, default: []]
      #expect(received == pair.sides[0].sent[id])
      #expect(stalled.contains(id) ? received.count == Int(window) : received.count >= 100)
    }
    #expect(pair.sides[0].session.sendWindow(1) == 0)
    // They wake up, and it goes on.
    pair.settle()
    #expect(pair.sides[0].session.sendWindow(1) >= Int(window + 1) / 2)
    #expect(pair.send(0, 1, count: 1, isLast: true, &generator) == 1)
    pair.settle()
    #expect(pair.sides[1].received[1] == pair.sides[0].sent[1])
    #expect(pair.sides[1].finished.contains(1))
  }
}
