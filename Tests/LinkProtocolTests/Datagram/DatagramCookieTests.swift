import Primitives
import Testing
import Wire

@testable import LinkProtocol

@Suite struct DatagramCookieTests {
  private let now = at(1)
  private var us = DatagramNode(1, "192.0.2.1:7447")
  private var them = DatagramNode(2, "192.0.2.2:7447")

  private mutating func take(_ datagram: [UInt8], underLoad: Bool = false, now: Instant) -> DatagramVerdict {
    us.judge(datagram, from: them.address, underLoad: underLoad, now: now)
  }

  /// The datagram that comes again after one round trip.
  private mutating func roundTrip(_ datagram: [UInt8], now: Instant) throws -> [UInt8] {
    let reply = try #require(take(datagram, underLoad: true, now: now).reply)
    return try #require(them.judge(reply, from: us.address, now: now).resend)
  }

  @Test mutating func underLoadACookieIsAskedOfEveryone() throws {
    for isKnown in [false, true] {
      if isKnown { #expect(us.filter.known(them.address, now: now) == true) }
      let probe = them.probe(us, now: now)
      #expect(take(probe, now: now).admitted?.isProven == false)
      let reply = try #require(take(probe, underLoad: true, now: now).reply)
      #expect(reply.count == 49 && reply.count < probe.count)
      let again = try #require(them.judge(reply, from: us.address, now: now).resend)
      #expect(again.count == probe.count + 16)
      let admitted = try #require(take(again, underLoad: true, now: now).admitted)
      #expect(admitted.isProven && admitted.isKnown == isKnown && admitted.renewal == nil)
      #expect(again.suffix(from: 33).elementsEqual(admitted.payload))
      // From now on the sender has a cookie.
      #expect(take(them.probe(us, now: now), underLoad: true, now: now).admitted?.isProven == true)
      them.filter.forget(us.address)
      us.filter.forget(them.address)
    }
  }

  // Rule 6: what was forged without a cookie costs the source a round trip for half a minute, and nothing else.
  @Test mutating func aSourceIsWaryForHalfAMinute() throws {
    #expect(us.filter.known(them.address, now: now) == true)
    us.filter.forged(from: them.address, isProven: false, now: now)
    let probe = them.probe(us, now: now)
    let reply = try #require(take(probe, now: now).reply)
    // Another port of the same host is another source.
    #expect(us.judge(probe, from: address("192.0.2.2:7448"), now: now).admitted != nil)
    let again = try #require(them.judge(reply, from: us.address, now: now).resend)
    #expect(take(again, now: now).admitted?.isProven == true)
    #expect(take(probe, now: at(30, milliseconds: 999)).reply != nil)
    #expect(take(probe, now: at(31)).admitted?.isProven == false)
    #expect(us.filter.waryCount == 0)
  }

  @Test mutating func warinessStartsAnewWithEachForgery() {
    us.filter.forged(from: them.address, isProven: false, now: now)
    us.filter.forged(from: them.address, isProven: false, now: at(20))
    #expect(take(them.probe(us, now: now), now: at(49)).reply != nil)
    #expect(take(them.probe(us, now: now), now: at(50)).admitted != nil)
  }

  @Test mutating func whoForgesWithACookieIsNotHeardForAWhile() throws {
    for isKnown in [true, false] {
      if isKnown { #expect(us.filter.known(them.address, now: now) == true) }
      let again = try roundTrip(them.probe(us, now: now), now: now)
      #expect(take(again, now: now).admitted?.isProven == true)
      us.filter.forged(from: them.address, isProven: true, now: now)
      #expect(take(again, now: now).refusal == .limited)
      // It is not wary: its plain datagrams pass, until one of them is forged, too.
      let plain = [1] + again[1..<17] + again[33...]
      #expect(take(plain, now: now).admitted?.isProven == false)
      #expect(take(again, now: now + .seconds(29)).refusal == .limited)
      #expect(take(again, now: now + .seconds(30)).admitted?.isProven == true)
      us.filter.forget(them.address)
      them.filter.forget(us.address)
    }
  }

  @Test mutating func aCookieIsOfOneAddress() throws {
    let again = try roundTrip(them.probe(us, now: now), now: now)
    for text in ["192.0.2.3:7447", "192.0.2.2:7448", "[2001:db8::1]:7447"] {
      #expect(us.judge(again, from: address(text), underLoad: true, now: now).reply != nil, "\(text)")
      #expect(us.judge(again, from: address(text), now: now).admitted?.isProven == false, "\(text)")
    }
  }

  // Rule 4: a datagram with a bad cookie is one without a cookie, never worse.
  @Test mutating func everyChangedByteOfTheSecondMACIsSeen() throws {
    let again = try roundTrip(them.probe(us, now: now), now: now)
    for index in 17..<33 {
      var changed = again
      changed[index] ^= 0x10
      #expect(take(changed, now: now).admitted?.isProven == false, "byte \(index)")
      #expect(take(changed, underLoad: true, now: now).reply != nil, "byte \(index)")
    }
    // Nor can it be put before another's payload: the first MAC stands for that.
    var other = them.probe(us, now: now)
    #expect(other.count == again.count)
    other.replaceSubrange(17..<33, with: again[17..<33])
    #expect(take(other, underLoad: true, now: now).reply != nil)
  }

  @Test mutating func cookiesAreGoodForTwoSecrets() throws {
    let early = try roundTrip(them.probe(us, now: now), now: now)
    #expect(take(early, underLoad: true, now: at(119)).admitted?.isProven == true)
    #expect(take(early, underLoad: true, now: at(121)).admitted?.isProven == true)
    #expect(take(early, underLoad: true, now: at(239)).admitted?.isProven == true)
    #expect(take(early, underLoad: true, now: at(240)).reply != nil)
    // After a long pause both secrets are new; a clock that goes back changes none.
    let late = try roundTrip(them.probe(us, now: at(5_000)), now: at(5_000))
    #expect(take(early, underLoad: true, now: at(5_001)).reply != nil)
    #expect(take(late, underLoad: true, now: at(4_000)).admitted?.isProven == true)
  }

  @Test func noCookieIsGoodBeforeTheFirst() {
    // The secret that the one before the first would be made from is of nobody.
    var secrets = CookieSecrets(secret: [UInt8](repeating: 1, count: 32), now: .zero)
    var others = CookieSecrets(secret: [UInt8](repeating: 2, count: 32), now: .zero)
    let source = address("192.0.2.2:7447")
    let head = [UInt8](repeating: 0, count: 17)
    let own = DatagramFormat.mac2(of: head, cookie: secrets.cookie(for: source, now: .zero))
    #expect(secrets.age(of: own, over: head, from: source, now: .zero) == .current)
    #expect(secrets.age(of: own, over: head, from: source, now: at(120)) == .previous)
    #expect(secrets.age(of: own, over: head, from: source, now: at(240)) == nil)
    #expect(others.age(of: own, over: head, from: source, now: .zero) == nil)
    #expect(secrets.cookie(for: source, now: at(240)) != secrets.cookie(for: source, now: at(360)))
  }

  // Who is guarded against renews the cookie while the old one is good: nothing is lost in between.
  @Test mutating func anOldCookieIsRenewedWhenItIsNeeded() throws {
    _ = try roundTrip(them.probe(us, now: at(100)), now: at(100))
    let probe = them.probe(us, now: at(125))
    #expect(take(probe, now: at(125)).admitted?.renewal == nil)
    let admitted = try #require(take(probe, underLoad: true, now: at(125)).admitted)
    let renewal = try #require(admitted.renewal)
    #expect(admitted.isProven && renewal.count < probe.count)
    us.filter.verified(admitted.mac)
    // It comes again, which is refused as a copy, and the next ones have the new cookie.
    let again = try #require(them.judge(renewal, from: us.address, now: at(125)).resend)
    #expect(take(again, underLoad: true, now: at(125)).refusal == .replayed)
    let next = try #require(take(them.probe(us, now: at(230)), underLoad: true, now: at(230)).admitted)
    #expect(next.isProven && next.renewal == nil)
    #expect(take(them.probe(us, now: at(241)), underLoad: true, now: at(241)).admitted?.renewal != nil)
  }

  @Test mutating func aCookieIsTakenOnlyFromWhomItWasAwaited() throws {
    let probe = them.probe(us, now: now)
    let reply = try #require(take(probe, underLoad: true, now: now).reply)
    func refusal(_ reply: [UInt8], from source: PeerAddress? = nil, now: Instant) -> DatagramRefusal? {
      var copy = them
      return copy.judge(reply, from: source ?? us.address, now: now).refusal
    }
    #expect(refusal(reply, now: now) == nil)
    #expect(refusal(reply, from: address("192.0.2.1:7448"), now: now) == .cookieUnexpected)
    // Every byte of it counts: the echo, the MAC, and the cookie that the MAC is over.
    for index in 1..<49 {
      var changed = reply
      changed[index] ^= 1
      #expect(refusal(changed, now: now) == (17..<33 ~= index ? .cookieUnexpected : .wrongTag), "byte \(index)")
    }
    #expect(refusal(reply, now: now + .milliseconds(1_999)) == nil)
    #expect(refusal(reply, now: now + .seconds(2)) == .cookieUnexpected)
    // Once.
    #expect(them.judge(reply, from: us.address, now: now).resend != nil)
    #expect(them.judge(reply, from: us.address, now: now).refusal == .cookieUnexpected)
    // To another node it says nothing, whatever that one sent.
    var third = DatagramNode(3, "192.0.2.3:7447")
    _ = third.probe(us, now: now)
    #expect(third.judge(reply, from: us.address, now: now).refusal == .cookieUnexpected)
  }

  // Whoever sends more often than an answer takes to come back learns the cookie, and nothing of the last few is lost.
  @Test mutating func severalDatagramsMayWaitForTheirCookies() throws {
    let probes = (0..<5).map { _ in them.probe(us, now: now) }
    let replies = try probes.map { try #require(take($0, underLoad: true, now: now).reply) }
    #expect(them.judge(replies[0], from: us.address, now: now).refusal == .cookieUnexpected)
    for reply in replies.dropFirst() {
      let again = try #require(them.judge(reply, from: us.address, now: now).resend)
      #expect(take(again, underLoad: true, now: now).admitted?.isProven == true)
    }
    #expect(them.filter.sent.datagramCount == 0)
  }

  @Test mutating func aCookieIsUsedForFourMinutes() throws {
    _ = try roundTrip(them.probe(us, now: now), now: now)
    #expect(them.probe(us, now: at(240)).first == 2)
    #expect(them.probe(us, now: at(241)).first == 1)
    #expect(them.filter.sent.cookieCount == 0)
    _ = try roundTrip(them.probe(us, now: at(300)), now: at(300))
    #expect(them.probe(us, now: at(301)).first == 2)
    them.filter.forget(us.address)
    #expect(them.probe(us, now: at(301)).first == 1)
  }

  // The reply is for who is said to have signed, so that only that node takes it for one to itself.
  @Test mutating func theReplyIsKeyedByTheAuthor() throws {
    let reply = try #require(take(them.probe(us, now: now), underLoad: true, now: now).reply)
    let key = DatagramKeys(id: them.id, networkID: datagramNetwork).own
    #expect(
      reply
        == DatagramFormat.cookieReply(
          echo: DatagramMAC(bytes: Array(reply[17..<33]))!, cookie: Array(reply[33...]), key: key))
  }

  @Test mutating func repliesDoNotGoInCircles() throws {
    // A datagram that seems to come from this node itself, or from one that waits for nothing, is answered once.
    let reply = try #require(
      us.judge(them.probe(us, now: now), from: us.address, underLoad: true, now: now).reply)
    #expect(us.judge(reply, from: us.address, underLoad: true, now: now).refusal == .cookieUnexpected)
  }
}
