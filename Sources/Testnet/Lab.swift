import CLinux
import Foundation
import Glibc
import NetworkSwitch

/// The hosts of a testnet that runs in network namespaces, and the switch between them.
package struct Lab: Sendable {
  /// How long the switch may take to answer at first, in seconds.
  private static let switchSeconds = 30.0

  let layout: TestnetLayout
  /// Its hosts, as they are now.
  package private(set) var plan: LabPlan

  init(layout: TestnetLayout, plan: LabPlan) {
    self.layout = layout
    self.plan = plan
  }

  /// The lab in a testnet's directory; nil when its nodes run on the loopback, or there is none.
  package static func load(_ layout: TestnetLayout) throws -> Lab? {
    guard let data = FileManager.default.contents(atPath: layout.lab) else { return nil }
    do {
      return Lab(layout: layout, plan: try JSONDecoder().decode(LabPlan.self, from: data))
    } catch {
      throw TestnetError("\(layout.lab) is damaged: \(error)", suggestion: "remove \(layout.directory)")
    }
  }

  /// Writes `lab.json`.
  func save() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try encoder.encode(plan).write(to: URL(fileURLWithPath: layout.lab), options: .atomic)
  }

  /// The switch.
  package var switchClient: SwitchClient { SwitchClient(socketPath: layout.switchSocket) }

  /// The words before those that start a node's daemon.
  func prefix(of number: Int) -> [String] { LabPlan.inside(plan.hosts[number - 1].namespace) }

  /// Throws when this process cannot make namespaces.
  static func checkPrivilege() throws {
    guard getuid() == 0 else {
      throw TestnetError("hosts in network namespaces need root", suggestion: "sudo, or a testnet without --hosts")
    }
  }

  // MARK: Up

  /// Whether the switch and every namespace are there.
  var isUp: Bool {
    guard (try? switchClient.ask()) != nil else { return false }
    return Set(plan.namespaces).isSubset(of: Lab.namespaces(of: plan.tag))
  }

  /// Makes the switch and the hosts. What an earlier lab of this directory left is removed first.
  func up(binary: String) throws {
    try Lab.checkPrivilege()
    try Lab.sweep(layout)
    try startSwitch(binary: binary)
    do {
      for host in plan.hosts { for command in plan.commands(for: host) { try HostTool.run(command) } }
    } catch {
      _ = try? Lab.sweep(layout)
      throw error
    }
  }

  private func startSwitch(binary: String) throws {
    let log = linnet_open(layout.switchLog, O_WRONLY | O_CREAT | O_APPEND, 0o640)
    guard log >= 0 else {
      throw TestnetError("\(layout.switchLog): \(String(cString: strerror(-log)))", suggestion: "look at the directory")
    }
    defer { close(log) }
    let ports = plan.hosts.flatMap { ["--port", "\($0.device)=\($0.addresses.joined(separator: ","))"] }
    let words = [binary, "testnet", "switch", "--socket", layout.switchSocket] + ports
    let started = SpawnedProgram.start(words, output: log, errors: log, inNewSession: true)
    guard case .success(let id) = started else { throw switchFailure("could not be started") }
    let deadline = ContinuousClock.now + .seconds(Lab.switchSeconds)
    while (try? switchClient.ask()) == nil {
      var status: Int32 = 0
      guard waitpid(id, &status, WNOHANG) == 0 else { throw switchFailure("has ended") }
      guard ContinuousClock.now < deadline else { throw switchFailure("does not answer") }
      usleep(5_000)
    }
  }

  private func switchFailure(_ what: String) -> TestnetError {
    let text = (try? String(contentsOfFile: layout.switchLog, encoding: .utf8)) ?? ""
    let last = text.split(separator: "\n").suffix(2).joined(separator: " / ")
    return TestnetError("the switch \(what): \(last)", suggestion: "look at \(layout.switchLog)")
  }

  // MARK: Down

  /// Removes everything that a lab of this directory has beside files: what runs in its namespaces, the switch with the
  /// devices, and the namespaces. Names tell what is its, so nothing is left even after a `kill -9` of whoever made it.
  ///
  /// - Returns: how many namespaces were removed.
  @discardableResult
  static func sweep(_ layout: TestnetLayout) throws -> Int {
    let tag = LabPlan.tag(of: layout)
    endTools(of: tag)
    let found = namespaces(of: tag).sorted()
    for namespace in found { endProcesses(in: namespace) }
    endSwitch(layout)
    for namespace in found { try HostTool.run(["ip", "netns", "del", namespace]) }
    return found.count
  }

  private static func namespaces(of tag: String) -> Set<String> {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []
    return Set(names.filter { LabPlan.isNamespace($0, of: tag) })
  }

  /// Ends what is still at work for an `up` that was killed: it would make a namespace, or start a daemon in one, after
  /// all of them have been removed.
  private static func endTools(of tag: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let id = pid_t(name), let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
        continue
      }
      let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      guard let program = words.first, ["ip", "nsenter"].contains(program) else { continue }
      if words.contains(where: { $0.contains(tag) }) { kill(id) }
    }
  }

  private static func endProcesses(in namespace: String) {
    // A namespace that was only half made names no processes.
    guard let text = try? HostTool.run(["ip", "netns", "pids", namespace]) else { return }
    for id in text.split(whereSeparator: \.isWhitespace).compactMap({ pid_t($0) }) where id > 1 { kill(id) }
  }

  private static func endSwitch(_ layout: TestnetLayout) {
    let client = SwitchClient(socketPath: layout.switchSocket)
    // Not asked to end: it may be stopped, or hang, and nothing is lost with it.
    if let id = client.processID { kill(id) }
    try? FileManager.default.removeItem(atPath: layout.switchSocket)
  }

  private static func kill(_ id: pid_t) {
    let pidfd = linnet_pidfd_open(id)
    guard pidfd >= 0 else { return }
    defer { close(pidfd) }
    _ = linnet_pidfd_send_signal(pidfd, SIGKILL)
    _ = NodeProcess.hasEnded(pidfd, withinSeconds: NodeProcess.killSeconds)
    var status: Int32 = 0
    waitpid(id, &status, WNOHANG)
  }

  // MARK: The network

  /// Does what the words say, first to hosts and then to the network, and returns the switch's state after it.
  package mutating func tell(_ words: [String], hosts: [String], pairs: [String], binary: String) throws -> SwitchState
  {
    // All of it is read before any of it is done.
    let actions = try SwitchAction.parse(words, hosts: hosts, pairs: pairs, hostCount: plan.hosts.count)
    if actions.contains(where: \.isForHosts) { try Lab.checkPrivilege() }
    for action in actions {
      switch action {
      case .kill(let numbers): for number in numbers { _ = NodeProcess(layout: layout, number: number).kill() }
      case .start(let numbers): try start(numbers, binary: binary)
      case .address(let number, let addresses): try move(number, to: addresses)
      default: break
      }
    }
    var request = SwitchRequest()
    request.words = SwitchAction.wordsForSwitch(words)
    request.hosts = hosts
    request.pairs = pairs
    return try switchClient.ask(request)
  }

  private func start(_ numbers: [Int], binary: String) throws {
    for number in numbers {
      let process = NodeProcess(layout: layout, number: number)
      guard process.runningID == nil else { continue }
      try process.start(binary: binary, prefix: prefix(of: number))
    }
  }

  private mutating func move(_ number: Int, to addresses: [SwitchAddress]) throws {
    let host = plan.hosts[number - 1]
    guard addresses.allSatisfy(\.isHost) else {
      throw TestnetError("a host has addresses, not prefixes", suggestion: "address 5 10.78.1.105")
    }
    let texts = addresses.map(\.description)
    for command in plan.commands(forMoving: host, to: texts) { try HostTool.run(command) }
    plan.hosts[number - 1].addresses = texts
    try save()
  }
}
