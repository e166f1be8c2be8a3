import Primitives
import Testing
import Wire

@testable import Membership

// The network itself stays out of expectations: a failure would print it whole.
private func expectAllSeeAll(_ network: VirtualNetwork, at location: SourceLocation = #_sourceLocation) {
  let allSeeAll = network.allSeeAll
  #expect(allSeeAll, sourceLocation: location)
}

private func expectEveryone(
  _ network: VirtualNetwork, sees state: MemberState, of target: Int, at location: SourceLocation = #_sourceLocation
) {
  let everyone = network.everyone(sees: state, of: target)
  #expect(everyone, sourceLocation: location)
}

@Suite struct NetworkTests {
  @Test(arguments: [1, 2, 3] as [UInt64]) func fourJoinThroughOneContact(seed: UInt64) {
    var network = VirtualNetwork(4, seed: seed)
    network.joinAll()
    network.run(for: .seconds(3))
    expectAllSeeAll(network)
    network.run(for: .seconds(10))
    for host in network.hosts {
      #expect(host.links.count == 3)
      #expect(host.machine.aliveCount == 4)
      #expect(host.machine.members.allSatisfy { $0.rtt != nil && $0.lastSeen != nil && $0.isLinked })
    }
    #expect(network.changes(to: .suspect).isEmpty)
    #expect(network.longest <= 1_167)
  }

  @Test(arguments: [MembershipSettings.lan, .loopback], [true, false])
  func aKilledNodeGoesDownAndNobodyElse(settings: MembershipSettings, closesLinks: Bool) {
    for seed in 1...5 as ClosedRange<UInt64> {
      var network = VirtualNetwork(4, seed: seed, settings: settings)
      network.joinAll()
      network.run(for: .seconds(20))
      network.kill(2, closesLinks: closesLinks)
      network.run(for: closesLinks ? .seconds(7) : .seconds(12))
      let isKnown = network.everyone(sees: .down, of: 2)
      #expect(isKnown, "seed \(seed)")
      let hurt = (network.changes(to: .down) + network.changes(to: .suspect)).map(\.target).filter { $0 != 2 }
      #expect(hurt.isEmpty)
    }
  }

  @Test func theLastOfFourSeesTheOthersDown() {
    var network = VirtualNetwork(4, seed: 9)
    network.joinAll()
    network.run(for: .seconds(20))
    for number in 1...3 { network.kill(number) }
    network.run(for: .seconds(60))
    #expect(network.hosts[0].machine.count(of: .down) == 3)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func aRestartedNodeIsBackAtOnce(seed: UInt64) {
    var network = VirtualNetwork(4, seed: seed)
    network.joinAll()
    network.run(for: .seconds(20))
    network.kill(3)
    network.run(for: .seconds(30))
    expectEveryone(network, sees: .down, of: 3)
    network.restart(3, contact: 1)
    network.run(for: .seconds(2))
    expectAllSeeAll(network)
  }

  @Test func aDownNodeIsFoundAgainWithoutItsHelp() {
    var network = VirtualNetwork(4, seed: 5)
    network.joinAll()
    network.run(for: .seconds(20))
    network.side[3] = 1
    for peer in 0..<3 { network.unlink(3, peer) }
    network.run(for: .seconds(600))
    #expect(network.hosts[0].machine.member(network.id(3))?.state == .down)
    network.side[3] = 0
    network.run(for: .seconds(70))
    expectAllSeeAll(network)
    #expect(network.hosts.allSatisfy { $0.links.count == 3 })
  }

  @Test(arguments: [11] as [UInt64]) func lossAloneKillsNobody(seed: UInt64) {
    var network = VirtualNetwork(20, seed: seed)
    network.lossPartsPerMillion = 50_000
    network.duplicatePartsPerMillion = 10_000
    network.joinAll()
    network.run(for: .seconds(600))
    #expect(network.changes(to: .down).isEmpty)
    expectAllSeeAll(network)
    #expect(network.longest <= 1_167)
  }

