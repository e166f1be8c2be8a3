import Primitives
import Testing
import Wire

@testable import LinkProtocol

/// Someone who knows a member's address and identity, and this node's, forges datagrams from there.
@Suite struct DatagramAttackTests {
  private var us = DatagramNode(1, "192.0.2.1:7447")
  private var member = DatagramNode(2, "192.0.2.2:7447")
  private var forgeries: UInt64 = 0
  private var signatureChecks = 0

  /// Verifies what passed, as the endpoint has it done.
  private mutating func settle(_ verdict: DatagramVerdict, isForged: Bool, from source: PeerAddress, now: Instant) {
    guard let admitted = verdict.admitted else { return }
    if isForged {
      signatureChecks += 1
      us.filter.forged(from: source, isProven: admitted.isProven, now: now)
    } else {
      us.filter.verified(admitted.mac)
    }
  }

  private mutating func forge(from source: PeerAddress, now: Instant) {
    forgeries += 1
    let datagram = forgedDatagram(author: member.id, receiver: us.id, number: forgeries)
    let verdict = us.judge(datagram, from: source, now: now)
    settle(verdict, isForged: true, from: source, now: now)
    // A reply goes to the member, who did not send that.
    if let reply = verdict.reply {
      #expect(member.judge(reply, from: us.address, now: now).refusal == .cookieUnexpected)
    }
  }

  /// True when the member's next probe arrives, at once or after one round trip.
  private mutating func isHeard(now: Instant) -> Bool {
    var verdict = us.judge(member.probe(us, now: now), from: member.address, now: now)
    if let reply = verdict.reply {
      guard let again = member.judge(reply, from: us.address, now: now).resend else { return false }
      verdict = us.judge(again, from: member.address, now: now)
    }
    settle(verdict, isForged: false, from: member.address, now: now)
    if let renewal = verdict.admitted?.renewal { _ = member.judge(renewal, from: us.address, now: now) }
    return verdict.admitted != nil
  }

  @Test mutating func oneForgedDatagramSilencesNobody() {
    #expect(us.filter.known(member.address, now: .zero) == true)
    for second in 0..<100 as Range<Int64> {
      forge(from: member.address, now: at(second))
      #expect(isHeard(now: at(second)) == true)
      if second % 7 == 0 { member.filter.forget(us.address) }
    }
    #expect(signatureChecks <= 4)
  }

  // 10,000 in twenty seconds, with a probe of the member every tenth of a second: all of them are heard.
  @Test(arguments: [true, false]) mutating func aSpooferDoesNotSilenceAMember(isKnown: Bool) {
    if isKnown { #expect(us.filter.known(member.address, now: .zero) == true) }
    for step in 0..<200 as Range<Int64> {
      let now = at(0, milliseconds: 100 * step)
      for _ in 0..<50 { forge(from: member.address, now: now) }
      #expect(isHeard(now: now) == true, "at \(now)")
    }
    #expect(forgeries == 10_000)
    // The first made the source wary; all the others cost a hash.
    #expect(signatureChecks == 1)
  }

  // As many as replies are made for and ten times that: who has a cookie hears nothing of it, for as long as it lasts.
  @Test mutating func aFloodDoesNotSilenceWhoHasACookie() {
    #expect(us.filter.known(member.address, now: .zero) == true)
    forge(from: member.address, now: .zero)
    #expect(isHeard(now: .zero) == true)
    for step in 0..<400 as Range<Int64> {
      let now = at(step)
      for _ in 0..<(step < 3 ? 10_000 : 50) { forge(from: member.address, now: now) }
      #expect(isHeard(now: now) == true, "at \(now)")
    }
    // One each half minute.
    #expect(signatureChecks <= 14)
  }

  // Without a cookie it may take some tries, as replies are limited too, but a flood is no lock: one in ten is answered.
  @Test mutating func aFloodDoesNotLockOutWhoHasNoCookie() {
    #expect(us.filter.known(member.address, now: .zero) == true)
    var generator = SeededGenerator(seed: 1)
    var tries = 0
    var isIn = false
    for millisecond in 0..<60_000 as Range<Int64> where !isIn {
      let now = at(0, milliseconds: millisecond)
      let turn = generator.index(below: 10)
      for number in 0..<10 {
        if number == turn, millisecond > 2_000, millisecond % 250 == 0 {
          tries += 1
          isIn = isHeard(now: now)
        }
        forge(from: member.address, now: now)
      }
    }
    #expect(isIn && tries < 60)
  }

  // A flood from many addresses, with good MACs: members are heard, and signatures are checked at the rate of strangers.
  @Test mutating func aFloodOfStrangersDoesNotSilenceAMember() {
    #expect(us.filter.known(member.address, now: .zero) == true)
    var generator = SeededGenerator(seed: 2)
    for step in 0..<100 as Range<Int64> {
      let now = at(0, milliseconds: 100 * step)
      for _ in 0..<100 {
        let ip = (0..<4).map { _ in UInt8(1 + generator.index(below: 200)) }
        forge(from: PeerAddress(ip: ip, port: 1_000)!, now: now)
      }
      #expect(isHeard(now: now) == true)
    }
    #expect(forgeries == 10_000)
    #expect(signatureChecks <= 1_000 + 10 * 500)
    #expect(us.filter.waryCount <= DatagramFilter.maximumWary)
  }

  // Neighbours of a forged source, behind the same NAT or in the same rack, are not wary.
  @Test mutating func neighboursOfAForgedSourceAreHeard() {
    for port in 2_000..<2_010 as Range<UInt16> {
      forge(from: PeerAddress(ip: member.address.ip, port: port)!, now: .zero)
    }
    let verdict = us.judge(member.probe(us, now: .zero), from: member.address, now: .zero)
    #expect(verdict.admitted?.isProven == false)
  }

  // Someone off the path cannot plant a cookie, which would make the member's datagrams carry a wrong one.
  @Test mutating func cookiesCannotBePlanted() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<10_000 {
      _ = member.probe(us, now: .zero)
      let echo = DatagramMAC(bytes: (0..<16).map { _ in UInt8(generator.index(below: 256)) })!
      let key = DatagramKeys(id: member.id, networkID: datagramNetwork).own
      let planted = DatagramFormat.cookieReply(echo: echo, cookie: [UInt8](repeating: 1, count: 16), key: key)
      #expect(member.judge(planted, from: us.address, now: .zero).refusal == .cookieUnexpected)
    }
    #expect(member.filter.sent.cookieCount == 0)
  }
}
