import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: "\(text):7447")! }

/// Identities that cost nothing must not be most of those that are asked, nor take the turns of those that are there.
@Suite struct HelperTests {
  private func bench(_ claims: [PeerAddress], verified: Range<Int>) -> Bench {
    var bench = Bench(0, settings: .quiet)
    _ = bench.feed(.interfaces([place("203.0.113.5")]))
    bench.others = claims.indices.map { StandIn.identity($0 + 1) }
    for (index, claim) in claims.enumerated() {
      _ = bench.introduce(index + 1, addresses: [claim], isVerified: verified.contains(index))
    }
    return bench
  }

  /// Probes the first member in vain, and returns who was asked to help.
  private func helpers(_ bench: inout Bench) -> [NodeID] {
    bench.now = bench.now + .milliseconds(1)
    // The probe before is over.
    _ = bench.machine.entries.modify(bench.others[0].id) { $0.probe = nil }
    bench.machine.probes.removeAll()
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(bench.others[0].id, .verdict, bench.now, &bench.identity, &effects)
    guard let number = bench.machine.probes.first?.key else { return [] }
    bench.machine.probeTimedOut(number, bench.now, &bench.identity, &effects)
    return sent(effects).compactMap { (message, _) in
      if case .pingRequest(let request) = message.body { request.receiver } else { nil }
    }
  }

  @Test(arguments: [64, 400]) func manyInOnePlaceAreAskedNoMoreThanOneElsewhere(fakes: Int) {
    let honest = (0...10).map { place("198.51.\($0).1") }
    let claims = honest + (0..<fakes).map { place("192.0.2.\($0 % 250 + 1)") }
    var bench = bench(claims, verified: claims.indices)
    let isHonest = OrderedSet(bench.others[1...10].map(\.id))
    var withoutFakes = 0
    for _ in 0..<100 {
      let asked = helpers(&bench)
      #expect(asked.count == 3)
      let fakes = asked.count { !isHonest.contains($0) }
      #expect(fakes <= 1)
      if fakes == 0 { withoutFakes += 1 }
    }
    // Eight of eleven: one of the eleven places is theirs.
    #expect((55...90).contains(withoutFakes), "\(withoutFakes)")
  }

  @Test func whoIsNowhereForSureIsAskedOnlyWhenAllAre() {
    let claims = (0..<40).map { place("198.51.\($0).1") }
    var some = bench(claims, verified: 0..<3)
    let sure = OrderedSet(some.others[1...2].map(\.id)).members
    for _ in 0..<20 {
      let asked = helpers(&some)
      #expect(asked.sorted() == sure)
    }
    var none = bench(claims, verified: 0..<1)
    #expect(helpers(&none).count == 3)
  }

  @Test func hostsOfOneRackAndOfALabHelpEachOther() {
    for claims in [(1...12).map { place("198.51.100.\($0)") }, (1...200).map { place("198.51.100.\($0)") }] {
      var rack = bench(claims, verified: claims.indices)
      #expect(helpers(&rack).count == 3)
    }
    let claims = (1...12).map { place("10.0.0.\($0)") }
    var lab = bench(claims, verified: claims.indices)
    var asked = OrderedSet<NodeID>()
    for _ in 0..<50 { for helper in helpers(&lab) { asked.insert(helper) } }
    #expect(asked.count == 11)
  }

  private func fail(_ number: Int, _ bench: inout Bench) {
    bench.machine.healthScore = 0
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(bench.others[number - 1].id, .verdict, bench.now, &bench.identity, &effects)
    guard let probe = bench.machine.entries[bench.others[number - 1].id]?.probe else { return }
    // Directly, and through others.
    for _ in 0...1 { bench.machine.probeTimedOut(probe, bench.now, &bench.identity, &effects) }
  }

  @Test func theSilenceOfWhoWasNeverHeardIsNoFaultOfThisNode() throws {
    var bench = bench((0..<5).map { place("198.51.\($0).1") }, verified: 0..<5)
    _ = bench.ping(2)
    fail(1, &bench)
    #expect(bench.machine.healthScore == 3)
    _ = bench.machine.entries.modify(bench.others[3].id) { $0.isUnseen = true }
    bench.now = bench.now + .seconds(1)
    _ = bench.ping(2)
    fail(4, &bench)
    #expect(bench.machine.healthScore == 0 && bench.counted("probeFailed") == 2)
    // Who hears nobody at all is deaf, whomever it probes.
    _ = bench.machine.entries.modify(bench.others[4].id) { $0.isUnseen = true }
    bench.now = bench.now + .seconds(6_000_000)
    fail(5, &bench)
    #expect(bench.machine.healthScore > 0)
  }

  @Test func whoWasNeverHeardHasEverySecondTurnAtMost() {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    var bench = Bench(0, settings: settings)
    bench.others = (1...63).map { StandIn.identity($0) }
    for number in 1...63 { _ = bench.introduce(number) }
    for number in 4...63 {
      _ = bench.machine.entries.modify(bench.others[number - 1].id) {
        $0.isUnseen = true
        $0.verified = nil
      }
    }
    var turns = [0, 0]
    let end = bench.now + .seconds(120)
    while let wake = bench.machine.nextWake, wake <= end {
      bench.now = max(bench.now, wake)
      for (message, to) in sent(bench.feed(.tick)) {
        guard case .ping(let ping) = message.body, let number = (1...63).first(where: { address($0) == to }) else {
          continue
        }
        let isErrand = bench.machine.probes[ping.number].map { if case .errand = $0.purpose { true } else { false } }
        guard isErrand == false else { continue }
        turns[number <= 3 ? 0 : 1] += 1
        guard number <= 3 else { continue }
        let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
        _ = bench.feed(.datagram(bench.seal(number, .ack(ack)), rumours: [], from: to))
      }
    }
    #expect(turns[0] + turns[1] > 100 && turns[1] > 30, "\(turns)")
    #expect(turns[1] <= turns[0] + 1, "\(turns)")
    #expect(bench.machine.healthScore <= 1)
  }
}
