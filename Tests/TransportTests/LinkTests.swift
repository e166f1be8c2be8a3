import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// Endpoints against each other over real sockets.
@Suite(.timeLimit(.minutes(1))) struct LinkTests {
  @Test func bothDirectionsAndAllChannels() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    await one.link(to: two)
    for channel in LinkChannel.allCases {
      #expect(one.endpoint.send([1, channel.rawValue], channel: channel, to: two.id))
      #expect(two.endpoint.send([2, channel.rawValue], channel: channel, to: one.id))
    }
    await eventually { one.log.received.count == 4 && two.log.received.count == 4 }
    for channel in LinkChannel.allCases {
      #expect(two.log.received.contains { $0.channel == channel && $0.bytes == [1, channel.rawValue] })
      #expect(one.log.received.contains { $0.channel == channel && $0.bytes == [2, channel.rawValue] })
    }
    let info = try #require(one.endpoint.links.first)
    #expect(info.id == two.id && info.direction == .outbound && info.address == two.address)
    #expect(info.bytesIn > 0 && info.bytesOut > 0 && info.sinceUnixMicroseconds > 0)
    await eventually { one.endpoint.links.first?.roundTripMicroseconds != nil }
    #expect(info.streams.map(\.id) == [1, 3, 5, 7] && info.streams.map(\.channel) == LinkChannel.allCases)
    // Four bytes of length and two of the frame, each way.
    await eventually {
      [one, two].allSatisfy { node in
        node.endpoint.links.first?.streams.allSatisfy { $0.sentBytes == 6 && $0.receivedBytes == 6 } == true
      }
    }
    #expect(two.endpoint.links.first?.direction == .inbound)
    await one.endpoint.shutdown()
    await eventually { two.log.downs.count == 1 }
    #expect(one.log.downs == [.shutdown])
    #expect(two.log.downs == [.closedByPeer(.normal)])
    #expect(!two.endpoint.send([1], channel: .consensus, to: one.id))
    #expect(two.endpoint.counters.count("send.noLink") == 1)
    await two.endpoint.shutdown()
  }

  @Test func framesOfEverySizeArriveWholeAndInOrder() async throws {
    let (one, two) = (try await TestNode(), try await TestNode { $0.rekeyMessages = 7 })
    await one.link(to: two)
    let limit = LinkFormat.maximumDataByteCount - 4
    let sizes = [0, 1, 1_000, limit - 1, limit, limit + 1, 3 * limit, 1 << 20, LinkConfiguration.maximumFrameByteCount]
    let frames = sizes.map { randomBytes($0) }
    for (node, other) in [(one, two), (two, one)] {
      for frame in frames { #expect(node.endpoint.send(frame, channel: .sync, to: other.id)) }
      #expect(
        !node.endpoint.send(
          [UInt8](repeating: 0, count: LinkConfiguration.maximumFrameByteCount + 1), channel: .sync, to: other.id))
      #expect(node.endpoint.counters.count("send.oversizedFrame") == 1)
    }
    await eventually { one.log.received.count == sizes.count && two.log.received.count == sizes.count }
    for node in [one, two] {
      let areEqual = node.log.received.map(\.bytes) == frames
      #expect(areEqual)
      await eventually { (node.endpoint.links.first?.rekeys ?? 0) > 20 }
    }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func aVoteOvertakesQueuedBlocksAndTheyOvertakeGossip() async throws {
    let node = try await TestNode()
    let (raw, key) = (RawPeer(connectingTo: node.address), try SigningKey.generate())
    try raw.shake(.initiator, key: key)
    raw.say(YamuxFrame.openings(window: 64 << 20))
    await eventually { node.endpoint.links.first?.streams.allSatisfy { $0.sendWindowBytes == 64 << 20 } == true }
    // More than the kernel's buffers hold: the other side does not read.
    let block = [UInt8](repeating: 7, count: LinkConfiguration.maximumFrameByteCount - 1_000)
    #expect(node.endpoint.send(block, channel: .sync, to: key.id))
    #expect(node.endpoint.send([2], channel: .broadcast, to: key.id))
    for _ in 0..<2 { #expect(node.endpoint.send(block, channel: .sync, to: key.id)) }
    #expect(node.endpoint.send([1], channel: .consensus, to: key.id))
    var order: [LinkChannel] = []
    var byteCounts: [LinkChannel: Int] = [:]
    while byteCounts[.broadcast, default: 0] < 5 {
      let frame = try #require(raw.next(YamuxFrame.data))
      let channel = try #require(LinkChannel(streamID: frame.stream))
      byteCounts[channel, default: 0] += frame.body.count
      order.append(channel)
    }
    let vote = try #require(order.firstIndex(of: .consensus))
    #expect(byteCounts == [.consensus: 5, .broadcast: 5, .sync: 3 * (block.count + 4)])
    #expect(order.last == .broadcast && order[vote...].count { $0 == .sync } > 100, "\(order)")
    await node.endpoint.shutdown()
  }

  @Test func aPausedReaderFillsTheSendersQueueAndNothingElse() async throws {
    let (one, two) = (
      try await TestNode {
        $0.servicesQueueByteCount = 4 << 20
        $0.consensusQueueByteCount = 4 << 20
      }, try await TestNode()
    )
    await one.link(to: two)
    two.reader.pause([.services, .consensus])
    let frame = [UInt8](repeating: 3, count: 1 << 20)
    var accepted = 0
    // Until the loop has moved what the window takes, the queue alone may be full.
    await eventually {
      if one.endpoint.send(frame, channel: .services, to: two.id) { accepted += 1 }
      return one.endpoint.links.first?.streams[3].sendWindowBytes == 0 || accepted > 100
    }
    while one.endpoint.send(frame, channel: .services, to: two.id), accepted <= 100 { accepted += 1 }
    let windows = LinkConfiguration().windows.map(Int.init)
    // The window, the queue, and what the frame that is cut in two takes.
    #expect((6...9).contains(accepted), "\(accepted)")
    #expect(one.endpoint.counters.count("send.full.services") >= 1)
    #expect(two.endpoint.links[0].streams[3].unconsumedBytes <= windows[3])
    #expect(one.endpoint.links[0].waitingBytes >= 3 << 20)
    // The consensus channel takes the newest for the oldest.
    for number in 0..<200 {
      #expect(one.endpoint.send([UInt8(number)] + frame, channel: .consensus, to: two.id))
    }
    #expect(one.endpoint.counters.count("send.dropped.consensus") > 0)
    // The others go on.
    for channel in [LinkChannel.broadcast, .sync] {
      for _ in 0..<40 {
        await eventually { one.endpoint.send(frame, channel: channel, to: two.id) }
      }
      await eventually { two.log.receivedBytes(channel) == 40 << 20 }
    }
    #expect(two.log.receivedBytes(.consensus) <= windows[0] + frame.count + 1)
    two.reader.resume()
    await eventually { two.log.received.contains { $0.channel == .consensus && $0.bytes[0] == 199 } }
    let votes = two.log.received.filter { $0.channel == .consensus }.map { $0.bytes[0] }
    #expect(votes == votes.sorted())
    await eventually { two.log.receivedBytes(.services) == accepted << 20 }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  // The receiver can't hold such a frame in its window, and the sender waits for room in the middle of it.
  @Test func framesLongerThanTheWindowArriveOnAllChannelsAtOnce() async throws {
    func narrow(_ configuration: inout LinkConfiguration) {
      configuration.consensusWindowByteCount = 262_144
      configuration.broadcastWindowByteCount = 262_144
      configuration.syncWindowByteCount = 262_144
      configuration.servicesWindowByteCount = 262_144
      configuration.maximumWaitingFrames = 1
    }
    let (one, two) = (try await TestNode(narrow), try await TestNode(narrow))
    await one.link(to: two)
    for node in [one, two] { node.reader.pause() }
    let sizes = [1, 1_000_000, 0, 3_000_000, 5, 262_140, 262_144, 1]
    for channel in LinkChannel.allCases {
      for size in sizes {
        let frame = [UInt8](repeating: channel.rawValue, count: size)
        #expect(one.endpoint.send(frame, channel: channel, to: two.id))
        #expect(two.endpoint.send(frame, channel: channel, to: one.id))
      }
    }
    // Each frame is dealt with long after it came.
    await eventually {
      for node in [one, two] {
        node.reader.resume()
        node.reader.pause()
      }
      return [one, two].allSatisfy { $0.log.received.count == sizes.count * LinkChannel.allCases.count }
    }
    for node in [one, two] {
      for channel in LinkChannel.allCases {
        #expect(node.log.received.filter { $0.channel == channel }.map(\.bytes.count) == sizes)
      }
      #expect(node.log.downs.isEmpty)
    }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  // What came over a link that is gone gives no credit on the next one, however late it is dealt with.
  @Test func framesOfAnEarlierLinkGiveNoCredit() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    let window = Int(LinkConfiguration().servicesWindowByteCount)
    // While the small one waits, nothing is given back of the others as they come.
    let frames = [[1]] + [[UInt8]](repeating: [UInt8](repeating: 3, count: window / 4 - 6), count: 4)
    let byteCount = frames.reduce(0) { $0 + $1.count + 4 }
    two.reader.pause()
    for round in 1...2 {
      await one.link(to: two)
      for frame in frames {
        await eventually { one.endpoint.links.first?.streams[3].sendWindowBytes ?? 0 >= frame.count + 4 }
        #expect(one.endpoint.send(frame, channel: .services, to: two.id))
      }
      await eventually { two.log.received.count == frames.count * round }
      await eventually { two.endpoint.links.first?.streams[3].unconsumedBytes == byteCount }
      guard round == 1 else { break }
      one.endpoint.close(two.id, reason: "another")
      await eventually { one.log.downs.count == 1 && two.log.downs.count == 1 }
    }
    #expect(one.endpoint.send([9, 9], channel: .services, to: two.id))
    for frame in frames { two.endpoint.consumed(frame.count, channel: .services, from: one.id) }
    // A frame on another channel is a turn of both loops.
    #expect(one.endpoint.send([1], channel: .consensus, to: two.id))
    await eventually { two.log.received.contains { $0.channel == .consensus } }
    #expect(two.endpoint.links[0].streams[3].unconsumedBytes >= byteCount)
    #expect(one.endpoint.links[0].streams[3].sendWindowBytes < 5)
    // Those of this link do.
    for frame in frames { two.endpoint.consumed(frame.count, channel: .services, from: one.id) }
    await eventually { two.log.received.contains { $0.bytes == [9, 9] } }
    // Whoever says it too often, or for nobody, is not believed.
    for _ in 0..<100 { two.endpoint.consumed(1_000, channel: .services, from: one.id) }
    two.endpoint.consumed(5, channel: .sync, from: try SigningKey.generate().id)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func aFullBroadcastQueueIsCongested() async throws {
    let (one, two) = (
      try await TestNode { $0.broadcastQueueByteCount = 8 << 20 }, try await TestNode()
    )
    await one.link(to: two)
    two.reader.pause()
    let frame = [UInt8](repeating: 3, count: 1 << 20)
    await eventually {
      one.endpoint.send(frame, channel: .broadcast, to: two.id)
      return one.log.congestions == [true]
    }
    two.reader.resume()
    await eventually { one.log.congestions == [true, false] }
    #expect(one.log.all.contains { if case .congested(two.id, .broadcast, true) = $0 { true } else { false } })
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func whatWaitsOnAllLinksIsBounded() async throws {
    let one = try await TestNode { $0.queueByteCount = 3 << 20 }
    let (two, three) = (try await TestNode(), try await TestNode())
    await one.link(to: two)
    await one.link(to: three)
    two.reader.pause()
    let frame = [UInt8](repeating: 3, count: 1 << 20)
    // The window takes some; then two's queue is all there is.
    await eventually { !one.endpoint.send(frame, channel: .services, to: two.id) }
    await eventually {
      _ = one.endpoint.send(frame, channel: .services, to: two.id)
      return !one.endpoint.send(frame, channel: .sync, to: three.id)
    }
    // Each link has a share that nobody else can use up: three is told what fits into it.
    let small = [UInt8](repeating: 4, count: 1_000)
    #expect(one.endpoint.send(small, channel: .sync, to: three.id))
    await eventually { three.log.received.contains { $0.channel == .sync } }
    #expect(one.endpoint.send(frame, channel: .consensus, to: three.id))
    await eventually { three.log.received.contains { $0.channel == .consensus } }
    // A link that goes takes with it what waited.
    one.endpoint.close(two.id, reason: "test")
    await eventually { one.log.downs.count == 1 }
    await eventually { one.endpoint.send(frame, channel: .sync, to: three.id) }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
    await three.endpoint.shutdown()
  }

  @Test func aWrongNetworkIsRefusedOnBothSides() async throws {
    let (one, two) = (try await TestNode(), try await TestNode(network: Digest(hashing: [2])))
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 1 }
    #expect(one.log.failures == [.wrongNetwork])
    #expect(one.endpoint.counters.count("dial.wrongNetwork") == 1)
    // The other end hears of it by itself, perhaps later.
    await eventually { two.endpoint.counters.count("wrongNetwork") == 1 }
    #expect(one.endpoint.links.isEmpty && two.endpoint.links.isEmpty)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func anotherIdThanExpectedIsRefused() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.dial(two.address, expecting: try SigningKey.generate().id)
    await eventually { one.log.failures.count == 1 }
    #expect(one.log.failures == [.unexpectedIdentity])
    await eventually { two.endpoint.counters.count("closedDuringHandshake") == 1 }
    #expect(two.log.all.isEmpty)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func dialsThatCannotSucceedSayWhy() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    let unused = RawListener().address
    one.endpoint.dial(unused, expecting: nil)
    await eventually { one.log.failures.count == 1 }
    for text in ["127.0.0.1:0", "0.0.0.0:80", "255.255.255.255:80", "239.1.1.1:80", "[ff02::1]:80", "[::]:80"] {
      one.endpoint.dial(try #require(PeerAddress(text: text)), expecting: nil)
    }
    await eventually { one.log.failures.count == 7 }
    one.endpoint.dial(one.address, expecting: nil)
    await eventually { one.log.failures.count == 8 }
    one.endpoint.dial(two.address, expecting: one.id)
    await eventually { one.log.failures.count == 9 }
    await one.link(to: two)
    one.endpoint.dial(two.address, expecting: two.id)
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 11 }
    #expect(
      one.log.failures
        == [.connectFailed] + [TransportError.Code](repeating: .unusableAddress, count: 6)
        + [.ownIdentity, .ownIdentity, .alreadyLinked, .alreadyLinked])
    #expect(one.endpoint.links.count == 1)
    await one.endpoint.shutdown()
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 12 }
    #expect(one.log.failures.last == .notRunning)
    await two.endpoint.shutdown()
  }

  @Test func aTakenPortIsNamed() async throws {
    let one = try await TestNode()
    let other = try LinkEndpoint(
      identity: one.key, networkID: testNetwork, group: .singletonMultiThreadedEventLoopGroup, logger: quiet
    ) { _ in }
    let error = await #expect(throws: TransportError.self) { try await other.start(listen: [one.address]) }
    #expect(error?.code == .addressInUse)
    #expect(error?.message.contains("\(one.address)") == true)
    let foreign = await #expect(throws: TransportError.self) {
      try await other.start(listen: [PeerAddress(text: "192.0.2.1:0")!])
    }
    #expect(foreign?.code == .cannotListen)
    // A failure leaves nothing behind: another address can be tried.
    try await other.start(listen: [PeerAddress(text: "127.0.0.1:0")!, PeerAddress(text: "[::1]:0")!])
    #expect(other.listening.count == 2)
    await #expect(throws: TransportError.self) { try await other.start(listen: []) }
    await other.shutdown()
    await one.endpoint.shutdown()
  }

  @Test func linksOverIPv6() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    let six = try LinkEndpoint(
      identity: .generate(), networkID: testNetwork, group: .singletonMultiThreadedEventLoopGroup, logger: quiet
    ) { [log = two.log] in log.add($0) }
    try await six.start(listen: [PeerAddress(text: "[::1]:0")!])
    one.endpoint.dial(six.listening[0], expecting: nil)
    await eventually { one.endpoint.links.count == 1 }
    #expect(one.endpoint.links[0].address == six.listening[0])
    await six.shutdown()
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func closingTellsBothSides() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    await one.link(to: two)
    one.endpoint.close(two.id, reason: "it is over", notice: .misbehaviour)
    await eventually { one.log.downs.count == 1 && two.log.downs.count == 1 }
    #expect(one.log.downs == [.requested("it is over")])
    #expect(two.log.downs == [.closedByPeer(.misbehaviour)])
    // And the way is free for another.
    await two.link(to: one)
    #expect(one.log.ups.map(\.direction) == [.outbound, .inbound])
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func theLimitOfLinksHolds() async throws {
    let (one, two, three) = (try await TestNode { $0.maximumLinks = 1 }, try await TestNode(), try await TestNode())
    await two.link(to: one)
    three.endpoint.dial(one.address, expecting: one.id)
    await eventually { three.log.downs.count == 1 }
    #expect(three.log.downs == [.closedByPeer(.tooManyLinks)])
    #expect(one.endpoint.counters.count("tooManyLinks") == 1)
    #expect(one.endpoint.links.map(\.id) == [two.id])
    for node in [one, two, three] { await node.endpoint.shutdown() }
  }

  @Test func onePrefixAndAllWhoConnectTakeUpAPartOfTheLinks() async throws {
    let one = try await TestNode {
      $0.maximumLinks = 8
      $0.maximumLinksPerPrivatePrefix = 2
    }
    func connect(from ip: UInt32) throws -> (raw: RawPeer, id: NodeID) {
      let (raw, key) = (RawPeer(connectingTo: one.address, from: ip), try SigningKey.generate())
      try raw.shake(.initiator, key: key)
      return (raw, key.id)
    }
    var strangers: [RawPeer] = []
    for host in UInt32(0)..<6 {
      strangers.append(try connect(from: 0x7f00_0001 + (host / 2) << 8).raw)
      await eventually { one.endpoint.links.count == Int(host) + 1 }
    }
    let third = try connect(from: 0x7f00_0001)
    #expect(third.raw.goodbye() == .tooManyLinks)
    #expect(one.endpoint.counters.count("tooManyInboundLinks") == 1)
    // A quarter is kept for those that this node dials.
    let others = [try await TestNode(), try await TestNode(), try await TestNode()]
    await one.link(to: others[0])
    strangers.removeLast()
    await eventually { one.endpoint.links.count == 6 }
    #expect(try connect(from: 0x7f00_0001).raw.goodbye() == .tooManyLinks)
    #expect(one.endpoint.counters.count("tooManyLinksPerPrefix") == 1)
    strangers.append(try connect(from: 0x7f00_0301).raw)
    await eventually { one.endpoint.links.count == 7 }
    await one.link(to: others[1])
    one.endpoint.dial(others[2].address, expecting: others[2].id)
    await eventually { one.log.failures.count == 1 }
    #expect(one.endpoint.counters.count("tooManyLinks") == 1)
    #expect(strangers.count == 6)
    for node in [one] + others { await node.endpoint.shutdown() }
  }

  @Test func aPreferredNodeIsNoStranger() async throws {
    let one = try await TestNode {
      $0.maximumLinks = 4
      $0.maximumLinksPerPrivatePrefix = 1
    }
    let (stranger, validators) = (
      try await TestNode(), [try await TestNode(), try await TestNode(), try await TestNode()]
    )
    one.endpoint.prefer(Set(validators.map(\.id)))
    for node in validators + [stranger] { await node.link(to: one) }
    #expect(one.endpoint.links.count == 4)
    for node in [one, stranger] + validators { await node.endpoint.shutdown() }
  }

  @Test func aBannedNodeGetsNoLinkForSomeTime() async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.ban(two.id, for: .seconds(3_600))
    two.endpoint.dial(one.address, expecting: one.id)
    await eventually { two.log.downs.count == 1 }
    #expect(two.log.downs == [.closedByPeer(.misbehaviour)])
    #expect(one.endpoint.counters.count("ban.inbound") == 1 && one.log.all.isEmpty)
    // Whether it is known beforehand who is there or not.
    one.endpoint.dial(two.address, expecting: two.id)
    one.endpoint.dial(two.address, expecting: nil)
    await eventually { one.log.failures.count == 2 }
    #expect(one.log.failures == [.banned, .banned])
    #expect(one.endpoint.counters.count("ban.dial") == 2)
    // The ban ends, and lets a link that there is stand.
    one.endpoint.ban(two.id, for: .milliseconds(1))
    while one.endpoint.links.isEmpty, !Task.isCancelled {
      let failures = one.log.failures.count
      one.endpoint.dial(two.address, expecting: two.id)
      await eventually { one.log.failures.count > failures || !one.endpoint.links.isEmpty }
    }
    await eventually { two.endpoint.links.count == 1 }
    one.endpoint.ban(two.id, for: .seconds(3_600))
    #expect(one.endpoint.send([1], channel: .consensus, to: two.id))
    await eventually { two.log.received.count == 1 }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  /// All places and all of a prefix's handshakes are taken by strangers: validators get links all the same.
  @Test func aValidatorTakesTheNewestStrangersPlace() async throws {
    let node = try await TestNode { $0.maximumLinks = 4 }
    let dialled = try await TestNode()
    await node.link(to: dialled)
    var strangers: [TestNode] = []
    for _ in 0..<3 {
      strangers.append(try await TestNode())
      await strangers[strangers.count - 1].link(to: node)
    }
    let silent = (0..<40).map { _ in RawPeer(connectingTo: node.address, from: 0x7f01_0101) }
    var validators: [TestNode] = []
    for _ in 0..<5 { validators.append(try await TestNode()) }
    node.endpoint.prefer(Set(validators.map(\.id)))
    // Those accepted last go first, then who was dialled.
    for (place, loser) in [strangers[2], strangers[1], strangers[0], dialled].enumerated() {
      await validators[place].link(to: node)
      await eventually { loser.log.downs == [.closedByPeer(.tooManyLinks)] }
    }
    #expect(silent.count == 40)
    #expect(Set(node.endpoint.links.map(\.id)) == Set(validators.prefix(4).map(\.id)))
    #expect(node.endpoint.counters.count("displacedLink") == 4)
    // A stranger displaces nobody, nor does a validator another.
    strangers[0].endpoint.dial(node.address, expecting: node.id)
    await eventually { strangers[0].log.downs.count == 2 }
    validators[4].endpoint.dial(node.address, expecting: node.id)
    await eventually { validators[4].log.downs.count == 1 }
    #expect(validators[4].log.downs == [.closedByPeer(.tooManyLinks)])
    #expect(node.endpoint.links.count == 4 && node.endpoint.counters.count("tooManyLinks") == 2)
    for other in [node, dialled] + strangers + validators { await other.endpoint.shutdown() }
  }

  @Test func pingsKeepAnIdleLinkAndMeasureIt() async throws {
    let (one, two) = (
      try await TestNode {
        $0.pingInterval = .milliseconds(20); $0.silenceLimit = .seconds(30)
      },
      try await TestNode()
    )
    await one.link(to: two)
    await eventually { one.endpoint.links.first?.roundTripMicroseconds != nil }
    let before = try #require(one.endpoint.links.first).bytesOut
    // Nobody sends anything but the timer.
    await eventually { one.endpoint.links.first.map { $0.bytesOut > before + 100 } ?? true }
    #expect(one.log.downs.isEmpty && one.endpoint.links.count == 1)
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test(arguments: 0..<20) func dialsAtOnceLeaveOneLink(round: Int) async throws {
    let (one, two) = (try await TestNode(), try await TestNode())
    one.endpoint.dial(two.address, expecting: two.id)
    two.endpoint.dial(one.address, expecting: one.id)
    // Both dials are over when each side saw its own come up or fail; and one link is left when ups exceed downs by one.
    func isSettled(_ node: TestNode) -> Bool {
      let outbound = node.log.ups.filter { $0.direction == .outbound }.count + node.log.failures.count
      return outbound == 1 && node.log.ups.count - node.log.downs.count == 1 && node.endpoint.links.count == 1
    }
    await eventually {
      guard isSettled(one), isSettled(two), let left = one.endpoint.links.first, let right = two.endpoint.links.first
      else {
        return false
      }
      return left.direction != right.direction
    }
    // Each link dialled has one outcome, and the last one standing carries both ways.
    #expect(one.endpoint.send([1], channel: .consensus, to: two.id))
    #expect(two.endpoint.send([2], channel: .consensus, to: one.id))
    await eventually { one.log.received.count == 1 && two.log.received.count == 1 }
    for node in [one, two] {
      #expect(node.log.failures.allSatisfy { $0 == .alreadyLinked })
      #expect(node.log.downs.allSatisfy { $0 == .replaced || $0 == .closedByPeer(.replaced) })
    }
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }
}
