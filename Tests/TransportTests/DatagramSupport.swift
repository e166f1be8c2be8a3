import Dispatch
import Glibc
import LinkProtocol
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Wire

@testable import Transport

/// A UDP socket made by hand.
final class RawSocket: Sendable {
  let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
  let address: PeerAddress

  init(ip: [UInt8] = [127, 0, 0, 1]) {
    let number = ip.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    _ = withLoopback(port: 0, ip: number) { [descriptor] in bind(descriptor, $0, $1) }
    address = PeerAddress(ip: ip, port: boundAddress(descriptor).port)!
    // No test waits as long; a hang becomes a failure.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8], to target: PeerAddress) {
    let ip = target.ip.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let sent = withLoopback(port: target.port, ip: ip) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    #expect(sent == bytes.count)
  }

  /// The next datagram and its source; nil after a long silence.
  func receive() -> (bytes: [UInt8], source: PeerAddress)? {
    var buffer = [UInt8](repeating: 0, count: 2_048)
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let count = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
      }
    }
    guard count >= 0 else { return nil }
    let ip = withUnsafeBytes(of: address.sin_addr) { Array($0) }
    return PeerAddress(ip: ip, port: UInt16(bigEndian: address.sin_port)).map { (Array(buffer[..<count]), $0) }
  }
}

/// Sends datagrams from addresses that are another's.
final class Forger: Sendable {
  static let isPossible = geteuid() == 0 || getenv("LINNET_REQUIRE_ALL") != nil
  // RFC 791 and RFC 768; the kernel fills in the identification and the checksum of the IP header, and a UDP checksum
  // of zero is none.
  private let descriptor = socket(AF_INET, CInt(SOCK_RAW.rawValue), CInt(IPPROTO_RAW))

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8], to target: PeerAddress, from source: PeerAddress) {
    func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    var packet: [UInt8] = [0x45, 0] + word(28 + bytes.count) + word(0) + word(0) + [64, 17] + word(0)
    packet += source.ip + target.ip
    packet += word(Int(source.port)) + word(Int(target.port)) + word(8 + bytes.count) + word(0) + bytes
    let ip = target.ip.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let sent = withLoopback(port: 0, ip: ip) { sendto(descriptor, packet, packet.count, 0, $0, $1) }
    #expect(sent == packet.count)
  }
}

/// Does something again and again on a thread of its own, until it is stopped.
final class Flood: Sendable {
  private let rounds = Atomic<UInt64>(0)
  private let isOver = Atomic(false)
  private let ended = DispatchSemaphore(value: 0)

  init(_ round: @escaping @Sendable (UInt64) -> Void) {
    DispatchQueue.global().async { [self] in
      while !isOver.load(ordering: .relaxed) { round(rounds.wrappingAdd(1, ordering: .relaxed).newValue) }
      ended.signal()
    }
  }

  /// How often it was done.
  var count: UInt64 { rounds.load(ordering: .relaxed) }

  /// Returns when it is over.
  func stop() {
    isOver.store(true, ordering: .relaxed)
    ended.wait()
  }
}

/// Who can write pings.
struct Pinger {
  let key: SigningKey
  var id: NodeID { key.id }

  init() throws { key = try SigningKey.generate() }

  /// The envelope of a ping, sealed by its key.
  func ping(_ receiver: NodeID, number: UInt64) -> [UInt8] {
    let signer = Signer(id: id, networkID: testNetwork) { key.sign($0) }
    let observed = PeerAddress(ip: [127, 0, 0, 1], port: 1)!
    return signer.seal(
      .ping(Ping(receiver: receiver, number: number, height: 0, observed: observed, rumours: [])), sequence: number
    ).value.envelope.encoded
  }

  /// The same with a signature that does not fit.
  func forgedPing(_ receiver: NodeID, number: UInt64) -> [UInt8] {
    var ping = ping(receiver, number: number)
    ping[ping.count - 40] ^= 1
    return ping
  }

