import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// What waits on links: whose turn it is, what a slow reader costs, and whom.
@Suite(.timeLimit(.minutes(1))) struct LinkFlowTests {
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
    // Until the other side has opened its streams, there is no room either.
    await eventually { one.endpoint.links.first?.streams.dropFirst(3).first?.sendWindowBytes ?? 0 > 0 }
    // Until the loop has moved what the window takes, the queue alone may be full; and the window is small at first.
    let windows = LinkConfiguration().windows.map(Int.init)
    await eventually {
      if one.endpoint.send(frame, channel: .services, to: two.id) { accepted += 1 }
      let there = two.endpoint.links.first?.streams.dropFirst(3).first?.unconsumedBytes ?? 0
      let isFull = one.endpoint.links.first?.streams.dropFirst(3).first?.sendWindowBytes == 0 && there > windows[3] / 2
      return isFull || accepted > 100
    }
    while one.endpoint.send(frame, channel: .services, to: two.id), accepted <= 100 { accepted += 1 }
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
        await eventually {
          one.endpoint.links.first?.streams.dropFirst(3).first?.sendWindowBytes ?? 0 >= frame.count + 4
        }
        #expect(one.endpoint.send(frame, channel: .services, to: two.id))
      }
      await eventually { two.log.received.count == frames.count * round }
      await eventually { two.endpoint.links.first?.streams.dropFirst(3).first?.unconsumedBytes == byteCount }
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
    // Or the first frame too many would close a link.
    one.endpoint.prefer([two.id, three.id])
    await one.link(to: two)
    await one.link(to: three)
    two.reader.pause()
    let frame = [UInt8](repeating: 3, count: 1 << 20)
    let small = [UInt8](repeating: 4, count: 1_000)
    // The window takes some; then two's queue is all there is, to the last kilobyte.
    await eventually {
      for bytes in [frame, small] { while one.endpoint.send(bytes, channel: .services, to: two.id) {} }
      let link = one.endpoint.links.first { $0.id == two.id }
      return link?.streams.dropFirst(3).first?.sendWindowBytes == 0
    }
    #expect(!one.endpoint.send(frame, channel: .sync, to: three.id))
    // Each link has a share that nobody else can use up: three is told what fits into it.
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

  // Of those that take nothing, who holds most gives way, and with it what waited: the others are served again.
  @Test func theLinkOnWhichMostWaitsGivesWay() async throws {
    let one = try await TestNode { $0.queueByteCount = 8 << 20 }
    var others: [TestNode] = []
    for _ in 0..<3 { others.append(try await TestNode { $0.servicesWindowByteCount = 262_144 }) }
    let (validator, stranger, reader) = (others[0], others[1], others[2])
    one.endpoint.prefer([validator.id])
    for other in others { await one.link(to: other) }
    let frame = [UInt8](repeating: 3, count: 1 << 20)
    for (other, count) in [(validator, 4), (stranger, 2)] {
      other.reader.pause()
      // The first arrives whole, and of the next a part.
      for _ in 0...count { #expect(one.endpoint.send(frame, channel: .services, to: other.id)) }
      await eventually {
        one.endpoint.links.first { $0.id == other.id }?.waitingBytes == count * LinkQueue.cost(of: frame)
      }
    }
    await eventually { one.endpoint.send(frame + frame + frame, channel: .sync, to: reader.id) }
    await eventually { !one.log.downs.isEmpty }
    #expect(one.log.downs == [.slowConsumer] && one.endpoint.counters.count("slowConsumer") == 1)
    #expect(Set(one.endpoint.links.map(\.id)) == [validator.id, reader.id])
    await eventually { stranger.log.downs == [.closedByPeer(.normal)] && !reader.log.received.isEmpty }
    for node in [one] + others { await node.endpoint.shutdown() }
  }

  // It reads, and answers, and makes room for nothing.
  @Test func aLinkThatTakesNothingOfAChannelIsClosed() async throws {
    let (node, key) = (
      try await TestNode {
        $0.pingInterval = .milliseconds(40)
        $0.stallLimit = .milliseconds(400)
      }, try SigningKey.generate()
    )
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: key)
    raw.say(YamuxFrame.openings())
    await eventually { node.endpoint.links.first?.streams.dropFirst(2).first?.sendWindowBytes ?? 0 > 0 }
    let frame = [UInt8](repeating: 3, count: Int(YamuxFrame.initialWindow))
    #expect(node.endpoint.send(frame, channel: .sync, to: key.id))
    // What else is sent does not make up for it.
    await eventually {
      node.endpoint.send([1], channel: .broadcast, to: key.id)
      return node.endpoint.links.isEmpty
    }
    #expect(raw.goodbye() == .normal)
    #expect(node.log.downs == [.slowConsumer] && node.endpoint.counters.count("slowConsumer") == 1)
    await node.endpoint.shutdown()
  }
}
