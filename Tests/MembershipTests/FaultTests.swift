import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// What goes wrong on networks, and what it must not do to the others.
@Suite struct FaultTests {
  private func formed(_ count: Int, seed: UInt64, settings: MembershipSettings = .lan) -> VirtualNetwork {
    var network = VirtualNetwork(count, seed: seed, settings: settings)
    network.joinAll()
    network.run(for: .seconds(20))
    return network
  }

  /// Just after all have been tried in vain, the next try would be a minute off: the worst time to be united again.
  @Test(arguments: zip([90, 90, 150, 600] as [Int64], [1, 2, 1, 1] as [UInt64]))
  func aSplitInHalvesHealsWithinThirtySeconds(seconds: Int64, seed: UInt64) {
    var network = formed(12, seed: seed)
    network.split(from: 6)
    network.run(for: .seconds(seconds))
    for host in network.hosts { #expect(host.machine.count(of: .down) == 6) }
    #expect(network.changes(to: .down).allSatisfy { $0.observer / 6 != $0.target / 6 })
    #expect(network.hosts.allSatisfy { $0.splits == [6] })
    network.unite()
    network.run(for: .seconds(30))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
    #expect(network.hosts.allSatisfy { $0.splits == [6, -3] })
  }

  @Test func aSplitIsManyAtOnceAndNoLongRowOfSingleDeaths() {
    var watch = SplitWatch()
    let ids = (0..<10).map { StandIn.identity($0).id }
    for number in 0..<8 {
      let at = Instant.zero + .seconds(Int64(number) * 20)
      let change = watch.wentDown(ids[number], active: 10 - number, at)
      #expect(change == nil)
    }
    #expect(watch.count == 2)
    let early = [watch.cameBack(ids[7]), watch.cameBack(ids[0])]
    #expect(early == [nil, nil] && watch.count == 1)
    let later = Instant.zero + .seconds(1_000)
    let together = [1, 2, 3, 4].map { watch.wentDown(ids[$0], active: $0 == 1 ? 4 : 3, later) }
    #expect(together == [nil, nil, .split(members: 3), nil])
    let back = [4, 1, 2].map { watch.cameBack(ids[$0]) }
    #expect(back == [nil, nil, .healed(members: 2)] && watch.count == 0)
  }

  /// Half of a network is switched off for good; what happens after it is told all the same.
  @Test func aSplitThatDoesNotHealHidesNoOther() {
    let ids = (0..<10).map { StandIn.identity($0).id }
    var watch = SplitWatch()
    var now = Instant.zero
    func wentDown(_ numbers: [Int], left: Int) -> [SplitWatch.Change?] {
      numbers.map { watch.wentDown(ids[$0], active: left, now) }
    }
    #expect(wentDown([0, 1, 2, 3], left: 4) == [nil, nil, nil, .split(members: 4)])
    // Not at once: who is about to follow is part of the same.
    now = now + .seconds(20)
    #expect(wentDown([4, 5], left: 2) == [nil, nil])
    #expect(watch.cameBack(ids[4]) == nil && watch.count == 4)
    now = now + SplitWatch.longestAlone
    // As long as nothing else happens, it can heal.
    var healing = watch
    #expect([0, 1].map { healing.cameBack(ids[$0]) } == [nil, .healed(members: 2)])
    #expect(wentDown([4, 6], left: 2) == [nil, .split(members: 2)])
    #expect(watch.cameBack(ids[0]) == nil && watch.cameBack(ids[4]) == .healed(members: 1) && watch.count == 0)
    // Those that are forgotten it does not wait for.
    #expect(wentDown([0, 1, 2, 3], left: 4).last == .split(members: 4))
    watch.forgotten(ids[0])
    watch.forgotten(ids[1])
    #expect(watch.count == 2)
    var forgetting = watch
    #expect(watch.cameBack(ids[2]) == .healed(members: 1))
    for number in [2, 3] { forgetting.forgotten(ids[number]) }
    watch = forgetting
    #expect(watch.count == 0 && wentDown([4, 5], left: 2) == [nil, .split(members: 2)])
  }

  @Test func noSplitWaitsForWhoIsForgotten() {
    var bench = Bench(2)
    for other in bench.others { _ = bench.machine.splitWatch.wentDown(other.id, active: 2, bench.now) }
    #expect(bench.machine.splitWatch.count == 2)
    bench.machine.forget(bench.others[0].id)
    #expect(bench.machine.splitWatch.count == 1)
  }

  /// Those who are left accused nobody themselves, and most of those that they look for are dead.
  @Test(arguments: [3, 4] as [UInt64]) func aSplitHealsThoughFewAreLeft(seed: UInt64) {
    var network = formed(12, seed: seed)
    network.split(from: 6)
    network.run(for: .seconds(120))
    for number in [1, 2, 3, 4, 7, 8, 9, 10] { network.kill(number) }
    network.run(for: .seconds(200))
    network.unite()
    network.run(for: .seconds(30))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
  }

  @Test(arguments: [5, 6] as [UInt64], [MembershipSettings.lan, .loopback])
  func aOneWayPartitionTakesNobodyDown(seed: UInt64, settings: MembershipSettings) {
    var network = formed(4, seed: seed, settings: settings)
    network.block(from: 3, to: 1)
    network.block(from: 3, to: 2)
    network.run(for: .seconds(300))
    #expect(network.changes(to: .down).isEmpty)
    network.unblock()
    network.run(for: .seconds(70))
    let areLinked = network.hosts.allSatisfy { $0.links.count == 3 }
    #expect(areLinked)
  }

  @Test(arguments: [7, 8] as [UInt64]) func whoMovesIsFoundAtItsNewAddress(seed: UInt64) {
    var network = formed(12, seed: seed)
    for number in 0..<12 { network.step(number, .interfaces([network.place(number)])) }
    network.run(for: .seconds(20))
    let there = place("127.0.1.105:7447")
    network.move(5, to: there)
    network.run(for: .seconds(30))
    for (number, host) in network.hosts.enumerated() where number != 5 {
      #expect(host.machine.member(network.id(5))?.address == there)
      #expect(host.machine.member(network.id(5))?.state == .alive)
    }
    network.run(for: .seconds(60))
    #expect(network.changes(to: .down).isEmpty)
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
    #expect(network.hosts[5].links.count >= 3)
  }

  @Test func clocksThatAreMinutesApartPartNobody() throws {
    var network = VirtualNetwork(2, seed: 9)
    network.addHost(2, clockAhead: .seconds(120))
    network.addHost(3, clockAhead: .zero - .seconds(120))
    network.joinAll()
    network.run(for: .seconds(60))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
    #expect(network.changes(to: .down).isEmpty)
    for (number, seconds) in [1: 0, 2: 120, 3: -120] as [Int: Int64] {
      let offset = try #require(network.hosts[0].machine.member(network.id(number))?.clockOffset)
      let error = abs((offset - .seconds(seconds)).count)
      #expect(error < 10_000)
    }
    // A death is known whoever's clock is ahead, and so is a comeback.
    network.kill(2)
    network.run(for: .seconds(40))
    let isDown = network.everyone(sees: .down, of: 2)
    #expect(isDown)
    network.side[3] = 1
    for peer in 0..<3 { network.unlink(3, peer) }
    network.run(for: .seconds(120))
    #expect(network.state(of: 3, at: 0) == .down)
    network.side[3] = 0
    network.run(for: .seconds(30))
    #expect(network.state(of: 3, at: 0) == .alive && network.state(of: 0, at: 3) == .alive)
  }

  @Test func aClockAtTheEndOfTimeOverflowsNothing() {
    #expect(MemberAccount.offset(of: .max, from: 0, roundTrip: .seconds(1)).count > 0)
    #expect(MemberAccount.offset(of: 0, from: .max, roundTrip: .seconds(1)).count < 0)
    #expect(MemberAccount.offset(of: 1_500, from: 2_000, roundTrip: Microseconds(1_000)) == .zero)
  }

  @Test func whatWasHeardOnceMeansNothingWhenItIsSentAgain() {
    var network = VirtualNetwork(6, seed: 10)
    network.tapLimit = 2_000
    network.joinAll()
    network.run(for: .seconds(30))
    let tap = network.tap
    network.tapLimit = 0
    network.run(for: .seconds(60))
    let changes = network.hosts.map(\.changes.count)
    let before = (network.datagrams, network.counted("replayed"))
    let thief = place("203.0.113.66:7447")
    network.destinations = OrderedSet()
    for heard in tap {
      guard let target = network.number(of: heard.to) else { continue }
      network.deliver(heard.envelope, from: thief, to: target)
    }
    #expect(network.counted("replayed") - before.1 == UInt64(tap.count))
    #expect(network.datagrams == before.0 && network.destinations.isEmpty)
    #expect(network.hosts.map(\.changes.count) == changes)
    #expect(network.hosts.allSatisfy { $0.machine.members.allSatisfy { $0.address != thief } })
  }

  @Test func aRecordMayNameWhomItLikesAsTheWayToItsNode() {
    var network = formed(6, seed: 11)
    var liar = StandIn.identity(40)
    var body = record(40)
    body.expiresUnixSeconds = lasting
    // Two that do not exist, and a victim.
    body.via = [StandIn.identity(50).id, StandIn.identity(51).id, network.id(3)].sorted()
    let word = liar.seal(.nodeRecord(body), now: network.now)
    for number in 0..<6 { network.step(number, .members([word], from: liar.id)) }
    let before = network.datagrams
    network.run(for: .seconds(120))
    // The liar costs each some pings asked of others; it goes down as any that is silent, and nobody else.
    #expect(network.hosts.allSatisfy { $0.machine.member(liar.id)?.state == .down })
    let hurt = network.hosts.flatMap(\.changes).contains { $0.to == .down && $0.id != liar.id }
    #expect(!hurt)
    #expect((network.datagrams - before) / 120 / 6 < 12)
  }
}

/// The bounds that the design promises, at a hundred nodes.
@Suite struct HundredTests {
  @Test func aDeathAmongAHundredIsKnownAndIdleTrafficIsModest() {
    var network = VirtualNetwork(100, seed: 12) { place("10.0.\($0 / 50).\($0 % 50 + 1):7447") }
    for number in 1..<100 { network.link(number, number / 2) }
    network.run(for: .seconds(20))
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
    for number in network.hosts.indices {
      network.hosts[number].sentBytes = 0
      network.hosts[number].receivedBytes = 0
    }
    // Anti-entropy has its turn every 30 s.
    network.run(for: .seconds(60))
    let most = network.hosts.map { max($0.sentBytes, $0.receivedBytes) }.max() ?? .max
    #expect(most / 60 < 3_000)
    #expect(most > 0)
    // One whose kernel closes its links, and one whose whole host is gone.
    for (victim, closesLinks) in [(57, true), (91, false)] {
      network.kill(victim, closesLinks: closesLinks)
      network.run(for: .seconds(15))
      let isKnown = network.everyone(sees: .down, of: victim)
      #expect(isKnown)
    }
    #expect(network.changes(to: .down).allSatisfy { [57, 91].contains($0.target) })
    #expect(network.longest <= 1_167)
  }
}
