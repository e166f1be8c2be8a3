import Foundation
import Primitives
import Testing
import Wire

@testable import Broadcast

/// What a mesh of a hundred is to give, over random graphs.
@Suite struct SpreadTests {
  private static let count = 100
  /// `LINNET_GRAPHS=100` takes more than the few that a test run has time for.
  private static let graphs = ProcessInfo.processInfo.environment["LINNET_GRAPHS"].flatMap(UInt64.init) ?? 2

  /// A hundred hosts, of which each has dialled six others, all at about the same time.
  private func network(seed: UInt64) -> Gossip {
    var gossip = Gossip(SpreadTests.count, seed: seed)
    for host in gossip.machines.indices { gossip.step(host, .nodes(SpreadTests.count)) }
    var dials = (0..<SpreadTests.count).flatMap { host in (0..<6).map { _ in host } }
    gossip.generator.shuffle(&dials)
    for host in dials { gossip.link(host, gossip.generator.index(below: SpreadTests.count)) }
    gossip.run(for: .seconds(3))
    return gossip
  }

  private func expectGoodMeshes(_ gossip: Gossip) {
    for (host, machine) in gossip.machines.enumerated() {
      let mesh = machine.peers.filter(\.isInMesh)
      let outbound = machine.peers.filter(\.isOutbound).count
      #expect(mesh.count >= 4 && mesh.count <= 12, "host \(host) has \(mesh.count) of \(machine.peers.count)")
      #expect(mesh.filter(\.isOutbound).count >= min(2, outbound), "host \(host)")
    }
    #expect(gossip.largestMesh <= 12 && gossip.closed.isEmpty)
  }

  @Test(arguments: 1...graphs) func allIsDeliveredWithinFiveHopsAndNotTooOften(seed: UInt64) {
    var gossip = network(seed: seed)
    expectGoodMeshes(gossip)
    // All links are equally long, so that what comes first came over the fewest.
    gossip.spread = .zero
    let before = gossip.envelopes
    var ids: [Digest] = []
    for number in 0..<10 {
      let message = StandIn.message(seed * 1_000 + UInt64(number))
      ids.append(message.value.id)
      gossip.step(gossip.generator.index(below: SpreadTests.count), .publish(message))
      gossip.run(for: .milliseconds(300))
    }
    // What the mesh brings, without any repair.
    let hops = gossip.hops.map { host in ids.map { host[$0] ?? .max } }
    let most = hops.map { $0.max() ?? 0 }.max() ?? 0
    #expect(most <= 5)
    #expect(gossip.machines.allSatisfy { $0.counters["requestTimedOut"] == 0 })
    // Redundancy: what comes besides the first copy.
    let copies = Double(gossip.envelopes - before) / Double(10 * (SpreadTests.count - 1))
    #expect(copies - 1 <= Double(BroadcastSettings().degree))
    gossip.run(for: .seconds(30))
    expectGoodMeshes(gossip)
    let misconduct = gossip.machines.flatMap { $0.counters.all.map(\.name) }.filter { $0.hasPrefix("misconduct") }
    #expect(misconduct.isEmpty)
  }

  /// A fifth of all messages is lost, grafts and prunes among them; links come and go. Honest hosts charge each other for
  /// nothing but broken promises, close nobody, and miss nothing.
  @Test(arguments: 1...max(1, graphs / 2)) func honestHostsUnderLossNeverCloseEachOther(seed: UInt64) {
    var gossip = network(seed: seed)
    gossip.lossPartsPerMillion = 200_000
    for number in 0..<40 as Range<UInt64> {
      gossip.step(gossip.generator.index(below: SpreadTests.count), .publish(StandIn.message(number)))
      let (one, other) = (gossip.generator.index(below: 100), gossip.generator.index(below: 100))
      if gossip.links[one].contains(other) { gossip.unlink(one, other) }
      gossip.link(gossip.generator.index(below: 100), gossip.generator.index(below: 100))
      gossip.run(for: .milliseconds(700))
    }
    gossip.run(for: .seconds(90))
    #expect(gossip.delivered.enumerated().allSatisfy { $1.count + gossip.published(by: $0) == 40 })
    #expect(gossip.closed.isEmpty && gossip.largestMesh <= 12)
    let misconduct = gossip.machines.flatMap { $0.counters.all.map(\.name) }.filter { $0.hasPrefix("misconduct") }
    #expect(misconduct.allSatisfy { $0 == "misconduct.brokenPromise" }, "\(misconduct)")
  }
}
