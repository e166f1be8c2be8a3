import Glibc
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
    let node = try await TestNode { $0.handshakeTimeout = .milliseconds(200) }
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
    let message = raw.message(LinkChannel.consensus.rawValue, [1, 2])
    raw.send(message + message)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.received.map(\.bytes) == [[1, 2]])
    #expect(node.log.downs == [.violation("badCiphertext")])
    #expect(node.endpoint.counters.count("badCiphertext") == 1)
    #expect(raw.next() == [LinkFormat.close, LinkNotice.misbehaviour.rawValue])
    #expect(raw.read() == nil)
    try await expectAlive(node)
    await node.endpoint.shutdown()
  }

  @Test(arguments: [2, 3, 18, 19]) func aChangedMessageEndsTheLink(index: Int) async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    var message = raw.message(LinkChannel.consensus.rawValue, [1, 2])
    message[index] ^= 0x10
    raw.send(message)
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.received.isEmpty)
    #expect(node.log.downs == [.violation("badCiphertext")])
    await node.endpoint.shutdown()
  }

  @Test func anOversizedFrameEndsTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    let part = [UInt8](repeating: 1, count: LinkFormat.maximumFragmentByteCount)
    let most = LinkConfiguration.maximumFrameByteCount / part.count
    for _ in 0...most { raw.send(raw.message(LinkChannel.sync.rawValue | LinkFormat.moreFlag, part)) }
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation("oversizedFrame")])
    #expect(node.endpoint.counters.count("oversizedFrame") == 1)
    try await expectAlive(node)
    await node.endpoint.shutdown()
  }

  @Test(
    arguments: [
      [8], [0x7f], [0x80], [0x80, 1, 2], [0x82], [0x83, 1], [0x84], [0xff], [LinkFormat.moreFlag],
    ] as [[UInt8]])
  func plaintextThatMeansNothingEndsTheLink(plaintext: [UInt8]) async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.send(raw.message(plaintext[0], Array(plaintext.dropFirst())))
    await eventually { node.log.downs.count == 1 }
    let name = plaintext == [LinkFormat.moreFlag] ? "emptyFragment" : "garbage"
    #expect(node.log.downs == [.violation(name)])
    #expect(node.endpoint.counters.count(name) == 1)
    await node.endpoint.shutdown()
  }

  @Test func anImpossibleLengthEndsTheLink() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    raw.send([0, 16] + [UInt8](repeating: 0, count: 16))
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation("garbage")])
    await node.endpoint.shutdown()
  }

  @Test func incompleteFramesOfAllLinksAreBounded() async throws {
    let node = try await TestNode { $0.reassemblyByteCount = 100_000 }
    let (one, two) = (RawPeer(connectingTo: node.address), RawPeer(connectingTo: node.address))
    try one.shake(.initiator, key: .generate())
    try two.shake(.initiator, key: .generate())
    let part = [UInt8](repeating: 1, count: 60_000)
    one.send(one.message(LinkChannel.sync.rawValue | LinkFormat.moreFlag, part))
    // An answered ping shows that the part was taken.
    one.send(one.message(LinkFormat.ping, [1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(one.next() == [LinkFormat.pong, 1, 2, 3, 4, 5, 6, 7, 8])
    two.send(two.message(LinkChannel.sync.rawValue | LinkFormat.moreFlag, part))
    await eventually { node.log.downs.count == 1 }
    #expect(node.log.downs == [.violation("reassemblyLimit")])
    // What the closed link held is free again: the first one may go on, and another begin.
    one.send(one.message(LinkChannel.sync.rawValue, [2]))
    await eventually { node.log.received.count == 1 }
    #expect(node.log.received[0].bytes == part + [2])
    one.send(one.message(LinkChannel.services.rawValue | LinkFormat.moreFlag, part))
    one.send(one.message(LinkChannel.services.rawValue, [3]))
    await eventually { node.log.received.count == 2 }
    await node.endpoint.shutdown()
  }

  @Test func theOtherSideMayRekey() async throws {
    let node = try await TestNode()
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: .generate())
    for number in UInt8(0)..<5 {
      raw.send(raw.message(0, [number]) + raw.message(LinkFormat.rekey, []))
      try raw.session?.sending.rekey()
    }
    await eventually { node.log.received.count == 5 }
    #expect(node.log.received.map(\.bytes) == (0..<5).map { [UInt8($0)] })
    #expect(node.log.downs.isEmpty)
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
    let first = try #require(raw.read())
    #expect(opened(first, &raw.session!.receiving)?.first == LinkFormat.ping)
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
    one.send(one.message(0, [1]))
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
    try await expectAlive(node)
    await node.endpoint.shutdown()
    await other.endpoint.shutdown()
  }

  @Test func onePrefixTakesUpAPartOfTheHandshakes() async throws {
    let node = try await TestNode()
    let share = LinkConfiguration().maximumHandshakesPerPrefix
    let silent = (0..<64).map { _ in RawPeer(connectingTo: node.address, from: 0x7f01_0101) }
    await eventually { node.endpoint.counters.count("tooManyHandshakes") == UInt64(64 - share) }
    #expect(silent.count == 64)
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
    #expect(dropped.next() == [LinkFormat.close, LinkNotice.replaced.rawValue])
    #expect(dropped.read() == nil)
    kept.send(kept.message(0, [42]))
    await eventually { node.log.received.count == 1 }
    #expect(node.log.ups.map(\.direction) == (isRawLower ? [.outbound, .inbound] : [.outbound]))
    #expect(node.log.downs == (isRawLower ? [.replaced] : []))
    #expect(node.endpoint.links.map(\.direction) == [isRawLower ? .inbound : .outbound])
    #expect(node.endpoint.counters.count(isRawLower ? "replacedLink" : "duplicateLink") == 1)
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
    new.send(new.message(0, [42]))
    await eventually { node.log.received.count == 1 }
    #expect(node.endpoint.links.map(\.direction) == [.inbound])
    await node.endpoint.shutdown()
  }
}
