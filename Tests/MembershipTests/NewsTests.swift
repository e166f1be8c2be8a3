import Primitives
import Testing
import Wire

@testable import Membership

/// Records cost their maker nothing: a network must not carry them as fast as they are made.
@Suite struct NewsTests {
  private func made(_ number: Int, _ now: Instant, sequenceFloor: UInt64 = 0) -> Verified<Message> {
    var identity = StandIn.identity(3_000 + number, floor: sequenceFloor)
    var body = record(0, addresses: [address(number % 60)])
    body.expiresUnixSeconds = lasting
    return identity.seal(.nodeRecord(body), now: now)
  }

  private func bench() -> Bench {
    var bench = Bench(20, settings: .quiet)
    bench.now = bench.now + .seconds(10)
    for number in 1...20 { _ = bench.feed(.linkUp(bench.others[number - 1].id, address(number), isOutbound: true)) }
    return bench
  }

  @Test func newRecordsArePassedOnAtABoundedPace() {
    var bench = bench()
    func passed(_ numbers: Range<Int>, from source: Int) -> Int {
      numbers.count { number in
        let word = made(number, bench.now)
        return exchanges(bench.feed(.members([word], from: bench.others[source - 1].id))).contains {
          $0.words == [word.envelope]
        }
      }
    }
    #expect(passed(0..<150, from: 1) == 100)
    // Another link has an allowance of its own, up to what there is in all.
    #expect(passed(200..<350, from: 2) == 100)
    #expect(passed(400..<450, from: 3) == 0)
    bench.now = bench.now + .seconds(1)
    #expect(passed(500..<600, from: 1) == 25)
    #expect(bench.counted("newsWithheld") == 50 + 50 + 50 + 75)
  }

  @Test func whoWasNeverHeardSignsAnewInVain() {
    var bench = bench()
    let first = made(1, bench.now)
    let source = bench.others[0].id
    func passes(_ word: Verified<Message>) -> Bool {
      exchanges(bench.feed(.members([word], from: source))).contains { $0.words == [word.envelope] }
    }
    #expect(passes(first))
    bench.now = bench.now + .seconds(2)
    let second = made(1, bench.now)
    #expect(!passes(second))
    #expect(bench.machine.member(second.author)?.incarnation == second.sequence)
    // When it is accused it must be heard.
    let word = Accusation(accused: second.author, incarnation: second.sequence)
    _ = bench.feed(.members([bench.seal(3, .accusation(word))], from: bench.others[2].id))
    bench.now = bench.now + .seconds(2)
    let third = made(1, bench.now)
    #expect(passes(third))
  }

  @Test func recordsOfOthersLeaveRoomForTheRest() {
    var queue = RumourQueue()
    let own = made(0, .zero).envelope
    let ids = (0..<2_000).map { StandIn.identity($0).id }
    for number in 0..<256 {
      _ = queue.add(own, subject: .init(about: ids[number], by: ids[number + 1]), isRecordOfOther: false)
    }
    for id in ids { _ = queue.add(own, subject: .init(about: id, by: id), isRecordOfOther: true) }
    #expect(queue.count == RumourQueue.capacity)
    // A record told gives way before one untold.
    _ = queue.take(count: 8, bytes: 960, receiver: ids[0], limit: 4)
    for number in 0..<256 { queue.remove(.init(about: ids[number], by: ids[number + 1])) }
    #expect(queue.count == RumourQueue.recordCapacity)
  }
}
