import Glibc
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Wire

@testable import Transport

/// A UDP socket made by hand.
private final class RawSocket {
  let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
  let address: PeerAddress

  init() {
    _ = withLoopback(port: 0) { [descriptor] in bind(descriptor, $0, $1) }
    address = boundAddress(descriptor)
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8], to target: PeerAddress) {
    let sent = withLoopback(port: target.port) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    #expect(sent == bytes.count)
  }
}

private final class DatagramNode: Sendable {
  let id: NodeID
  let endpoint: DatagramEndpoint
  let group: MultiThreadedEventLoopGroup
  private let log: Log

  final class Log: Sendable {
    let datagrams = Mutex<[(payload: [UInt8], source: PeerAddress)]>([])
  }

  init(listen: [String] = ["127.0.0.1:0"], _ change: (inout DatagramConfiguration) -> Void = { _ in }) async throws {
    id = try SigningKey.generate().id
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = DatagramConfiguration()
    change(&configuration)
    let log = Log()
    self.log = log
    endpoint = DatagramEndpoint(
      id: id, networkID: testNetwork, configuration: configuration, group: group, logger: quiet
    ) { payload, source in log.datagrams.withLock { $0.append((payload, source)) } }
    try await endpoint.start(listen: listen.map { PeerAddress(text: $0)! })
  }

  var received: [(payload: [UInt8], source: PeerAddress)] { log.datagrams.withLock { $0 } }
  var address: PeerAddress { endpoint.listening[0] }
  func count(_ name: String) -> UInt64 { endpoint.counters.count("datagram." + name) }

  /// Waits until the loop did what was asked of it before.
  func settle() async throws { try await group.next().submit {}.get() }

  func datagram(_ payload: [UInt8]) -> [UInt8] {
    DatagramTag(receiver: id, networkID: testNetwork).tag(of: payload) + payload
  }

  func stop() async throws {
    await endpoint.shutdown()
    try await group.shutdownGracefully()
  }
}

