import Foundation
import Glibc
import Testing

extension Acceptance {
  /// Whatever comes to the node's sockets: refused, counted, and the node lives.
  @Suite("bad input", .serialized) struct BadInput {
    init() throws { try Requirement.check() }

    @Test("garbage on every socket is refused and counted") func garbage() throws {
      try LocalTestnet.with { net in
        let address = try #require(try net.states().first?.address)
        let pid = try net.pid(of: 1)
        var generator = SystemRandomNumberGenerator()
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        func growth(_ what: String, _ prefixes: [String], atLeast least: UInt64, _ send: () throws -> Void) throws {
          let before = try net.status(1).refused
          let started = ContinuousClock.now
          try send()
          let seconds = started.secondsAgo
          var grown: [String: UInt64] = [:]
          try eventually(within: 60, "\(what) is counted under \(prefixes)") {
            grown = try net.status(1).refused.filter { name, count in
              // Traffic of the testnet itself is counted beside, and grows anyway.
              prefixes.contains { name.hasPrefix($0) } && count > before[name, default: 0]
                && !name.hasSuffix(".received") && !name.hasSuffix(".sent")
            }
            return grown.reduce(0) { $0 + $1.value - before[$1.key, default: 0] } >= least
          }
          let list = grown.sorted { $0.key < $1.key }.map { "\($0.key) +\($0.value - before[$0.key, default: 0])" }
          measured("\(what), sent in \(text(seconds))", list.joined(separator: ", "))
        }

        try growth("200 random datagrams", ["udp.", "datagram."], atLeast: 100) {
          try Sockets.datagrams((0..<200).map { _ in bytes(Int.random(in: 1...1_400)) }, to: address)
        }
        try growth("oversized datagrams", ["udp.datagram.bad"], atLeast: 3) {
          try Sockets.datagrams((0..<5).map { _ in bytes(60_000) }, to: address)
        }

        let heard = try Sockets.overhear(to: address, count: 16, within: 90)
        #expect(heard.count == 16, "the nodes probe each other over UDP")
        try growth("\(heard.count) real datagrams, each cut at every eighth", ["udp.", "datagram."], atLeast: 5) {
          try Sockets.datagrams(
            heard.prefix(10).flatMap { whole in (1..<8).map { Array(whole.prefix(whole.count * $0 / 8)) } }, to: address
          )
        }
        try growth("real datagrams with a flipped bit", ["udp.", "datagram.", "rumour."], atLeast: 5) {
          try Sockets.datagrams(
            heard.map { whole in
              var changed = whole
              changed[Int.random(in: 0..<whole.count)] ^= 1 << UInt8.random(in: 0..<8)
              return changed
            }, to: address)
        }
        let peers = Set(try net.peers(1).map { [$0.id, $0.address] })
        try growth("real datagrams sent again, each five times", ["udp.datagram.replayed"], atLeast: 5) {
          try Sockets.datagrams((0..<5).flatMap { _ in heard }, to: address)
        }
        #expect(Set(try net.peers(1).map { [$0.id, $0.address] }) == peers, "replays change nothing")
        // Whom a busy host keeps waiting is suspected by chance, and soon not any more.
        try eventually(within: 60, "all are alive") { try net.peers(1).allSatisfy { $0.state == "alive" } }

        try growth("TCP garbage", ["link."], atLeast: 10) {
          for size in [0, 1, 31, 32, 48, 96, 1_000, 100_000, 1_000_000] { try Sockets.stream(bytes(size), to: address) }
          for _ in 0..<20 { try Sockets.stream(bytes(200), to: address) }
        }

        let control = "\(net.directory)/node1/control.sock"
        try growth("garbage on the control socket", ["control"], atLeast: 6) {
          _ = try Sockets.unix(bytes(2_000), to: control)
          _ = try Sockets.unix(Array("GET / HTTP/9.9\r\n\r\n".utf8), to: control)
          for request in [
            "GET /v1/nothing HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n",
            "DELETE /v1/status HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n",
            "POST /v1/jobs HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{x}",
            "POST /v1/jobs HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{\"command\": 1}",
            "GET /v1/jobs/../../etc HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n",
            "GET /v1/blocks/99999999999999999999999 HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n",
          ] {
            let answer = try Sockets.unix(Array(request.utf8), to: control)
            #expect(answer.hasPrefix("HTTP/1.1 4") && answer.contains("problem+json"), "\(request)\n\(answer)")
          }
          let large = "POST /v1/jobs HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n"
          #expect(
            try Sockets.unix(Array(large.utf8) + [UInt8](repeating: 0x20, count: 3_000_000), to: control).hasPrefix(
              "HTTP/1.1 413"))
        }

        // A node of its own network that takes the testnet's for an entrance.
        let stranger = try LoneNode(bootstrap: [address])
        defer { stranger.scratch.remove() }
        var daemon: ChildProcess?
        defer {
          daemon?.send(SIGTERM)
          _ = try? daemon?.outcome(within: 60)
        }
        try growth("a node of another network", ["datagram.", "link.", "udp."], atLeast: 1) {
          let started = try stranger.start()
          daemon = started
          try stranger.waitUntilReady(started)
          // Long enough for the first dials and the second, after a pause; on a busy host the counter is waited for.
          usleep(3_000_000)
        }
        #expect(try stranger.status().peersAlive == 0)
        #expect(try net.pid(of: 1) == pid && kill(pid, 0) == 0, "the same process")
        #expect(try net.peers(1).count == 3, "and no new peers")
        let outcome = try net.linnet(1, "run", "--", "echo", "alive")
        #expect(outcome.code == 0 && outcome.stdout == "alive\n", "\(outcome.described)")
      }
    }
  }

  /// A daemon that cannot start says why, each reason with its own exit code.
  @Suite("refusals at the start", .serialized) struct Refusals {
    init() throws { try Requirement.check() }

    private func refused(_ node: LoneNode, _ code: Int32, _ words: [String], _ why: String) throws {
      let outcome = try node.start().outcome(within: 90)
      #expect(outcome.code == code, "\(why): \(outcome.described)")
      for word in words { #expect(outcome.stderr.contains(word), "\(why) names \(word): \(outcome.described)") }
      let said = outcome.stderr.split(separator: "\n").filter { $0.hasPrefix("linnet:") || $0.hasPrefix("try:") }
      measured(why, "\(outcome.code): \(said.joined(separator: " / "))")
      #expect(!outcome.stderr.contains("Fatal error"))
    }

    @Test("node.conf: unknown keys and wrong types, by section and line") func configuration() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      let good = node.configuration
      try node.configure(good + "[offer]\ncpu_mili = 3\n")
      let line = good.split(separator: "\n", omittingEmptySubsequences: false).count + 1
      try refused(node, 10, ["[offer]", "cpu_mili", "node.conf:\(line)"], "an unknown key")
      try node.configure(good + "[offer]\ncpu_milli = \"three\"\n")
      try refused(node, 10, ["[offer]", "cpu_milli", "node.conf:\(line)"], "a wrong type")
      try node.configure(good + "[ofer]\nenabled = true\n")
      try refused(node, 10, ["ofer", "node.conf:\(line - 1)"], "an unknown section")
      try node.configure(good + "[offer\n")
      try refused(node, 10, ["node.conf:\(line - 1)"], "no TOML")
    }

    @Test("a key that others can read") func key() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      chmod(node.scratch.path + "/node.key", 0o644)
      try refused(node, 13, ["node.key", "chmod 600"], "a key of mode 0644")
      chmod(node.scratch.path + "/node.key", 0o600)
      unlink(node.scratch.path + "/node.key")
      try refused(node, 13, ["node.key", "linnet init"], "no key")
    }

    @Test("a key that is damaged") func damagedKey() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      let path = node.scratch.path + "/node.key"
      let good = try Data(contentsOf: URL(fileURLWithPath: path))
      var bent = good
      bent[bent.count / 2] ^= 1
      for (bytes, why) in [(bent, "a bit is another"), (good.prefix(good.count / 2), "a half"), (Data(), "nothing")] {
        try bytes.write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
        try refused(node, 13, ["node.key"], "a key of which there is \(why)")
      }
    }

    @Test("a data directory of another network, and a genesis that is none") func network() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      let daemon = try node.start()
      try node.waitUntilReady(daemon)
      daemon.send(SIGTERM)
      let end = try daemon.outcome(within: 60)
      #expect(end.code == 0, "\(end.described)")
      measured("stopped by TERM after", text(end.seconds))
      try node.makeGenesis(name: "another")
      try refused(node, 15, ["belongs to the network"], "a data directory of another network")
      try node.scratch.write("{ \"name\": 3 }", to: "genesis.json")
      try refused(node, 14, ["genesis.json"], "a genesis that is none")
      unlink(node.scratch.path + "/genesis.json")
      try refused(node, 14, ["genesis.json"], "no genesis")
    }

    @Test("a taken port") func port() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      let taken = try Sockets.occupy(node.address)
      defer { for descriptor in taken { close(descriptor) } }
      try refused(node, 16, [node.address], "a taken port")
    }

    @Test("an address that is not this host's") func address() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      try node.configure(node.configuration.replacingOccurrences(of: node.address, with: "192.0.2.1:7447"))
      try refused(node, 16, ["192.0.2.1:7447"], "an address of another host")
    }

    @Test("a second daemon on one directory") func second() throws {
      let node = try LoneNode()
      defer { node.scratch.remove() }
      let first = try node.start()
      try node.waitUntilReady(first)
      try refused(node, 12, ["another daemon", node.scratch.path], "a second daemon")
      #expect(first.isRunning)
      #expect(try node.status().height > 0, "the first one's socket still answers")
      first.send(SIGTERM)
      #expect(try first.outcome(within: 60).code == 0)
    }
  }
}

