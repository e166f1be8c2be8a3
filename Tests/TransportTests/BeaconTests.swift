import Foundation
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

/// A node that says its record and hears those of others.
private final class BeaconNode: Sendable {
  let key: SigningKey
  let endpoint: BeaconEndpoint
  let group: MultiThreadedEventLoopGroup
  private let log: Log
  var id: NodeID { key.id }

  final class Log: Sendable {
    let beacons = Mutex<[(author: NodeID, source: PeerAddress)]>([])
    let scans = Mutex<[[NetworkInterface]]>([])
  }

  /// - Parameter namespace: where its sockets are; nil for that of this process.
  init(
    namespace: String? = nil, network: Digest = testNetwork, _ change: (inout BeaconConfiguration) -> Void
  ) async throws {
    key = try SigningKey.generate()
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    if let namespace { try await group.next().submit { try Namespaces.enter(namespace) }.get() }
    var configuration = BeaconConfiguration()
    configuration.scanInterval = .milliseconds(50)
    change(&configuration)
    let log = Log()
    self.log = log
    let verifier = Verifier(networkID: network) { Sodium.verify($0, of: $1, by: $2) }
    endpoint = BeaconEndpoint(
      id: key.id, networkID: network, configuration: configuration, group: group, logger: quiet,
      onInterfaces: { interfaces in log.scans.withLock { $0.append(interfaces) } }
    ) { payload, source in
      guard let message = try? verifier.open(payload) else {
        Issue.record("a beacon is not signed")
        return
      }
      log.beacons.withLock { $0.append((message.value.author, source)) }
    }
    endpoint.start()
  }

  func announce() {
    let signer = Signer(id: id, networkID: testNetwork) { self.key.sign($0) }
    let record = NodeRecord(
      name: "n", addresses: [PeerAddress(text: "10.0.0.1:7447")!], roles: [], capabilities: testNetwork, agent: "a",
      expiresUnixSeconds: 1)
    endpoint.announce(signer.seal(.nodeRecord(record), sequence: 1).value.envelope.encoded)
  }

  /// Announces until the other node has heard it by both families.
  func isHeard(by other: BeaconNode, families: Set<Bool> = [true, false]) async {
    let before = other.heard.count
    await eventually {
      announce()
      return Set(other.heard[before...].filter { $0.author == id }.map(\.source.isIPv4)).isSuperset(of: families)
    }
  }

  var heard: [(author: NodeID, source: PeerAddress)] { log.beacons.withLock { $0 } }
  var scans: [[NetworkInterface]] { log.scans.withLock { $0 } }
  func count(_ name: String) -> UInt64 { endpoint.counters.count(name) }

  func stop() async throws {
    await endpoint.shutdown()
    try await group.shutdownGracefully()
  }
}

/// Namespaces of the network that a test makes, joined two by two, and removes.
private final class Namespaces {
  let names: [String]

  /// Two namespaces with an interface `lnb0` each, whose other end is the other's.
  init() throws {
    let tag = "ltb\(getpid())"
    names = ["\(tag)a", "\(tag)b"]
    for name in names { try Namespaces.ip("netns", "add", name) }
    try Namespaces.ip(
      "link", "add", "lnb0", "netns", names[0], "type", "veth", "peer", "name", "lnb0", "netns", names[1])
    for (index, name) in names.enumerated() {
      // An IPv6 address is not used before nobody has objected to it, unless told so.
      try Namespaces.ip("-n", name, "address", "add", "10.9.8.\(index + 1)/24", "dev", "lnb0")
      try Namespaces.ip("-n", name, "address", "add", "fd09:8::\(index + 1)/64", "dev", "lnb0", "nodad")
      try Namespaces.ip("-n", name, "link", "set", "lnb0", "up")
    }
  }

  deinit { for name in names { try? Namespaces.ip("netns", "delete", name) } }

  static func ip(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["ip"] + arguments
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "ip \(arguments.joined(separator: " "))")
  }

  /// Moves the calling thread, which is to end soon, into a namespace.
  static func enter(_ name: String) throws {
    // Swift's Glibc has no `setns`.
    typealias Enter = @convention(c) (CInt, CInt) -> CInt
    let symbol = try #require(dlsym(nil, "setns"))
    let descriptor = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    try #require(unsafeBitCast(symbol, to: Enter.self)(descriptor, 0x4000_0000) == 0)
  }
}

