import Foundation
import Glibc

/// A directory of this test's own below /tmp, short enough for the sockets in it.
struct ScratchDirectory {
  let path: String

  init() throws {
    path = "/tmp/lna-\(getpid())-" + String(UInt32.random(in: 0 ... .max), radix: 36)
    guard mkdir(path, 0o711) == 0 else { throw Trouble("\(path): \(String(cString: strerror(errno)))") }
  }

  /// Deletes it, unless `LINNET_ACCEPTANCE_KEEP=1` asks to look at it.
  func remove() {
    if ProcessInfo.processInfo.environment["LINNET_ACCEPTANCE_KEEP"] == "1" { return print("  kept: \(path)") }
    try? FileManager.default.removeItem(atPath: path)
  }

  func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
    chmod("\(path)/\(name)", mode)
  }
}

/// A testnet of real processes, reached by `linnet` alone.
struct LocalTestnet {
  let scratch: ScratchDirectory
  let count: Int
  /// What `testnet up` is told besides the number of nodes when it makes the testnet.
  var options: [String] = []
  var directory: String { scratch.path + "/t" }
  var nodes: ClosedRange<Int> { 1...count }

  /// Starts a testnet, hands it to `body`, and stops and removes it whatever happens.
  static func with(nodes count: Int = 4, options: [String] = [], _ body: (LocalTestnet) throws -> Void) throws {
    let net = LocalTestnet(scratch: try ScratchDirectory(), count: count, options: options)
    defer { net.scratch.remove() }
    defer { _ = try? net.testnet("down", within: 120) }
    do {
      try net.up()
      try body(net)
    } catch {
      net.printLogs()
      throw error
    }
  }

  /// `linnet testnet up`; returns the seconds that the command took.
  @discardableResult
  func up() throws -> Double {
    let isNew = !FileManager.default.fileExists(atPath: directory)
    let outcome = try run(
      [Requirement.binary, "testnet", "up", "--dir", directory]
        + (isNew ? ["--nodes", "\(count)"] + options : []), within: 120)
    guard outcome.code == 0 else { throw Trouble("testnet up: \(outcome.described)") }
    return outcome.seconds
  }

  /// `linnet testnet ...`
  func testnet(_ words: String..., within seconds: Double = 90) throws -> Outcome {
    try run([Requirement.binary, "testnet", words[0], "--dir", directory] + words.dropFirst(), within: seconds)
  }

  /// The words of a command that talks to a node: options of the connection go behind the subcommand's name.
  func words(_ node: Int, _ words: [String], subcommands: Int) -> [String] {
    [Requirement.binary] + words.prefix(subcommands) + ["--dir", directory, "--node", "\(node)"]
      + words.dropFirst(subcommands)
  }

  /// A command of one word (`run`, `status`, `peers`) at a node.
  func linnet(_ node: Int, _ words: String..., within seconds: Double = 180) throws -> Outcome {
    try run(self.words(node, words, subcommands: 1), within: seconds)
  }

  /// Starts `linnet run` at a node and leaves it running.
  func startRun(_ node: Int, _ words: String...) throws -> ChildProcess {
    try ChildProcess(self.words(node, ["run"] + words, subcommands: 1))
  }

  /// `linnet job submit` at a node; the job's id.
  func submit(_ node: Int, _ words: String...) throws -> String {
    let outcome = try run(self.words(node, ["job", "submit"] + words, subcommands: 2))
    guard outcome.code == 0 else { throw Trouble("job submit: \(outcome.described)") }
    return outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// What a command with `--json` prints.
  func json<Answer: Decodable>(_ type: Answer.Type, _ node: Int, _ words: String..., subcommands: Int = 1) throws
    -> Answer
  {
    try LocalTestnet.decode(type, run(self.words(node, words + ["--json"], subcommands: subcommands)))
  }

  static func decode<Answer: Decodable>(_ type: Answer.Type, _ outcome: Outcome) throws -> Answer {
    guard outcome.code == 0 else { throw Trouble("no \(type): \(outcome.described)") }
    do { return try JSONDecoder().decode(type, from: Data(outcome.stdout.utf8)) } catch {
      throw Trouble("\(type) is not what docs/control-api.md says: \(error)\n\(outcome.stdout)")
    }
  }

  func status(_ node: Int) throws -> StatusJSON { try json(StatusJSON.self, node, "status") }
  func peers(_ node: Int) throws -> [PeerJSON] { try json([PeerJSON].self, node, "peers") }
  func jobs(_ node: Int) throws -> [JobJSON] { try json(JobListJSON.self, node, "job", "list", subcommands: 2).jobs }
  func job(_ node: Int, _ id: String) throws -> JobJSON {
    try json(JobJSON.self, node, "job", "show", id, subcommands: 2)
  }
  func chain(_ node: Int) throws -> ChainStatusJSON {
    try json(ChainStatusJSON.self, node, "chain", "status", subcommands: 2)
  }
  func block(_ node: Int, _ height: UInt64) throws -> BlockJSON {
    try json(BlockJSON.self, node, "chain", "block", "\(height)", subcommands: 2)
  }
  func account(_ node: Int, _ id: String) throws -> AccountJSON {
    try json(AccountJSON.self, node, "account", "show", id, subcommands: 2)
  }
  func validators(_ node: Int) throws -> ValidatorsJSON {
    try json(ValidatorsJSON.self, node, "chain", "validators", subcommands: 2)
  }
  func states() throws -> [TestnetNodeJSON] {
    try LocalTestnet.decode([TestnetNodeJSON].self, testnet("status", "--json"))
  }

  /// The ids of the nodes, by their number.
  func ids() throws -> [Int: String] {
    var ids: [Int: String] = [:]
    for node in nodes { ids[node] = try status(node).id }
    return ids
  }

  /// The daemon's process id, from its own file.
  func pid(of node: Int) throws -> pid_t {
    let words = try String(contentsOfFile: "\(directory)/node\(node)/pid", encoding: .utf8).split { $0.isWhitespace }
    guard let first = words.first, let pid = pid_t(first), pid > 1 else { throw Trouble("no pid of node \(node)") }
    return pid
  }

  /// `kill -9`, as a crash, and waits until the processes are gone: their locks and their sockets are free then.
  func crashAndWait(_ nodes: Int...) throws { try crashAndWait(nodes) }

  /// The same.
  func crashAndWait(_ nodes: [Int]) throws {
    let victims = try nodes.map { (node: $0, pid: try pid(of: $0)) }
    for (_, pid) in victims {
      guard kill(pid, SIGKILL) == 0 else { throw Trouble("kill \(pid): \(String(cString: strerror(errno)))") }
    }
    for (node, pid) in victims {
      try eventually(within: 60, every: 1, "node \(node) is gone") { LocalTestnet.isGone(pid) }
    }
  }

  /// Whether a process has ended; a zombie that nobody has fetched has. The first thread of a process that was killed
  /// may be a zombie while others still hold its locks and sockets: none must be left.
  static func isGone(_ pid: pid_t) -> Bool {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return threads.allSatisfy { thread in
      guard let stat = try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/stat", encoding: .utf8) else {
        return true
      }
      return [" Z", " X"].contains(stat.split(separator: ")").last?.prefix(2) ?? "")
    }
  }

