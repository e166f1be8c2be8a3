import Foundation
import Glibc
import Testing

/// The fenced blocks of a document whose info string names a host, in order: what a reader types there.
struct HostCommands {
  struct Block {
    var host: String
    var text: String
  }

  let blocks: [Block]

  /// The blocks ```` ```sh HOST ```` of a document.
  init(document path: String) throws {
    var blocks: [Block] = []
    var open: Block?
    for line in try String(contentsOfFile: path, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    {
      if let block = open {
        if line == "```" {
          blocks.append(block)
          open = nil
        } else {
          open?.text += line + "\n"
        }
      } else if line.hasPrefix("```sh ") {
        open = Block(host: String(line.dropFirst(6)), text: "")
      }
    }
    self.blocks = blocks
  }
}

/// A host of its own: a network namespace, and its own /etc/linnet, /var/lib/linnet and /run/linnet.
struct NamespaceHost {
  let name: String
  let namespace: String
  let directory: String
  private static let places = ["/etc/linnet", "/var/lib/linnet", "/run/linnet", "/root/linnet-letters"]

  init(name: String, namespace: String, below scratch: String) throws {
    self.name = name
    self.namespace = namespace
    directory = "\(scratch)/\(name)"
    for place in NamespaceHost.places {
      try FileManager.default.createDirectory(
        atPath: directory + place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    }
  }

  /// The mount points that this machine lacks; they are made, and removed again by `removePlaces`.
  static func makePlaces() throws -> [String] {
    var made: [String] = []
    for place in places where access(place, F_OK) != 0 {
      guard mkdir(place, 0o755) == 0 else { throw Trouble("\(place): \(String(cString: strerror(errno)))") }
      made.append(place)
    }
    return made
  }

  static func removePlaces(_ made: [String]) { for place in made { rmdir(place) } }

  /// Starts a shell on this host with what a reader would type. `nsenter`, since `ip netns exec` would hide the
  /// cgroups under a new /sys. `scp` to the other host is a copy into its directory.
  func start(_ text: String, other: NamespaceHost) throws -> ChildProcess {
    let mounts = NamespaceHost.places.map { "mount --bind \(directory)\($0) \($0)" }.joined(separator: "\n")
    let exec = text == "linnet daemon\n" ? "exec " : ""
    let script = """
      set -euo pipefail
      \(mounts)
      scp() { cp -- "$1" "\(other.directory)${2#\(other.name):}"; }
      cd /root/linnet-letters
      \(exec)\(text)
      """
    // The program under test is this host's `linnet`, whatever its file is called.
    let tools = directory + "/bin"
    if mkdir(tools, 0o755) == 0 { symlink(Requirement.binary, tools + "/linnet") }
    return try ChildProcess(
      [
        "/usr/bin/nsenter", "--net=/run/netns/\(namespace)", "--", "/usr/bin/unshare", "--mount", "--propagation",
        "private", "--", "/bin/bash", "-c", script,
      ],
      environment: ["PATH": "\(tools):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"])
  }

  func run(_ text: String, other: NamespaceHost, within seconds: Double = NetLab.patience) throws -> Outcome {
    try start(text, other: other).outcome(within: seconds)
  }
}

extension Acceptance {
  /// docs/getting-started.md, to the letter.
  @Suite("two hosts", .serialized) struct TwoHosts {
    init() throws { try Requirement.check() }

    @Test("two hosts set up by the document run each other's jobs") func byTheDocument() throws {
      let document = try HostCommands(document: Requirement.packageRoot + "/docs/getting-started.md")
      #expect(Set(document.blocks.map(\.host)) == ["amber", "birch"])
      let scratch = try ScratchDirectory()
      defer { scratch.remove() }
      let made = try NamespaceHost.makePlaces()
      defer { NamespaceHost.removePlaces(made) }
      let suffix = String(UInt32.random(in: 0 ... .max), radix: 36)
      let hosts = try [("amber", "10.77.0.1/24"), ("birch", "10.77.0.2/24")].map { name, address in
        (host: try NamespaceHost(name: name, namespace: "lna\(suffix)\(name)", below: scratch.path), address: address)
      }
      defer { for entry in hosts { _ = try? Acceptance.must("ip", "netns", "del", entry.host.namespace) } }
      for entry in hosts { try Acceptance.must("ip", "netns", "add", entry.host.namespace) }
      try Acceptance.must(
        "ip", "link", "add", "lna\(suffix)a", "netns", hosts[0].host.namespace, "type", "veth", "peer", "name",
        "lna\(suffix)b", "netns", hosts[1].host.namespace)
      for (entry, link) in zip(hosts, ["lna\(suffix)a", "lna\(suffix)b"]) {
        let namespace = entry.host.namespace
        try Acceptance.must("ip", "-n", namespace, "address", "add", entry.address, "dev", link)
        try Acceptance.must("ip", "-n", namespace, "link", "set", link, "up")
        try Acceptance.must("ip", "-n", namespace, "link", "set", "lo", "up")
      }
      try follow(document, hosts[0].host, hosts[1].host)
    }

