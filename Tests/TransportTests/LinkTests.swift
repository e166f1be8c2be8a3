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
    let (one, two) = (try await TestNode { $0.rekeyBurst = 10_000 }, try await TestNode { $0.rekeyMessages = 7 })
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
      identity: .generate(), networkID: testNetwork, configuration: .patient,
      group: .singletonMultiThreadedEventLoopGroup, logger: quiet
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
    // A link can be used a moment before its event.
    await eventually { one.log.ups.count == 2 }
    #expect(one.log.ups.map(\.direction) == [.outbound, .inbound])
    await one.endpoint.shutdown()
    await two.endpoint.shutdown()
  }

  @Test func pingsKeepAnIdleLinkAndMeasureIt() async throws {
    let (one, two) = (
      try await TestNode {
        $0.pingInterval = .milliseconds(20)
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
}
