import Primitives
import Testing
import Wire

@testable import LinkProtocol

@Suite struct DatagramPropertyTests {
  private func bytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }

  /// What is sent is shorter than what caused it, but for one's own datagram, which went there before.
  private func expectNoAmplification(_ verdict: DatagramVerdict, _ datagram: [UInt8]) {
    if let reply = verdict.reply { #expect(reply.count < datagram.count) }
    if let renewal = verdict.admitted?.renewal { #expect(renewal.count < datagram.count) }
  }

  @Test(arguments: 0..<20 as Range<UInt64>) func noiseNeverPasses(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var us = DatagramNode(1, "192.0.2.1:7447")
    let them = DatagramNode(2, "192.0.2.2:7447")
    for round in 0..<500 {
      var datagram = bytes(generator.index(below: 1_300), &generator)
      // Half of it has a type, and a header that is read to its end.
      if round & 1 == 0, !datagram.isEmpty {
        datagram[0] = UInt8(1 + generator.index(below: 4))
        let start = datagram[0] == 2 ? 33 : 17
        let payload = envelope(
          kind: datagram[0] == 4 ? 1 : 16, author: them.id, receiver: us.id, count: 32 + generator.index(below: 900))
        datagram = Array(datagram.prefix(start)) + payload
      }
      let verdict = us.judge(
        datagram, from: them.address, isMulticast: round & 2 == 0, underLoad: round & 4 == 0, now: at(Int64(round)))
      #expect(verdict.refusal != nil)
    }
    #expect(us.filter.allowances.prefixes.count == 0)
  }

  @Test(arguments: 0..<8 as Range<UInt64>) func noFlippedBitPasses(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var us = DatagramNode(1, "192.0.2.1:7447")
    var them = DatagramNode(2, "192.0.2.2:7447")
    let plain = them.probe(us, now: .zero, count: 32 + generator.index(below: 400))
    let reply = try #require(us.judge(plain, from: them.address, underLoad: true, now: .zero).reply)
    var copy = them
    let proven = try #require(copy.judge(reply, from: us.address, now: .zero).resend)
    let beacon = try #require(them.filter.sealBeacon(envelope(kind: 1, author: them.id, receiver: them.id)))
    #expect(us.judge(beacon, from: them.address, isMulticast: true, now: .zero).admitted != nil)
    for index in 0..<plain.count + proven.count + beacon.count {
      var (datagram, at, isMulticast) = (plain, index, false)
      if at >= plain.count { (datagram, at) = (proven, at - plain.count) }
      if index >= plain.count + proven.count { (datagram, at, isMulticast) = (beacon, at - proven.count, true) }
      datagram[at] ^= 1 << UInt8(generator.index(below: 8))
      var fresh = us
      let verdict = fresh.judge(datagram, from: them.address, isMulticast: isMulticast, now: .zero)
      if datagram[0] == 2, 17..<33 ~= at {
        // The second MAC: then it is as if there were none.
        #expect(verdict.admitted?.isProven == false)
      } else {
        #expect(verdict.refusal != nil, "type \(datagram[0]), byte \(at)")
      }
    }
  }

  /// Two nodes and a third who sends noise, copies and forgeries, over a network that loses and changes; nothing traps,
  /// nothing that is sent is longer than its cause, nothing goes on for ever, and what passes is what was sent.
  @Test(arguments: 0..<30 as Range<UInt64>) func anyTrafficIsBounded(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var limits = DatagramLimits()
    limits.known = .init(ratePerSecond: 2, burst: 3)
    limits.prefix = .init(ratePerSecond: 2, burst: 3)
    limits.cookies = .init(ratePerSecond: 5, burst: 5)
    var nodes = [
      DatagramNode(1, "192.0.2.1:7447", limits: limits), DatagramNode(2, "192.0.2.2:7447", limits: limits),
    ]
    var now = Instant.zero
    var seen: [[UInt8]] = []
    var sent: Set<[UInt8]> = []
    var passed = 0
    var replies = 0
    for _ in 0..<600 {
      now = now + generator.span(upTo: .seconds(1))
      let to = generator.index(below: 2)
      let from = nodes[1 - to].address
      var datagram: [UInt8]
      switch generator.index(below: 8) {
      case 0 where !seen.isEmpty: datagram = seen[generator.index(below: seen.count)]
      case 1: datagram = forgedDatagram(author: nodes[1 - to].id, receiver: nodes[to].id, number: generator.next())
      case 2 where !seen.isEmpty:
        datagram = seen[generator.index(below: seen.count)]
        datagram[generator.index(below: datagram.count)] ^= UInt8(1 + generator.index(below: 255))
      default:
        datagram = nodes[1 - to].probe(nodes[to], now: now, count: 32 + generator.index(below: 1_000))
        sent.insert(Array(datagram[(datagram[0] == 2 ? 33 : 17)...]))
      }
      var (receiver, sender) = (to, from)
      var steps = 0
      while true {
        seen.append(datagram)
        if generator.chance(partsPerMillion: 100_000) { break }
        let verdict = nodes[receiver].judge(
          datagram, from: sender, underLoad: generator.chance(partsPerMillion: 300_000), now: now)
        expectNoAmplification(verdict, datagram)
        if let admitted = verdict.admitted {
          let isForged = !sent.contains(admitted.payload)
          if isForged {
            nodes[receiver].filter.forged(from: sender, isProven: admitted.isProven, now: now)
          } else {
            passed += 1
            nodes[receiver].filter.verified(admitted.mac)
            if generator.chance(partsPerMillion: 500_000) { _ = nodes[receiver].filter.known(sender, now: now) }
          }
          // What is forged has no cookie: nobody but the two can have one.
          #expect(!(isForged && admitted.isProven))
        }
        guard let next = verdict.reply ?? verdict.resend ?? verdict.admitted?.renewal else { break }
        replies += 1
        sender = nodes[receiver].address
        receiver = 1 - receiver
        datagram = next
        steps += 1
        #expect(steps <= 4)
      }
    }
    // It got deep, or it would show nothing.
    #expect(passed > 100 && replies > 50)
  }
}