  /// The other end of the protocol, for datagrams made by hand.
  func filter() -> DatagramFilter {
    DatagramFilter(id: id, networkID: testNetwork, secret: [UInt8](repeating: 5, count: 32), now: .current())
  }
}

extension DatagramFilter {
  /// The datagram of a payload for a node.
  mutating func sealed(_ payload: [UInt8], for node: DatagramNode, at address: PeerAddress? = nil) -> [UInt8] {
    seal(payload, to: address ?? node.address, receiver: node.id, now: .current())!
  }
}

/// An endpoint that verifies what it gets and tells the endpoint, as the node's pipeline does.
final class DatagramNode: Sendable {
  let pinger: Pinger
  let endpoint: DatagramEndpoint
  let group: MultiThreadedEventLoopGroup
  private let log: Log
  var id: NodeID { pinger.id }

  final class Log: Sendable {
    let sound = Mutex<[(payload: [UInt8], source: PeerAddress)]>([])
    let handed = Atomic(0)
    let isUnderLoad = Atomic(false)
    let endpoint = Mutex<DatagramEndpoint?>(nil)
    let lane = DispatchQueue(label: "verify")
  }

  init(listen: [String] = ["127.0.0.1:0"], _ change: (inout DatagramConfiguration) -> Void = { _ in }) async throws {
    pinger = try Pinger()
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = DatagramConfiguration()
    change(&configuration)
    let log = Log()
    self.log = log
    let verifier = Verifier(networkID: testNetwork) { Sodium.verify($0, of: $1, by: $2) }
    endpoint = DatagramEndpoint(
      id: pinger.id, networkID: testNetwork, configuration: configuration, group: group, logger: quiet,
      isUnderLoad: { log.isUnderLoad.load(ordering: .relaxed) }
    ) { datagram in
      log.handed.wrappingAdd(1, ordering: .relaxed)
      log.lane.async {
        let endpoint = log.endpoint.withLock { $0 }
        guard (try? verifier.open(datagram.payload)) != nil else { return endpoint?.forged(datagram) ?? () }
        endpoint?.verified(datagram)
        log.sound.withLock { $0.append((datagram.payload, datagram.source)) }
      }
    }
    log.endpoint.withLock { [endpoint] in $0 = endpoint }
    try await endpoint.start(listen: listen.map { PeerAddress(text: $0)! })
  }

  /// What verified.
  var received: [(payload: [UInt8], source: PeerAddress)] { log.sound.withLock { $0 } }
  /// How many were handed on, to be verified.
  var handedCount: Int { log.handed.load(ordering: .relaxed) }
  var isUnderLoad: Bool {
    get { log.isUnderLoad.load(ordering: .relaxed) }
    set { log.isUnderLoad.store(newValue, ordering: .relaxed) }
  }
  var address: PeerAddress { endpoint.listening[0] }
  func count(_ name: String) -> UInt64 { endpoint.counters.count(name) }

  /// How many came and were passed, answered with a cookie or refused.
  var judgedCount: UInt64 {
    (["received", "cookieSent"] + DatagramRefusal.allCases.map(\.rawValue)).reduce(0) { $0 + count($1) }
  }

  /// Sends a ping and returns its payload.
  @discardableResult
  func ping(_ other: DatagramNode, number: UInt64, at address: PeerAddress? = nil) -> [UInt8] {
    let payload = pinger.ping(other.id, number: number)
    #expect(endpoint.send(payload, to: address ?? other.address, receiver: other.id))
    return payload
  }

  /// Gives a source what members have.
  func learn(_ source: PeerAddress) async throws {
    endpoint.known(source)
    try await settle()
  }

  /// Waits until the loop did what was asked of it before.
  func settle() async throws { try await group.next().submit {}.get() }

  func stop() async throws {
    await endpoint.shutdown()
    log.lane.sync {}
    log.endpoint.withLock { $0 = nil }
    try await group.shutdownGracefully()
  }
}