  /// The processes whose command line names the testnet's directory: daemons, shims and sandboxes.
  func processes() -> [String] {
    let ids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
    return ids.compactMap { id in
      guard let data = FileManager.default.contents(atPath: "/proc/\(id)/cmdline"), !data.isEmpty else { return nil }
      let words = data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
      return words.contains(directory) && !LocalTestnet.isGone(id) ? "\(id) \(words)" : nil
    }
  }

  /// Waits until all nodes show the same height and state root, and returns it.
  func agreement(within seconds: Double) throws -> (height: UInt64, stateRoot: String, seconds: Double) {
    var agreed: (UInt64, String)?
    let passed = try eventually(within: seconds, "all nodes at the same height with the same state root") {
      let states = try states()
      guard let height = states.first?.height, let root = states.first?.stateRoot else { return false }
      agreed = (height, root)
      return states.count == count && states.allSatisfy { $0.height == height && $0.stateRoot == root }
    }
    guard let agreed else { throw Trouble("no node answers") }
    return (agreed.0, agreed.1, passed)
  }

  /// What all accounts of the genesis have, with the fees that all blocks burnt: both at one height, of one node.
  func books(_ node: Int) throws -> (height: UInt64, accounts: [AccountJSON], feesBurnt: UInt64, opening: UInt64) {
    let data = try Data(contentsOf: URL(fileURLWithPath: directory + "/genesis.json"))
    let genesis = try JSONDecoder().decode(GenesisJSON.self, from: data)
    let connection = connection(to: node)
    var accounts: [AccountJSON] = []
    var height: UInt64 = 0
    try eventually(within: 90, "node \(node) answers for all accounts while its chain stands still") {
      guard let before = try connection.json(ChainStatusJSON.self, "/v1/chain") else { return false }
      accounts = try genesis.balances.compactMap {
        try connection.json(AccountJSON.self, "/v1/accounts/\($0.account)")
      }
      height = before.height
      return try accounts.count == genesis.balances.count
        && connection.json(ChainStatusJSON.self, "/v1/chain")?.height == height
    }
    let blocks = try blocks(node, to: height)
    guard UInt64(blocks.count) == height else { throw Trouble("node \(node) has \(blocks.count) of \(height) blocks") }
    let fees = blocks.values.flatMap(\.transactions).reduce(0) { $0 + $1.feeMicrocredits }
    return (height, accounts, fees, genesis.balances.reduce(0) { $0 + $1.amountMicrocredits })
  }

  /// The exit records of the shims in all nodes' directories: which node ran which job, and how that ended.
  func exitRecords() throws -> [(node: Int, job: String, record: ExitRecordJSON)] {
    var found: [(Int, String, ExitRecordJSON)] = []
    for node in nodes {
      let jobs = "\(directory)/node\(node)/jobs/jobs"
      for lease in (try? FileManager.default.contentsOfDirectory(atPath: jobs)) ?? [] {
        guard let data = FileManager.default.contents(atPath: "\(jobs)/\(lease)/exit.json") else { continue }
        let record = try JSONDecoder().decode(ExitRecordJSON.self, from: data)
        // The sandbox's own options say which job it was: NUL between the words, `--setenv LINNET_JOB <id>`.
        let options = try Data(contentsOf: URL(fileURLWithPath: "\(jobs)/\(lease)/sandbox.args"))
          .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard let mark = options.firstIndex(of: "LINNET_JOB"), mark + 1 < options.count else {
          throw Trouble("no job named in \(jobs)/\(lease)/sandbox.args")
        }
        found.append((node, options[mark + 1], record))
      }
    }
    return found
  }

  /// The ends of all logs, for a test that failed.
  func printLogs() {
    for node in nodes {
      let log = (try? String(contentsOfFile: "\(directory)/node\(node)/log", encoding: .utf8)) ?? "no log"
      print("--- log of node \(node)\n" + log.split(separator: "\n").suffix(25).joined(separator: "\n"))
    }
  }
}
