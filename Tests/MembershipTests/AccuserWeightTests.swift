import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// Accusations that mean nothing must not stand in the way of those that do.
@Suite struct AccuserWeightTests {
  @Test func accusersWithoutWeightMakeRoomForOneThatHasSome() throws {
    var bench = Bench(0, settings: .quiet)
    bench.others = (1...13).map { StandIn.identity($0) }
    for number in 1...13 {
      let prefix = number <= 10 ? 113 : number
      _ = bench.introduce(number, addresses: [place("203.0.\(prefix).\(number):7447")])
    }
    let accused = bench.others[0].id
    for number in 2...10 { _ = bench.accuse(1, by: number) }
    #expect(bench.machine.member(accused)?.accusations.count == MemberEntry.maximumAccusers)
    #expect(bench.counted("accusationDropped") == 1)
    for number in 11...13 { _ = bench.accuse(1, by: number) }
    let entry = try #require(bench.machine.entries[accused])
    #expect(entry.accusations.count == MemberEntry.maximumAccusers)
    for number in 11...13 { #expect(entry.accusations.contains(bench.others[number - 1].id)) }
    #expect(bench.machine.standing(entry) == 4)
    // What is told of it is what counts.
    let told = bench.machine.weightiest(entry, count: 3).map(\.envelope.author)
    #expect(OrderedSet(told).members.count == 3)
    let prefixes = OrderedSet(told.compactMap { AddressPrefix(bench.machine.entries[$0]?.address) })
    #expect(prefixes.count == 3)
  }

  @Test func whoAccusesThisNodeHoldsItsHealthDownNoLonger() {
    var bench = Bench(4, settings: .quiet)
    func accuse(by number: Int) {
      let word = Accusation(accused: bench.identity.id, incarnation: bench.machine.ownRecord.sequence)
      _ = bench.feed(.members([bench.seal(number, .accusation(word))], from: bench.others[number - 1].id))
    }
    // Refuted at once; then, within the second, the same incarnation is accused by all.
    bench.now = bench.now + .seconds(2)
    accuse(by: 1)
    #expect(bench.machine.healthScore == 1)
    for _ in 0..<5 { for number in 1...4 { accuse(by: number) } }
    #expect(bench.machine.healthScore == 2)
    // Who accuses and is refuted again and again is believed no longer.
    for _ in 0..<40 {
      bench.now = bench.now + .seconds(2)
      _ = bench.feed(.tick)
      bench.machine.healthScore = 0
      accuse(by: 1)
    }
    #expect(bench.machine.healthScore == 0)
    // Nor is a stranger.
    bench.others.append(StandIn.identity(9))
    bench.now = bench.now + .seconds(2)
    accuse(by: 5)
    #expect(bench.machine.healthScore == 0)
  }
}