@Suite(.timeLimit(.minutes(1))) struct DatagramTests {
  @Test func thereAndBack() async throws {
    let (one, two) = (try await DatagramNode(), try await DatagramNode())
    let largest = [UInt8](repeating: 8, count: DatagramConfiguration.maximumPayloadByteCount)
    #expect(one.endpoint.send([1, 2, 3], to: two.address, receiver: two.id))
    #expect(one.endpoint.send(largest, to: two.address, receiver: two.id))
    await eventually { two.received.count == 2 }
    #expect(two.received[0].payload == [1, 2, 3] && two.received[0].source == one.address)
    #expect(two.received[1].payload == largest)
    #expect(two.endpoint.send([4], to: one.address, receiver: one.id))
    await eventually { one.received.count == 1 }
    // What is meant for another node has the wrong tag.
    #expect(one.endpoint.send([5], to: two.address, receiver: one.id))
    await eventually { two.count("wrongTag") == 1 }
    #expect(!one.endpoint.send(largest + [0], to: two.address, receiver: two.id))
    #expect(!one.endpoint.send([], to: two.address, receiver: two.id))
    #expect(one.count("send.badLength") == 2)
    try await one.stop()
    try await two.stop()
  }

  // Python: k = hashlib.blake2b(b"linnet/1/mac1" + bytes(32 * [7]) + bytes(32 * [9]), digest_size=32).digest()
  //         hashlib.blake2b(b"payload", key=k, digest_size=16).hexdigest()
  @Test func theTagIsPythons() throws {
    let receiver = try #require(NodeID(bytes: [UInt8](repeating: 7, count: 32)))
    let network = try #require(Digest(bytes: [UInt8](repeating: 9, count: 32)))
    let tag = DatagramTag(receiver: receiver, networkID: network)
    #expect(Hex.encode(tag.tag(of: Array("payload".utf8))) == "1a60c5d982c67d7184cb45e9c53b9c1e")
  }

  @Test func whatIsMalformedIsCountedAndTheSocketLives() async throws {
    let node = try await DatagramNode()
    let raw = RawSocket()
    let good = node.datagram([1])
    raw.send([], to: node.address)
    raw.send([1], to: node.address)
    raw.send(Array(good.prefix(16)), to: node.address)
    raw.send(node.datagram([UInt8](repeating: 1, count: 1_185)), to: node.address)
    raw.send([UInt8](repeating: 1, count: 5_000), to: node.address)
    raw.send([UInt8](repeating: 1, count: 60_000), to: node.address)
    raw.send(good + [0], to: node.address)
    for index in good.indices {
      var changed = good
      changed[index] ^= 1
      raw.send(changed, to: node.address)
    }
    raw.send(good, to: node.address)
    await eventually { node.received.count == 1 }
    #expect(node.count("truncated") == 3)
    #expect(node.count("oversized") == 3)
    #expect(node.count("wrongTag") == UInt64(good.count) + 1)
    #expect(node.count("socketLost") == 0)
    try await node.stop()
  }

  @Test func aFloodOfStrangersIsLimitedAndAKnownSourcePasses() async throws {
    let node = try await DatagramNode {
      $0.prefixPerSecond = 0; $0.prefixBurst = 10
    }
    let (stranger, known) = (RawSocket(), RawSocket())
    node.endpoint.known(known.address)
    try await node.settle()
    for number in 0..<50 {
      stranger.send(node.datagram([0, UInt8(number)]), to: node.address)
      if number % 2 == 0 { known.send(node.datagram([1, UInt8(number)]), to: node.address) }
    }
    await eventually { node.count("received") + node.count("limited") == 75 }
    #expect(node.received.filter { $0.source == stranger.address }.count == 10)
    #expect(node.received.filter { $0.source == known.address }.count == 25)
    #expect(node.count("limited") == 40)
    // A known source that sends what does not verify is silenced for the moment.
    node.endpoint.forget(known.address)
    try await node.settle()
    known.send(node.datagram([2]), to: node.address)
    await eventually { node.count("limited") == 41 }
    try await node.stop()
  }

  @Test func aPenalisedSourceIsSilenced() async throws {
    let node = try await DatagramNode { $0.knownPerSecond = 0 }
    let known = RawSocket()
    node.endpoint.known(known.address)
    try await node.settle()
    known.send(node.datagram([1]), to: node.address)
    await eventually { node.received.count == 1 }
    node.endpoint.penalise(known.address)
    try await node.settle()
    known.send(node.datagram([2]), to: node.address)
    await eventually { node.count("limited") == 1 }
    #expect(node.received.count == 1)
    try await node.stop()
  }

  @Test func addressesThatNothingMayBeSentToAreRefused() async throws {
    let node = try await DatagramNode()
    for text in [
      "127.0.0.1:0", "0.0.0.0:9", "0.1.2.3:9", "255.255.255.255:9", "224.0.0.1:9", "239.255.255.255:9", "[::]:9",
      "[ff02::1]:9",
    ] {
      let address = try #require(PeerAddress(text: text))
      #expect(!node.endpoint.send([1], to: address, receiver: node.id), "\(text)")
    }
    #expect(node.count("send.unusableAddress") == 8)
    #expect(!node.endpoint.send([1], to: PeerAddress(text: "[::1]:9")!, receiver: node.id))
    #expect(node.count("send.noSocketOfFamily") == 1)
    // A socket on the loopback interface cannot reach the world: the write fails, and nothing else happens.
    #expect(node.endpoint.send([1], to: PeerAddress(text: "192.0.2.1:9")!, receiver: node.id))
    await eventually { node.count("sendFailed") == 1 }
    let raw = RawSocket()
    raw.send(node.datagram([1]), to: node.address)
    await eventually { node.received.count == 1 }
    #expect(node.count("socketLost") == 0)
    try await node.stop()
  }

  // What NIO does when a datagram is written to an address that was not looked at.
  @Test func aSocketThatNIOClosesIsBoundAgain() async throws {
    let node = try await DatagramNode()
    let address = node.address
    let raw = RawSocket()
    for (round, text) in ["127.0.0.1:0", "255.255.255.255:9", "192.0.2.1:9"].enumerated() {
      let target = try #require(PeerAddress(text: text)).socketAddress()
      await node.endpoint.writeThroughChannel([1], to: target)
      await eventually { node.count("rebound") == UInt64(round) + 1 }
      #expect(node.count("socketLost") == UInt64(round) + 1)
      raw.send(node.datagram([UInt8(round)]), to: address)
      await eventually { node.received.count == round + 1 }
      #expect(node.endpoint.send([9], to: raw.address, receiver: node.id))
      await eventually { node.count("sent") == UInt64(round) + 1 }
    }
    try await node.stop()
  }

  @Test func bothFamiliesOnOneEndpoint() async throws {
    let (one, two) = (
      try await DatagramNode(listen: ["127.0.0.1:0", "[::1]:0"]), try await DatagramNode(listen: ["[::1]:0"])
    )
    #expect(two.endpoint.send([6], to: one.endpoint.listening[1], receiver: one.id))
    await eventually { one.received.count == 1 }
    #expect(one.received[0].source == two.address)
    #expect(one.endpoint.send([7], to: two.address, receiver: two.id))
    await eventually { two.received.count == 1 }
    try await one.stop()
    try await two.stop()
  }

  @Test func aTakenPortIsNamed() async throws {
    let node = try await DatagramNode()
    let other = DatagramEndpoint(
      id: node.id, networkID: testNetwork, group: node.group, logger: quiet, onDatagram: { _, _ in })
    let error = await #expect(throws: TransportError.self) { try await other.start(listen: [node.address]) }
    #expect(error?.code == .addressInUse)
    #expect(error?.message.contains("\(node.address)") == true)
    try await node.stop()
    #expect(!node.endpoint.send([1], to: PeerAddress(text: "127.0.0.1:9")!, receiver: node.id))
  }
}
