import Broadcast
import Membership
import Primitives
import Testing

@testable import Simulator

@Suite struct MembershipScaleTests {
  @Test func newsSpreadsAndNobodyIsTakenForDead() throws {
    let report = ScaleOptions(count: 200).run()
    #expect(try #require(report.join?.allSeconds) < 3)
    #expect(try #require(report.killed?.allSeconds) < 20)
    #expect(try #require(report.powerless?.allSeconds) < 20)
    #expect(report.falseDowns == 0 && report.falseSuspicions == 0)
    #expect(report.traffic.meanOut < 3_000 && report.traffic.meanOut > 200)
    let broadcasts = try #require(report.broadcasts)
    #expect(broadcasts.published == 5 && broadcasts.missed == 0 && broadcasts.redundancy <= 6)
    #expect(try #require(broadcasts.allSeconds) < 1)
    #expect(report.closings == 0)
  }

  @Test func bothEndsOfALinkAgreeWhetherItIsInTheMesh() {
    let scale = MembershipScale(ScaleOptions(count: 30))
    scale.run(for: .seconds(1))
    for _ in 0..<5 { scale.join() }
    scale.run(for: .seconds(5))
    // Who has many links decides by what its peers say which of them carry the mesh.
    #expect(scale.nodes.contains { $0.links.count > BroadcastSettings().fullMeshLinks })
    let ends = Set(
      scale.nodes.flatMap { node in node.broadcast.peers.filter(\.isInMesh).map { [node.id, $0.id] } })
    #expect(!ends.isEmpty && ends.allSatisfy { ends.contains($0.reversed()) })
  }

  @Test func lossAndSlowNodesKillNobody() {
    var options = ScaleOptions(count: 50)
    options.lossPartsPerMillion = 50_000
    options.slowPartsPerMillion = 100_000
    options.idle = .seconds(300)
    options.hasEvents = false
    let report = options.run()
    #expect(report.failedProbes > 0)
    #expect(report.falseDowns == 0)
  }

  @Test func theSameOptionsGiveTheSameReport() {
    var options = ScaleOptions(count: 20)
    options.lossPartsPerMillion = 100_000
    options.idle = .seconds(20)
    let (one, other) = (options.run(), options.run())
    #expect(one == other)
    options.seed = 2
    #expect(options.run() != one)
  }

  @Test func optionsThatCannotBeRunAreRefused() {
    #expect(ScaleOptions(count: 7).mistake != nil)
    #expect(ScaleOptions(count: 60_001).mistake != nil)
    var options = ScaleOptions(count: 100)
    #expect(options.mistake == nil)
    options.lossPartsPerMillion = 600_000
    #expect(options.mistake != nil)
  }

  @Test func aWheelKeepsTheOrderOfTimes() {
    var wheel = EventWheel<Int>()
    wheel.add(3, at: .zero + .milliseconds(20))
    wheel.add(1, at: .zero + Microseconds(9_001))
    wheel.add(2, at: .zero + .milliseconds(10))
    // Behind the horizon: taken at the last millisecond before it.
    wheel.add(4, at: .zero + .seconds(100))
    var taken: [(Int, Int64)] = []
    while taken.count < 4 {
      guard let batch = wheel.takeBatch() else { continue }
      for event in batch { taken.append((event, wheel.now.microseconds / 1_000)) }
    }
    #expect(taken.map(\.0) == [1, 2, 3, 4])
    #expect(taken.map(\.1) == [10, 10, 20, EventWheel<Int>.horizonMilliseconds - 1])
  }
}
