import Primitives

/// What a new lab is like: a testnet whose nodes are hosts of their own.
package struct LabOptions: Sendable, Equatable, Codable {
  /// The most hosts.
  package static let maximumHosts = 32
  /// The most hosts that a node is told of: more would only be asked in vain.
  package static let maximumEntrances = 8

  /// Which addresses the hosts have.
  package enum Family: String, Sendable, Equatable, Codable {
    case ipv4, ipv6, dual
  }

  /// Which addresses the hosts have.
  package var family: Family
  /// The hosts behind an address translation of their own, which lets in only what answers.
  package var natHosts: [Int]
  /// The timings of the nodes: a value of `network.profile`.
  package var profile: String
  /// Whether the nodes find each other by multicast, too.
  package var isFoundOnLAN: Bool
  /// Of how many hosts the nodes are told: the first that can be dialled.
  package var entranceCount: Int

  /// Every field.
  package init(
    family: Family = .ipv4, natHosts: [Int] = [], profile: String = "lan", entranceCount: Int = 2,
    isFoundOnLAN: Bool = false
  ) {
    self.family = family
    self.natHosts = natHosts
    self.profile = profile
    self.entranceCount = entranceCount
    self.isFoundOnLAN = isFoundOnLAN
  }
}

/// A host of a lab: a network namespace with a TUN device, whose other end is at the switch.
package struct LabHost: Sendable, Equatable, Codable {
  /// Counted from 1; the number of its node.
  package var number: Int
  /// The network namespace that its node runs in.
  package var namespace: String
  /// The namespace that has the device and translates addresses; nil when the host has the device itself.
  package var router: String?
  /// The TUN device.
  package var device: String
  /// By which others reach it, or see it when it is behind a router.
  package var addresses: [String]
}

