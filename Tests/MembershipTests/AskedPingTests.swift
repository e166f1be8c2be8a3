import Primitives
import Testing
import Wire

@testable import Membership

@Suite struct AskedPingTests {
  private func outcomes(_ effects: [MembershipEffect]) -> [UInt64: PingOutcome] {
    var found: [UInt64: PingOutcome] = [:]
    for case .pinged(let request, let outcome) in effects {
      #expect(found.updateValue(outcome, forKey: request) == nil)
    }
    return found
  }

  private func pings(_ effects: [MembershipEffect], to id: NodeID) -> [(ping: Ping, to: PeerAddress)] {
    sent(effects).compactMap {
      if case .ping(let ping) = $0.message.body, ping.receiver == id { (ping, $0.to) } else { nil }
    }
  }

  private func ack(_ bench: inout Bench, _ number: Int, _ ping: Ping) -> [MembershipEffect] {
    bench.datagram(
      number,
      .ack(Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])))
  }

  @Test func anAnswerHasItsTimeAndItsSource() throws {
    var bench = Bench(2)
    let target = bench.others[0].id
    let asked = bench.feed(.ping(target, request: 7))
    let ping = try #require(pings(asked, to: target).first)
    #expect(outcomes(asked).isEmpty && ping.to == address(1) && ping.ping.observed == address(1))
    bench.now = bench.now + .milliseconds(12)
    let answered = outcomes(ack(&bench, 1, ping.ping))
    #expect(answered == [7: .answered(roundTrip: .milliseconds(12), from: address(1))])
    // A second answer, and the end of the time, say nothing more.
    #expect(outcomes(ack(&bench, 1, ping.ping)).isEmpty)
    #expect(outcomes(bench.run(until: bench.now + .seconds(10))).isEmpty)
    #expect(bench.machine.member(target)?.rtt == .milliseconds(12))
  }

  @Test func theAnswerOfAnotherIsNone() throws {
    var bench = Bench(2)
    let target = bench.others[0].id
    let ping = try #require(pings(bench.feed(.ping(target, request: 7)), to: target).first)
    #expect(outcomes(ack(&bench, 2, ping.ping)).isEmpty)
    #expect(bench.counted("ackOfStranger") == 1)
  }

  /// Who does not answer a person's ping is accused by nobody for it, and this node does not think itself ill.
  @Test func silenceIsToldAndHeldAgainstNobody() {
    var settings = MembershipSettings.lan
    // Nobody is probed by the rounds meanwhile.
    settings.probeInterval = .seconds(3_600)
    var bench = Bench(2, settings: settings)
    bench.now = bench.now + .milliseconds(1)
    let asked = bench.feed(.ping(bench.others[0].id, request: 1))
    #expect(outcomes(asked).isEmpty)
    let end = bench.now + settings.maximumProbeTimeout * 2
    #expect(outcomes(bench.run(until: end - .milliseconds(1))).isEmpty)
    #expect(outcomes(bench.run(until: end)) == [1: .timedOut])
    #expect(bench.state(1) == .alive && bench.machine.healthScore == 0)
    #expect(bench.counted("probeFailed") == 0 && bench.machine.probes.isEmpty)
  }

  @Test func whatCannotBePingedIsSaidAtOnce() {
    var bench = Bench(2)
    #expect(outcomes(bench.feed(.ping(StandIn.identity(40).id, request: 1))) == [1: .notAMember])
    #expect(outcomes(bench.feed(.ping(bench.identity.id, request: 2))) == [2: .notAMember])
    bench.others.append(StandIn.identity(3))
    _ = bench.introduce(3, addresses: [])
    #expect(outcomes(bench.feed(.ping(bench.others[2].id, request: 3))) == [3: .noAddress])
  }

  @Test func theyLeaveRoomForTheProbesOfTheRounds() {
    var bench = Bench(2)
    let target = bench.others[0].id
    for request in 0..<UInt64(MembershipMachine.maximumAsked) {
      #expect(outcomes(bench.feed(.ping(target, request: request))).isEmpty)
    }
    #expect(outcomes(bench.feed(.ping(target, request: 900))) == [900: .busy])
    let ended = outcomes(bench.run(until: bench.now + .seconds(5)))
    #expect(ended.count == MembershipMachine.maximumAsked && ended.values.allSatisfy { $0 == .timedOut })
    #expect(outcomes(bench.feed(.ping(target, request: 901))).isEmpty)
  }

  /// A node that was held up forgives all silence; who asked has an answer all the same.
  @Test func aLateTickAnswersToo() {
    var bench = Bench(2)
    _ = bench.feed(.ping(bench.others[0].id, request: 5))
    bench.now = bench.now + .seconds(60)
    #expect(outcomes(bench.feed(.tick)) == [5: .timedOut])
    #expect(bench.counted("lateTick") == 1)
  }
}
