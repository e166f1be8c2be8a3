import LinkProtocol
import NIOCore
import Primitives
import Testing
import Wire

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct DatagramTests {
  @Test func thereAndBack() async throws {
    let (one, two) = (try await DatagramNode(), try await DatagramNode())
    let there = one.ping(two, number: 1)
    await eventually { two.received.count == 1 }
    #expect(two.received[0].payload == there && two.received[0].source == one.address)
    let back = two.ping(one, number: 1)
    await eventually { one.received.count == 1 }
    #expect(one.received[0].payload == back && one.received[0].source == two.address)
    #expect(one.count("sent") == 1 && one.count("received") == 1)
    // What is meant for another node.
    #expect(one.endpoint.send(one.pinger.ping(one.id, number: 2), to: two.address, receiver: two.id))
    await eventually { two.count("wrongReceiver") == 1 }
    #expect(one.endpoint.send(one.pinger.ping(two.id, number: 3), to: two.address, receiver: one.id))
    await eventually { two.count("wrongTag") == 1 }
    let longest = [UInt8](repeating: 8, count: DatagramFormat.maximumPayloadByteCount)
    #expect(one.endpoint.send(longest, to: two.address, receiver: two.id))
    await eventually { two.count("badHeader") == 1 }
    #expect(!one.endpoint.send(longest + [0], to: two.address, receiver: two.id))
    #expect(!one.endpoint.send(Array(there.prefix(100)), to: two.address, receiver: two.id))
    #expect(one.count("send.badLength") == 2)
    try await one.stop()
    try await two.stop()
  }

  @Test func whatIsMalformedIsCountedAndTheSocketLives() async throws {
    let node = try await DatagramNode()
    let raw = RawSocket()
    let pinger = try Pinger()
    var filter = pinger.filter()
    let good = filter.sealed(pinger.ping(node.id, number: 1), for: node)
    for bytes in [[], [1], Array(good.prefix(16))] { raw.send(bytes, to: node.address) }
    raw.send([1] + [UInt8](repeating: 1, count: 1_200), to: node.address)
    // Longer than any slot that it is read into.
    raw.send([1] + [UInt8](repeating: 1, count: 60_000), to: node.address)
    await eventually { node.count("badLength") == 5 }
    raw.send([0] + good.dropFirst(), to: node.address)
    raw.send([4] + good.dropFirst(), to: node.address)
    raw.send([5] + good.dropFirst(), to: node.address)
    await eventually { node.count("badType") == 3 }
    raw.send(good + [0], to: node.address)
    await eventually { node.count("badHeader") == 1 }
    let refusals = DatagramRefusal.allCases.map(\.rawValue)
    for index in good.indices {
      var changed = good
      changed[index] ^= 0x20
      raw.send(changed, to: node.address)
    }
    await eventually { refusals.reduce(0) { $0 + node.count($1) } == 9 + UInt64(good.count) }
    #expect(node.handedCount == 0)
    raw.send(good, to: node.address)
    await eventually { node.received.count == 1 }
    #expect(node.count("socketLost") == 0)
    try await node.stop()
  }

  @Test func aFloodOfStrangersIsLimitedAndAKnownSourcePasses() async throws {
    let node = try await DatagramNode {
      $0.limits.prefix = .init(ratePerSecond: 0, burst: 10)
      $0.limits.prefixCookies = .init(ratePerSecond: 0, burst: 5)
    }
    let (stranger, known) = (RawSocket(), RawSocket())
    try await node.learn(known.address)
    let (one, two) = (try Pinger(), try Pinger())
    var filter = one.filter()
    for number in 1...50 {
      func send(_ pinger: Pinger, by socket: RawSocket) {
        socket.send(filter.sealed(pinger.ping(node.id, number: UInt64(number)), for: node), to: node.address)
      }
      send(one, by: stranger)
      if number % 2 == 0 { send(two, by: known) }
    }
    await eventually { node.received.count == 35 && node.count("limited") == 35 }
    #expect(node.received.filter { $0.source == stranger.address }.count == 10)
    #expect(node.received.filter { $0.source == known.address }.count == 25)
    // Strangers who are too many are asked for cookies, and no more of them than there are replies.
    #expect(node.count("cookieSent") == 5)
    // Who is no member any more is a stranger.
    node.endpoint.forget(known.address)
    try await node.settle()
    known.send(filter.sealed(two.ping(node.id, number: 99), for: node), to: node.address)
    await eventually { node.count("limited") == 36 }
    try await node.stop()
  }

  @Test func addressesThatNothingMayBeSentToAreRefused() async throws {
    let node = try await DatagramNode()
    let other = try Pinger()
    let payload = node.pinger.ping(other.id, number: 1)
    for text in [
      "127.0.0.1:0", "0.0.0.0:9", "0.1.2.3:9", "255.255.255.255:9", "224.0.0.1:9", "239.255.255.255:9", "[::]:9",
      "[ff02::1]:9",
    ] {
      let address = try #require(PeerAddress(text: text))
      #expect(!node.endpoint.send(payload, to: address, receiver: other.id), "\(text)")
    }
    #expect(node.count("send.unusableAddress") == 8)
    #expect(!node.endpoint.send(payload, to: PeerAddress(text: "[::1]:9")!, receiver: other.id))
    #expect(node.count("send.noSocketOfFamily") == 1)
    // A socket on the loopback interface cannot reach the world: the write fails, and nothing else happens.
    #expect(node.endpoint.send(payload, to: PeerAddress(text: "192.0.2.1:9")!, receiver: other.id))
    await eventually { node.count("sendFailed") == 1 }
    // Nobody reads there: the kernel says so at the next call, which is not the end of the socket either.
    for _ in 0..<3 { #expect(node.endpoint.send(payload, to: PeerAddress(text: "127.0.0.1:9")!, receiver: other.id)) }
    try await node.settle()
    let peer = try await DatagramNode()
    peer.ping(node, number: 1)
    await eventually { node.received.count == 1 }
    #expect(node.count("socketLost") == 0)
    try await node.stop()
    try await peer.stop()
  }

  // What NIO does when a datagram is written to an address that was not looked at.
  @Test func aSocketThatNIOClosesIsBoundAgain() async throws {
    let (node, peer) = (try await DatagramNode(), try await DatagramNode())
    let address = node.address
    for (round, text) in ["127.0.0.1:0", "255.255.255.255:9", "192.0.2.1:9"].enumerated() {
      let target = try #require(PeerAddress(text: text)).socketAddress()
      await node.endpoint.writeThroughChannel([1], to: target)
      await eventually { node.count("bound") == UInt64(round) + 1 }
      #expect(node.count("socketLost") == UInt64(round) + 1)
      peer.ping(node, number: UInt64(round) + 1, at: address)
      await eventually { node.received.count == round + 1 }
      node.ping(peer, number: UInt64(round) + 1)
      await eventually { peer.received.count == round + 1 }
      #expect(peer.received[round].source == address)
    }
    try await node.stop()
    try await peer.stop()
  }

  @Test func bothFamiliesOnOneEndpoint() async throws {
    let (one, two) = (
      try await DatagramNode(listen: ["127.0.0.1:0", "[::1]:0"]), try await DatagramNode(listen: ["[::1]:0"])
    )
    two.ping(one, number: 1, at: one.endpoint.listening[1])
    await eventually { one.received.count == 1 }
    #expect(one.received[0].source == two.address)
    one.ping(two, number: 1)
    await eventually { two.received.count == 1 }
    let three = try await DatagramNode()
    three.ping(one, number: 1)
    await eventually { one.received.count == 2 }
    #expect(one.received[1].source == three.address)
    for node in [one, two, three] { try await node.stop() }
  }

  @Test func aTakenPortIsNamed() async throws {
    let node = try await DatagramNode()
    let other = DatagramEndpoint(
      id: node.id, networkID: testNetwork, group: node.group, logger: quiet, onDatagram: { _ in })
    let error = await #expect(throws: TransportError.self) { try await other.start(listen: [node.address]) }
    #expect(error?.code == .addressInUse)
    #expect(error?.message.contains("\(node.address)") == true)
    let payload = node.pinger.ping(node.id, number: 1)
    try await node.stop()
    #expect(!node.endpoint.send(payload, to: PeerAddress(text: "127.0.0.1:9")!, receiver: node.id))
  }
}