/// The names, addresses and commands of a lab; `lab.json` holds it. Pure: everything comes from the directory and the
/// options, so that what an earlier process of the same testnet left behind is known by its names.
package struct LabPlan: Sendable, Equatable, Codable {
  /// The prefix of every namespace and device of this lab.
  package var tag: String
  /// What it was made with.
  package var options: LabOptions
  /// All hosts, by their numbers.
  package var hosts: [LabHost]

  /// Plans a lab.
  package init(layout: TestnetLayout, count: Int, options: LabOptions) throws {
    guard (2...LabOptions.maximumHosts).contains(count) else {
      throw TestnetError("a lab has 2 to \(LabOptions.maximumHosts) hosts, not \(count)", suggestion: "--hosts 4")
    }
    guard options.natHosts.allSatisfy((1...count).contains), Set(options.natHosts).count == options.natHosts.count
    else {
      throw TestnetError("the hosts behind a router are among 1 to \(count), each once", suggestion: "--nat \(count)")
    }
    guard options.natHosts.isEmpty || options.family != .ipv6 else {
      throw TestnetError("only IPv4 addresses are translated", suggestion: "leave --ipv6 or --nat away")
    }
    guard (0...LabOptions.maximumEntrances).contains(options.entranceCount) else {
      throw TestnetError(
        "nodes are told of 0 to \(LabOptions.maximumEntrances) others, not \(options.entranceCount)",
        suggestion: "--bootstrap 1")
    }
    // The third number of every address: two labs on one machine are told apart by their packets. Never 0, which an IPv6
    // address would leave out.
    let subnet = max(1, Digest(hashing: Array(layout.directory.utf8)).bytes[5])
    let tag = LabPlan.tag(of: layout)
    self.tag = tag
    self.options = options
    hosts = (1...count).map { number in
      let isBehindNAT = options.natHosts.contains(number)
      let hasIPv4 = options.family != .ipv6
      let hasIPv6 = options.family != .ipv4 && !isBehindNAT
      return LabHost(
        number: number, namespace: "\(tag)h\(number)", router: isBehindNAT ? "\(tag)r\(number)" : nil,
        device: "\(tag)t\(number)",
        addresses: (hasIPv4 ? ["10.78.\(subnet).\(number)"] : [])
          + (hasIPv6 ? ["fd78:\(String(subnet, radix: 16))::\(String(number, radix: 16))"] : []))
    }
  }

  /// The tag of the lab in a directory, whether or not there is one.
  static func tag(of layout: TestnetLayout) -> String {
    let hash = Digest(hashing: Array(layout.directory.utf8)).bytes
    return "ln" + Hex.encode(hash[2..<5])
  }

  /// Whether a namespace is of a lab with that tag.
  static func isNamespace(_ name: String, of tag: String) -> Bool {
    guard name.hasPrefix(tag), let kind = name.dropFirst(tag.utf8.count).first, "hr".contains(kind) else {
      return false
    }
    return Int(name.dropFirst(tag.utf8.count + 1)) != nil
  }

  /// The namespaces, routers too.
  var namespaces: [String] { hosts.flatMap { [$0.namespace] + ($0.router.map { [$0] } ?? []) } }

  /// The words that run a program in a namespace. `ip netns exec` would mount another /sys and hide the cgroups.
  static func inside(_ namespace: String) -> [String] { ["nsenter", "--net=/run/netns/\(namespace)", "--"] }

  // MARK: Commands

  /// The commands that make a host, once the switch has made its device.
  func commands(for host: LabHost) -> [[String]] {
    let outer = host.router ?? host.namespace
    var commands = [["ip", "netns", "add", host.namespace]]
    if let router = host.router { commands.append(["ip", "netns", "add", router]) }
    commands.append(["ip", "link", "set", host.device, "netns", outer])
    for namespace in [host.namespace] + (host.router.map { [$0] } ?? []) {
      commands.append(["ip", "-n", namespace, "link", "set", "lo", "up"])
      // The same congestion control wherever this runs: a kernel whose default paces (BBR) spreads every burst over a
      // part of the round trip. And nothing on the network that the nodes did not send.
      commands.append(
        LabPlan.inside(namespace) + [
          "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno",
          "net.ipv6.conf.all.disable_ipv6=\(options.family == .ipv4 ? 1 : 0)",
          "net.ipv6.conf.default.router_solicitations=0", "net.ipv4.ip_forward=\(namespace == host.router ? 1 : 0)",
        ])
    }
    commands += host.addresses.map { LabPlan.addAddress($0, to: host.device, in: outer) }
    commands.append(["ip", "-n", outer, "link", "set", host.device, "mtu", "1500", "txqueuelen", "10000", "up"])
    commands += LabPlan.routes(host, in: outer)
    if let router = host.router { commands += LabPlan.translation(host, router: router) }
    return commands
  }

  private static func addAddress(_ address: String, to device: String, in namespace: String) -> [String] {
    ["ip", "-n", namespace, "address", "add", "\(address)/\(prefixBitCount(address))", "dev", device]
      + (address.contains(":") ? ["nodad"] : [])
  }

  private static func prefixBitCount(_ address: String) -> Int { address.contains(":") ? 64 : 24 }

  /// Everything, multicast too, goes to the switch.
  private static func routes(_ host: LabHost, in namespace: String) -> [[String]] {
    var commands: [[String]] = []
    if host.addresses.contains(where: { !$0.contains(":") }) {
      commands.append(["ip", "-n", namespace, "route", "replace", "default", "dev", host.device])
      commands.append(["ip", "-n", namespace, "route", "replace", "239.0.0.0/8", "dev", host.device])
    }
    if host.addresses.contains(where: { $0.contains(":") }) {
      commands.append(["ip", "-n", namespace, "-6", "route", "replace", "default", "dev", host.device])
    }
    return commands
  }

  /// A router as people have at home: many ports of one address, and nobody gets in who was not spoken to.
  private static func translation(_ host: LabHost, router: String) -> [[String]] {
    let inner = "\(host.device)i"
    let outer = "\(host.device)o"
    let rules = """
      add table ip lab
      add chain ip lab leaving { type nat hook postrouting priority srcnat; }
      add rule ip lab leaving oifname \(host.device) masquerade
      add chain ip lab arriving { type filter hook input priority filter; }
      add rule ip lab arriving iifname \(host.device) ct state != { established, related } drop
      add chain ip lab passing { type filter hook forward priority filter; }
      add rule ip lab passing iifname \(host.device) ct state != { established, related } drop
      """
    return [
      [
        "ip", "link", "add", outer, "netns", router, "type", "veth", "peer", "name", inner, "netns", host.namespace,
      ],
      ["ip", "-n", router, "address", "add", "192.168.\(host.number).1/30", "dev", outer],
      ["ip", "-n", router, "link", "set", outer, "up"],
      ["ip", "-n", host.namespace, "address", "add", "192.168.\(host.number).2/30", "dev", inner],
      ["ip", "-n", host.namespace, "link", "set", inner, "up"],
      ["ip", "-n", host.namespace, "route", "add", "default", "via", "192.168.\(host.number).1"],
      LabPlan.inside(router) + ["nft", rules],
    ]
  }

  /// The commands that give a host other addresses. The old ones go first: the kernel would take a newer one of the
  /// same subnet away with them. The routes go with the last address, and come back.
  func commands(forMoving host: LabHost, to addresses: [String]) -> [[String]] {
    let outer = host.router ?? host.namespace
    var moved = host
    moved.addresses = addresses
    let removed = host.addresses.filter { !addresses.contains($0) }
    let added = addresses.filter { !host.addresses.contains($0) }
    return removed.map {
      ["ip", "-n", outer, "address", "del", "\($0)/\(LabPlan.prefixBitCount($0))", "dev", host.device]
    } + added.map { LabPlan.addAddress($0, to: host.device, in: outer) } + LabPlan.routes(moved, in: outer)
  }

  // MARK: Nodes

  /// Where a node listens, as TOML.
  var listen: String {
    var all: [String] = []
    if options.family != .ipv6 { all.append("\"0.0.0.0:\(TestnetLayout.port)\"") }
    if options.family != .ipv4 { all.append("\"[::]:\(TestnetLayout.port)\"") }
    return all.joined(separator: ", ")
  }

  /// Whom a node asks first, as TOML.
  func bootstrap(of number: Int) -> String {
    let entrances = hosts.filter { $0.router == nil }.prefix(options.entranceCount).filter { $0.number != number }
    return entrances.flatMap(\.addresses).map { "\"\(LabPlan.endpoint($0))\"" }.joined(separator: ", ")
  }

  /// An address with the port of the nodes.
  static func endpoint(_ address: String) -> String {
    (address.contains(":") ? "[\(address)]" : address) + ":\(TestnetLayout.port)"
  }
}