    private func follow(_ document: HostCommands, _ amber: NamespaceHost, _ birch: NamespaceHost) throws {
      var ids: [String: String] = [:]
      var daemons: [String: ChildProcess] = [:]
      var outcomes: [String: Outcome] = [:]
      // The document's own way to stop: TERM. It comes before the directories are removed.
      defer {
        for daemon in daemons.values { daemon.send(SIGTERM) }
        for (name, daemon) in daemons {
          let end = try? daemon.outcome(within: NetLab.patience)
          #expect(end?.code == 0, "\(name) stops cleanly: \(end?.described ?? "it does not")")
        }
      }
      for block in document.blocks {
        let (host, other) = block.host == "amber" ? (amber, birch) : (birch, amber)
        if block.text == "linnet daemon\n" {
          daemons[block.host] = try host.start(block.text, other: other)
          continue
        }
        if daemons.count == 2 { try ready(amber, birch, daemons) }
        let text = block.text
          .replacingOccurrences(of: "AMBER_ID", with: ids["amber"] ?? "AMBER_ID")
          .replacingOccurrences(of: "BIRCH_ID", with: ids["birch"] ?? "BIRCH_ID")
        let shell = try host.start(text, other: other)
        guard let outcome = try? shell.outcome(within: NetLab.patience), outcome.code == 0 else {
          throw Trouble(
            """
            on \(block.host):
            \(text)
            \(shell.stdout)
            \(shell.stderr)
            \(daemons.map { "--- \($0.key)\n\($0.value.stderr)" }.joined(separator: "\n"))
            """)
        }
        outcomes[block.host] = outcome
        if ids[block.host] == nil {
          ids[block.host] = outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init).first {
            $0.hasPrefix("ln1")
          }
        }
      }
      let amberID = try #require(ids["amber"])
      let birchID = try #require(ids["birch"])
      let onAmber = try #require(outcomes["amber"])
      let onBirch = try #require(outcomes["birch"])
      #expect(onAmber.stdout.contains("alive") && onAmber.stdout.contains("10.77.0.2:7447"), "\(onAmber.described)")
      #expect(onBirch.stdout.contains("alive") && onBirch.stdout.contains("10.77.0.1:7447"), "\(onBirch.described)")
      #expect(
        onAmber.stdout.contains(" /in/letter.txt") && onAmber.stderr.contains(birchID),
        "birch ran it: \(onAmber.described)")
      #expect(
        onBirch.stdout.contains("ran on amber\n") && onBirch.stderr.contains(amberID),
        "amber ran it: \(onBirch.described)")
      measured("amber's job", String(onAmber.stderr.split(separator: "\n").last ?? ""))
      measured("birch's job", String(onBirch.stderr.split(separator: "\n").last ?? ""))
    }

    /// A reader looks before typing on: both answer, have a final block and see each other.
    private func ready(_ amber: NamespaceHost, _ birch: NamespaceHost, _ daemons: [String: ChildProcess]) throws {
      do {
        let seconds = try eventually(
          within: NetLab.patience, every: 200, "both hosts have a final block and see each other"
        ) {
          for daemon in daemons.values where !daemon.isRunning { throw Trouble("a daemon has ended: \(daemon.stderr)") }
          return try [(amber, birch), (birch, amber)].allSatisfy { host, other in
            let outcome = try host.run("linnet status --json\n", other: other)
            guard outcome.code == 0 else { return false }
            let status = try LocalTestnet.decode(StatusJSON.self, outcome)
            return status.height > 0 && status.peersAlive == 1
          }
        }
        measured("two hosts see each other and have agreed on a block after", text(seconds))
      } catch {
        throw Trouble("\(error)\n" + daemons.map { "--- \($0.key)\n\($0.value.stderr)" }.joined(separator: "\n"))
      }
    }
  }

  /// Runs a tool of the host, which must succeed.
  static func must(_ words: String...) throws {
    let outcome = try ChildProcess(words).outcome(within: NetLab.patience)
    guard outcome.code == 0 else { throw Trouble("`\(words.joined(separator: " "))`: \(outcome.described)") }
  }
}
