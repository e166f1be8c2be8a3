import Primitives
import Testing
import Wire

@testable import Membership

/// Sequences are microseconds of a clock, but after a restart they run ahead of it for minutes.
@Suite struct SequenceTests {
  /// Lets member 1 answer a probe, its answer under the next sequence.
  private func answer(_ bench: inout Bench) {
    let member = bench.others[0].id
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(member, .errand, bench.now, &bench.identity, &effects)
    bench.now = bench.now + .milliseconds(4)
    for (message, to) in sent(effects) {
      guard case .ping(let ping) = message.body else { continue }
      let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
      _ = bench.feed(.datagram(bench.seal(1, .ack(ack)), rumours: [], from: to))
    }
  }

  private func bench(ahead: Microseconds = .zero, floor: UInt64 = 0) -> Bench {
    var bench = Bench(0, settings: .quiet)
    bench.others = [StandIn.identity(1, floor: floor, ahead: ahead), StandIn.identity(2)]
    for number in 1...2 { _ = bench.introduce(number) }
    return bench
  }

  private func offset(_ bench: Bench) -> Microseconds? { bench.machine.member(bench.others[0].id)?.clockOffset }

  @Test func aClockIsTakenFromSequencesThatRunWithIt() throws {
    var honest = bench(ahead: .seconds(90))
    answer(&honest)
    // One answer says nothing yet, nor does one that follows at once.
    #expect(offset(honest) == nil)
    answer(&honest)
    #expect(offset(honest) == nil)
    honest.now = honest.now + .seconds(3)
    answer(&honest)
    let seconds = try #require(offset(honest)).count / 1_000_000
    #expect((89...90).contains(seconds))
    // It has restarted: its sequences begin ten minutes ahead, and stand still.
    var restarted = bench(floor: 1_700_000_600_000_000)
    for _ in 0..<5 {
      answer(&restarted)
      restarted.now = restarted.now + .seconds(3)
    }
    #expect(offset(restarted) == nil)
    restarted.now = restarted.now + .seconds(700)
    for _ in 0..<2 {
      answer(&restarted)
      restarted.now = restarted.now + .seconds(3)
    }
    #expect(try abs(#require(offset(restarted)).count) < 10_000)
  }

  /// A key from a backup, on a disk that does not know which sequences were used.
  @Test func whoseOwnRecordIsOldIsToldOfItsLatest() throws {
    var bench = bench(floor: 1_700_100_000_000_000)
    let peer = bench.others[0].id
    let known = try #require(bench.machine.entries[peer]?.record)
    _ = bench.feed(.linkUp(peer, address(1), isOutbound: false))
    var restored = StandIn.identity(1)
    var body = record(1)
    body.expiresUnixSeconds = 1_700_000_000 + 86_400
    let old = restored.seal(.nodeRecord(body), now: bench.now)
    let told = exchanges(bench.feed(.members([old], from: peer)))
    #expect(told.map(\.words) == [[known.envelope]] && told.first?.to == peer)
    // Not without end, and another who passes the old record on is not told of it.
    #expect(exchanges(bench.feed(.members([old], from: peer))).isEmpty)
    bench.now = bench.now + .seconds(2)
    #expect(exchanges(bench.feed(.members([old], from: bench.others[1].id))).isEmpty)
    #expect(exchanges(bench.feed(.members([old], from: peer))).count == 1)
    // When it is accused, what names the incarnation goes before the accusation.
    _ = bench.accuse(1, by: 2)
    let accused = exchanges(bench.feed(.linkUp(peer, address(1), isOutbound: false))).map(\.words)
    #expect(accused.last?.first == known.envelope && accused.last?.last?.kind == .accusation)
    // A farewell counts as well.
    let farewell = bench.seal(1, .leave)
    _ = bench.feed(.members([farewell], from: peer))
    bench.now = bench.now + .seconds(2)
    #expect(exchanges(bench.feed(.members([old], from: peer))).map(\.words) == [[farewell.envelope]])
  }

  /// The same without a link: it is told where it is told of the accusation, and so can refute it.
  @Test func whoseAccusedRecordIsForgottenRefutesItByDatagram() throws {
    var bench = bench(floor: 1_700_100_000_000_000)
    let (peer, known) = (bench.others[0].id, bench.machine.entries[bench.others[0].id]?.record)
    _ = bench.accuse(1, by: 2)
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(peer, .errand, bench.now, &bench.identity, &effects)
    let ping = try #require(sent(effects).first { $0.message.body.receiver == peer }?.message)
    guard case .ping(let body) = ping.body else { return }
    #expect(body.rumours.contains { $0 == known?.envelope })

    var identity = StandIn.identity(1)
    var restored = MembershipMachine(
      settings: .quiet, ownRecord: record(1), identity: &identity, now: bench.now, seed: 2)
    restored.step(.start, now: bench.now, identity: &identity, into: &effects)
    let said = bench.identity.seal(.ping(body), now: bench.now)
    let words = try body.rumours.map { try StandIn.verifier.verify($0) }
    restored.step(
      .datagram(said, rumours: words, from: address(0)), now: bench.now, identity: &identity, into: &effects)
    #expect(restored.ownRecord.sequence > (known?.sequence ?? .max))
  }

  @Test func anOwnFarewellFromBeforeIsOutbid() {
    var bench = Bench(1)
    bench.now = bench.now + .seconds(2)
    var before = StandIn.identity(0, floor: 1_700_100_000_000_000)
    let farewell = before.seal(.leave, now: bench.now)
    _ = bench.feed(.members([farewell], from: bench.others[0].id))
    #expect(bench.machine.ownRecord.sequence > farewell.sequence)
    #expect(bench.counted("ownKeyElsewhere") == 1)
  }
}
