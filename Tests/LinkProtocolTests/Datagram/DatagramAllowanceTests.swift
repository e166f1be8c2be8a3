import Primitives
import Testing
import Wire

@testable import LinkProtocol

/// Who may send how much, and that no table grows without bound.
@Suite struct DatagramAllowanceTests {
  private let now = at(1)

  private func limits(_ change: (inout DatagramLimits) -> Void) -> DatagramLimits {
    var limits = DatagramLimits()
    for path in [
      \.known, \.knownProven, \.prefix, \.unknown, \.proven, \.provenPrefix, \.provenUnknown, \.knownCookies,
      \.allKnownCookies, \.prefixCookies, \.cookies, \.beacons,
    ] as [WritableKeyPath<DatagramLimits, TokenBucket.Allowance>] {
      limits[keyPath: path] = .init(ratePerSecond: 0, burst: 1_000_000)
    }
    change(&limits)
    return limits
  }

  private func stranger(_ number: Int) -> PeerAddress {
    PeerAddress(ip: [11, UInt8(number >> 8 & 255), UInt8(number & 255), UInt8(number >> 16)], port: 1)!
  }

  @Test func prefixesAreLimitedApart() {
    var limiter = PrefixLimiter(.init(ratePerSecond: 0, burst: 2), now: .zero)
    for (text, passes) in [
      ("10.0.0.1:1", true), ("10.0.0.2:1", true), ("10.0.0.3:1", false), ("10.0.1.1:1", true),
      ("[2001:db8::1]:1", true), ("[2001:db8:0:1::1]:1", true), ("[2001:db8::2]:1", false),
      ("[2001:db8:0:100::1]:1", true), ("[::1]:1", true), ("0.0.0.1:1", true), ("0.0.0.1:1", true),
      ("0.0.0.1:1", false),
      ("[::1]:1", true), ("[::1]:1", false),
    ] {
      #expect(limiter.take(address(text), now: .zero) == passes, "\(text)")
    }
    #expect(limiter.count == 6)
  }