/// A node of a network of its own, set up by hand in a directory.
struct LoneNode {
  let scratch: ScratchDirectory
  let address: String
  let configuration: String
  private let id: String

  init(bootstrap: [String] = []) throws {
    scratch = try ScratchDirectory()
    // Testnets are at 127.1 to 127.254.
    address = "127.255.\(UInt8.random(in: 1...254)).\(UInt8.random(in: 1...254)):7447"
    let entrances = bootstrap.map { "\"\($0)\"" }.joined(separator: ", ")
    configuration = """
      [node]
      data_directory = "."
      name = "lone"
      [network]
      listen = ["\(address)"]
      bootstrap = [\(entrances)]
      profile = "loopback"
      [control]
      socket = "control.sock"

      """
    try scratch.write(configuration, to: "node.conf")
    let initialized = try run([Requirement.binary, "init", "--json", "--config", scratch.path + "/node.conf"])
    struct Answer: Decodable { var id: String }
    id = try LocalTestnet.decode(Answer.self, initialized).id
    try makeGenesis(name: "lone")
  }

  func configure(_ text: String) throws { try scratch.write(text, to: "node.conf") }

  func makeGenesis(name: String) throws {
    let path = scratch.path + "/genesis.json"
    unlink(path)
    let outcome = try run([
      Requirement.binary, "genesis", "create", "--name", name, "--validator", id, "--output", path,
    ])
    guard outcome.code == 0 else { throw Trouble("genesis create: \(outcome.described)") }
  }

  func start() throws -> ChildProcess {
    try ChildProcess([Requirement.binary, "daemon", "--config", scratch.path + "/node.conf"])
  }

  func status() throws -> StatusJSON {
    try LocalTestnet.decode(
      StatusJSON.self, run([Requirement.binary, "status", "--json", "--socket", scratch.path + "/control.sock"]))
  }

  func waitUntilReady(_ daemon: ChildProcess) throws {
    try eventually(within: 90, "the daemon has a final block") {
      guard daemon.isRunning else { throw Trouble("the daemon has ended: \(daemon.stderr)") }
      return (try? status())?.height ?? 0 > 0
    }
  }
}
