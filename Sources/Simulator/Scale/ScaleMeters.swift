import Primitives

/// Who knows of something that has happened to a node, and since when.
struct Watch {
  /// The node that it has happened to.
  let target: Int
  private let start: Instant
  private var knows: [Bool]
  private var times: [Instant] = []
  private let expected: Int

  /// - Parameter expected: how many nodes should come to know it.
  init(target: Int, start: Instant, nodes: Int, expected: Int) {
    self.target = target
    self.start = start
    self.expected = expected
    knows = [Bool](repeating: false, count: nodes)
  }

  mutating func note(_ observer: Int, at now: Instant) {
    guard observer < knows.count, !knows[observer] else { return }
    knows[observer] = true
    times.append(now)
  }

  var isOver: Bool { times.count >= expected }

  var spread: ScaleReport.Spread {
    func after(_ count: Int) -> Double? {
      guard count > 0, times.count >= count else { return nil }
      return Double((times[count - 1] - start).count) / 1_000_000
    }
    return ScaleReport.Spread(
      halfSeconds: after((expected + 1) / 2), mostSeconds: after((expected * 999 + 999) / 1_000),
      allSeconds: after(expected), knownBy: times.count, of: expected)
  }
}

/// How published messages spread.
struct HopMeter {
  private struct Journey {
    var hops: [UInt8]
    var watch: Watch
  }

  private static let unknown = UInt8.max
  private var journeys: [Digest: Journey] = [:]
  private var copies = 0
  private let nodes: Int

  init(nodes: Int) { self.nodes = nodes }

  /// - Parameter expected: how many nodes should get it.
  mutating func published(_ id: Digest, by node: Int, at now: Instant, expected: Int) {
    var hops = [UInt8](repeating: HopMeter.unknown, count: nodes)
    hops[node] = 0
    journeys[id] = Journey(hops: hops, watch: Watch(target: node, start: now, nodes: nodes, expected: expected))
  }

  mutating func received(_ id: Digest, by node: Int, from sender: Int, at now: Instant) {
    // Who has joined since is not counted.
    guard sender < nodes, node < nodes, let hop = journeys[id]?.hops[sender], hop != HopMeter.unknown else { return }
    copies += 1
    guard journeys[id]?.hops[node] == HopMeter.unknown else { return }
    journeys[id]?.hops[node] = min(hop + 1, HopMeter.unknown - 1)
    journeys[id]?.watch.note(node, at: now)
  }

  /// What came about: sums, and the worst of all messages.
  var report: ScaleReport.Broadcasts {
    let spreads = journeys.values.map(\.watch.spread)
    let reached = spreads.reduce(0) { $0 + $1.knownBy }
    func slowest(_ times: [Double?]) -> Double? { times.contains(nil) ? nil : times.compactMap { $0 }.max() }
    return ScaleReport.Broadcasts(
      published: journeys.count, missed: spreads.reduce(0) { $0 + $1.of - $1.knownBy },
      hops: journeys.values.map { Int($0.hops.filter { $0 != HopMeter.unknown }.max() ?? 0) }.max() ?? 0,
      redundancy: reached == 0 ? 0 : Double(copies) / Double(reached), mostSeconds: slowest(spreads.map(\.mostSeconds)),
      allSeconds: slowest(spreads.map(\.allSeconds)))
  }
}
