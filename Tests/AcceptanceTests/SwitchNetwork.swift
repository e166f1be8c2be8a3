import Foundation
import Glibc

/// Hosts in network namespaces of this test's own, joined by `linnet testnet switch`.
final class SwitchNetwork {
  struct Host {
    let number: Int
    let namespace: String
    let device: String
    var ipv4: String { "10.79.1.\(number)" }
    var ipv6: String { "fd79:1::\(number)" }
  }

  let hosts: [Host]
  let socket: String
  let process: ChildProcess
  private let scratch: ScratchDirectory

  init(hosts count: Int) throws {
    scratch = try ScratchDirectory()
    socket = scratch.path + "/switch.sock"
    let suffix = String(UInt32.random(in: 0 ... .max), radix: 36)
    hosts = (1...count).map {
      Host(number: $0, namespace: "lna\(suffix)s\($0)", device: "lna\(suffix)t\($0)")
    }
    process = try ChildProcess(
      [Requirement.binary, "testnet", "switch", "--socket", socket]
        + hosts.flatMap { ["--port", "\($0.device)=\($0.ipv4),\($0.ipv6)"] })
    do {
      try eventually(within: NetLab.patience, every: 10, "the switch answers") {
        guard process.isRunning else { throw Trouble("the switch has ended: \(process.stderr)") }
        return (try? Sockets.unix(Array("{}\n".utf8), to: socket))?.isEmpty == false
      }
      for host in hosts {
        try Acceptance.must("ip", "netns", "add", host.namespace)
        try Acceptance.must("ip", "link", "set", host.device, "netns", host.namespace)
        try Acceptance.must("ip", "-n", host.namespace, "link", "set", "lo", "up")
        try Acceptance.must("ip", "-n", host.namespace, "address", "add", host.ipv4 + "/24", "dev", host.device)
        try Acceptance.must(
          "ip", "-n", host.namespace, "address", "add", host.ipv6 + "/64", "dev", host.device, "nodad")
        try Acceptance.must("ip", "-n", host.namespace, "link", "set", host.device, "txqueuelen", "10000", "up")
        try Acceptance.must("ip", "-n", host.namespace, "route", "add", "239.0.0.0/8", "dev", host.device)
      }
    } catch {
      remove()
      throw error
    }
  }

  func remove() {
    // Its devices are gone when it is. KILL, since threads of the tests block TERM, and what they start does so, too.
    process.send(SIGKILL)
    _ = try? process.outcome(within: NetLab.patience)
    for host in hosts { _ = try? Acceptance.must("ip", "netns", "del", host.namespace) }
    scratch.remove()
  }

  static func with(hosts: Int, _ body: (SwitchNetwork) throws -> Void) throws {
    let network = try SwitchNetwork(hosts: hosts)
    defer { network.remove() }
    try body(network)
  }

  // MARK: Rules

  struct State: Decodable {
    struct Traffic: Decodable {
      var offeredPackets: UInt64
      var carriedPackets: UInt64
      var duplicatedPackets: UInt64
      var reorderedPackets: UInt64
      var blockedPackets: UInt64
      var lostPackets: UInt64
      var fullPackets: UInt64
    }
    struct Path: Decodable {
      var from: Int
      var to: Int
      var traffic: Traffic
    }
    struct Lateness: Decodable {
      var packets: UInt64
      var p99Microseconds: Int64
      var mostMicroseconds: Int64
    }
    var paths: [Path]
    var lateness: Lateness

    func traffic(_ from: Int, _ to: Int) -> Traffic? { paths.first { $0.from == from && $0.to == to }?.traffic }
  }

  /// Tells the switch, by its line of JSON; throws what it refuses.
  @discardableResult
  func tell(_ words: String..., host: String? = nil, pair: String? = nil) throws -> State {
    struct Request: Encodable {
      var words: [String]
      var hosts: [String]
      var pairs: [String]
    }
    struct Answer: Decodable {
      var error: String?
      var state: State?
    }
    let request = Request(words: words, hosts: host.map { [$0] } ?? [], pairs: pair.map { [$0] } ?? [])
    let text = try ask(Array(JSONEncoder().encode(request)))
    let answer = try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
    guard let state = answer.state else { throw Trouble(answer.error ?? "no answer: \(text)") }
    return state
  }

  /// What the switch answers a line with. It is said again when there is no answer in time: twice is as once.
  func ask(_ line: [UInt8]) throws -> String {
    var text = ""
    try eventually(within: NetLab.patience, "the switch answers") {
      text = try Sockets.unix(line + [UInt8(ascii: "\n")], to: socket)
      return text.hasSuffix("\n")
    }
    return text
  }

