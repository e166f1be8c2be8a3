import Primitives
import Testing
import Wire

@testable import Membership

/// The accused must hear of it, over whatever way is open, or it can't refute.
@Suite struct TellingTests {
  private func pings(_ effects: [MembershipEffect]) -> [(ping: Ping, to: PeerAddress)] {
    sent(effects).compactMap { if case .ping(let ping) = $0.message.body { (ping, $0.to) } else { nil } }
  }

  private func emptyPing(_ bench: inout Bench, from number: Int) -> [MembershipEffect] {
    bench.now = bench.now + Microseconds(1)
    let ping = Ping(receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0), rumours: [])
    return bench.datagram(number, .ping(ping))
  }

  /// A bench whose member 1 is accused by member 2 and not being probed.
  private func suspectBench() -> Bench {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    // Its own rounds of probes stay out of the way.
    settings.probeInterval = .seconds(1_000)
    var bench = Bench(3, settings: settings)
    _ = bench.accuse(1, by: 2)
    return bench
  }

  @Test func aSuspectWhosePingLeavesNoRoomIsToldByAPingOfItsOwn() {
    var bench = suspectBench()
    let effects = emptyPing(&bench, from: 1)
    guard case .ack(let ack)? = sent(effects).first?.message.body else { return #expect(Bool(false)) }
    #expect(ack.rumours.isEmpty)
    let told = pings(effects)
    #expect(told.count == 1 && told[0].to == address(1))
    #expect(told.first?.ping.rumours.contains { $0.kind == .accusation } == true)
    // An unsuspected member is told nothing.
    #expect(pings(emptyPing(&bench, from: 3)).isEmpty)
  }

  @Test func aSuspectThatPingsWithoutEndIsNotToldWithoutEnd() {
    var bench = suspectBench()
    var told = 0
    let start = bench.now
    while bench.now < start + .milliseconds(2_500) {
      told += pings(emptyPing(&bench, from: 1)).count
      bench.now = bench.now + .milliseconds(10)
      if let wake = bench.machine.nextWake, wake <= bench.now { _ = bench.feed(.tick) }
    }
    #expect(told == 1)
    #expect(bench.counted("toldMore") == 1)
  }

  /// Whoever likes can make members that are where it says and bring what calls for a ping.
  @Test func whoIsToldMoreIsThereForSureAndUsesUpNothing() {
    let count = 200
    var bench = Bench(0, settings: .quiet)
    bench.others = (1...count).map { StandIn.identity($0) }
    func place(_ number: Int) -> PeerAddress { PeerAddress(ip: [127, 0, 1, UInt8(number)], port: 7447)! }
    for number in 1...count { _ = bench.introduce(number, addresses: [place(number)], isVerified: false) }
    bench.now = bench.now + .seconds(2)
    let old = bench.machine.ownRecord.sequence
    var effects: [MembershipEffect] = []
    bench.machine.renewOwnRecord(bench.now, &bench.identity, &effects)
    /// What each is told that says that this node did not answer, long ago.
    func told() -> [(ping: Ping, to: PeerAddress)] {
      bench.now = bench.now + .seconds(2)
      return (1...count).flatMap { number in
        let word = bench.seal(number, .accusation(Accusation(accused: bench.identity.id, incarnation: old)))
        let ack = Ack(
          receiver: bench.identity.id, number: 1, height: 0, observed: address(0), rumours: [word.value.envelope])
        return pings(bench.feed(.datagram(bench.seal(number, .ack(ack)), rumours: [word], from: place(number))))
      }
    }
    #expect(told().isEmpty)
    // It was elsewhere when it answered.
    for other in bench.others { _ = bench.machine.entries.modify(other.id) { $0.verified = address(1) } }
    #expect(told().isEmpty)
    for number in 1...count {
      _ = bench.machine.entries.modify(bench.others[number - 1].id) { $0.verified = place(number) }
    }
    let all = told()
    #expect(all.count == MembershipMachine.maximumProbes / 2 && all[0].to == place(1))
    #expect(all.allSatisfy { $0.ping.rumours == [bench.machine.ownRecord.value.envelope] })
  }

  @Test func whoBringsAnAccusationHearsTheRefutation() {
    var bench = suspectBench()
    let outdated = bench.machine.ownRecord.sequence
    bench.now = bench.now + .seconds(2)
    var effects: [MembershipEffect] = []
    bench.machine.renewOwnRecord(bench.now, &bench.identity, &effects)
    let word = bench.seal(3, .accusation(Accusation(accused: bench.identity.id, incarnation: outdated)))
    bench.now = bench.now + .milliseconds(1)
    let ping = Ping(
      receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0), rumours: [word.value.envelope])
    let told = pings(bench.datagram(3, .ping(ping), rumours: [word]))
    #expect(told.count == 1 && told[0].to == address(3))
    #expect(told.first?.ping.rumours.contains(bench.machine.ownRecord.value.envelope) == true)
    // Over a link the same.
    bench.now = bench.now + .seconds(2)
    let peer = bench.others[2].id
    _ = bench.feed(.linkUp(peer, address(3), isOutbound: true))
    let answers = exchanges(bench.feed(.members([word], from: peer)))
    #expect(answers.map(\.words) == [[bench.machine.ownRecord.value.envelope]] && answers[0].to == peer)
    #expect(exchanges(bench.feed(.members([word], from: peer))).isEmpty)
  }

  @Test func aLinkWithWhoIsDownTellsItWhy() {
    var bench = Bench(3)
    _ = bench.accuse(1, by: 2)
    _ = bench.accuse(1, by: 3)
    _ = bench.run(until: bench.now + .seconds(120))
    #expect(bench.state(1) == .down)
    // Who accused it has gone.
    for number in 2...3 { _ = bench.feed(.members([bench.seal(number, .leave)], from: bench.others[number - 1].id)) }
    let peer = bench.others[0].id
    let told = exchanges(bench.feed(.linkUp(peer, address(1), isOutbound: false))).flatMap(\.words)
    let accused = told.contains { $0.kind == .accusation }
    #expect(accused)
    // And again each time that it is tried.
    let later = exchanges(bench.run(until: bench.now + .seconds(120))).filter { $0.to == peer }.flatMap(\.words)
    let accusedAgain = later.contains { $0.kind == .accusation }
    #expect(accusedAgain)
    // The refutation ends it; an equal record would not.
    let known = bench.machine.entries[peer]!.record
    _ = bench.feed(.members([known], from: peer))
    #expect(bench.state(1) == .down)
    _ = bench.introduce(1)
    #expect(bench.state(1) == .alive)
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>) func aSplitHealsThoughAllAccusersAreGone(seed: UInt64) {
    var network = VirtualNetwork(5, seed: seed)
    network.joinAll()
    network.run(for: .seconds(20))
    for number in 3...4 { network.side[number] = 1 }
    for one in 0..<3 { for other in 3...4 { network.unlink(one, other) } }
    network.run(for: .seconds(300))
    #expect(network.state(of: 4, at: 0) == .down && network.state(of: 0, at: 4) == .down)
    for number in 1...3 { network.kill(number) }
    network.run(for: .seconds(100))
    network.side[4] = 0
    network.run(for: .seconds(75))
    #expect(network.state(of: 4, at: 0) == .alive && network.state(of: 0, at: 4) == .alive)
  }

  @Test func whoNeverAnsweredIsForgottenAndWhoDidIsTriedForEver() {
    var bench = Bench(2)
    bench.others.append(StandIn.identity(9))
    var ghost = record(9)
    ghost.expiresUnixSeconds = lasting
    _ = bench.feed(.members([bench.seal(3, .nodeRecord(ghost))], from: bench.others[0].id))
    _ = bench.run(until: bench.now + .seconds(200))
    #expect(bench.state(1) == .down && bench.state(3) == .down)
    _ = bench.run(until: bench.now + .seconds(900))
    #expect(bench.state(3) == nil && bench.counted("memberForgotten") == 1)
    let tried = pings(bench.run(until: bench.now + .seconds(48 * 3_600))).contains { $0.to == address(1) }
    #expect(tried && bench.state(1) == .down)
  }

  @Test func whoIsTriedAgainHearsWhoAsks() {
    var bench = Bench(3)
    let peer = bench.others[0].id
    // It knew this node; since then it may have begun anew.
    let own = bench.machine.ownRecord
    _ = bench.machine.entries.modify(peer) { $0.knowsOwn = own.sequence }
    _ = bench.accuse(1, by: 2)
    _ = bench.accuse(1, by: 3)
    _ = bench.run(until: bench.now + .seconds(120))
    #expect(bench.state(1) == .down)
    let tries = pings(bench.run(until: bench.now + .seconds(120))).filter { $0.to == address(1) }
    #expect(tries.count > 5)
    #expect(tries.allSatisfy { $0.ping.rumours.contains { $0.kind == .nodeRecord && $0.author == own.author } })
    #expect(tries.allSatisfy { $0.ping.rumours.contains { $0.kind == .accusation } })
  }

  @Test func newsGoesOverAFewLinksAtOnceAndNotBackToItsSource() {
    var bench = Bench(20)
    for number in 1...20 { _ = bench.feed(.linkUp(bench.others[number - 1].id, address(number), isOutbound: true)) }
    bench.now = bench.now + .seconds(2)
    var own = record(1)
    own.expiresUnixSeconds = lasting
    let first = bench.seal(1, .nodeRecord(own))
    let told = exchanges(bench.feed(.members([first], from: bench.others[1].id)))
    #expect(told.count == MembershipSettings.lan.degree)
    #expect(told.allSatisfy { $0.words == [first.value.envelope] })
    let recipients = OrderedSet(told.map(\.to))
    #expect(!recipients.contains(bench.others[0].id) && !recipients.contains(bench.others[1].id))
    // It is no news any more, nor is what comes in a table, nor the next one within a second.
    #expect(exchanges(bench.feed(.members([first], from: bench.others[2].id))).isEmpty)
    bench.now = bench.now + .milliseconds(1)
    #expect(exchanges(bench.introduce(1)).isEmpty && bench.counted("newsWithheld") == 1)
    bench.now = bench.now + .seconds(2)
    let table = (2...3).map { number in bench.seal(number, .nodeRecord(own)) }
    #expect(
      exchanges(bench.feed(.members(table, from: bench.others[4].id))).allSatisfy {
        $0.words != table.map(\.value.envelope)
      })
  }

  @Test func accusationsOfOneThatAccusesEverybodyStayRumours() {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    var bench = Bench(40, settings: settings)
    for number in 1...10 { _ = bench.feed(.linkUp(bench.others[number - 1].id, address(number), isOutbound: true)) }
    var passedOn = 0
    for accused in 2...40 {
      passedOn += exchanges(bench.accuse(accused, by: 1)).isEmpty ? 0 : 1
    }
    #expect(passedOn == MembershipMachine.maximumAccusationsPassedOn)
    #expect(bench.counted("newsWithheld") == 19)
  }
}
