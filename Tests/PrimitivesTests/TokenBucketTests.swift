import Primitives
import Testing

@Suite struct TokenBucketTests {
  private func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

  @Test func itGivesItsBurstThenItsRate() {
    let allowance = TokenBucket.Allowance(ratePerSecond: 10, burst: 3)
    var bucket = TokenBucket(allowance, now: .zero)
    func taken(_ now: Instant) -> Int { (0..<10).count { _ in bucket.take(allowance, now: now) } }
    #expect(taken(.zero) == 3)
    #expect(taken(at(99)) == 0)
    #expect(taken(at(100)) == 1)
    // A long pause, or a clock that goes back, gives no more than the burst.
    #expect(taken(.distantFuture) == 3)
    #expect(taken(.zero) == 0)
    #expect(taken(at(1_000)) == 3)
    #expect(bucket.isFull(allowance, now: at(1_000)) == false)
    #expect(bucket.isFull(allowance, now: at(2_000)) == true)
  }
}
