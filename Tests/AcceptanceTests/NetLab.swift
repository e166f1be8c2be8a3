import Foundation
import Glibc
import Testing

/// A lab (`linnet testnet up --hosts`) that tests put faults into, one after another.
///
/// `@unchecked Sendable`, since a task local hands it on: the suites that have one are serialized, so that one test uses it
/// at a time.
final class NetLab: @unchecked Sendable {
  struct Host: Decodable {
    var number: Int
    var namespace: String
    var router: String?
    var device: String
    var addresses: [String]
  }
  private struct Plan: Decodable { var hosts: [Host] }

  /// How long is waited for what must come, in seconds: no bound of the product, and longer than a machine takes that has
  /// other things to do.
  static let patience = 120.0

  let net: LocalTestnet
  /// The seconds that `up` took: every node has a final block and sees all the others.
  private(set) var upSeconds = 0.0
  private(set) var ids: [Int: String] = [:]
  private(set) var hosts: [Host] = []
  private var connections: [Int: NodeConnection] = [:]
  /// Daemons that a test started by itself; a child that is let go is killed.
  private var daemons: [Int: ChildProcess] = [:]

  var numbers: [Int] { Array(net.nodes) }

  /// The lab that the tests of a suite share.
  @TaskLocal static var shared: NetLab?

  /// Makes a lab and starts its nodes. `prepare` may change what their directories hold before they start.
  init(hosts count: Int, options: [String] = [], prepare: ((NetLab) throws -> Void)? = nil) throws {
    net = LocalTestnet(scratch: try ScratchDirectory(), count: count)
    let words = [Requirement.binary, "testnet", "up", "--dir", net.directory, "--hosts", "\(count)"] + options
    do {
      if let prepare {
        try must(words + ["--no-wait"])
        try readPlan()
        for number in numbers { try stop(number) }
        try prepare(self)
        upSeconds = try must([Requirement.binary, "testnet", "up", "--dir", net.directory]).seconds
      } else {
        upSeconds = try must(words).seconds
        try readPlan()
      }
      ids = try net.ids()
    } catch {
      net.printLogs()
      remove()
      throw error
    }
  }