@Suite(.timeLimit(.minutes(1))) struct BeaconTests {
  private func loopbackNode(_ port: UInt16, network: Digest = testNetwork) async throws -> BeaconNode {
    try await BeaconNode(network: network) {
      $0.isLoopback = true
      $0.port = port
    }
  }

  @Test func nodesOfOneHostHearEachOther() async throws {
    let port = RawSocket().address.port
    let (one, two) = (try await loopbackNode(port), try await loopbackNode(port))
    await eventually { [one, two].allSatisfy { $0.endpoint.interfaces.first?.ipv4 == .joined } }
    // No route leads to an IPv6 group by the loopback interface.
    await one.isHeard(by: two, families: [true])
    await two.isHeard(by: one, families: [true])
    #expect(two.heard.allSatisfy { $0.source.isLoopback && $0.source.port == port })
    // One's own comes back, too, and goes no further.
    #expect(one.heard.allSatisfy { $0.author == two.id } && one.count("wrongReceiver") > 0)
    try await one.stop()
    try await two.stop()
  }

  @Test func anotherNetworksBeaconsAreRefused() async throws {
    let port = RawSocket().address.port
    let (one, other) = (
      try await loopbackNode(port), try await loopbackNode(port, network: Digest(hashing: [1]))
    )
    await eventually { [one, other].allSatisfy { $0.endpoint.interfaces.first?.ipv4 == .joined } }
    await eventually {
      one.announce()
      return other.count("wrongNetwork") > 0
    }
    #expect(other.heard.isEmpty)
    try await one.stop()
    try await other.stop()
  }

  @Test func beaconsAreLimited() async throws {
    let port = RawSocket().address.port
    let (one, two) = (
      try await loopbackNode(port),
      try await BeaconNode {
        $0.isLoopback = true
        $0.port = port
        $0.limits.beacons = .init(ratePerSecond: 0, burst: 3)
      }
    )
    await eventually { [one, two].allSatisfy { $0.endpoint.interfaces.first?.ipv4 == .joined } }
    for _ in 0..<10 { one.announce() }
    await eventually { two.count("limited") >= 7 }
    #expect(two.heard.count == 3)
    try await one.stop()
    try await two.stop()
  }

  @Test func whatIsNotSentToTheGroupIsNoBeacon() async throws {
    let port = RawSocket().address.port
    let node = try await loopbackNode(port)
    await eventually { node.endpoint.interfaces.first?.ipv4 == .joined }
    if node.endpoint.interfaces.first?.ipv6 == .joined {
      let loop = MultiThreadedEventLoopGroup.singleton.next()
      let sender = try await loop.submit {
        let socket = DatagramSocket(
          PeerAddress(text: "[::1]:0")!, loop: loop, options: .init(), counters: TransportCounters(), logger: quiet,
          onArrival: { _, _ in })
        let bound = NIOLoopBound(socket, eventLoop: loop)
        return socket.open().map { bound }
      }.flatMap { $0 }.get()
      try await loop.submit {
        #expect(sender.value.send([4], to: PeerAddress(ip: [UInt8](repeating: 0, count: 15) + [1], port: port)!) == 0)
      }.get()
      await eventually { node.count("notMulticast") == 1 }
      try await loop.submit { sender.value.stop() }.get()
    }
    // The IPv4 socket does not even get it.
    let raw = RawSocket()
    raw.send([4], to: PeerAddress(ip: [127, 0, 0, 1], port: port)!)
    node.announce()
    await eventually { node.count("wrongReceiver") > 0 }
    #expect(node.count("badLength") == 0)
    try await node.stop()
  }

  @Test(.enabled(if: Forger.isPossible, "needs root, for namespaces")) func twoHostsOfOneSegment() async throws {
    let namespaces = try Namespaces()
    let one = try await BeaconNode(namespace: namespaces.names[0]) { _ in }
    let two = try await BeaconNode(namespace: namespaces.names[1]) { _ in }
    let isJoined = { (node: BeaconNode) in
      node.endpoint.interfaces == [BeaconInterface(name: "lnb0", ipv4: .joined, ipv6: .joined)]
    }
    await eventually { isJoined(one) && isJoined(two) }
    await one.isHeard(by: two)
    await two.isHeard(by: one)
    #expect(two.heard.filter { $0.author == one.id && $0.source.isIPv4 }.allSatisfy { $0.source.ipText == "10.9.8.1" })
    #expect(one.count("notLocal") == 0 && two.count("notLocal") == 0)

    // An interface that is down is passed over, and is taken up again. The last beacons have left it before.
    try await one.group.next().submit {}.get()
    try Namespaces.ip("-n", namespaces.names[0], "link", "set", "lnb0", "down")
    await eventually { one.endpoint.interfaces.isEmpty && two.endpoint.interfaces.isEmpty }
    let sent = one.count("sent")
    one.announce()
    try await one.group.next().submit {}.get()
    #expect(one.count("sent") == sent && one.count("sendFailed") == 0)
    try Namespaces.ip("-n", namespaces.names[0], "link", "set", "lnb0", "up")
    await eventually { one.endpoint.interfaces.first?.ipv4 == .joined && isJoined(two) }
    await one.isHeard(by: two, families: [true])
    await two.isHeard(by: one, families: [true])

    // One that is new is found, one without an address of a family is not asked for it, and one that is down stays unused.
    let b = namespaces.names[1]
    for (device, address) in [("lnb1", "10.9.7.1/24"), ("lnb2", "10.9.6.1/24")] {
      try Namespaces.ip("-n", b, "link", "add", device, "type", "veth", "peer", "name", device + "x")
      try Namespaces.ip("-n", b, "address", "add", address, "dev", device)
    }
    for device in ["lnb1", "lnb1x"] {
      try Namespaces.ip("-n", b, "link", "set", device, "addrgenmode", "none")
      try Namespaces.ip("-n", b, "link", "set", device, "up")
    }
    await eventually {
      two.endpoint.interfaces.contains { $0.name == "lnb1" && $0.ipv4 == .joined && $0.ipv6 == .unused }
    }
    #expect(!two.endpoint.interfaces.contains { $0.name == "lnb2" })
    #expect(two.scans.last?.contains { $0.name == "lnb2" && !$0.isUp } == true)
    // One that has gone takes nothing from the others.
    try Namespaces.ip("-n", b, "link", "delete", "lnb1")
    await eventually { two.endpoint.interfaces.count == 1 }
    await two.isHeard(by: one, families: [true])
    try await one.stop()
    try await two.stop()
  }
}

