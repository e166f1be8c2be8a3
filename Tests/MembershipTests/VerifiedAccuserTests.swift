import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: "\(text):7447")! }

/// An accuser counts by where it is, not by where it says that it is.
@Suite struct VerifiedAccuserTests {
  private func bench(own: PeerAddress?, confirmers: UInt64 = 0) -> Bench {
    var settings = MembershipSettings.quiet
    settings.confirmers = confirmers
    var bench = Bench(0, settings: settings)
    if let own { _ = bench.feed(.interfaces([own])) }
    bench.others = []
    return bench
  }

  private func add(_ claims: [PeerAddress], isVerified: Bool, to bench: inout Bench) {
    for claim in claims {
      bench.others.append(StandIn.identity(bench.others.count + 1))
      _ = bench.introduce(bench.others.count, addresses: [claim], isVerified: isVerified)
    }
  }

  private func standing(_ number: Int, _ bench: Bench) -> Int {
    bench.machine.entries[bench.others[number - 1].id].map(bench.machine.standing) ?? 0
  }

  @Test func whoIsNowhereForSureIsNoVoice() throws {
    var bench = bench(own: place("203.0.113.5"))
    add([place("198.51.1.1")], isVerified: true, to: &bench)
    add((2...8).map { place("198.51.\($0).1") } + (9...12).map { place("10.0.0.\($0)") }, isVerified: false, to: &bench)
    #expect(bench.machine.accusersNeeded(against: bench.others[0].id) == 1)
    // It is asked whether it is there.
    let pinged = sent(bench.accuse(1, by: 2)).filter { $0.to == place("198.51.2.1") }
    #expect(pinged.count == 1)
    for number in 3...12 { _ = bench.accuse(1, by: number) }
    #expect(standing(1, bench) == 0)
    guard case .ping(let ping)? = pinged.first?.message.body else { return #expect(Bool(false)) }
    // Whoever likes makes accusers: the news is for others.
    #expect(ping.rumours == [bench.machine.ownRecord.value.envelope])
    bench.now = bench.now + .milliseconds(5)
    let before = try #require(bench.machine.deadlines[.suspicion(bench.others[0].id)])
    let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
    _ = bench.feed(.datagram(bench.seal(2, .ack(ack)), rumours: [], from: place("198.51.2.1")))
    #expect(standing(1, bench) == 1)
    #expect(bench.machine.accusersNeeded(against: bench.others[0].id) == 2)
    #expect(try #require(bench.machine.deadlines[.suspicion(bench.others[0].id)]) <= before)
    // A link shows it as well, by where its other end is.
    _ = bench.feed(.linkUp(bench.others[2].id, place("198.51.2.77"), isOutbound: false))
    #expect(standing(1, bench) == 1)
    _ = bench.feed(.linkUp(bench.others[3].id, place("198.51.4.77"), isOutbound: false))
    #expect(standing(1, bench) == 2)
  }

  @Test func privateHostsCountEachForThoseThatAreAmongThem() {
    for (own, voices) in [(place("10.0.0.99"), 3), (place("203.0.113.5"), 1)] {
      var bench = bench(own: own)
      add((1...4).map { place("10.0.0.\($0)") }, isVerified: true, to: &bench)
      for number in 2...4 { _ = bench.accuse(1, by: number) }
      #expect(standing(1, bench) == voices)
      #expect(bench.machine.accusersNeeded(against: bench.others[0].id) == 2)
    }
  }

  @Test func ghostsAskForNoMoreAccusersAndForFewPings() {
    var bench = bench(own: place("203.0.113.5"))
    add([place("198.51.1.1")], isVerified: true, to: &bench)
    add((2...101).map { place("198.51.\($0).1") }, isVerified: false, to: &bench)
    var pings = 0
    for number in 2...101 {
      _ = bench.introduce(1, addresses: [place("198.51.1.1")])
      bench.now = bench.now + .milliseconds(1)
      pings += sent(bench.accuse(1, by: number)).count { $0.to == place("198.51.\(number).1") }
    }
    #expect(pings == MembershipMachine.maximumVerifications)
    #expect(bench.machine.accusersNeeded(against: bench.others[0].id) == 1)
  }

  /// A real death among ghosts without addresses, which nobody can take for dead: they stay for ever.
  @Test(arguments: [2, 3, 5, 8, 12]) func aDeathAmongGhostsIsKnown(count: Int) {
    var network = VirtualNetwork(count, seed: UInt64(count)) { place("198.51.\($0 % 3).\($0 + 1)") }
    for number in 0..<count { network.step(number, .interfaces([network.place(number)])) }
    network.joinAll()
    network.run(for: .seconds(20))
    let ghosts = (0..<40).map { number in
      var ghost = StandIn.identity(2_000 + number)
      var body = record(0, addresses: [])
      body.expiresUnixSeconds = lasting
      return ghost.seal(.nodeRecord(body), now: network.now)
    }
    for number in 0..<count { network.step(number, .members(ghosts, from: network.id(number == 0 ? 1 : 0))) }
    network.run(for: .seconds(5))
    network.kill(count - 1)
    network.run(for: .seconds(90))
    let isKnown = network.everyone(sees: .down, of: count - 1)
    #expect(isKnown)
    #expect(network.hosts.prefix(count - 1).allSatisfy { $0.machine.activeCount > 40 })
  }
}
