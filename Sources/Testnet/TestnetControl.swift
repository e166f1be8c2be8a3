import Config
import Control
import Executor
import Foundation
import Glibc
import Logging

/// Several nodes on one machine, each a real process with its own directory, key, address and control socket.
package struct TestnetControl: Sendable {
  /// How long `up` waits for the first final block on all nodes, in seconds.
  package static let readySeconds = 60.0
  private static let stopSeconds = 8.0

  /// Where it lives.
  package let layout: TestnetLayout

  /// A testnet in a directory.
  package init(layout: TestnetLayout) { self.layout = layout }

  /// One line of `linnet testnet status`.
  package struct NodeState: Codable, Sendable, Equatable {
    /// Counted from 1.
    package var node: Int
    /// The process id; nil when it does not run.
    package var pid: Int32?
    /// The rest is nil when the node does not answer.
    package var id: String?
    package var address: String
    package var height: UInt64?
    package var stateRoot: String?
    package var view: UInt64?
    package var peersAlive: Int?
    package var leasesRunning: Int?
  }

  /// Starts the testnet, making it first when there is none; nodes that run already are left alone.
  ///
  /// - Parameters:
  ///   - options: what a new testnet is like, as far as it was asked for; nil for as many nodes as there are.
  ///   - binary: the `linnet` to start.
  ///   - isWaiting: whether to wait until every node has a final block and sees all others.
  ///   - markNeverVoted: writes the mark that a new key has never voted.
  /// - Returns: the seconds that it took.
  package func up(
    _ options: TestnetOptions?, binary: String, isWaiting: Bool = true,
    markNeverVoted: @escaping (String) throws -> Void
  ) async throws -> Double {
    let started = ContinuousClock.now
    let present = layout.nodes
    if present.isEmpty {
      if options?.lab != nil { try Lab.checkPrivilege() }
      try TestnetSetup(layout: layout, options: options ?? TestnetOptions(), markNeverVoted: markNeverVoted).write()
    } else if let options {
      try check(options, present: present.count)
    }
    let numbers = layout.nodes
    let processes = numbers.map { NodeProcess(layout: layout, number: $0) }
    let lab = try Lab.load(layout)
    if let lab, !lab.isUp {
      // Nodes whose network is gone, or is a part of what it was, start again in the new one.
      await stop(numbers)
      try lab.up(binary: binary)
    }
    if isWaiting {
      try await ready(processes, lab, binary: binary)
    } else {
      for process in processes where process.runningID == nil {
        try process.start(binary: binary, prefix: lab?.prefix(of: process.number) ?? [])
      }
    }
    let passed = ContinuousClock.now - started
    return Double(passed.components.seconds) + Double(passed.components.attoseconds) / 1e18
  }

  /// A testnet that is there is not made anew: what was asked for must be what it is.
  private func check(_ options: TestnetOptions, present: Int) throws {
    func refuse(_ detail: String) -> TestnetError {
      TestnetError(
        "the testnet in \(layout.directory) has \(detail)",
        suggestion: "remove the directory to begin anew, or name another with --dir")
    }
    if options.count != present { throw refuse("\(present) nodes, not \(options.count)") }
    let lab = try Lab.load(layout)
    if let asked = options.lab {
      guard let lab else { throw refuse("its nodes on the loopback") }
      if lab.plan.options != asked { throw refuse("hosts that were made with other options") }
    }
    guard options.validators != nil || options.epochBlocks != nil else { return }
    let genesis = try GenesisDocument.read(path: layout.genesis)
    if let validators = options.validators, validators != genesis.validators.count {
      throw refuse("\(genesis.validators.count) validators in its genesis, not \(validators)")
    }
    if let blocks = options.epochBlocks, blocks != genesis.parameters.epochBlocks {
      throw refuse("\(genesis.parameters.epochBlocks) blocks an epoch, not \(blocks)")
    }
  }

  /// Starts what does not run and waits until each node has a final block and all the others are there.
  private func ready(_ processes: [NodeProcess], _ lab: Lab?, binary: String) async throws {
    let deadline = ContinuousClock.now + .seconds(TestnetControl.readySeconds)
    var started: Set<Int> = []
    var waiting = processes
    while let slowest = waiting.first {
      // In every round: a process that was killed a moment ago may still have been there in the first.
      for process in processes where process.runningID == nil {
        guard started.insert(process.number).inserted else {
          throw TestnetError(
            "node \(process.number) has ended: \(lastLines(of: process.number))",
            suggestion: "look at \(layout.file("log", of: process.number))")
        }
        try process.start(binary: binary, prefix: lab?.prefix(of: process.number) ?? [])
      }
      guard ContinuousClock.now < deadline else {
        throw TestnetError(
          "node \(slowest.number) has no final block, or does not see all others, after "
            + "\(Int(TestnetControl.readySeconds)) s",
          suggestion: "look at \(layout.file("log", of: slowest.number))")
      }
      var left: [NodeProcess] = []
      for process in waiting where await !isReady(process, peers: processes.count - 1) { left.append(process) }
      waiting = left
      if !left.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    }
  }

  private func isReady(_ process: NodeProcess, peers: Int) async -> Bool {
    let client = ControlClient(socketPath: layout.socket(of: process.number))
    guard let status = try? await client.status() else { return false }
    return status.height > 0 && status.peersAlive >= peers
  }

  private func lastLines(of number: Int) -> String {
    let text = (try? String(contentsOfFile: layout.file("log", of: number), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(3).joined(separator: " / ")
  }

  /// Stops every node, and every job that a node left running, and removes the hosts and the switch of a lab.
  ///
  /// - Returns: how many nodes were stopped.
  package func down() async throws -> Int {
    let numbers = layout.nodes
    let stopped = await stop(numbers)
    for number in numbers { try await endJobs(of: number) }
    // By their names: there may be hosts whose `lab.json` was never written. Nobody but root has made any.
    let removed = getuid() == 0 ? try Lab.sweep(layout) : 0
    guard !numbers.isEmpty || removed > 0 else {
      throw TestnetError(
        "there is no testnet in \(layout.directory)", suggestion: "`linnet testnet up` makes one")
    }
    return stopped
  }

  /// Stops nodes, all at once; how many were running.
  @discardableResult
  private func stop(_ numbers: [Int]) async -> Int {
    await withTaskGroup(of: Bool.self) { group in
      for number in numbers {
        let process = NodeProcess(layout: layout, number: number)
        group.addTask { process.stop(graceSeconds: TestnetControl.stopSeconds) }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
  }

  /// The daemon leaves its jobs to their shims, so that it can be restarted; a testnet that goes down takes them along.
  private func endJobs(of number: Int) async throws {
    let directory = layout.file("jobs", of: number)
    guard FileManager.default.fileExists(atPath: directory) else { return }
    var quiet = Logger(label: "linnet.testnet")
    quiet.logLevel = .error
    let supervisor = try JobSupervisor(ExecutorConfiguration(directory: directory), log: quiet)
    _ = await supervisor.adopt()
    await supervisor.killAll()
  }

  /// What each node says of itself. A block may become final between two questions, so nodes that differ in height are
  /// asked again a few times.
  package func status() async throws -> [NodeState] {
    var states = try await sample()
    for _ in 0..<10 where Set(states.compactMap(\.height)).count > 1 {
      try await Task.sleep(for: .milliseconds(50))
      states = try await sample()
    }
    return states
  }

  private func sample() async throws -> [NodeState] {
    let numbers = layout.nodes
    guard !numbers.isEmpty else {
      throw TestnetError(
        "there is no testnet in \(layout.directory)", suggestion: "`linnet testnet up` makes one")
    }
    let lab = try Lab.load(layout)
    var states: [NodeState] = []
    for number in numbers {
      let process = NodeProcess(layout: layout, number: number)
      // Of a host with several addresses the first: what a person would try.
      let address = lab?.plan.hosts.first { $0.number == number }?.addresses.first ?? layout.address(of: number)
      var state = NodeState(node: number, pid: process.runningID, address: LabPlan.endpoint(address))
      if let status = try? await ControlClient(socketPath: layout.socket(of: number)).status() {
        state.id = status.id
        state.height = status.height
        state.stateRoot = status.stateRoot
        state.view = status.view
        state.peersAlive = status.peersAlive
        state.leasesRunning = status.leasesRunning
      }
      states.append(state)
    }
    return states
  }
}