  // MARK: Traffic

  /// What a client of `udp` saw.
  struct Seen: Decodable {
    /// Microseconds of each round trip, in the order of the answers.
    var roundTrips: [Double]
    /// The numbers of the answers, in the order they came.
    var numbers: [Int]
    var seconds: Double

    var unique: Set<Int> { Set(numbers) }
    var overtaken: Int { zip(numbers, numbers.dropFirst()).filter { $0 > $1 }.count }
    func milliseconds(percent: Int) -> Double {
      let sorted = roundTrips.sorted()
      return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * percent / 100)] / 1_000
    }
  }

  private static let port = "9"

  /// Answers datagrams, also those to the multicast groups. 33 is SO_RCVBUFFORCE: a server that waits for a processor loses
  /// nothing.
  private static let server = """
    import socket, struct, sys, signal
    sockets = []
    for family, any in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
        if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((any, 9))
        sockets.append(s)
    index = socket.if_nametoindex(sys.argv[1])
    sockets[0].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
        struct.pack('4s4si', socket.inet_aton('239.76.78.7'), bytes(4), index))
    sockets[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
        socket.inet_pton(socket.AF_INET6, 'ff02::4c4e:7') + struct.pack('i', index))
    print('ready', flush=True)
    import select
    while True:
        for s in select.select(sockets, [], [])[0]:
            data, source = s.recvfrom(2000)
            s.sendto(data, source)
    """

  /// Sends COUNT datagrams of BYTES to an address every GAP microseconds, and listens until it has ANSWERS and none more for
  /// 0.5 s, or none for SILENCE seconds.
  private static let client = """
    import json, select, socket, struct, sys, time
    target, count, size, gap, answers, silence, device = sys.argv[1], *map(int, sys.argv[2:7]), sys.argv[7]
    family = socket.AF_INET6 if ':' in target else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    for forced in (32, 33): s.setsockopt(socket.SOL_SOCKET, forced, 1 << 22)
    index = socket.if_nametoindex(device)
    address = (target, 9) if family == socket.AF_INET else (target, 9, 0, index if target.startswith('ff') else 0)
    began = time.monotonic()
    sent, times, numbers, trips, last = 0, {}, [], [], began
    while True:
        now = time.monotonic()
        if sent < count and now >= began + sent * gap / 1e6:
            times[sent] = now
            try: s.sendto(struct.pack('!i', sent).ljust(size, b'.'), address)
            except OSError: pass
            sent += 1
            continue
        quiet = now - max(last, times[count - 1]) if sent == count else 0
        if quiet > (0.5 if len(numbers) >= answers else silence): break
        wait = began + sent * gap / 1e6 - now if sent < count else 0.1
        if select.select([s], [], [], max(0, wait))[0]:
            data = s.recv(2000)
            last = time.monotonic()
            number = struct.unpack('!i', data[:4])[0]
            numbers.append(number)
            trips.append((last - times[number]) * 1e6)
    print(json.dumps({'roundTrips': trips, 'numbers': numbers, 'seconds': last - began}))
    """

  private func inside(_ host: Int, _ words: [String]) -> [String] {
    ["nsenter", "--net=/run/netns/\(hosts[host - 1].namespace)", "--"] + words
  }

  /// Starts to answer datagrams at hosts.
  func serve(_ numbers: [Int]) throws -> [ChildProcess] {
    let servers = try numbers.map {
      try ChildProcess(inside($0, ["/usr/bin/python3", "-c", SwitchNetwork.server, hosts[$0 - 1].device]))
    }
    try eventually(within: NetLab.patience, every: 10, "the servers listen") {
      for server in servers where !server.isRunning { throw Trouble("a server has ended: \(server.stderr)") }
      return servers.allSatisfy { $0.stdout.hasPrefix("ready") }
    }
    return servers
  }

  /// Sends datagrams from a host to an address and waits for the answers: so many, or one to each, or for a long silence.
  func send(
    _ from: Int, to address: String, count: Int, answers: Int? = nil, silenceSeconds: Int = 30, bytes: Int = 100,
    gapMicroseconds: Int = 2_000
  ) throws -> Seen {
    let words = [
      "/usr/bin/python3", "-c", SwitchNetwork.client, address, "\(count)", "\(bytes)", "\(gapMicroseconds)",
      "\(answers ?? count)", "\(silenceSeconds)", hosts[from - 1].device,
    ]
    let outcome = try run(inside(from, words), within: NetLab.patience)
    guard outcome.code == 0 else { throw Trouble("the client failed: \(outcome.described)") }
    return try JSONDecoder().decode(Seen.self, from: Data(outcome.stdout.utf8))
  }
}
