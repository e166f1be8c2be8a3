import Primitives

extension ScaleOptions {
  /// Runs the simulation: an idle time, and then, one after the other, what the report tells of.
  package func run() -> ScaleReport {
    let scale = MembershipScale(self)
    scale.run(for: .seconds(5))
    let before = scale.nodes.map { ($0.sentBytes, $0.receivedBytes) }
    let start = scale.now
    scale.run(for: idle)
    let idleSeconds = Double((scale.now - start).count) / 1_000_000
    var report = ScaleReport(
      members: count, seed: seed, virtualSeconds: 0, events: 0, idleSeconds: idleSeconds,
      traffic: ScaleOptions.traffic(scale, since: before, seconds: idleSeconds), falseSuspicions: 0, falseDowns: 0,
      closings: 0, failedProbes: 0)
    if hasEvents { happen(scale, &report) }
    report.virtualSeconds = Double((scale.now - Instant.zero).count) / 1_000_000
    report.events = scale.events
    report.falseSuspicions = scale.falseSuspicions
    report.falseDowns = scale.falseDowns
    report.closings = scale.closings
    report.failedProbes = scale.nodes.reduce(0) { $0 + $1.membership.counters["probeFailed"] }
    return report
  }

  private func happen(_ scale: MembershipScale, _ report: inout ScaleReport) {
    scale.hops = HopMeter(nodes: count)
    for number in 0..<5 {
      scale.publish(UInt64(number))
      scale.run(for: .seconds(1))
    }
    scale.run(for: .seconds(3))
    report.broadcasts = scale.hops?.report
    func watch(_ longest: Microseconds) -> ScaleReport.Spread? {
      scale.run(for: longest) { scale.watch?.isOver ?? true }
      defer { scale.watch = nil }
      return scale.watch?.spread
    }
    scale.join()
    report.join = watch(.seconds(30))
    scale.end(count / 2, closesLinks: true)
    report.killed = watch(.seconds(120))
    scale.end(count / 3, closesLinks: false)
    report.powerless = watch(.seconds(120))
  }

  private static func traffic(
    _ scale: MembershipScale, since before: [(UInt64, UInt64)], seconds: Double
  ) -> ScaleReport.Traffic {
    let rates = zip(scale.nodes, before).map { node, old in
      (out: Double(node.sentBytes - old.0) / seconds, in: Double(node.receivedBytes - old.1) / seconds)
    }
    let out = rates.map(\.out).sorted()
    return ScaleReport.Traffic(
      meanOut: out.reduce(0, +) / Double(out.count), mostOut: out[min(out.count - 1, out.count * 99 / 100)],
      highOut: out.last ?? 0, highIn: rates.map(\.in).max() ?? 0)
  }
}
