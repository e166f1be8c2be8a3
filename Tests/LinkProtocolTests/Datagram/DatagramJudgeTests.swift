import Primitives
import Testing
import Wire

@testable import LinkProtocol

/// What is refused, why, and in which order.
@Suite struct DatagramJudgeTests {
  private let now = at(1)
  private var us = DatagramNode(1, "192.0.2.1:7447")
  private var them = DatagramNode(2, "192.0.2.2:7447")

  private func beacon(author: NodeID, kind: UInt8 = 1) -> [UInt8] {
    them.filter.sealBeacon(envelope(kind: kind, author: author, receiver: author))!
  }

  // Each datagram has all faults that come later too: the first is the one that is named, before anything is paid for
  // the others.
  @Test mutating func checksComeInOrder() {
    func bytes(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
      // MAC, receiver, network, kind and length are wrong.
      var payload = envelope(kind: 32, author: node(2), receiver: node(3), network: .zero)
      change(&payload)
      return [1] + [UInt8](repeating: 0, count: 16) + payload
    }
    func expect(_ datagram: [UInt8], from source: PeerAddress? = nil, _ refusal: DatagramRefusal) {
      #expect(us.judge(datagram, from: source ?? them.address, now: now).refusal == refusal)
    }
    let wrong = bytes { _ in }
    expect([9] + wrong.dropFirst().prefix(20), from: address("192.0.2.2:0"), .badSource)
    expect([9] + wrong.dropFirst().prefix(20), .badType)
    expect(Array(wrong.prefix(20)), .badLength)
    expect(wrong, .badHeader)
    let ofAnotherNetwork = bytes { $0[1] = 16 }
    expect(ofAnotherNetwork, .wrongNetwork)
    let ofOurs = bytes {
      $0[1] = 16
      $0.replaceSubrange(2..<10, with: datagramNetwork.bytes.prefix(8))
    }
    expect(ofOurs, .wrongReceiver)
    let toUs = bytes {
      $0 = envelope(author: node(2), receiver: node(1))
    }
    expect(toUs, .wrongTag)
    #expect(us.filter.tags.count == 0)
    let good = them.probe(us, now: now)
    let admitted = us.judge(good, from: them.address, now: now).admitted
    #expect(admitted != nil)
    if let admitted { us.filter.verified(admitted.mac) }
    // A copy is named before the source's bucket is looked at.
    for _ in 0..<5_000 { _ = us.judge(them.probe(us, now: now), from: them.address, now: now) }
    expect(good, .replayed)
    expect(them.probe(us, now: now), .limited)
  }

  @Test mutating func onlyWhoCanBeAnsweredIsHeard() {
    let probe = them.probe(us, now: now)
    for text in ["0.0.0.0:1", "224.0.0.1:1", "239.1.2.3:1", "255.255.255.255:1", "10.0.0.1:0", "[::]:1", "[ff02::1]:1"]
    {
      #expect(us.judge(probe, from: address(text), now: now).refusal == .badSource, "\(text)")
    }
    // An address of one segment has no scope here; a beacon is not answered.
    for text in ["[fe80::1]:1", "[febf::1]:1"] {
      #expect(us.judge(probe, from: address(text), now: now).refusal == .badSource, "\(text)")
    }
    let said = us.judge(beacon(author: them.id), from: address("[fe80::1]:1"), isMulticast: true, now: now)
    #expect(said.admitted != nil)
    for text in ["[fec0::1]:1", "[2001:db8::1]:1", "10.0.0.1:65535", "127.0.0.1:1"] {
      #expect(us.judge(probe, from: address(text), now: now).admitted != nil, "\(text)")
    }
  }

  @Test mutating func eachTypeHasItsPort() {
    for type in [0, 5, 128, 255] as [UInt8] {
      let datagram = [type] + them.probe(us, now: now).dropFirst()
      #expect(us.judge(datagram, from: them.address, now: now).refusal == .badType)
      #expect(us.judge(datagram, from: them.address, isMulticast: true, now: now).refusal == .badType)
    }
    #expect(us.judge(beacon(author: them.id), from: them.address, now: now).refusal == .badType)
    for type in 1...3 as ClosedRange<UInt8> {
      let datagram = [type] + [UInt8](repeating: 0, count: 48)
      #expect(us.judge(datagram, from: them.address, isMulticast: true, now: now).refusal == .badType)
    }
  }

