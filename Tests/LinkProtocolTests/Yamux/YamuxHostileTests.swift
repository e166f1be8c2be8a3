import Primitives
import Testing

@testable import LinkProtocol

@Suite struct YamuxHostileTests {
  private let limits = YamuxLimits(
    maximumStreams: 4, initialWindow: 50, maximumFrame: 40, maximumPendingControl: 16, maximumPendingPings: 3,
    tombstones: 5)

  /// A frame that mostly fits the state of the session it is for, so that it gets deep, and sometimes does not.
  private func hostile(_ session: YamuxSession, _ generator: inout SeededGenerator) -> [UInt8] {
    let type = UInt8(generator.index(below: 2))
    let ids = session.open.filter { $1.opening != .syn && (type == 1 || !$1.isFinishedThere) }.map(\.key)
    let next = session.lastOfPeer == 0 ? (session.role == .client ? 2 : 1) : session.lastOfPeer &+ 2
    func payload(_ count: Int) -> [UInt8] { type == 0 ? [UInt8](repeating: 7, count: count) : [] }
    switch generator.index(below: 200) {
    case 0..<30:
      let flags = [syn, syn, syn, syn | fin, syn | rst][generator.index(below: 5)]
      let length = generator.index(below: 30)
      return raw(type, flags, next, UInt32(length), payload(length))
    case 30..<140 where !ids.isEmpty:
      let id = ids[generator.index(below: ids.count)]
      let window = Int(min(session.open[id]?.receiveWindow ?? 0, 40))
      let isGreedy = generator.chance(partsPerMillion: 5_000)
      let length = generator.index(below: window + 1) + (isGreedy ? 60 : 0)
      let flags = [0, 0, 0, 0, 0, 0, ack, fin, fin, rst][generator.index(below: 10)]
      return raw(type, flags, id, UInt32(length), payload(length))
    case 140..<160 where session.lastOfPeer > 2:
      // One that was opened, or passed over; it may be closed.
      let id = next - 2 * UInt32(1 + generator.index(below: min(7, Int(session.lastOfPeer / 2))))
      let length = generator.chance(partsPerMillion: 50_000) ? 3 : 0
      return raw(type, [0, fin, rst][generator.index(below: 3)], id, UInt32(length), payload(length))
    case 30..<199:
      let isPing = generator.chance(partsPerMillion: 990_000)
      return isPing ? raw(2, ids.count & 1 == 0 ? syn : ack, 0, next) : raw(3, 0, 0, next)
    default:
      let flags = UInt16(generator.index(below: 32))
      return raw(UInt8(generator.index(below: 5)), flags, UInt32(generator.index(below: 60)), next, [])
    }
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
    var survived = 0
    for round in 0..<20 {
      var session = YamuxSession(role: round & 1 == 0 ? .client : .server, limits: limits)
      for _ in 0..<150 {
        let bytes = hostile(session, &generator)
        let events = session.events(bytes)
        guard session.violation == nil else { break }
        survived += 1
        let data = events.reduce(0) { if case .data(_, let piece) = $1 { $0 + piece.count } else { $0 } }
        #expect(data <= bytes.count)
        #expect(events.count <= 4)
        for _ in 0..<generator.index(below: 4) { act(&session, &generator) }
        expectBounds(session)
      }
    }
    // It got deep, or it would show nothing.
    #expect(survived > 300)
  }

  @Test(arguments: 0..<40 as Range<UInt64>) func howTheBytesAreCutUpDoesNotMatter(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<20 {
      var whole = YamuxSession(role: round & 1 == 0 ? .client : .server, limits: limits)
      _ = whole.open(window: 0)
      _ = whole.takeControl()
      var pieces = whole
      var bytes: [UInt8] = []
      var expected: [YamuxSession.Event] = []
      while whole.violation == nil, bytes.count < 1_000 {
        let frame = hostile(whole, &generator)
        expected += whole.events(frame)
        bytes += frame
      }
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
