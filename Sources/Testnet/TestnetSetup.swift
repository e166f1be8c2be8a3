import Config
import Control
import Foundation
import Primitives
import Sodium
import Wire

/// Makes what a testnet needs: a directory, a key and a configuration for each node, and one genesis.
package struct TestnetSetup {
  /// What every account opens with, in microcredits: a million credits.
  package static let openingBalanceMicrocredits: UInt64 = 1_000_000_000_000

  let layout: TestnetLayout
  let options: TestnetOptions
  /// Writes the mark that the key has never voted, beside a key.
  let markNeverVoted: (String) throws -> Void

  /// Writes the files of a new testnet.
  func write() throws {
    let count = options.count
    guard (1...TestnetLayout.maximumNodes).contains(count) else {
      throw TestnetError(
        "a testnet has 1 to \(TestnetLayout.maximumNodes) nodes, not \(count)", suggestion: "--nodes 4")
    }
    let validators = options.validators ?? count
    guard (1...count).contains(validators) else {
      throw TestnetError("\(validators) of \(count) nodes can't be validators", suggestion: "--validators \(count)")
    }
    let plan = try options.lab.map { try LabPlan(layout: layout, count: count, options: $0) }
    var parameters = ChainParameters()
    if let blocks = options.epochBlocks { parameters.epochBlocks = blocks }
    do { try ControlSocket.check(path: layout.socket(of: count)) } catch {
      throw TestnetError(
        "the directory's path is too long for a Unix socket: \(layout.socket(of: count))",
        suggestion: "a shorter one: --dir /tmp/testnet")
    }
    let blocks = ChainParameters.minimumEpochBlocks...ChainParameters.maximumEpochBlocks
    guard blocks.contains(parameters.epochBlocks) else {
      throw TestnetError(
        "an epoch has \(blocks.lowerBound) to \(blocks.upperBound) blocks, not \(parameters.epochBlocks)",
        suggestion: "--epoch-blocks 3600")
    }
    try FileManager.default.createDirectory(
      atPath: layout.directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    var ids: [NodeID] = []
    for number in 1...count {
      try FileManager.default.createDirectory(
        atPath: layout.node(number), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
      let key = try SigningKey.generate()
      try KeyFile.create(key, at: layout.file("node.key", of: number))
      try markNeverVoted(layout.file("node.key", of: number))
      ids.append(key.id)
    }
    let genesis = try Genesis(
      name: "testnet", createdMilliseconds: UInt64(Date().timeIntervalSince1970 * 1_000),
      parameters: parameters, validators: Array(ids.prefix(validators)),
      balances: ids.map {
        Genesis.Balance(account: $0, amountMicrocredits: TestnetSetup.openingBalanceMicrocredits)
      })
    try write(GenesisDocument.render(genesis), to: layout.genesis)
    if let plan { try Lab(layout: layout, plan: plan).save() }
    for number in 1...count {
      // The configuration is written last: a directory with one is complete.
      try write(configuration(of: number, plan), to: layout.file("node.conf", of: number))
    }
  }

  private func write(_ text: String, to path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// The nodes divide the host among them; each offers enough for a job that asks for nothing special.
  private func configuration(of number: Int, _ plan: LabPlan?) -> String {
    let count = options.count
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let memory = ProcessInfo.processInfo.physicalMemory
    let milli = max(500, processors * 1_000 / count)
    let bytes = max(64 * 1_024 * 1_024, memory / 4 * 3 / UInt64(count))
    // Two entrances: one of them may be the node that is down.
    let entrances = count == 1 ? [] : (1...min(2, count)).filter { $0 != number }
    let loopback = entrances.map { "\"\(layout.address(of: $0)):\(TestnetLayout.port)\"" }.joined(separator: ", ")
    return """
      # Node \(number) of a testnet, written by `linnet testnet up`.

      [node]
      data_directory = \(TOMLText.quoted(layout.node(number)))
      name = "node\(number)"
      genesis = \(TOMLText.quoted(layout.genesis))
      key = \(TOMLText.quoted(layout.file("node.key", of: number)))

      [network]
      listen = [\(plan?.listen ?? "\"\(layout.address(of: number)):\(TestnetLayout.port)\"")]
      bootstrap = [\(plan?.bootstrap(of: number) ?? loopback)]
      profile = "\(plan?.options.profile ?? "loopback")"
      lan_discovery = \(plan?.options.isFoundOnLAN ?? false)

      [control]
      socket = \(TOMLText.quoted(layout.socket(of: number)))

      [offer]
      cpu_milli = \(milli)
      memory_bytes = \(bytes)
      disk_bytes = "4GiB"

      [executor]
      first_job_user_id = \(710_000 + number * 1_000)
      job_user_count = 1000

      """
  }
}
