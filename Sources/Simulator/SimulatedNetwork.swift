import Primitives

/// Carries datagrams, which may be lost, doubled, changed and overtaken, and the frames of links, which arrive in
/// order or not at all. Every direction between two nodes can be clogged by itself: datagrams are then lost, frames
/// wait, dials fail.
struct SimulatedNetwork {
  private static let retransmission = Microseconds.milliseconds(200)

  private let count: Int
  private let plan: FaultPlan
  private let shortestDelay: Microseconds
  private let delaySpread: Microseconds
  private var generator: SeededGenerator
  /// By `index(from, to)`; the numbers of links are the same both ways, 0 for none.
  private var links: [UInt64]
  private var lastArrival: [Instant]
  private var clogs: [Int]
  private var waiting: [[(Carried, UInt64)]]
  private var isNeverLinked: [Bool]
  private var nextLink: UInt64 = 1
  private var isCalm = false
  /// The directions whose frames may have gone on, to be sent now.
  private(set) var released: [(from: Int, to: Int, Carried, link: UInt64)] = []

  init(_ setup: Setup, instances count: Int, generator: SeededGenerator) {
    self.count = count
    plan = setup.plan
    shortestDelay = setup.delay
    delaySpread = setup.delaySpread
    self.generator = generator
    links = [UInt64](repeating: 0, count: count * count)
    lastArrival = [Instant](repeating: .zero, count: count * count)
    clogs = [Int](repeating: 0, count: count * count)
    waiting = [[(Carried, UInt64)]](repeating: [], count: count * count)
    isNeverLinked = [Bool](repeating: false, count: count * count)
    for pair in setup.plan.neverLinked where pair.count == 2 {
      isNeverLinked[pair[0] * count + pair[1]] = true
      isNeverLinked[pair[1] * count + pair[0]] = true
    }
  }

  private func index(_ from: Int, _ to: Int) -> Int { from * count + to }

  /// From here on nothing goes wrong by chance any more.
  mutating func calm() { isCalm = true }

  private mutating func happens(_ partsPerMillion: UInt64) -> Bool {
    // Drawn in any case, so that a plan's other faults fall on the same messages.
    let drawn = generator.chance(partsPerMillion: partsPerMillion)
    return drawn && !isCalm
  }

  private mutating func delay() -> Microseconds {
    var delay = shortestDelay + generator.span(upTo: delaySpread)
    if happens(plan.spikePartsPerMillion) { delay = delay + generator.span(upTo: plan.longestSpike) }
    return delay
  }

  /// Clogs a direction, or takes one of its clogs away.
  mutating func clog(_ from: Int, _ to: Int, _ isClogged: Bool) {
    let at = index(from, to)
    clogs[at] = max(0, clogs[at] + (isClogged ? 1 : -1))
    guard clogs[at] == 0 else { return }
    for (carried, link) in waiting[at] { released.append((from, to, carried, link)) }
    waiting[at] = []
  }

  /// Takes the frames that go on after a clog.
  mutating func takeReleased() -> [(from: Int, to: Int, Carried, link: UInt64)] {
    defer { released = [] }
    return released
  }

  func isClogged(_ from: Int, _ to: Int) -> Bool { clogs[index(from, to)] > 0 }

  /// When and how a datagram arrives: not at all, once, or twice. `changed` is set when a byte is to be another.
  mutating func datagram(from: Int, to: Int, now: Instant) -> [(at: Instant, isChanged: Bool)] {
    let isLost = happens(plan.lossPartsPerMillion)
    let isChanged = happens(plan.corruptionPartsPerMillion)
    let isDoubled = happens(plan.duplicationPartsPerMillion)
    if isLost || isClogged(from, to) { return [] }
    var arrivals = [(now + delay(), isChanged)]
    if isDoubled { arrivals.append((now + delay(), isChanged)) }
    return arrivals
  }

  /// One byte changed.
  mutating func changed(_ bytes: [UInt8]) -> [UInt8] {
    guard !bytes.isEmpty else { return bytes }
    var other = bytes
    other[generator.index(below: bytes.count)] ^= UInt8(1 + generator.next(below: 255))
    return other
  }

  /// What becomes of a frame.
  enum Frame {
    case arrives(Instant, link: UInt64)
    case waits
    /// The link notices that bytes were changed, and ends.
    case breaksLink
    case noLink
  }

  /// Sends a frame over the link that stands.
  mutating func frame(_ carried: Carried, from: Int, to: Int, now: Instant) -> Frame {
    let at = index(from, to)
    guard links[at] > 0 else { return .noLink }
    if clogs[at] > 0 {
      // A peer that reads nothing fills the sender's queue; what is over its bound would be dropped there.
      if waiting[at].count < 4_096 { waiting[at].append((carried, links[at])) }
      return .waits
    }
    if happens(plan.corruptionPartsPerMillion / 100) { return .breaksLink }
    var arrival = now + delay()
    if happens(plan.lossPartsPerMillion) { arrival = arrival + SimulatedNetwork.retransmission }
    arrival = max(arrival, lastArrival[at])
    lastArrival[at] = arrival
    return .arrives(arrival, link: links[at])
  }

  /// How long a dial takes; nil when it comes to nothing.
  mutating func dial(_ from: Int, _ to: Int) -> Microseconds? {
    guard canLink(from, to) else { return nil }
    if happens(plan.lossPartsPerMillion) { return nil }
    return delay() + delay()
  }

  private func canLink(_ from: Int, _ to: Int) -> Bool {
    let (there, back) = (index(from, to), index(to, from))
    return from != to && links[there] == 0 && clogs[there] == 0 && clogs[back] == 0 && !isNeverLinked[there]
  }

  /// The number of the link between two nodes; 0 for none.
  func link(_ first: Int, _ second: Int) -> UInt64 { links[index(first, second)] }

  /// Opens a link; false when there is one or the nodes are cut off from each other.
  mutating func open(_ first: Int, _ second: Int) -> Bool {
    guard canLink(first, second) else { return false }
    for at in [index(first, second), index(second, first)] {
      links[at] = nextLink
      lastArrival[at] = .zero
    }
    nextLink += 1
    return true
  }

  /// Ends a link; false when there was none.
  mutating func close(_ first: Int, _ second: Int) -> Bool {
    guard link(first, second) > 0 else { return false }
    for at in [index(first, second), index(second, first)] {
      links[at] = 0
      waiting[at] = []
    }
    return true
  }

  /// The nodes with a link to `number`.
  func peers(of number: Int) -> [Int] { (0..<count).filter { links[index(number, $0)] > 0 } }
}