@Suite struct NetworkInterfaceTests {
  private func network(_ text: String, _ bits: Int) -> NetworkInterface.Network {
    NetworkInterface.Network(address: PeerAddress(text: text + ":0")!, prefixBitCount: bits)
  }

  @Test func aNetworkIsWhatItsPrefixSays() {
    func has(_ network: NetworkInterface.Network, _ text: String) -> Bool {
      network.contains(PeerAddress(text: text + ":1")!)
    }
    #expect(has(network("10.1.2.3", 24), "10.1.2.255") && !has(network("10.1.2.3", 24), "10.1.3.3"))
    #expect(has(network("10.1.2.3", 22), "10.1.0.9") && has(network("10.1.2.3", 22), "10.1.3.9"))
    #expect(!has(network("10.1.2.3", 22), "10.1.4.9"))
    #expect(has(network("10.1.2.3", 32), "10.1.2.3") && !has(network("10.1.2.3", 32), "10.1.2.2"))
    #expect(has(network("10.1.2.3", 0), "8.8.8.8") && !has(network("10.1.2.3", 0), "[::1]"))
    #expect(has(network("[fe80::1]", 64), "[fe80::2]") && !has(network("[fe80::1]", 64), "[fe81::2]"))
  }

  @Test func theLoopbackInterfaceIsFound() throws {
    let loopback = try #require(NetworkInterface.all().first { $0.isLoopback })
    #expect(loopback.isUp && loopback.networks.contains(network("127.0.0.1", 8)))
    #expect(loopback.index == if_nametoindex(loopback.name))
  }

  @Test func aBeaconLeavesFromOneAddressOfEachNetwork() {
    var interface = NetworkInterface(
      name: "i", index: 1, isEnabled: true, isUp: true, isLoopback: false, hasMulticast: true,
      networks: [
        network("10.0.0.1", 24), network("10.0.0.2", 24), network("10.0.1.1", 24), network("[fe80::1]", 64),
      ])
    func texts(_ isIPv4: Bool) -> [String?] {
      BeaconSockets.sources(on: interface, isIPv4: isIPv4).map { $0?.ipText }
    }
    #expect(texts(true) == ["10.0.0.1", "10.0.1.1"])
    #expect(texts(false) == [nil])
    interface.networks = (0..<9).map { network("10.0.\($0).1", 24) }
    #expect(texts(true) == (0..<4).map { "10.0.\($0).1" })
  }

  @Test func onlyThoseThatLeadToOthersAreChosen() {
    func interface(
      _ index: UInt32, isUp: Bool = true, isLoopback: Bool = false, hasMulticast: Bool = true
    ) -> NetworkInterface {
      NetworkInterface(
        name: "i\(index)", index: index, isEnabled: true, isUp: isUp, isLoopback: isLoopback,
        hasMulticast: hasMulticast, networks: [])
    }
    let all = [
      interface(1, isLoopback: true, hasMulticast: false), interface(2), interface(3, isUp: false),
      interface(4, hasMulticast: false), interface(5),
    ]
    var configuration = BeaconConfiguration()
    #expect(configuration.chosen(of: all).map(\.index) == [2, 5])
    let many = (1...100).map { interface($0) }
    #expect(configuration.chosen(of: many).map(\.index) == Array(1...64))
    configuration.isLoopback = true
    #expect(configuration.chosen(of: all).map(\.index) == [1])
  }
}
