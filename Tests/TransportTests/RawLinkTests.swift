import Glibc
import LinkProtocol
import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// An endpoint against a hand-made other side.
@Suite(.timeLimit(.minutes(1))) struct RawLinkTests {
  /// Shows that the endpoint still takes a link.
  private func expectAlive(_ node: TestNode) async throws {
    let other = try await TestNode()
    await other.link(to: node)
    #expect(other.endpoint.send([5], channel: .broadcast, to: node.id))
    await eventually { node.log.received.contains { $0.bytes == [5] } }
    await other.endpoint.shutdown()
  }

  @Test func garbageIsCountedAndTheListenerLives() async throws {
    let node = try await TestNode()
    for garbage in [
      Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 70_000), [0, 0], [0, 41],
      [0, 40] + [UInt8](repeating: 9, count: 40),
    ] {
      let raw = RawPeer(connectingTo: node.address)
      raw.send(garbage)
      while raw.read() != nil {}
    }
    #expect(node.endpoint.counters.count("malformedHandshake") == 4)
    // The last had the right length and the wrong network.
    #expect(node.endpoint.counters.count("wrongNetwork") == 1)
    do {
      let raw = RawPeer(connectingTo: node.address)
      raw.send([0, 40, 1, 2, 3])
    }
    await eventually { node.endpoint.counters.count("closedDuringHandshake") == 1 }
    #expect(node.log.all.isEmpty)
    try await expectAlive(node)
    await node.endpoint.shutdown()
  }

  @Test func silenceInTheHandshakeIsNotWaitedForLong() async throws {
    // Connecting to a socket that listens takes no time, but has to be noticed within the same limit.
    let node = try await TestNode { $0.handshakeTimeout = .seconds(1) }
    let raw = RawPeer(connectingTo: node.address)
    #expect(raw.read() == nil)
    #expect(node.endpoint.counters.count("handshakeTimeout") == 1)
    // And for a dial.
    let listener = RawListener()
    node.endpoint.dial(listener.address, expecting: nil)
    await eventually { node.log.failures.count == 1 }
    #expect(node.log.failures == [.handshakeTimeout])
    await node.endpoint.shutdown()
  }

  @Test func aDialledSocketThatIsNoNode() async throws {
    let node = try await TestNode()
    let listener = RawListener()
    node.endpoint.dial(listener.address, expecting: nil)
    let chatty = listener.accept()
    chatty.send(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))
    await eventually { node.log.failures.count == 1 }
    node.endpoint.dial(listener.address, expecting: nil)
    do { _ = listener.accept() }
    await eventually { node.log.failures.count == 2 }
    node.endpoint.dial(listener.address, expecting: nil)
    let wrong = listener.accept()
    var handshake = try wrong.shake(.responder, key: .generate(), before: 2)
    var second = try handshake.write()
    second[100] ^= 1
    wrong.sendFramed(second)
    await eventually { node.log.failures.count == 3 }
    #expect(node.log.failures == [.malformedHandshake, .closedDuringHandshake, .badHandshake])
    try await expectAlive(node)
    await node.endpoint.shutdown()
  }

  @Test func aReplayedMessageEndsTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    let message = raw.message(YamuxFrame.openings() + YamuxFrame.frame(.consensus, [1, 2]))
    raw.send(message + message)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.received.map(\.bytes) == [[1, 2]])
    #expect(node.log.downs == [.violation("badCiphertext")])
    #expect(node.endpoint.counters.count("badCiphertext") == 1)
    #expect(raw.goodbye() == .protocolError)
    #expect(raw.read() == nil)
    try await expectAlive(node)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test(arguments: [2, 3, 18, 19]) func aChangedMessageEndsTheLink(index: Int) async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    var message = raw.message(YamuxFrame.openings() + YamuxFrame.frame(.consensus, [1, 2]))
    message[index] ^= 0x10
    raw.send(message)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.received.isEmpty)
    #expect(node.log.downs == [.violation("badCiphertext")])
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func anOversizedFrameEndsTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    // Its length is enough. What came before it counts.
    let frame = YamuxFrame.data(.sync, YamuxFrame.prefix(LinkConfiguration.maximumFrameByteCount + 1))
    raw.say(YamuxFrame.openings() + YamuxFrame.frame(.sync, [1]) + frame)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.received.map(\.bytes) == [[1]])
    #expect(node.log.downs == [.violation("oversizedFrame")])
    #expect(node.endpoint.counters.count("oversizedFrame") == 1)
    #expect(raw.goodbye() == .protocolError)
    try await expectAlive(node)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  /// What breaks the rules of streams, or of channels, with the name under which it is counted.
  private static let violations: [(bytes: [UInt8], name: String)] = [
    (YamuxFrame(version: 1, YamuxFrame.data, stream: 1, length: 0).bytes, "yamux.version"),
    (YamuxFrame(4, length: 0).bytes, "yamux.type"),
    (YamuxFrame(YamuxFrame.ping, flags: YamuxFrame.fin, length: 0).bytes, "yamux.flags"),
    (YamuxFrame(YamuxFrame.data, length: 0).bytes, "yamux.streamFrameOnSession"),
    (YamuxFrame(YamuxFrame.data, stream: 9, length: 0).bytes, "yamux.unknownStream"),
    (YamuxFrame(YamuxFrame.data, flags: YamuxFrame.syn, stream: 2, length: 0).bytes, "yamux.wrongParity"),
    (YamuxFrame(YamuxFrame.data, stream: 1, length: 2 << 20).bytes, "yamux.frameTooLong"),
    (YamuxFrame(YamuxFrame.data, stream: 1, length: 300_000).bytes, "yamux.windowExceeded"),
    (YamuxFrame(YamuxFrame.data, flags: YamuxFrame.fin, stream: 3, length: 0).bytes, "streamEnded"),
    (YamuxFrame(YamuxFrame.windowUpdate, flags: YamuxFrame.rst, stream: 3, length: 0).bytes, "streamEnded"),
  ]

  @Test(arguments: violations.indices) func whatTheProtocolForbidsEndsTheLink(index: Int) async throws {
    let (bytes, name) = RawLinkTests.violations[index]
    let node = try await TestNode { $0.consensusWindowByteCount = 262_144 }
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.say(YamuxFrame.openings() + bytes)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation(name)])
    #expect(node.endpoint.counters.count(name) == 1)
    #expect(raw.goodbye() == .protocolError)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func channelsThatAreOpenedOutOfOrderEndTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.say(YamuxFrame(YamuxFrame.windowUpdate, flags: YamuxFrame.syn, stream: 3, length: 0).bytes)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation("streamOrder")])
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  // A later version may open others: that costs it those, and not the link.
  @Test(arguments: [NoiseHandshake.Role.initiator, .responder])
  func furtherStreamsAreRefused(role: NoiseHandshake.Role) async throws {
    let (node, key) = (try await TestNode(), try SigningKey.generate())
    let listener = RawListener()
    let raw: RawPeer
    if role == .initiator {
      raw = RawPeer(connectingTo: node.address)
    } else {
      node.endpoint.dial(listener.address, expecting: nil)
      raw = listener.accept()
    }
    try raw.shake(role, key: key)
    if role == .initiator { raw.say(YamuxFrame.openings()) }
    let stream: UInt32 = role == .initiator ? 9 : 2
    raw.say(YamuxFrame(YamuxFrame.data, flags: YamuxFrame.syn, stream: stream, length: 3, [0x10, 1, 2]).bytes)
    while let frame = raw.next(YamuxFrame.windowUpdate), frame.stream != stream || frame.flags != YamuxFrame.rst {}
    // What comes late on it is no violation.
    raw.say(YamuxFrame(YamuxFrame.data, stream: stream, length: 3, [0x10, 1, 2]).bytes)
    if role == .initiator { raw.say(YamuxFrame.frame(.sync, [7])) }
    raw.say(YamuxFrame(YamuxFrame.ping, flags: YamuxFrame.syn, length: 4_711).bytes)
    while let frame = raw.next(YamuxFrame.ping), frame.flags != YamuxFrame.ack || frame.length != 4_711 {}
    #expect(node.endpoint.counters.count("refusedStream") == 1)
    #expect(node.log.received.map(\.bytes) == (role == .initiator ? [[7]] : []))
    #expect(node.log.downs.isEmpty && node.endpoint.links.map(\.id) == [key.id])
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  // What another implementation sees of a link that it accepted, byte for byte.
  @Test func theDiallerOpensTheFourChannels() async throws {
    let (node, key) = (try await TestNode(), try SigningKey.generate())
    let listener = RawListener()
    node.endpoint.dial(listener.address, expecting: nil)
    let raw = listener.accept()
    try raw.shake(.responder, key: key)
    for channel in LinkChannel.allCases {
      let opening = try #require(raw.nextFrame())
      #expect(opening.type == YamuxFrame.windowUpdate && opening.flags == YamuxFrame.syn)
      #expect(opening.stream == UInt32(channel.rawValue) * 2 + 1)
      #expect(opening.length == LinkConfiguration().windows[channel.index] - YamuxFrame.initialWindow)
    }
    let ping = try #require(raw.nextFrame())
    #expect(ping.type == YamuxFrame.ping && ping.flags == YamuxFrame.syn && ping.stream == 0)
    raw.say(YamuxFrame(YamuxFrame.ping, flags: YamuxFrame.ack, length: ping.length).bytes)
    for channel in LinkChannel.allCases {
      raw.say(
        YamuxFrame(YamuxFrame.windowUpdate, flags: YamuxFrame.ack, stream: channel.streamID, length: 0).bytes
          + YamuxFrame.frame(channel, [channel.rawValue]))
    }
    await eventually { node.log.received.count == 4 && node.endpoint.links.first?.roundTripMicroseconds != nil }
    #expect(node.log.received.map(\.bytes) == [[0], [1], [2], [3]])
    #expect(node.endpoint.send([5, 6, 7], channel: .broadcast, to: key.id))
    let data = try #require(raw.nextFrame())
    #expect(data == YamuxFrame(YamuxFrame.data, stream: 3, length: 7, [0, 0, 0, 3, 5, 6, 7]))
    node.endpoint.close(key.id, reason: "enough")
    #expect(raw.nextFrame() == YamuxFrame(YamuxFrame.goAway, length: 0))
    #expect(raw.nextFrame() == nil)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  // A closed socket with bytes unread takes back what it sent last: a goodbye would be lost to who is still talking.
  @Test(arguments: 0..<10) func theGoodbyeReachesWhoIsStillTalking(round: Int) async throws {
    // However long the talking takes here.
    let (node, key) = (try await TestNode { $0.lingerLimit = .seconds(60) }, try SigningKey.generate())
    var raw: RawPeer? = RawPeer(connectingTo: node.address)
    try raw?.shake(.initiator, key: key)
    raw?.say(YamuxFrame.openings())
    await eventually { node.endpoint.links.count == 1 }
    let pings = (0..<5_000).flatMap { YamuxFrame(YamuxFrame.ping, flags: YamuxFrame.syn, length: $0).bytes }
    node.endpoint.close(key.id, reason: "enough", notice: .misbehaviour)
    for _ in 0..<40 { raw?.say(pings) }
    #expect(raw?.goodbye() == .misbehaviour)
    #expect(raw?.read() == nil)
    raw = nil
    await node.endpoint.shutdown()
  }

  // And who neither reads nor closes is not waited for.
  @Test func whoDoesNotReadIsNotWaitedFor() async throws {
    let (node, key) = (try await TestNode { $0.lingerLimit = .milliseconds(50) }, try SigningKey.generate())
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: key)
    await eventually { node.endpoint.links.count == 1 }
    await node.endpoint.shutdown()
    #expect(node.log.downs == [.shutdown])
    #expect(raw.goodbye() == .normal)
  }

  @Test func anImpossibleLengthEndsTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.send([0, 15] + [UInt8](repeating: 0, count: 15))
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation("garbage")])
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func theOtherSideMayRekey() async throws {
    let node = try await TestNode { $0.rekeyMessages = 3 }
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.say(YamuxFrame.openings())
    for number in UInt8(0)..<5 {
      raw.say(YamuxFrame.frame(.consensus, [number]))
      try raw.rekey()
    }
    await eventually { node.log.received.count == 5 }
    #expect(node.log.received.map(\.bytes) == (0..<5).map { [UInt8($0)] })
    #expect(node.log.downs.isEmpty)
    // And this side does, by an empty message too.
    let id = try #require(node.endpoint.links.first?.id)
    for number in UInt8(0)..<10 {
      #expect(node.endpoint.send([number], channel: .consensus, to: id))
      #expect(raw.next(YamuxFrame.data)?.body == YamuxFrame.prefix(1) + [number])
    }
    #expect(raw.rekeys >= 3)
    let rekeys = UInt64(raw.rekeys)
    await eventually { node.endpoint.links.first?.rekeys == rekeys + 5 }
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func whoRekeysWithoutEndIsLeft() async throws {
    let node = try await TestNode { $0.rekeyBurst = 8 }
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    for _ in 0..<8 { try raw.rekey() }
    raw.say(YamuxFrame.openings())
    raw.say(YamuxFrame.frame(.consensus, [1]))
    await eventually { node.log.received.count == 1 }
    for _ in 0..<64 { try raw.rekey() }
    await eventually { node.log.downs == [.violation("rekeyFlood")] }
    #expect(node.endpoint.counters.count("rekeyFlood") == 1)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  // The other side takes no data on one channel for a while, and all else goes on.
  @Test func aStalledChannelStallsAlone() async throws {
    let (node, key) = (try await TestNode { $0.pingInterval = .milliseconds(20) }, try SigningKey.generate())
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: key)
    raw.say(YamuxFrame.openings())
    await eventually { node.endpoint.links.count == 1 }
    let window = Int(YamuxFrame.initialWindow)
    #expect(node.endpoint.send([UInt8](repeating: 1, count: window + 1), channel: .sync, to: key.id))
    var byteCount = 0
    while byteCount < window { byteCount += try #require(raw.next(YamuxFrame.data)).body.count }
    #expect(byteCount == window)
    for _ in 0..<3 { while let ping = raw.next(YamuxFrame.ping), ping.flags != YamuxFrame.syn {} }
    #expect(node.endpoint.send([8], channel: .consensus, to: key.id))
    #expect(raw.next(YamuxFrame.data)?.body == YamuxFrame.prefix(1) + [8])
    // With room the rest comes: five bytes, with the frame's length.
    raw.say(YamuxFrame(YamuxFrame.windowUpdate, stream: LinkChannel.sync.streamID, length: 100).bytes)
    #expect(raw.next(YamuxFrame.data)?.body.count == 5)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func aSilentLinkIsClosed() async throws {
    let node = try await TestNode {
      $0.pingInterval = .milliseconds(10); $0.silenceLimit = .milliseconds(60)
    }
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.silent])
    // It was asked before it was given up.
    #expect(raw.next(YamuxFrame.ping)?.flags == YamuxFrame.syn)
    raw.hangUp()
    await node.endpoint.shutdown()
  }

  @Test func aBrokenConnectionIsNoticed() async throws {
    let node = try await TestNode()
    var raw: RawPeer? = RawPeer(connectingTo: node.address)
    try raw?.shake(.initiator, key: .generate())
    await eventually { node.log.ups.count == 1 }
    raw = nil
    await eventually { node.log.downs.count == 1 }
    guard case .lost = node.log.downs[0] else {
      Issue.record("\(node.log.downs)")
      return
    }
    await node.endpoint.shutdown()
  }

  @Test func connectionsBeyondTheRateAreClosedUnread() async throws {
    let node = try await TestNode {
      $0.handshakesPerSecondPerPrefix = 0; $0.handshakeBurstPerPrefix = 2
    }
    let (one, two) = (RawPeer(connectingTo: node.address), RawPeer(connectingTo: node.address))
    try one.shake(.initiator, key: .generate())
    try two.shake(.initiator, key: .generate())
    for _ in 0..<3 { #expect(RawPeer(connectingTo: node.address).read() == nil) }
    #expect(node.endpoint.counters.count("tooManyHandshakes") == 3)
    // Links that are up do not suffer, and the listener is still there.
    one.say(YamuxFrame.openings() + YamuxFrame.frame(.consensus, [1]))
    await eventually { node.log.received.count == 1 }
    #expect(RawPeer(connectingTo: node.address).read() == nil)
    #expect(node.endpoint.counters.count("tooManyHandshakes") == 4)
    await node.endpoint.shutdown()
  }

  @Test func handshakesUnderWayAreBounded() async throws {
    let node = try await TestNode {
      $0.maximumHandshakes = 2
      $0.maximumDials = 1
    }
    let waiting = [RawPeer(connectingTo: node.address), RawPeer(connectingTo: node.address)]
    #expect(RawPeer(connectingTo: node.address).read() == nil)
    #expect(node.endpoint.counters.count("tooManyHandshakes") == 1)
    // Nobody's silence keeps the node from dialling.
    let other = try await TestNode()
    await node.link(to: other)
    let silent = RawListener()
    let known = try SigningKey.generate()
    node.endpoint.dial(silent.address, expecting: nil)
    node.endpoint.dial(silent.address, expecting: known.id)
    await eventually { node.log.failures.count == 1 }
    #expect(node.log.failures == [.tooManyDials])
    // Nor do dials that come to nothing keep it from a validator.
    node.endpoint.prefer([known.id])
    node.endpoint.dial(silent.address, expecting: known.id)
    _ = silent.accept()
    try silent.accept().shake(.responder, key: known)
    await eventually { node.log.ups.count == 2 }
    for raw in waiting { try raw.shake(.initiator, key: .generate()) }
    // Until it has read the end of these handshakes there is no place for another.
    await eventually { node.log.ups.count == 4 }
    try await expectAlive(node)
    await node.endpoint.shutdown()
    await other.endpoint.shutdown()
  }

  @Test func onePrefixTakesUpAPartOfTheHandshakes() async throws {
    let node = try await TestNode()
    let share = LinkConfiguration().maximumHandshakesPerPrefix
    let silent = (0..<64).map { _ in RawPeer(connectingTo: node.address, from: 0x7f01_0101) }
    await eventually { node.endpoint.counters.count("tooManyHandshakes") == UInt64(64 - share) }
    withExtendedLifetime(silent) {}
    // From another there is room.
    try await expectAlive(node)
    await node.endpoint.shutdown()
  }

  // Both dialled, and both connections are complete before either side knew of the other's: the crossing itself.
  @Test(arguments: [true, false]) func ofTwoCrossingDialsTheLowerIdsStays(isRawLower: Bool) async throws {
    let (lower, higher) = try orderedKeys()
    let rawKey = isRawLower ? lower : higher
    let node = try await TestNode(key: isRawLower ? higher : lower)
    let listener = RawListener()
    let staticKey = try KeyAgreementKey.generate()
    let dialled = RawPeer(connectingTo: node.address)
    var pending = try dialled.shake(.initiator, key: rawKey, staticKey: staticKey, before: 3)
    node.endpoint.dial(listener.address, expecting: rawKey.id)
    let accepted = listener.accept()
    try accepted.shake(.responder, key: rawKey, staticKey: staticKey)
    await eventually { node.log.ups.count == 1 }
    try dialled.finish(&pending)
    let (kept, dropped) = isRawLower ? (dialled, accepted) : (accepted, dialled)
    #expect(dropped.goodbye() == .replaced)
    #expect(dropped.read() == nil)
    dropped.hangUp()
    let openings = isRawLower ? YamuxFrame.openings() : []
    kept.say(openings + YamuxFrame.frame(.consensus, [42]))
    await eventually { node.log.received.count == 1 }
    #expect(node.log.ups.map(\.direction) == (isRawLower ? [.outbound, .inbound] : [.outbound]))
    #expect(node.log.downs == (isRawLower ? [.replaced] : []))
    #expect(node.endpoint.links.map(\.direction) == [isRawLower ? .inbound : .outbound])
    #expect(node.endpoint.counters.count(isRawLower ? "replacedLink" : "duplicateLink") == 1)
    kept.hangUp()
    await node.endpoint.shutdown()
  }

  // The other node was restarted without a farewell; its new process is believed, whoever dialled the old link.
  @Test(arguments: [true, false]) func aRestartedNodesLinkReplacesTheOld(isRawLower: Bool) async throws {
    let (lower, higher) = try orderedKeys()
    let rawKey = isRawLower ? lower : higher
    let node = try await TestNode(key: isRawLower ? higher : lower)
    let listener = RawListener()
    node.endpoint.dial(listener.address, expecting: rawKey.id)
    let old = listener.accept()
    try old.shake(.responder, key: rawKey)
    await eventually { node.log.ups.count == 1 }
    let new = RawPeer(connectingTo: node.address)
    try new.shake(.initiator, key: rawKey)
    await eventually { node.log.ups.count == 2 }
    #expect(node.log.downs == [.replaced])
    new.say(YamuxFrame.openings() + YamuxFrame.frame(.consensus, [42]))
    await eventually { node.log.received.count == 1 }
    #expect(node.endpoint.links.map(\.direction) == [.inbound])
    for raw in [old, new] { raw.hangUp() }
    await node.endpoint.shutdown()
  }
}