  @Test mutating func lengthsHaveBounds() {
    #expect(us.judge([], from: them.address, now: now).refusal == .badLength)
    for (type, header) in [(1, 17), (2, 33)] as [(UInt8, Int)] {
      for payload in [0, 1, 114, 1_168, 65_000] {
        let datagram = [type] + [UInt8](repeating: 0, count: header - 1 + payload)
        #expect(us.judge(datagram, from: them.address, now: now).refusal == .badLength, "\(type) \(payload)")
      }
      for payload in [115, 1_167] {
        let datagram = [type] + [UInt8](repeating: 0, count: header - 1 + payload)
        #expect(us.judge(datagram, from: them.address, now: now).refusal == .badHeader, "\(type) \(payload)")
      }
    }
    for count in [1, 48, 50, 1_200] {
      let datagram = [3] + [UInt8](repeating: 0, count: count - 1)
      #expect(us.judge(datagram, from: them.address, now: now).refusal == .badLength)
    }
    #expect(DatagramFormat.maximumPayloadByteCount == 1_167)
    #expect(DatagramFormat.cookieReplyByteCount == 49)
  }

  @Test mutating func theLongestAndTheShortestPayloadPass() {
    let overhead = Envelope.overheadBytes
    for count in [32, 127, 128, 1_167 - overhead - 2] {
      let datagram = them.probe(us, now: now, count: count)
      #expect(us.judge(datagram, from: them.address, now: now).admitted?.payload.count == datagram.count - 17)
    }
    let payload = [UInt8](repeating: 1, count: 1_168)
    #expect(them.filter.seal(payload, to: us.address, receiver: us.id, now: now) == nil)
    #expect(them.filter.seal(Array(payload.prefix(114)), to: us.address, receiver: us.id, now: now) == nil)
    #expect(them.filter.sealBeacon(payload) == nil)
    #expect(them.filter.sealBeacon(Array(payload.prefix(114))) == nil)
  }