  @Test func aRealDeathAmongTwentyIsKnownDespiteLoss() {
    var network = VirtualNetwork(20, seed: 13)
    network.lossPartsPerMillion = 50_000
    network.joinAll()
    network.run(for: .seconds(30))
    network.kill(7)
    network.run(for: .seconds(15))
    expectEveryone(network, sees: .down, of: 7)
    #expect(network.changes(to: .down).allSatisfy { $0.target == 7 })
  }

  @Test(arguments: [14, 15, 16] as [UInt64]) func aDeafNodeGoesDownAndNobodyElse(seed: UInt64) {
    var network = VirtualNetwork(8, seed: seed)
    network.joinAll()
    network.run(for: .seconds(20))
    network.deafen(5)
    network.run(for: .seconds(40))
    expectEveryone(network, sees: .down, of: 5)
    network.run(for: .seconds(260))
    #expect(network.changes(to: .down).allSatisfy { $0.observer == 5 || $0.target == 5 })
    let health = network.hosts[5].machine.healthScore
    #expect(health > 4)
    network.undeafen(5)
    network.run(for: .seconds(30))
    expectAllSeeAll(network)
  }

  @Test func aFarewellIsKnownAtOnceAndNotASuspicion() {
    var network = VirtualNetwork(4, seed: 15)
    network.joinAll()
    network.run(for: .seconds(20))
    network.step(1, .leave)
    network.run(for: .milliseconds(100))
    network.kill(1)
    network.run(for: .seconds(60))
    expectEveryone(network, sees: .left, of: 1)
    #expect(network.changes(to: .suspect).isEmpty)
    network.restart(1, contact: 0)
    network.run(for: .seconds(3))
    expectAllSeeAll(network)
  }

  @Test func theSameSeedDoesTheSame() {
    func transcript() -> (Int, Int, [Instant]) {
      var network = VirtualNetwork(6, seed: 99)
      network.lossPartsPerMillion = 100_000
      network.joinAll()
      network.run(for: .seconds(60))
      network.kill(2)
      network.run(for: .seconds(30))
      return (network.datagrams, network.bytes, network.hosts.flatMap { $0.changes.map(\.at) })
    }
    let (one, other) = (transcript(), transcript())
    #expect(one == other)
  }

  @Test func idleTrafficIsModest() {
    var network = VirtualNetwork(20, seed: 16)
    network.joinAll()
    network.run(for: .seconds(120))
    let before = network.bytes
    network.run(for: .seconds(60))
    #expect((network.bytes - before) / 60 / 20 < 1_500)
  }

  /// What a node keeps of members with whom nothing is going on decides nothing.
  @Test(arguments: 1...5 as ClosedRange<UInt64>) func fewDetailsGiveTheSameStates(seed: UInt64) {
    func end(detailedMembers: Int) -> (states: [[MemberState]], details: Int) {
      var settings = MembershipSettings.lan
      settings.detailedMembers = detailedMembers
      var network = VirtualNetwork(16, seed: seed, settings: settings)
      network.lossPartsPerMillion = 20_000
      network.joinAll()
      network.run(for: .seconds(40))
      network.kill(3)
      network.kill(11, closesLinks: false)
      network.step(5, .leave)
      network.run(for: .milliseconds(500))
      network.kill(5)
      network.run(for: .seconds(60))
      network.restart(3, contact: 1)
      network.run(for: .seconds(30))
      let ended = network
      let up = ended.hosts.indices.filter { ended.hosts[$0].isUp }
      return (
        up.map { observer in ended.hosts.indices.compactMap { ended.state(of: $0, at: observer) } },
        up.reduce(0) { $0 + ended.hosts[$1].machine.entries.detailCount }
      )
    }
    let (few, all) = (end(detailedMembers: 4), end(detailedMembers: MembershipSettings.memberBound))
    #expect(few.states == all.states)
    #expect(few.details < all.details)
  }
}
