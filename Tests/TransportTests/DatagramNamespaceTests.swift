import Glibc
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing
import Wire

@testable import Transport

/// Datagrams in a network namespace of the test's own, where the kernel refuses what a host at large would write.
@Suite(.timeLimit(.minutes(1)), .enabled(if: Forger.isPossible, "needs root, for a network namespace"))
struct DatagramNamespaceTests {
  /// Runs a program in the network namespace of the calling thread. Returns its exit status.
  private static func run(_ program: String, _ arguments: String...) -> CInt {
    var process: pid_t = 0
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    guard posix_spawnp(&process, program, nil, nil, &words, environ) == 0 else { return -1 }
    var status: CInt = 0
    waitpid(process, &status, 0)
    return status
  }

  /// Gives the calling thread, which is to end soon, a network namespace of its own.
  private static func leaveHost() -> CInt {
    // Swift's Glibc has no `unshare`.
    typealias Unshare = @convention(c) (CInt) -> CInt
    guard let symbol = dlsym(nil, "unshare") else { return -1 }
    return unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000)
  }

  @Test func whatTheKernelRefusesToSendEndsNothing() async throws {
    // The namespace is the loop's thread's, and goes with it and its sockets.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let statuses = try await group.next().submit {
      [
        Self.leaveHost(), Self.run("ip", "link", "set", "lo", "up"),
        Self.run("ip", "route", "add", "prohibit", "198.51.100.0/24"),
        Self.run(
          "nft",
          """
          add table ip forbid
          add chain ip forbid out { type filter hook output priority 0; }
          add rule ip forbid out ip daddr 127.0.0.9 drop
          """),
      ]
    }.get()
    try #require(statuses == [0, 0, 0, 0])
    let (one, two) = (try Pinger(), try Pinger())
    let received = Mutex<[PeerAddress]>([])
    let endpoints = [one, two].map { pinger in
      DatagramEndpoint(id: pinger.id, networkID: testNetwork, group: group, logger: quiet) { datagram in
        received.withLock { $0.append(datagram.source) }
      }
    }
    for endpoint in endpoints { try await endpoint.start(listen: [PeerAddress(text: "0.0.0.0:0")!]) }
    let ports = endpoints.map { $0.listening[0].port }
    // ENETUNREACH, EACCES and EPERM.
    for (index, ip) in ["192.0.2.1", "198.51.100.1", "127.0.0.9"].enumerated() {
      let address = try #require(PeerAddress(text: "\(ip):\(ports[1])"))
      for _ in 0..<3 {
        #expect(endpoints[0].send(one.ping(two.id, number: 1), to: address, receiver: two.id))
      }
      await eventually { endpoints[0].counters.count("sendFailed") == UInt64(3 * index + 3) }
    }
    let loopback = ports.map { PeerAddress(ip: [127, 0, 0, 1], port: $0)! }
    #expect(endpoints[0].send(one.ping(two.id, number: 2), to: loopback[1], receiver: two.id))
    await eventually { received.withLock { $0 } == [loopback[0]] }
    #expect(endpoints[1].send(two.ping(one.id, number: 3), to: loopback[0], receiver: one.id))
    await eventually { received.withLock { $0 } == loopback }
    #expect(endpoints[0].counters.count("socketLost") == 0)
    for endpoint in endpoints { await endpoint.shutdown() }
    try await group.shutdownGracefully()
  }
}
