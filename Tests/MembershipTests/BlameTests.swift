import Primitives
import Testing
import Wire

@testable import Membership

/// Who refutes shows that it signs, not that it answers: an accuser is blamed only by who has heard the accused itself.
@Suite struct BlameTests {
  /// Members 1 to 3, and 4, of whom 1 has told.
  private func bench() -> Bench {
    var bench = Bench(3, settings: .quiet)
    bench.others.append(StandIn.identity(4))
    _ = refute(&bench, toldBy: 1)
    return bench
  }

  /// Member 4 signs a record, and another tells it.
  private func refute(_ bench: inout Bench, toldBy number: Int) -> [MembershipEffect] {
    bench.now = bench.now + .seconds(2)
    return bench.feed(.members([renewed(&bench)], from: bench.others[number - 1].id))
  }

  private func renewed(_ bench: inout Bench) -> Verified<Message> {
    var body = record(4)
    body.expiresUnixSeconds = lasting
    return bench.seal(4, .nodeRecord(body))
  }

  /// Member 4 answers the last ping of it, and says this.
  private func answer(
    _ bench: inout Bench, _ pings: [MembershipEffect], words: [Verified<Message>]
  ) -> [MembershipEffect] {
    let numbers = sent(pings).compactMap { sent -> UInt64? in
      if case .ping(let ping) = sent.message.body, sent.to == address(4) { ping.number } else { nil }
    }
    let ack = Ack(
      receiver: bench.identity.id, number: numbers.last ?? 0, height: 0, observed: address(0),
      rumours: words.map(\.value.envelope))
    return bench.datagram(4, .ack(ack), rumours: words)
  }

  private func blamed(_ effects: [MembershipEffect]) -> [NodeID] {
    effects.flatMap { if case .blamed(let accusers) = $0 { accusers } else { [NodeID]() } }
  }

  private func hasRefuted(_ effects: [MembershipEffect]) -> Bool {
    effects.contains { if case .refuted = $0 { true } else { false } }
  }

  @Test func whoAnswersNobodyMakesNoLiars() {
    var bench = bench()
    for _ in 0..<20 {
      _ = bench.accuse(4, by: 2)
      _ = bench.accuse(4, by: 3)
      #expect(bench.state(4) == .suspect)
      let effects = refute(&bench, toldBy: 1)
      #expect(hasRefuted(effects) && blamed(effects).isEmpty && bench.state(4) == .alive)
    }
    #expect(bench.machine.isHeeded(bench.others[1].id) && bench.machine.isHeeded(bench.others[2].id))
  }

  /// Nor does who answered before it was accused.
  @Test func whoAnsweredOnceMakesNoLiars() {
    var bench = bench()
    let ping = bench.feed(.ping(bench.others[3].id, request: 1))
    _ = answer(&bench, ping, words: [])
    #expect(bench.machine.entries[bench.others[3].id]?.lastSeen == bench.now)
    bench.now = bench.now + .seconds(1)
    _ = bench.accuse(4, by: 2)
    #expect(blamed(refute(&bench, toldBy: 1)).isEmpty)
  }

  @Test func whoIsHeardMeanwhileIsBelieved() {
    var bench = bench()
    let accuser = bench.others[1].id
    // The answer that shows that it is there refutes, too.
    _ = bench.accuse(4, by: 2)
    let ping = bench.feed(.ping(bench.others[3].id, request: 1))
    bench.now = bench.now + .milliseconds(10)
    let word = renewed(&bench)
    #expect(blamed(answer(&bench, ping, words: [word])) == [accuser])
    // By now it is linked, and tells it itself; or another is the first to tell.
    _ = bench.feed(.linkUp(bench.others[3].id, address(4), isOutbound: true))
    bench.now = bench.now + .seconds(1)
    _ = bench.accuse(4, by: 2)
    #expect(blamed(refute(&bench, toldBy: 4)) == [accuser])
    bench.now = bench.now + .seconds(1)
    _ = bench.accuse(4, by: 2)
    _ = bench.feed(.members([], from: bench.others[3].id))
    #expect(blamed(refute(&bench, toldBy: 1)) == [accuser])
    #expect(bench.machine.entries[accuser]?.refuted == 3)
  }

  /// Whom this node could not reach either, others have not accused falsely.
  @Test func whoWasSilentHereMakesNoLiarsEither() {
    var bench = bench()
    let accused = bench.others[3].id
    _ = bench.feed(.linkUp(accused, address(4), isOutbound: true))
    var effects: [MembershipEffect] = []
    bench.machine.accuse(accused, bench.now, &bench.identity, &effects)
    _ = bench.accuse(4, by: 2)
    #expect(blamed(refute(&bench, toldBy: 4)).isEmpty)
    // Not for a while, though it is heard.
    _ = bench.accuse(4, by: 2)
    #expect(blamed(refute(&bench, toldBy: 4)).isEmpty)
    bench.now = bench.now + MembershipMachine.silenceMemory
    _ = bench.accuse(4, by: 2)
    #expect(blamed(refute(&bench, toldBy: 4)) == [bench.others[1].id])
  }

  @Test func whoAccusesThisNodeIsBlamed() {
    var bench = bench()
    bench.now = bench.now + .seconds(2)
    let word = Accusation(accused: bench.identity.id, incarnation: bench.machine.ownRecord.sequence)
    let effects = bench.feed(.members([bench.seal(2, .accusation(word))], from: bench.others[1].id))
    #expect(blamed(effects) == [bench.others[1].id])
  }
}
