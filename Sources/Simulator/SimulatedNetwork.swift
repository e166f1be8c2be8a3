import Primitives

/// Carries datagrams, which may be lost, doubled, changed and overtaken, and the frames of links, which arrive in
/// order or not at all.
struct SimulatedNetwork {
  private struct Pair: Comparable {
    var low: Int
    var high: Int

    init(_ first: Int, _ second: Int) {
      low = min(first, second)
      high = max(first, second)
    }

    static func < (left: Pair, right: Pair) -> Bool {
      left.low == right.low ? left.high < right.high : left.low < right.low
    }
  }

  private static let shortestDelay = Microseconds(200)
  private static let delaySpread = Microseconds.milliseconds(3)
  private static let longestSpike = Microseconds.seconds(2)
  private static let retransmission = Microseconds.milliseconds(200)

  private let faults: FaultPlan
  private var generator: SeededGenerator
  private var links = Table<Pair, UInt64>()
  private var lastArrival = Table<Pair, (up: Instant, down: Instant)>()
  private var nextLink: UInt64 = 1
  private var side: OrderedSet<Int>?
  private var isCalm = false

  init(faults: FaultPlan, generator: SeededGenerator) {
    self.faults = faults
    self.generator = generator
  }

  /// From here on nothing goes wrong any more.
  mutating func calm() {
    isCalm = true
    side = nil
  }

  private func isCut(_ first: Int, _ second: Int) -> Bool {
    guard let side else { return false }
    return side.contains(first) != side.contains(second)
  }

  private mutating func happens(_ partsPerMillion: UInt64) -> Bool {
    // Drawn in any case, so that a plan's other faults fall on the same messages.
    let drawn = generator.chance(partsPerMillion: partsPerMillion)
    return drawn && !isCalm
  }

  private mutating func delay() -> Microseconds {
    var delay = SimulatedNetwork.shortestDelay + generator.span(upTo: SimulatedNetwork.delaySpread)
    if happens(faults.delaySpikePartsPerMillion) {
      delay = delay + generator.span(upTo: SimulatedNetwork.longestSpike)
    }
    return delay
  }

  /// When and how a datagram arrives: not at all, once, or twice.
  mutating func datagram(_ bytes: [UInt8], from: Int, to: Int, now: Instant) -> [(Instant, [UInt8])] {
    if isCut(from, to) || happens(faults.lossPartsPerMillion) { return [] }
    var arriving = bytes
    if happens(faults.corruptionPartsPerMillion), !arriving.isEmpty {
      let index = generator.index(below: arriving.count)
      arriving[index] ^= UInt8(1 + generator.next(below: 255))
    }
    var arrivals = [(now + delay(), arriving)]
    if happens(faults.duplicationPartsPerMillion) { arrivals.append((now + delay(), arriving)) }
    return arrivals
  }

  /// When a frame arrives, and over which link; nil without a link.
  mutating func frame(from: Int, to: Int, now: Instant) -> (Instant, UInt64)? {
    let pair = Pair(from, to)
    guard let link = links[pair], !isCut(from, to) else { return nil }
    var at = now + delay()
    if happens(faults.lossPartsPerMillion) { at = at + SimulatedNetwork.retransmission }
    var last = lastArrival[pair] ?? (.zero, .zero)
    if from < to {
      at = max(at, last.up)
      last.up = at
    } else {
      at = max(at, last.down)
      last.down = at
    }
    lastArrival[pair] = last
    return (at, link)
  }

  /// How long a dial takes; nil when it comes to nothing.
  mutating func dial(_ from: Int, _ to: Int) -> Microseconds? {
    guard from != to, links[Pair(from, to)] == nil, !isCut(from, to) else { return nil }
    if happens(faults.lossPartsPerMillion) { return nil }
    return delay() + delay()
  }

  /// The number of the link between two nodes.
  func link(_ first: Int, _ second: Int) -> UInt64? { links[Pair(first, second)] }

  /// Opens a link; false when there is one or the nodes are cut off from each other.
  mutating func open(_ first: Int, _ second: Int) -> Bool {
    let pair = Pair(first, second)
    guard links[pair] == nil, !isCut(first, second) else { return false }
    links[pair] = nextLink
    nextLink += 1
    lastArrival[pair] = nil
    return true
  }

  /// Ends a link; false when there was none.
  mutating func close(_ first: Int, _ second: Int) -> Bool { links.removeValue(forKey: Pair(first, second)) != nil }

  /// The nodes with a link to `number`.
  func peers(of number: Int) -> [Int] {
    links.keys.filter { $0.low == number || $0.high == number }.map { $0.low == number ? $0.high : $0.low }
  }

  /// Cuts the network in two. Returns the links that go through the cut.
  mutating func split(_ side: OrderedSet<Int>) -> [(Int, Int)] {
    guard !isCalm else { return [] }
    self.side = side
    return links.keys.filter { isCut($0.low, $0.high) }.map { ($0.low, $0.high) }
  }

  /// Ends a cut.
  mutating func heal() { side = nil }
}