  @Test func aFullTableOfPrefixesSharesOneBucketAndForgetsFullOnes() {
    var limiter = PrefixLimiter(.init(ratePerSecond: 1, burst: 1), now: .zero)
    for number in 0..<PrefixLimiter.maximumPrefixes { #expect(limiter.take(stranger(number), now: .zero) == true) }
    let further = PrefixLimiter.maximumPrefixes..<PrefixLimiter.maximumPrefixes + 100
    #expect(further.count { limiter.take(stranger($0), now: .zero) } == 1)
    #expect(limiter.count == PrefixLimiter.maximumPrefixes)
    for number in 5_000...5_001 { #expect(limiter.take(stranger(number), now: at(2)) == true) }
    #expect(limiter.count == 2)
  }

  @Test func plainDatagramsOfStrangersHaveTwoBuckets() {
    var allowances = SourceAllowances(
      limits {
        $0.known.burst = 5
        $0.prefix.burst = 3
        $0.unknown = .init(ratePerSecond: 1, burst: 4)
      }, now: now)
    let known = address("10.0.0.9:1")
    for _ in 0..<2 { #expect(allowances.learn(known, now: now) == true) }
    #expect((0..<50).count { _ in allowances.takePlain(address("10.0.0.1:1"), now: now) } == 3)
    // One prefix took its three; all others together have one left, and then none for a second: prefixes are not asked.
    #expect((0..<50).count { allowances.takePlain(address("10.1.\($0).1:1"), now: now) } == 1)
    #expect(allowances.prefixes.count == 3)
    #expect(allowances.takePlain(address("10.2.1.1:1"), now: at(1, milliseconds: 999)) == false)
    #expect(allowances.takePlain(address("10.2.1.1:1"), now: at(2)) == true)
    // None of that is the known source's.
    #expect((0..<50).count { _ in allowances.takePlain(known, now: now) } == 5)
    allowances.forget(known)
    #expect(!allowances.isKnown(known))
    #expect(allowances.takePlain(known, now: at(2)) == false)
  }

  @Test func datagramsWithCookiesHaveThreeBuckets() {
    var allowances = SourceAllowances(
      limits {
        $0.knownProven.burst = 7
        $0.proven.burst = 2
        $0.provenPrefix.burst = 3
        $0.provenUnknown.burst = 5
        $0.known.burst = 0
        $0.prefix.burst = 0
      }, now: now)
    let known = address("10.0.0.9:1")
    #expect(allowances.learn(known, now: now) == true)
    func taken(_ text: String) -> Int { (0..<50).count { _ in allowances.takeProven(address(text), now: now) } }
    #expect(taken("10.0.0.1:1") == 2)
    #expect(taken("10.0.0.2:1") == 1)
    #expect(taken("10.0.0.3:1") == 0)
    #expect(taken("10.1.0.1:1") == 2)
    #expect(taken("10.2.0.1:1") == 0)
    #expect(taken("10.0.0.9:1") == 7)
    #expect(allowances.takePlain(known, now: now) == false)
  }

  @Test func cookieRepliesHaveBucketsOfTheirOwn() {
    var allowances = SourceAllowances(
      limits {
        $0.knownCookies.burst = 4
        $0.allKnownCookies.burst = 6
        $0.prefixCookies.burst = 2
        $0.cookies.burst = 3
      }, now: now)
    for text in ["10.0.0.8:1", "10.0.0.9:1"] { #expect(allowances.learn(address(text), now: now) == true) }
    func taken(_ text: String) -> Int { (0..<50).count { _ in allowances.takeCookie(address(text), now: now) } }
    #expect(taken("10.0.0.1:1") == 2)
    #expect(taken("10.1.0.1:1") == 1)
    #expect(taken("10.2.0.1:1") == 0)
    #expect(taken("10.0.0.8:1") == 4)
    #expect(taken("10.0.0.9:1") == 2)
  }

  // Rule 5 of the filter: an empty bucket is no silence, or whoever forges the source's address would cause it.
  @Test func whoHasUsedUpItsBucketGetsACookie() throws {
    for isKnown in [true, false] {
      var us = DatagramNode(
        1, "192.0.2.1:7447",
        limits: limits {
          $0.known.burst = 2
          $0.prefix.burst = 2
        })
      var them = DatagramNode(2, "192.0.2.2:7447")
      if isKnown { #expect(us.filter.known(them.address, now: now) == true) }
      let verdicts = (0..<5).map { _ in us.judge(them.probe(us, now: now), from: them.address, now: now) }
      #expect(verdicts.count { $0.admitted != nil } == 2)
      #expect(verdicts.count { $0.reply != nil } == 3)
      let reply = try #require(verdicts.last?.reply)
      let again = try #require(them.judge(reply, from: us.address, now: now).resend)
      #expect(us.judge(again, from: them.address, now: now).admitted?.isProven == true)
    }
  }

  @Test func whyThereIsNoReplyIsNamed() {
    var us = DatagramNode(
      1, "192.0.2.1:7447",
      limits: limits {
        $0.prefix.burst = 1
        $0.cookies.burst = 0
      })
    var them = DatagramNode(2, "192.0.2.2:7447")
    #expect(us.judge(them.probe(us, now: now), from: them.address, underLoad: true, now: now).refusal == .needsCookie)
    #expect(us.judge(them.probe(us, now: now), from: them.address, now: now).admitted != nil)
    #expect(us.judge(them.probe(us, now: now), from: them.address, now: now).refusal == .limited)
  }

  @Test func tablesOfSourcesAreBounded() {
    var allowances = SourceAllowances(limits { _ in }, now: now)
    for number in 0..<SourceAllowances.maximumProven + 10 {
      #expect(allowances.takeProven(stranger(number), now: now) == true)
      #expect(allowances.takePlain(stranger(number), now: now) == true)
      #expect(allowances.takeCookie(stranger(number), now: now) == true)
    }
    #expect(allowances.provenCount == SourceAllowances.maximumProven)
    #expect(allowances.prefixes.count == PrefixLimiter.maximumPrefixes)
    #expect(allowances.provenPrefixes.count == PrefixLimiter.maximumPrefixes)
    #expect(allowances.cookiePrefixes.count == PrefixLimiter.maximumPrefixes)
    var learned = 0
    for number in 0..<SourceAllowances.maximumKnown + 10 where allowances.learn(stranger(number), now: now) {
      learned += 1
    }
    #expect(learned == SourceAllowances.maximumKnown)
    #expect(allowances.knownCount == SourceAllowances.maximumKnown)
    // One that is full says so of new ones only, and has room again.
    #expect(allowances.learn(stranger(0), now: now) == true)
    #expect(allowances.learn(stranger(70_000), now: now) == false)
    allowances.forget(stranger(0))
    #expect(allowances.learn(stranger(70_000), now: now) == true)
  }

  @Test func tablesOfTheFilterAreBounded() {
    var us = DatagramNode(1, "192.0.2.1:7447", limits: limits { _ in })
    for number in 0..<DatagramFilter.maximumWary + 10 {
      us.filter.forged(from: stranger(number), isProven: false, now: now)
    }
    #expect(us.filter.waryCount == DatagramFilter.maximumWary)
    var sent = SentDatagrams()
    let payload = envelope(author: us.id, receiver: node(2))
    for number in 0..<SentDatagrams.maximumCookies + 10 {
      let mac = DatagramMAC(of: [UInt8(number >> 8), UInt8(number & 255)], key: [UInt8](repeating: 1, count: 32))
      for _ in 0..<3 { sent.remember(payload, mac1: mac, to: stranger(number), now: now) }
      #expect(sent.learn([UInt8](repeating: 0, count: 16), for: mac, from: stranger(number), now: now) != nil)
      for _ in 0..<10 { sent.remember(payload, mac1: mac, to: stranger(number), now: now) }
    }
    #expect(sent.cookieCount == SentDatagrams.maximumCookies)
    #expect(sent.datagramCount == SentDatagrams.maximumAddresses * SentDatagrams.maximumDatagramsPerAddress)
  }
}
