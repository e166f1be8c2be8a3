import Primitives
import Testing

@Suite struct AllowancesTests {
  private func at(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }

  @Test func eachHasSoManyAtOnceAndThenOneInEachInterval() {
    var allowances = Allowances<Int>(atOnce: 3, interval: .seconds(5), maximumAskers: 10)
    func taken(by asker: Int, _ now: Instant) -> Int {
      (0..<10).count { _ in allowances.take(by: asker, now: now) > 0 }
    }
    #expect(taken(by: 1, at(0)) == 3)
    #expect(taken(by: 1, at(4)) == 0)
    #expect(taken(by: 1, at(5)) == 1)
    #expect(taken(by: 2, at(5)) == 3)
    // A clock that goes back gives nothing, and a long pause no more than at first.
    #expect(taken(by: 1, at(0)) == 0)
    #expect(taken(by: 1, at(1_000)) == 3)
  }

  @Test func whatIsFreeIsTakenOfWhatIsWanted() {
    var allowances = Allowances<Int>(perMinute: 4, maximumAskers: 10)
    #expect(allowances.take(3, by: 1, now: .zero) == 3)
    #expect(allowances.take(3, by: 1, now: .zero) == 1)
    #expect(allowances.take(3, by: 1, now: .zero) == 0)
    #expect(allowances.take(9, by: 2, more: 2, now: .zero) == 6)
    #expect(allowances.take(9, by: 1, now: at(30)) == 2)
    #expect(allowances.take(9, by: 1, now: at(120)) == 4)
  }

  @Test func theAskerThatCameFirstIsForgottenFirst() {
    var allowances = Allowances<Int>(atOnce: 2, interval: .seconds(5), maximumAskers: 2)
    for asker in [1, 2, 1] { #expect(allowances.take(by: asker, now: .zero) == 1) }
    #expect(allowances.take(by: 1, now: .zero) == 0)
    // One that gets nothing takes no place.
    #expect(allowances.take(0, by: 3, now: .zero) == 0)
    #expect(allowances.take(by: 1, now: .zero) == 0)
    #expect(allowances.take(by: 3, now: .zero) == 1)
    #expect(allowances.take(2, by: 1, now: .zero) == 2)
    #expect(allowances.count == 2 && allowances.maximumAskers == 2)
  }
}