  private func readPlan() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: net.directory + "/lab.json"))
    hosts = try JSONDecoder().decode(Plan.self, from: data).hosts
  }

  /// Stops all and removes it.
  func remove() {
    for daemon in daemons.values { daemon.send(SIGTERM) }
    for daemon in daemons.values { _ = try? daemon.outcome(within: 30) }
    _ = try? net.testnet("down", within: NetLab.patience)
    net.scratch.remove()
  }

  static func with(
    hosts count: Int, options: [String] = [], prepare: ((NetLab) throws -> Void)? = nil,
    _ body: (NetLab) throws -> Void
  ) throws {
    let lab = try NetLab(hosts: count, options: options, prepare: prepare)
    defer { lab.remove() }
    try lab.reporting(body)
  }

  /// Runs a test in it and shows the logs when it fails.
  func reporting(_ body: (NetLab) throws -> Void) throws {
    do { try body(self) } catch {
      net.printLogs()
      throw error
    }
  }

  /// A test in the lab of its suite, which is first made whole again.
  static func inShared(_ body: (NetLab) throws -> Void) throws {
    guard let lab = shared else { throw Trouble("this test's suite has no lab") }
    try lab.reporting {
      try $0.calm()
      try body($0)
    }
  }

  // MARK: Doing

  @discardableResult
  private func must(_ words: [String]) throws -> Outcome {
    let outcome = try run(words, within: NetLab.patience)
    guard outcome.code == 0 else { throw Trouble("`\(words.joined(separator: " "))`: \(outcome.described)") }
    return outcome
  }

  /// `linnet testnet net`
  @discardableResult
  func tell(_ words: String...) throws -> Outcome {
    let outcome = try must([Requirement.binary, "testnet", "net", "--dir", net.directory] + words)
    if words.contains("address") { try readPlan() }
    if words.contains("kill") || words.contains("start") { connections = [:] }
    return outcome
  }

  /// The words that run a program on a host.
  func inside(_ host: Int, _ words: [String]) -> [String] {
    ["nsenter", "--net=/run/netns/\(hosts[host - 1].namespace)", "--"] + words
  }

  /// Runs a program on a host; it must succeed.
  @discardableResult
  func on(_ host: Int, _ words: String...) throws -> Outcome { try must(inside(host, words)) }

  /// Stops a node, as a crash would where nothing else is said.
  func stop(_ host: Int, by signal: Int32 = SIGKILL) throws {
    if let pid = try? net.pid(of: host) {
      kill(pid, signal)
      try eventually(within: NetLab.patience, every: 1, "node \(host) is gone") { LocalTestnet.isGone(pid) }
      try FileManager.default.removeItem(atPath: net.file(host, "pid"))
    }
    daemons[host] = nil
    connections[host] = nil
  }

  /// Removes the namespace of a host whose node is stopped, with its device, for good.
  func removeHost(_ host: Int) throws { try must(["ip", "netns", "del", hosts[host - 1].namespace]) }

  /// Starts a node by itself, with words and variables of its own.
  func start(_ host: Int, prefix: [String] = [], environment: [String: String] = [:]) throws {
    daemons[host] = try net.start(host, prefix: inside(host, prefix), environment: environment)
  }

  /// Changes a node's node.conf; it counts from its next start on.
  func configure(_ host: Int, _ change: (inout String) throws -> Void) throws {
    let path = net.file(host, "node.conf")
    var text = try String(contentsOfFile: path, encoding: .utf8)
    try change(&text)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// Ends what a running node offers.
  func disableOffer(_ host: Int) throws {
    try configure(host) { $0 = $0.replacingOccurrences(of: "[offer]\n", with: "[offer]\nenabled = false\n") }
    kill(try net.pid(of: host), SIGHUP)
  }

  // MARK: Seeing

  /// Waits until nodes answer, and learns who they are.
  func identify(_ hosts: [Int]? = nil) throws {
    var found: [Int: String] = [:]
    try eventually(within: NetLab.patience, "all nodes answer") {
      for host in hosts ?? numbers where found[host] == nil { found[host] = try status(host)?.id }
      return found.count == (hosts ?? numbers).count
    }
    ids = found
  }

  private func connection(_ host: Int) -> NodeConnection {
    if let connection = connections[host] { return connection }
    let connection = net.connection(to: host)
    connections[host] = connection
    return connection
  }

  /// What a node knows of the others, by their numbers; nil when it does not answer.
  func peers(_ host: Int) throws -> [Int: PeerJSON]? {
    guard let list = try connection(host).json([PeerJSON].self, "/v1/peers") else { return nil }
    let numbers = Dictionary(uniqueKeysWithValues: ids.map { ($1, $0) })
    return Dictionary(list.compactMap { peer in numbers[peer.id].map { ($0, peer) } }) { $1 }
  }

  /// Of each node in `of`, what each in `at` believes: "alive", "suspect", "down", "left", or "unknown".
  func states(of: [Int], at: [Int]) throws -> [(at: Int, of: Int, state: String)] {
    try at.flatMap { viewer -> [(at: Int, of: Int, state: String)] in
      let peers = try peers(viewer)
      return of.filter { $0 != viewer }.map { number in
        (viewer, number, peers.map { $0[number]?.state ?? "unknown" } ?? "mute")
      }
    }
  }

  func network(_ host: Int) throws -> NetworkJSON? { try connection(host).json(NetworkJSON.self, "/v1/network") }

  func status(_ host: Int) throws -> StatusJSON? { try connection(host).json(StatusJSON.self, "/v1/status") }

  /// The resident memory of a node's process.
  func residentKilobytes(_ host: Int) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(try net.pid(of: host))/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    guard let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) else {
      throw Trouble("no memory of node \(host)")
    }
    return kilobytes
  }

  func height(_ host: Int) throws -> UInt64? {
    try connection(host).json(ChainStatusJSON.self, "/v1/chain")?.height
  }

  /// Waits until hosts hold each other for alive; the seconds that took.
  @discardableResult
  func together(_ hosts: [Int]? = nil, within seconds: Double = NetLab.patience) throws -> Double {
    let hosts = hosts ?? numbers
    var others: [(at: Int, of: Int, state: String)] = []
    do {
      return try eventually(within: seconds, every: 100, "all are alive") {
        others = try states(of: hosts, at: hosts).filter { $0.state != "alive" }
        return others.isEmpty
      }
    } catch let trouble as Trouble {
      throw Trouble("\(trouble): " + others.map { "\($0.of) is \($0.state) at \($0.at)" }.joined(separator: ", "))
    }
  }

  /// Takes every fault back and waits until all is well.
  func calm() throws {
    try tell("heal", "clear")
    try together()
    try chainGoesOn(at: [1])
  }

  /// A transfer of a microcredit is in a final block, whose height this is; and the seconds that took.
  @discardableResult
  func transfer(_ host: Int) throws -> (height: UInt64, seconds: Double) {
    struct Transfer: Decodable {
      var inBlock: UInt64?
      var refusal: String?
    }
    let started = ContinuousClock.now
    let target = try #require(ids[host == 1 ? 2 : 1])
    // One of its own: how long a connection waits for an answer is said when it is made.
    let connection = net.connection(to: host)
    var said = "no answer"
    // After a quarter of a minute a node answers without a block. The next transfer cannot be final before that one.
    while started.secondsAgo < NetLab.patience {
      let answer = connection.ask(
        "POST", "/v1/transfers", #"{"to": "\#(target)", "amountMicrocredits": 1}"#, seconds: Int(NetLab.patience))
      said = answer.map { String(decoding: $0.body, as: UTF8.self) } ?? "no answer"
      guard let answer, answer.status == 201 else { break }
      let transfer = try JSONDecoder().decode(Transfer.self, from: Data(answer.body))
      guard transfer.refusal == nil else { break }
      if let height = transfer.inBlock { return (height, started.secondsAgo) }
    }
    throw Trouble("after \(text(started.secondsAgo)) no transfer at \(host) is in a final block: \(said)")
  }

  /// Transfers at each of the hosts become final, and all the others have their blocks.
  func chainGoesOn(at hosts: [Int], everywhere viewers: [Int]? = nil) throws {
    let height = try hosts.map { try transfer($0).height }.max() ?? 0
    try eventually(within: NetLab.patience, every: 100, "hosts \(viewers ?? hosts) have block \(height)") {
      try (viewers ?? hosts).allSatisfy { try self.height($0) ?? 0 >= height }
    }
  }

  /// The seconds that transfers at a host take, the median of `count`.
  func finality(at host: Int, count: Int = 15) throws -> Double {
    try (0..<count).map { _ in try transfer(host).seconds }.sorted()[count / 2]
  }

  /// Who was held for something else than alive while some seconds passed, and once at the least, as "5 is down at 3"; suspicions are no harm
  /// and are left out. `during` is done again and again. Where everybody is watched, each host's own count of whom it found
  /// down is looked at, too: who is wrongly down may be back before anybody looks.
  func watch(
    seconds: Double, of: [Int]? = nil, at: [Int]? = nil, during: (() throws -> Void)? = nil
  ) throws -> [String] {
    let before = of == nil ? try downs(at: at) : [:]
    let started = ContinuousClock.now
    var seen: Set<String> = []
    repeat {
      for entry in try states(of: of ?? numbers, at: at ?? numbers)
      where entry.state != "alive" && entry.state != "suspect" {
        seen.insert("\(entry.of) is \(entry.state) at \(entry.at)")
      }
      try during?()
      // Often enough for whatever lasts as long as a probe, and no load by itself.
      usleep(250_000)
    } while started.secondsAgo < seconds
    if of == nil, try downs(at: at) != before {
      seen.insert("found down: \(before) before, \(try downs(at: at)) after")
    }
    return seen.sorted()
  }

  /// How often each host has found somebody down since its start.
  func downs(at viewers: [Int]? = nil) throws -> [Int: UInt64] {
    var counts: [Int: UInt64] = [:]
    for viewer in viewers ?? numbers {
      let network = try #require(try connection(viewer).json(NetworkJSON.self, "/v1/network"), "\(viewer) answers")
      counts[viewer] = network.counters["membership.becameDown", default: 0]
    }
    return counts
  }

  /// Whose address is another than the first that its host has, and at whom.
  func wrongAddresses(of numbers: [Int], at viewers: [Int]) throws -> [String] {
    try viewers.flatMap { viewer in
      let peers = try peers(viewer) ?? [:]
      return numbers.filter { $0 != viewer }.compactMap { number in
        let address = hosts[number - 1].addresses[0]
        let expected = (address.contains(":") ? "[\(address)]" : address) + ":7447"
        let shown = peers[number]?.address ?? "nowhere"
        return shown == expected ? nil : "\(number) is at \(shown), says \(viewer)"
      }
    }
  }

  /// Waits until all know where all are.
  func addressesAreRight() throws {
    var wrong: [String] = []
    do {
      try eventually(within: NetLab.patience, every: 100, "everybody is at the right address") {
        wrong = try wrongAddresses(of: numbers, at: numbers)
        return wrong.isEmpty
      }
    } catch let trouble as Trouble { throw Trouble("\(trouble): \(wrong.joined(separator: ", "))") }
  }

  /// Waits until datagrams pass between two hosts both ways: a link answers for a member whose socket is dead.
  func datagramsPass(_ one: Int, _ other: Int) throws {
    for (host, target) in [(one, other), (other, one)] {
      // An answer that comes after a second is none: on a busy machine a few pings show nothing by their failure.
      try eventually(within: NetLab.patience, "\(host) pings \(target) by datagrams") {
        let outcome = try net.linnet(
          host, "ping", "--json", "--count", "5", "--interval", "200", try #require(ids[target]))
        return try outcome.stdout.split(separator: "\n").count { line in
          let ping = try JSONDecoder().decode(PingJSON.self, from: Data(line.utf8))
          return ping.path == "udp" && ping.rttMicroseconds != nil
        } >= 3
      }
    }
  }
}

/// Makes a lab for the tests of a suite and removes it after them.
struct LabScope: SuiteTrait, TestScoping {
  let hosts: Int
  let options: [String]

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try Requirement.check()
    let lab = try NetLab(hosts: hosts, options: options)
    defer { lab.remove() }
    try await NetLab.$shared.withValue(lab) { try await function() }
  }
}

extension Trait where Self == LabScope {
  static func lab(hosts: Int, _ options: String...) -> LabScope { LabScope(hosts: hosts, options: options) }
}
