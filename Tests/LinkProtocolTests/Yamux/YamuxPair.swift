import Primitives
import Testing

@testable import LinkProtocol

/// Two sessions and the bytes between them, with a book of its own about windows: what each side may send is counted
/// from the frames on the wire alone.
struct YamuxPair {
  struct Side {
    var session: YamuxSession
    /// Bytes on their way to this side.
    var pipe: [UInt8] = []
    var arriving = WireScanner()
    /// Bytes that this side may still send, by what arrived here; by stream.
    var allowance = Table<UInt32, Int>()
    /// What was sent, and what came, by stream.
    var sent = Table<UInt32, [UInt8]>()
    var received = Table<UInt32, [UInt8]>()
    var unconsumed = Table<UInt32, Int>()
    var finished = OrderedSet<UInt32>()
    var reset = OrderedSet<UInt32>()
    var opened = OrderedSet<UInt32>()
    var ended = OrderedSet<UInt32>()
  }

  var sides: [Side]
  let limits: YamuxLimits

  init(limits: YamuxLimits) {
    self.limits = limits
    sides = [YamuxSession.Role.client, .server].map { Side(session: YamuxSession(role: $0, limits: limits)) }
  }

  mutating func takeControl(_ side: Int, maximumByteCount: Int = .max) {
    let bytes = sides[side].session.takeControl(maximumByteCount: maximumByteCount)
    #expect(bytes.count <= maximumByteCount)
    sides[1 - side].pipe += bytes
  }

  /// Sends as much of `count` as the session allows. Returns how many bytes that was.
  mutating func send(_ side: Int, _ stream: UInt32, count: Int, isLast: Bool, _ generator: inout SeededGenerator) -> Int
  {
    let count = min(count, sides[side].session.sendWindow(stream), Int(limits.maximumFrame))
    guard let header = sides[side].session.dataHeader(stream, count: count, isLast: isLast) else { return 0 }
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    sides[1 - side].pipe += header + bytes
    sides[side].sent[stream, default: []] += bytes
    let left = sides[side].allowance[stream, default: Int(limits.initialWindow)] - count
    #expect(left >= 0, "side \(side) sends \(-left) bytes too many on stream \(stream)")
    sides[side].allowance[stream] = left
    if isLast { sides[side].ended.insert(stream) }
    return count
  }

  /// Hands `count` of the bytes on their way to a side.
  mutating func deliver(_ side: Int, count: Int) {
    let bytes = Array(sides[side].pipe.prefix(count))
    sides[side].pipe.removeFirst(bytes.count)
    for frame in sides[side].arriving.scan(bytes) where frame.type == 1 {
      sides[side].allowance[frame.stream, default: Int(limits.initialWindow)] += Int(frame.length)
    }
    for event in sides[side].session.events(bytes) {
      switch event {
      case .opened(let id):
        let isNew = sides[side].opened.insert(id)
        #expect(isNew)
      case .data(let id, let bytes):
        #expect(!sides[side].finished.contains(id) && !sides[side].reset.contains(id) && !bytes.isEmpty)
        sides[side].received[id, default: []] += bytes
        sides[side].unconsumed[id, default: 0] += bytes.count
      case .finished(let id):
        let isNew = sides[side].finished.insert(id)
        #expect(isNew)
      case .reset(let id):
        let isNew = sides[side].reset.insert(id)
        #expect(isNew)
      case .pong, .goAway: break
      case .violation(let violation): Issue.record("an honest side was blamed: \(violation)")
      }
    }
  }

  mutating func consume(_ side: Int, _ stream: UInt32, count: Int) {
    let count = min(count, sides[side].unconsumed[stream, default: 0])
    sides[side].unconsumed[stream] = sides[side].unconsumed[stream, default: 0] - count
    sides[side].session.consumed(stream, count)
  }

  /// Control frames and all bytes on their way, until nothing moves; everything that came is consumed, but for the
  /// streams named.
  mutating func settle(stalled: OrderedSet<UInt32> = OrderedSet()) {
    repeat {
      for side in 0...1 { takeControl(side) }
      for side in 0...1 {
        deliver(side, count: .max)
        for id in sides[side].received.keys where !stalled.contains(id) { consume(side, id, count: .max) }
      }
    } while sides.contains { !$0.pipe.isEmpty || $0.session.hasControl }
  }
}
