import Primitives
import Testing

@testable import LinkProtocol

@Suite struct YamuxHostileTests {
  private let limits = YamuxLimits(
    maximumStreams: 4, initialWindow: 50, maximumFrame: 40, maximumPendingControl: 16, maximumPendingPings: 3,
    tombstones: 5)

  /// Bytes of frames that are right in most things and wrong in some.
  private func hostile(_ generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<1 + generator.index(below: 40) {
      let isOdd = generator.chance(partsPerMillion: 10_000)
      let type = isOdd ? UInt8(truncatingIfNeeded: generator.next()) : UInt8(generator.index(below: 4))
      let length = UInt32(generator.index(below: generator.chance(partsPerMillion: 20_000) ? 1 << 32 : 30))
      switch type {
      case 2: bytes += raw(2, generator.chance(partsPerMillion: 500_000) ? syn : ack, 0, length)
      case 3 where generator.chance(partsPerMillion: 900_000): bytes += raw(2, syn, 0, length)
      default:
        let flags = UInt16(generator.index(below: generator.chance(partsPerMillion: 5_000) ? 65_536 : 16))
        let stream = UInt32(generator.index(below: 60))
        let payload = type == 0 ? [UInt8](repeating: 7, count: Int(min(length, 50))) : []
        bytes += raw(type, flags, stream, length, payload)
      }
    }
    if generator.chance(partsPerMillion: 100_000) {
      bytes[generator.index(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
    }
    return bytes
  }

  /// A random use of the session by its own side.
  private func act(_ session: inout YamuxSession, _ generator: inout SeededGenerator) {
    let stream = UInt32(generator.index(below: 60))
    switch generator.index(below: 9) {
    case 0: _ = session.open(window: UInt32(generator.index(below: 200)))
    case 1: session.reset(stream)
    case 2, 3: session.consumed(stream, generator.index(below: 100))
    case 4: session.raiseWindow(stream, to: UInt32(truncatingIfNeeded: generator.next()))
    case 5: _ = session.dataHeader(stream, count: min(session.sendWindow(stream), 20), isLast: stream & 4 == 0)
    case 6: session.ping(stream)
    default: _ = session.takeControl(maximumByteCount: generator.index(below: 60))
    }
  }

  private func expectBounds(_ session: YamuxSession) {
    #expect(session.streams.count <= 8)
    #expect(session.ownCount <= 4)
    #expect(session.streams.count { session.isOwn($0.id) } == session.ownCount)
    #expect(session.closed.count <= 10)
    #expect(session.header.count < 12)
    var copy = session
    #expect(copy.takeControl().count <= limits.maximumControlByteCount)
    for (id, stream) in session.open {
      let coming = session.incoming?.stream == id ? session.incoming?.remaining ?? 0 : 0
      let sum = UInt64(stream.receiveWindow) + UInt64(stream.credit) + UInt64(stream.unconsumed) + UInt64(coming)
      #expect(sum == UInt64(stream.size))
    }
  }

  @Test(arguments: 0..<40 as Range<UInt64>) func neitherRoleTrapsAndStateIsBounded(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<25 {
      var session = YamuxSession(role: round & 1 == 0 ? .client : .server, limits: limits)
      for _ in 0..<20 {
        let bytes = hostile(&generator)
        let events = session.events(bytes)
        let data = events.reduce(0) { if case .data(_, let piece) = $1 { $0 + piece.count } else { $0 } }
        #expect(data <= bytes.count)
        #expect(events.count <= bytes.count)
        for _ in 0..<generator.index(below: 10) { act(&session, &generator) }
        expectBounds(session)
      }
    }
  }

  @Test(arguments: 0..<40 as Range<UInt64>) func howTheBytesAreCutUpDoesNotMatter(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<20 {
      let bytes = hostile(&generator)
      var whole = YamuxSession(role: round & 1 == 0 ? .client : .server, limits: limits)
      _ = whole.open(window: 0)
      _ = whole.takeControl()
      var pieces = whole
      let expected = whole.events(bytes)
      var events: [YamuxSession.Event] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = min(rest.count, 1 + generator.index(below: 15))
        events += pieces.events(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
      }
      #expect(joined(events) == joined(expected))
      #expect(whole.takeControl() == pieces.takeControl())
      #expect(whole.counts == pieces.counts)
      #expect(whole.streams == pieces.streams)
    }
  }

  @Test func noiseIsAViolationOrNothing() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<2_000 {
      var session = YamuxSession(role: .server, limits: limits)
      let bytes = (0..<generator.index(below: 64)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      let events = session.events(bytes)
      expectBounds(session)
      if bytes.count >= 12, bytes[0] != 0 { #expect(events == [.violation(.version(bytes[0]))]) }
    }
  }
}
