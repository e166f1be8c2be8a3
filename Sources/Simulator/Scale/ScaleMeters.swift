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
  private static let unknown = UInt8.max
  private var hops: [Digest: [UInt8]] = [:]
  private var copies = 0
  private let nodes: Int

  init(nodes: Int) { self.nodes = nodes }

  mutating func published(_ id: Digest, by node: Int) {
    var places = [UInt8](repeating: HopMeter.unknown, count: nodes)
    places[node] = 0
    hops[id] = places
  }

  mutating func received(_ id: Digest, by node: Int, from sender: Int) {
    guard let known = hops[id]?[sender], known != HopMeter.unknown, node < nodes else { return }
    copies += 1
    if hops[id]?[node] == HopMeter.unknown { hops[id]?[node] = min(known + 1, HopMeter.unknown - 1) }
  }

  /// What came about, of the nodes that run.
  func report(isUp: (Int) -> Bool) -> ScaleReport.Broadcasts {
    var (missed, reached, most) = (0, 0, 0)
    for places in hops.values {
      for (node, hop) in places.enumerated() where isUp(node) {
        if hop == HopMeter.unknown {
          missed += 1
        } else {
          if hop > 0 { reached += 1 }
          most = max(most, Int(hop))
        }
      }
    }
    return ScaleReport.Broadcasts(
      published: hops.count, missed: missed, hops: most,
      redundancy: reached == 0 ? 0 : Double(copies) / Double(reached))
  }
}