  // Sealed as it should be, so that nothing but the header is wrong.
  @Test mutating func headersAreRead() {
    func sealed(_ change: (inout [UInt8]) -> Void, count: Int = 42) -> [UInt8] {
      var payload = envelope(author: them.id, receiver: us.id, count: count)
      change(&payload)
      return them.filter.seal(payload, to: us.address, receiver: us.id, now: now)!
    }
    func refusal(_ datagram: [UInt8]) -> DatagramRefusal? { us.judge(datagram, from: them.address, now: now).refusal }
    #expect(refusal(sealed { _ in }) == nil)
    #expect(refusal(sealed { $0[0] = 2 }) == .badHeader)
    for kind in [0, 1, 2, 3, 15, 20, 32, 255] as [UInt8] { #expect(refusal(sealed { $0[1] = kind }) == .badHeader) }
    for kind in 16...19 as ClosedRange<UInt8> { #expect(refusal(sealed { $0[1] = kind }) == nil) }
    #expect(refusal(sealed { $0[9] ^= 1 }) == .wrongNetwork)
    // The length must be what follows, in as few bytes as it takes.
    #expect(refusal(sealed { $0[50] += 1 }) == .badHeader)
    #expect(refusal(sealed { $0.append(0) }) == .badHeader)
    #expect(refusal(sealed { $0.removeLast() }) == .badHeader)
    #expect(refusal(sealed { $0.replaceSubrange(50...50, with: [0x80 | 42, 0]) }) == .badHeader)
    #expect(refusal(sealed({ $0[51] |= 0x80 }, count: 200)) == .badHeader)
    // For another, for nobody, or of ourselves.
    #expect(refusal(sealed { $0[51] ^= 1 }) == .wrongReceiver)
    #expect(refusal(sealed({ _ in }, count: 31)) == .wrongReceiver)
    #expect(refusal(sealed { $0.replaceSubrange(10..<42, with: us.id.bytes) }) == .wrongReceiver)
  }

  @Test mutating func theMACIsOfReceiverAndNetwork() {
    let payload = envelope(author: them.id, receiver: us.id)
    for key in [
      DatagramKeys(id: us.id, networkID: .zero).own, DatagramKeys(id: them.id, networkID: datagramNetwork).own,
      DatagramKeys(id: us.id, networkID: datagramNetwork).beacon,
    ] {
      let datagram = DatagramFormat.plain(payload, mac1: DatagramMAC(of: payload, key: key))
      #expect(us.judge(datagram, from: them.address, now: now).refusal == .wrongTag)
    }
  }

  // What verified is refused when it comes again: from anywhere, and in either type.
  @Test mutating func copiesAreRefused() throws {
    let plain = them.probe(us, now: now)
    let first = try #require(us.judge(plain, from: them.address, now: now).admitted)
    // Not verified yet: nobody can make a datagram refused by sending it first.
    #expect(us.judge(plain, from: them.address, now: now).admitted == first)
    us.filter.verified(first.mac)
    us.filter.verified(first.mac)
    #expect(us.filter.tags.count == 1)
    #expect(us.judge(plain, from: them.address, now: now).refusal == .replayed)
    #expect(us.judge(plain, from: address("198.51.100.1:1"), now: now).refusal == .replayed)
    let other = DatagramFormat.withCookie(first.payload, mac1: first.mac, cookie: [UInt8](repeating: 1, count: 16))
    #expect(us.judge(other, from: them.address, now: now).refusal == .replayed)
  }

  @Test mutating func theLastCopiesAreRemembered() throws {
    for number in 0...UInt64(RecentTags.capacity) {
      let payload = envelope(author: them.id, receiver: us.id, number: number)
      us.filter.verified(DatagramMAC(of: payload, key: [UInt8](repeating: 1, count: 32)))
    }
    #expect(us.filter.tags.count == RecentTags.capacity)
    func mac(_ number: UInt64) -> DatagramMAC {
      DatagramMAC(
        of: envelope(author: them.id, receiver: us.id, number: number), key: [UInt8](repeating: 1, count: 32))
    }
    #expect(!us.filter.tags.contains(mac(0)))
    #expect(us.filter.tags.contains(mac(1)))
    #expect(us.filter.tags.contains(mac(UInt64(RecentTags.capacity))))
  }

  @Test mutating func beaconsAreRecordsOfOthers() throws {
    let admitted = try #require(
      us.judge(beacon(author: them.id), from: them.address, isMulticast: true, now: now).admitted)
    #expect(!admitted.isProven)
    for kind in [0, 2, 3, 16, 32] as [UInt8] {
      let verdict = us.judge(beacon(author: them.id, kind: kind), from: them.address, isMulticast: true, now: now)
      #expect(verdict.refusal == .badHeader)
    }
    let own = us.judge(beacon(author: us.id), from: us.address, isMulticast: true, now: now)
    #expect(own.refusal == .wrongReceiver)
    var changed = beacon(author: them.id)
    changed[100] ^= 1
    #expect(us.judge(changed, from: them.address, isMulticast: true, now: now).refusal == .wrongTag)
    // One is said again until the record changes, for those who did not hear it or could not reach the node.
    us.filter.verified(admitted.mac)
    #expect(us.judge(beacon(author: them.id), from: them.address, isMulticast: true, now: now).admitted != nil)
  }

  // Neither load nor a forged one makes beacons need a cookie, which they cannot have; their own bucket bounds them.
  @Test mutating func beaconsHaveOneBucket() {
    let datagram = beacon(author: them.id)
    us.filter.forged(from: them.address, isProven: false, now: now)
    let passed = (0..<100).filter {
      us.judge(datagram, from: address("10.0.\($0).1:1"), isMulticast: true, underLoad: true, now: now).admitted != nil
    }
    #expect(passed.count == 40)
    #expect(us.judge(datagram, from: them.address, isMulticast: true, now: now).refusal == .limited)
    #expect(us.judge(datagram, from: them.address, isMulticast: true, now: at(2)).admitted != nil)
    // Probes do not take from it, nor it from them.
    #expect(us.judge(them.probe(us, now: now), from: address("10.9.9.9:1"), now: now).admitted != nil)
  }
}
