import Glibc
import LinkProtocol
import Primitives
import Synchronization
import Testing
import Wire

@testable import Transport

/// Cookies on real sockets, and what somebody can do to a member by forging its address.
@Suite(.timeLimit(.minutes(1))) struct DatagramAttackTests {
  @Test(.enabled(if: Forger.isPossible, "needs root, for a raw socket"))
  func forgedDatagramsDoNotSilenceTheMemberWhoseAddressTheyBear() async throws {
    let (node, member) = (try await DatagramNode(), try await DatagramNode())
    try await node.learn(member.address)
    member.ping(node, number: 1)
    await eventually { node.received.count == 1 }

    let forger = Forger()
    var filter = member.pinger.filter()
    func forge(_ numbers: ClosedRange<UInt64>) {
      for number in numbers {
        let payload = member.pinger.forgedPing(node.id, number: number)
        forger.send(filter.sealed(payload, for: node), to: node.address, from: member.address)
      }
    }
    // Once one did not verify, none without a cookie is worth a signature check any more.
    forge(1_001...1_200)
    await eventually { node.count("forged") > 0 && node.count("forged") == UInt64(node.handedCount) - 1 }
    try await node.settle()
    let handedCount = node.handedCount
    forge(1_201...1_400)
    await eventually { node.judgedCount == 401 }
    #expect(node.handedCount == handedCount && node.count("cookieSent") >= 200)
    // The member got the cookies for what it has not sent, and took none of them.
    await eventually { member.count("cookieUnexpected") == node.count("cookieSent") }
    #expect(member.count("cookieLearned") == 0)

    // It says something, is asked for a cookie, and is heard: one round trip is all that the forger takes from it. What it
    // said is remembered for two seconds: whoever is answered later, on a busy machine, says it again.
    var late = member.count("cookieUnexpected")
    var said: UInt64 = 2
    member.ping(node, number: said)
    await eventually {
      if member.count("cookieUnexpected") > late {
        late += 1
        said += 1
        member.ping(node, number: said)
      }
      return node.received.count == 2
    }
    #expect(member.count("cookieLearned") == 1)
    // With its cookie it is heard at once, however much is forged. What the kernel drops of a flood that is too much for
    // the processor is not the subject: a part waits, and no more is sent until some of it was judged.
    let before = node.judgedCount
    let sent = Atomic<UInt64>(0)
    let flood = Flood { number in
      guard sent.load(ordering: .relaxed) + before < node.judgedCount + 500 else {
        usleep(1_000)
        return
      }
      var filter = member.pinger.filter()
      let datagram = filter.sealed(member.pinger.forgedPing(node.id, number: 10_000 + number), for: node)
      for _ in 0..<20 { forger.send(datagram, to: node.address, from: member.address) }
      sent.wrappingAdd(20, ordering: .relaxed)
    }
    for number in 3...100 {
      member.ping(node, number: said + UInt64(number))
      if number % 10 == 0 { await eventually { node.received.count == number } }
    }
    await eventually { sent.load(ordering: .relaxed) > 2_000 }
    flood.stop()
    #expect(node.received.count == 100)
    #expect(member.count("cookieLearned") == 1)
    #expect(node.handedCount == handedCount + 99)
    try await node.stop()
    try await member.stop()
  }

  @Test func underLoadWhoShowsACookieIsHeardAndNobodyElse() async throws {
    let (node, peer) = (try await DatagramNode(), try await DatagramNode())
    node.isUnderLoad = true
    let raw = RawSocket()
    var filter = peer.pinger.filter()
    let payload = peer.pinger.ping(node.id, number: 9)
    let datagram = filter.sealed(payload, for: node)
    for _ in 0..<5 { raw.send(datagram, to: node.address) }
    await eventually { node.count("cookieSent") == 5 }
    #expect(node.handedCount == 0)
    // What caused them was longer.
    for _ in 0..<5 {
      let reply = try #require(raw.receive())
      #expect(reply.bytes.count < datagram.count && reply.source == node.address)
    }
    for number in 1...3 { peer.ping(node, number: UInt64(number)) }
    // What is answered only after the two seconds for which it is remembered is said again.
    var late: UInt64 = 0
    await eventually {
      if peer.count("cookieUnexpected") > late {
        late += 1
        peer.ping(node, number: 100 + late)
      }
      return node.received.count == 3
    }
    for number in 4...20 { peer.ping(node, number: UInt64(number)) }
    await eventually { node.received.count == 20 }
    // Once each: what was sent again counts as what it repeats.
    #expect(Set(node.received.map(\.payload)).count == 20)
    // Those that were sent before the first cookie came each got one.
    #expect((1...3).contains(peer.count("cookieLearned")))
    #expect(node.count("cookieSent") == 5 + peer.count("cookieLearned") + late)
    try await node.stop()
    try await peer.stop()
  }

  @Test func aCopyOfWhatVerifiedCostsNoSignatureCheck() async throws {
    let node = try await DatagramNode()
    let (raw, other) = (RawSocket(), RawSocket())
    let pinger = try Pinger()
    var filter = pinger.filter()
    let payload = pinger.ping(node.id, number: 1)
    let datagram = filter.sealed(payload, for: node)
    raw.send(datagram, to: node.address)
    await eventually { node.received.count == 1 }
    try await node.settle()
    for socket in [raw, other] { for _ in 0..<10 { socket.send(datagram, to: node.address) } }
    await eventually { node.count("replayed") == 20 }
    #expect(node.handedCount == 1)
    try await node.stop()
  }

  @Test func whoForgesWithItsOwnCookieIsNotHeardForAWhile() async throws {
    let node = try await DatagramNode { $0.limits.proven = .init(ratePerSecond: 0, burst: 50) }
    let raw = RawSocket()
    let pinger = try Pinger()
    var filter = pinger.filter()
    node.isUnderLoad = true
    func send(_ payload: [UInt8]) { raw.send(filter.sealed(payload, for: node), to: node.address) }
    // The reply is judged at the time of the question, however late it is.
    let now = Instant.current()
    send(pinger.ping(node.id, number: 1))
    let reply = try #require(raw.receive()).bytes
    let verdict = reply.withUnsafeBytes {
      filter.judge($0, from: node.address, isMulticast: false, underLoad: false, now: now)
    }
    guard case .resend(let again) = verdict else {
      Issue.record("\(verdict)")
      return
    }
    raw.send(again, to: node.address)
    await eventually { node.received.count == 1 }
    send(pinger.forgedPing(node.id, number: 2))
    await eventually { node.count("forgedWithCookie") == 1 }
    try await node.settle()
    send(pinger.ping(node.id, number: 3))
    await eventually { node.count("limited") == 1 }
    #expect(node.received.count == 1)
    try await node.stop()
  }

  @Test func aCookieComesFromTheAddressThatWasAsked() async throws {
    let node = try await DatagramNode(listen: ["0.0.0.0:0"])
    node.isUnderLoad = true
    let raw = RawSocket()
    let pinger = try Pinger()
    var filter = pinger.filter()
    // None of these is the one that the kernel would choose.
    for last in UInt8(7)...9 {
      let target = try #require(PeerAddress(ip: [127, 0, 0, last], port: node.address.port))
      let payload = pinger.ping(node.id, number: UInt64(last))
      raw.send(filter.sealed(payload, for: node, at: target), to: target)
      #expect(raw.receive()?.source == target)
    }
    try await node.stop()
  }
}
