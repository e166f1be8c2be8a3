import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// IPv4 here, IPv6 there.
@Suite struct FamilyTests {
  private let six = place("[2001:db8:1::1]:7447")
  private let four = place("198.51.1.1:7447")

  private func bench(_ addresses: [[PeerAddress]], interval: Microseconds = .seconds(1_000_000)) -> Bench {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    settings.probeInterval = interval
    var bench = Bench(0, settings: settings)
    bench.others = addresses.indices.map { StandIn.identity($0 + 1) }
    _ = bench.feed(.interfaces([place("127.0.0.1:7447"), place("[::1]:7447"), place("203.0.113.5:7447")]))
    for (index, own) in addresses.enumerated() { _ = bench.introduce(index + 1, addresses: own) }
    return bench
  }

  private func verdict(_ number: Int, _ bench: inout Bench) -> [(message: Message, to: PeerAddress)] {
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(bench.others[number - 1].id, .verdict, bench.now, &bench.identity, &effects)
    return sent(effects)
  }

  @Test func whatIsOfAFamilyThatIsNotThereIsNotWrittenTo() {
    var bench = bench([[six, four], [six]])
    #expect(bench.machine.mayBeSentTo(four) && !bench.machine.mayBeSentTo(six))
    #expect(bench.machine.member(bench.others[0].id)?.address == four)
    #expect(bench.machine.entries[bench.others[1].id]?.address == nil)
    // It comes up.
    let told = sent(bench.feed(.interfaces([place("203.0.113.5:7447"), place("[2001:db8::5]:7447")])))
    #expect(bench.machine.mayBeSentTo(six) && told.contains { $0.to == six })
    // And goes: what was written to is not any more.
    _ = bench.run(until: bench.now + .seconds(20))
    _ = bench.introduce(2, addresses: [six])
    _ = bench.feed(.interfaces([place("203.0.113.5:7447")]))
    #expect(verdict(2, &bench).allSatisfy { $0.to.isIPv4 })
  }

  /// Who can't reach it asks those that can; silence then counts as ever.
  @Test func whoIsOfTheOtherFamilyIsProbedThroughOthers() throws {
    var bench = bench([[six], [four], [place("198.51.2.1:7447"), place("[2001:db8:2::1]:7447")]])
    let hidden = bench.others[0].id
    let asked = verdict(1, &bench)
    #expect(asked.map(\.to) == [place("198.51.2.1:7447")])
    guard case .pingRequest(let request)? = asked.first?.message.body else { return #expect(Bool(false)) }
    #expect(request.target == hidden)
    let ack = Ack(receiver: bench.identity.id, number: request.number, height: 0, observed: address(0), rumours: [])
    bench.now = bench.now + .milliseconds(5)
    _ = bench.feed(.datagram(bench.seal(3, .ack(ack)), rumours: [], from: place("198.51.2.1:7447")))
    _ = bench.run(until: bench.now + .seconds(10))
    #expect(bench.state(1) == .alive && bench.counted("probeFailed") == 0)
    var silent = self.bench([[six], [place("[2001:db8:2::1]:7447"), place("198.51.2.1:7447")]], interval: .seconds(1))
    _ = silent.run(until: silent.now + .seconds(4))
    #expect(silent.machine.member(hidden)?.accusations.map(\.accuser) == [silent.identity.id])
    // With nobody to ask, silence says nothing.
    var alone = self.bench([[six], [four]])
    #expect(verdict(1, &alone).isEmpty && alone.counted("noUsableAddress") == 1)
  }

  @Test func anAnswerByAHelperTurnsToTheNextAddress() throws {
    let other = place("198.51.9.1:7447")
    var bench = bench([[four, other], [place("198.51.2.1:7447")]])
    #expect(verdict(1, &bench).map(\.to) == [four])
    let asked = sent(bench.run(until: bench.now + .milliseconds(600)))
    guard case .pingRequest(let request)? = asked.first?.message.body else { return #expect(Bool(false)) }
    let ack = Ack(receiver: bench.identity.id, number: request.number, height: 0, observed: address(0), rumours: [])
    _ = bench.feed(.datagram(bench.seal(2, .ack(ack)), rumours: [], from: place("198.51.2.1:7447")))
    #expect(verdict(1, &bench).map(\.to) == [other])
  }
}
