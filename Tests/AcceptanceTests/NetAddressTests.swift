import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Addresses, names, families, clocks, and packets that no Linnet sends.
  @Suite("network: hosts of all kinds", .serialized) struct NetHosts {
    init() throws { try Requirement.check() }

    private static let python = "/usr/bin/python3"

    /// A node.conf that switches discovery on the network segment off, or on.
    static func without(lanDiscovery text: String) -> String { withLANDiscovery(text, "false") }
    static func withLANDiscovery(_ text: String, _ value: String = "true") -> String {
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).filter {
        !$0.hasPrefix("lan_discovery = ")
      }
      return lines.joined(separator: "\n").replacingOccurrences(
        of: "[network]\n", with: "[network]\nlan_discovery = \(value)\n")
    }

    /// A node.conf with other entrances.
    static func bootstrap(_ text: String, _ entrances: String...) -> String {
      let list = entrances.map { "\"\($0)\"" }.joined(separator: ", ")
      return text.split(separator: "\n", omittingEmptySubsequences: false).map {
        $0.hasPrefix("bootstrap = ") ? "bootstrap = [\(list)]" : String($0)
      }.joined(separator: "\n")
    }

    @Test("hosts with IPv6 addresses alone") func ipv6() throws {
      try NetLab.with(hosts: 4, options: ["--ipv6"]) { lab in
        try lab.addressesAreRight()
        measured("four hosts with IPv6 alone are ready after", text(lab.upSeconds))
        let outcome = try lab.net.linnet(2, "run", "--", "echo", "over IPv6", within: NetLab.patience)
        #expect(outcome.code == 0 && outcome.stdout == "over IPv6\n", "\(outcome.described)")
        // The smallest path that IPv6 allows.
        try lab.on(3, "ip", "link", "set", lab.hosts[2].device, "mtu", "1280")
        #expect(try lab.watch(seconds: 5) == [])
        try lab.chainGoesOn(at: [1, 3], everywhere: lab.numbers)
      }
    }

    @Test("hosts with both families go on when one family fails") func dual() throws {
      try NetLab.with(hosts: 4, options: ["--dual"]) { lab in
        let outcome = try lab.net.linnet(2, "run", "--", "echo", "dual", within: NetLab.patience)
        #expect(outcome.code == 0 && outcome.stdout == "dual\n", "\(outcome.described)")
        // Host 4 loses its IPv4 address, and then has it again without IPv6.
        let (v4, v6) = (lab.hosts[3].addresses[0], lab.hosts[3].addresses[1])
        for address in [v6, v4] {
          try lab.tell("address", "4", address)
          let seconds = try eventually(within: NetLab.patience, every: 100, "4 is known by \(address)") {
            try [1, 2, 3].allSatisfy {
              let peer = try lab.peers($0)?[4]
              return peer?.state == "alive" && peer?.address.contains(address) == true
            }
          }
          measured("a host left with \(address) alone is known by it after", text(seconds))
          try lab.chainGoesOn(at: [4], everywhere: lab.numbers)
        }
      }
    }

    @Test("packets never exceed a path of 1,280 bytes") func smallPath() throws {
      try NetLab.with(hosts: 4) { lab in
        // What is longer is lost without a word, as behind a router that says nothing.
        try lab.on(3, "ip", "link", "set", lab.hosts[2].device, "mtu", "1280")
        let rules = """
          add table ip path
          add chain ip path inward { type filter hook prerouting priority -300; }
          add rule ip path inward iifname \(lab.hosts[2].device) meta l4proto udp meta length > 1280 counter drop
          add rule ip path inward iifname \(lab.hosts[2].device) meta length > 1280 drop
          add chain ip path outward { type filter hook output priority 0; }
          add rule ip path outward oifname \(lab.hosts[2].device) meta l4proto udp meta length > 1280 counter drop
          """
        try lab.on(3, "nft", rules)
        // Its links are made anew over that path.
        try lab.tell("kill", "3")
        try lab.tell("start", "3")
        try lab.together()
        // 200 kB in and out of a job, wherever it runs, and from this host.
        let outcome = try lab.net.linnet(
          3, "run", "--", "/bin/bash", "-c", "head -c 200000 /dev/zero | tr '\\0' x", within: NetLab.patience)
        #expect(outcome.code == 0 && outcome.stdout.utf8.count == 200_000, "\(outcome.code) \(outcome.stderr)")
        #expect(try lab.watch(seconds: 5) == [])
        let counters = try lab.on(3, "nft", "list", "table", "ip", "path").stdout
        let counted = counters.components(separatedBy: "counter packets ").dropFirst().map { $0.prefix { $0.isNumber } }
        #expect(counted.count == 2 && counted.allSatisfy { $0 == "0" }, "\(counters)")
      }
    }

    @Test("two nodes that dial each other at once keep one link, and two of one name are told apart")
    func simultaneousDial() throws {
      let sameNames: (NetLab) throws -> Void = { lab in
        for host in [3, 4] {
          try lab.configure(host) {
            $0 = $0.replacingOccurrences(of: "name = \"node\(host)\"", with: "name = \"same\"")
            // Each asks the other, and one more.
            let other = lab.hosts[6 - host].addresses[0]
            $0 = NetHosts.bootstrap($0, "\(other):7447", "\(lab.hosts[0].addresses[0]):7447")
          }
        }
        // A round trip in which both have dialled.
        try lab.tell("delay", "100ms", "--pair", "3,4")
      }
      try NetLab.with(hosts: 4, prepare: sameNames) { lab in
        for round in 1...2 {
          if round > 1 {
            try lab.tell("kill", "3,4")
            try lab.tell("start", "3,4")
            try lab.together()
          }
          // Each time after ten round trips, in which what both dialled has been settled, and settled again if it is not to
          // stay.
          var last: [[PeerDetailJSON.Link]] = []
          var links: [[PeerDetailJSON.Link]] = []
          var changes = 0
          do {
            try eventually(within: NetLab.patience, every: 2_000, "one link that stays, which one end dialled") {
              guard changes <= 5 else { throw Trouble("the link was replaced again and again") }
              last = links
              links = try [(3, 4), (4, 3)].map { host, other in
                try lab.net.json(PeerDetailJSON.self, host, "peer", try #require(lab.ids[other])).links
              }
              if links != last { changes += 1 }
              return links == last && links.allSatisfy { $0.count == 1 }
                && links[0][0].direction != links[1][0].direction
            }
          } catch let trouble as Trouble { throw Trouble("\(trouble): first \(last), then \(links)") }
        }
        let names = try #require(try lab.peers(1))
        #expect(names[3]?.name == "same" && names[4]?.name == "same" && names[3]?.id != names[4]?.id)
      }
    }

    @Test("a bootstrap name that moves to another address is followed") func movingName() throws {
      try NetLab.with(hosts: 4, options: ["--validators", "3"]) { lab in
        // All forget each other: none but 4 shall know how they meet again.
        try lab.tell("kill", "1-4")
        for host in lab.numbers { try? FileManager.default.removeItem(atPath: lab.net.file(host, "peers")) }
        try lab.tell("start", "1-3")
        // Node 4 knows only a name, and asks a server of its own for it.
        let scratch = lab.net.scratch.path
        try lab.net.scratch.write("192.0.2.1", to: "answer")
        try lab.net.scratch.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", to: "resolv.conf")
        let server = try ChildProcess(lab.inside(4, [NetHosts.python, "-c", NetHosts.nameServer, scratch + "/answer"]))
        defer { server.send(SIGTERM) }
        try eventually(within: NetLab.patience, "the name server listens") { server.stdout.hasPrefix("ready") }
        try lab.configure(4) { $0 = NetHosts.bootstrap($0, "entrance.example:7447") }
        let mounts = "mount --bind \(scratch)/resolv.conf /etc/resolv.conf; exec \"$@\""
        try lab.start(
          4, prefix: ["unshare", "--mount", "--propagation", "private", "--", "/bin/bash", "-c", mounts, "linnet"])
        try eventually(within: NetLab.patience, "4 asks for the name twice") {
          server.stdout.components(separatedBy: "asked 1 192.0.2.1").count > 2
        }
        var alone: StatusJSON?
        try eventually(within: NetLab.patience, "4 answers") {
          alone = try lab.status(4)
          return alone != nil
        }
        #expect(alone?.peersAlive == 0)
        try lab.together([1, 2, 3])
        // At once: the server may read it at any time.
        try lab.hosts[1].addresses[0].write(toFile: scratch + "/answer", atomically: true, encoding: .utf8)
        let seconds = try lab.together()
        measured("the name's new address was followed after", text(seconds))
      }
    }

    /// Answers every question for an address (type A) with the one in a file, as a name server.
    private static let nameServer = """
      import socket, struct, sys
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      s.bind(('127.0.0.1', 53))
      print('ready', flush=True)
      while True:
          data, source = s.recvfrom(512)
          end = data.index(b'\\0', 12) + 5
          question, kind = data[12:end], struct.unpack('!H', data[end - 4:end - 2])[0]
          address = open(sys.argv[1]).read().strip()
          print('asked', kind, address, flush=True)
          count = 1 if kind == 1 else 0
          answer = b'\\xc0\\x0c' + struct.pack('!HHIH', 1, 1, 0, 4) + socket.inet_aton(address)
          s.sendto(data[:2] + struct.pack('!HHHHH', 0x8180, 1, count, 0, 0) + question + answer * count, source)
      """

    @Test("a node behind an address translation is a full member and runs jobs for others") func translated() throws {
      try NetLab.with(hosts: 4, options: ["--validators", "3", "--nat", "4"]) { lab in
        measured("four hosts, one of them behind a router, are ready after", text(lab.upSeconds))
        // Its own job runs somewhere; then nobody else offers anything, so that it runs another's.
        let outcome = try lab.net.linnet(4, "run", "--", "echo", "from behind a router", within: NetLab.patience)
        #expect(outcome.code == 0 && outcome.stdout == "from behind a router\n", "\(outcome.described)")
        for host in 1...3 { try lab.disableOffer(host) }
        let behind = try #require(lab.ids[4])
        var inside = outcome
        try eventually(within: NetLab.patience, every: 500, "a job of 2 runs on 4") {
          inside = try lab.net.linnet(
            2, "run", "--verbose", "--", "/bin/bash", "-c", "head -c 100000 /dev/zero | tr '\\0' y",
            within: NetLab.patience)
          guard inside.code == 0 else { throw Trouble("2's job failed: \(inside.described)") }
          return inside.stderr.contains(behind)
        }
        #expect(inside.stdout.utf8.count == 100_000, "the output comes back through the router")
        #expect(try lab.watch(seconds: 10) == [])
      }
    }
  }
}
