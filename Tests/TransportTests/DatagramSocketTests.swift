import Glibc
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing
import Wire

@testable import Transport

@Suite struct SendingSocketTests {
  private func choice(_ target: String, _ bound: [String]) throws -> Int? {
    SendingSocket.index(
      for: try #require(PeerAddress(text: target)), among: try bound.map { try #require(PeerAddress(text: $0)) })
  }

  @Test func theSocketOfAllAddressesIsFirst() throws {
    #expect(try choice("10.0.0.9:1", ["10.0.0.1:5", "0.0.0.0:6"]) == 1)
    #expect(try choice("[2001:db8::9]:1", ["0.0.0.0:6", "[::1]:5", "[::]:5"]) == 2)
  }

  @Test func thenTheOneOnTheSameSegment() throws {
    let bound = ["192.168.1.1:5", "10.0.0.1:5", "[2001:db8:1::1]:5", "[2001:db8:2::1]:5"]
    #expect(try choice("10.0.0.9:1", bound) == 1)
    #expect(try choice("192.168.1.9:1", bound) == 0)
    #expect(try choice("[2001:db8:2::9]:1", bound) == 3)
    #expect(try choice("8.8.8.8:1", bound) == 0)
    #expect(try choice("[2001:db8:3::9]:1", bound) == 2)
  }

  @Test func theLoopbackReachesOnlyItself() throws {
    let bound = ["127.0.0.1:5", "10.0.0.1:5", "[::1]:5", "[2001:db8::1]:5"]
    #expect(try choice("8.8.8.8:1", bound) == 1)
    #expect(try choice("127.9.0.1:1", bound) == 0)
    #expect(try choice("[2001:db9::1]:1", bound) == 3)
    #expect(try choice("[::1]:1", Array(bound.reversed())) == 1)
    // Its prefix is that of the unspecified one and more: it is not theirs.
    #expect(try choice("[::2:1]:1", bound) == 3)
    #expect(try choice("8.8.8.8:1", ["127.0.0.1:5"]) == 0)
  }

  @Test func noneIsOfTheOtherFamily() throws {
    #expect(try choice("[2001:db8::1]:1", ["0.0.0.0:5"]) == nil)
    #expect(try choice("10.0.0.1:1", ["[::]:5"]) == nil)
    #expect(try choice("10.0.0.1:1", []) == nil)
  }

  @Test(.timeLimit(.minutes(1))) func anEndpointKeepsToIt() async throws {
    let node = try await DatagramNode(listen: ["127.0.0.1:0", "127.1.0.1:0"])
    for (place, ip) in [[127, 0, 0, 5], [127, 1, 0, 5]].enumerated() {
      let raw = RawSocket(ip: ip.map { UInt8($0) })
      let other = try Pinger()
      #expect(node.endpoint.send(node.pinger.ping(other.id, number: 1), to: raw.address, receiver: other.id))
      #expect(raw.receive()?.source == node.endpoint.listening[place])
    }
    try await node.stop()
  }
}

@Suite(.timeLimit(.minutes(1))) struct DatagramSocketTests {
  @Test(.enabled(if: Forger.isPossible, "needs root, who may exceed the host's limit"))
  func theKernelHoldsABurst() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let byteCount = try await loop.flatSubmit {
      let socket = DatagramSocket(
        PeerAddress(text: "127.0.0.1:0")!, loop: loop, options: .init(receiveBufferByteCount: 4 * 1_024 * 1_024),
        counters: TransportCounters(), logger: quiet, onArrival: { _, _ in })
      let bound = NIOLoopBound(socket, eventLoop: loop)
      return socket.open().map {
        defer { bound.value.stop() }
        return bound.value.withDescriptor { descriptor -> Int in
          var given: CInt = 0
          var length = socklen_t(MemoryLayout<CInt>.size)
          getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &given, &length)
          return Int(given)
        }
      }
    }.get()
    // The kernel doubles what it is asked for.
    #expect(byteCount == 8 * 1_024 * 1_024)
  }

  @Test func whatIsTakenIsTriedAgainUntilItIsFree() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let counters = TransportCounters()
    let raw = Mutex<RawSocket?>(RawSocket())
    let address = try #require(raw.withLock { $0?.address })
    let socket = try await loop.submit {
      let socket = DatagramSocket(
        address, loop: loop, options: .init(), counters: counters, logger: quiet, onArrival: { _, _ in })
      socket.keepOpen()
      return NIOLoopBound(socket, eventLoop: loop)
    }.get()
    await eventually { counters.all.count("bindFailed") >= 2 }
    #expect(counters.all.count("bound") == 0)
    raw.withLock { $0 = nil }
    await eventually { counters.all.count("bound") == 1 }
    try await loop.submit { socket.value.stop() }.get()
  }
}
