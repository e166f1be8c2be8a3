import Primitives
import Testing
import Wire

@testable import Transport

@Suite struct LimiterTests {
  private let second = Microseconds.seconds(1)

  @Test func aBucketGivesItsBurstThenItsRate() {
    let allowance = TokenBucket.Allowance(ratePerSecond: 10, burst: 3)
    var now = Instant.zero
    var bucket = TokenBucket(allowance, now: now)
    #expect((0..<10).filter { _ in bucket.take(allowance, now: now) }.count == 3)
    now = now + .milliseconds(99)
    #expect(bucket.take(allowance, now: now) == false)
    now = now + .milliseconds(1)
    #expect(bucket.take(allowance, now: now) == true)
    #expect(bucket.take(allowance, now: now) == false)
    // A long pause, or a clock that goes back, gives no more than the burst.
    now = .distantFuture
    #expect((0..<10).filter { _ in bucket.take(allowance, now: now) }.count == 3)
    #expect(bucket.take(allowance, now: .zero) == false)
  }

  private func address(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

  @Test func prefixesAreLimitedApart() {
    var limiter = PrefixLimiter(.init(ratePerSecond: 0, burst: 2), now: .zero)
    #expect(limiter.take(address("10.0.0.1:1"), now: .zero) == true)
    #expect(limiter.take(address("10.0.0.2:1"), now: .zero) == true)
    #expect(limiter.take(address("10.0.0.3:1"), now: .zero) == false)
    #expect(limiter.take(address("10.0.1.1:1"), now: .zero) == true)
    #expect(limiter.take(address("[2001:db8::1]:1"), now: .zero) == true)
    #expect(limiter.take(address("[2001:db8:0:1::1]:1"), now: .zero) == true)
    #expect(limiter.take(address("[2001:db8::2]:1"), now: .zero) == false)
    #expect(limiter.take(address("[2001:db8:0:100::1]:1"), now: .zero) == true)
  }

  @Test func aFullTableSharesOneBucketAndForgetsFullOnes() {
    var limiter = PrefixLimiter(.init(ratePerSecond: 1, burst: 1), now: .zero)
    func stranger(_ number: Int) -> PeerAddress {
      PeerAddress(ip: [11, UInt8(number >> 8), UInt8(number & 255), 1], port: 1)!
    }
    for number in 0..<PrefixLimiter.maximumPrefixes { #expect(limiter.take(stranger(number), now: .zero) == true) }
    let passed = (0..<100).filter { limiter.take(stranger(PrefixLimiter.maximumPrefixes + $0), now: .zero) }
    #expect(passed.count == 1)
    let later = Instant.zero + second * 2
    #expect(limiter.take(stranger(5_000), now: later) == true)
    #expect(limiter.take(stranger(5_001), now: later) == true)
  }

  @Test func strangersDoNotSilenceKnownSources() {
    var limiter = SourceLimiter(
      known: .init(ratePerSecond: 0, burst: 5), prefix: .init(ratePerSecond: 0, burst: 3),
      unknown: .init(ratePerSecond: 0, burst: 4), now: .zero)
    let known = address("10.0.0.9:1")
    #expect(limiter.learn(known, now: .zero) == true)
    #expect((0..<50).filter { _ in limiter.admit(address("10.0.0.1:1"), now: .zero) }.count == 3)
    // One prefix took its three; all others together have one left.
    #expect((0..<50).filter { limiter.admit(address("10.1.\($0).1:1"), now: .zero) }.count == 1)
    #expect((0..<50).filter { _ in limiter.admit(known, now: .zero) }.count == 5)
    limiter.forget(known)
    #expect(limiter.admit(known, now: .zero) == false)
    #expect(limiter.learn(known, now: .zero) == true)
    limiter.empty(known, now: .zero)
    #expect(limiter.admit(known, now: .zero) == false)
  }
}
