import Foundation
import Glibc

// Daemons of a testnet started one by one, without waiting for them, and the chain as it is read in bulk.

extension LocalTestnet {
  func file(_ node: Int, _ name: String) -> String { "\(directory)/node\(node)/\(name)" }

  /// Where the segments of a node's journal are.
  func journal(of node: Int) -> String { file(node, "journal/journal") }

  /// `linnet journal inspect` of a node.
  func inspect(_ node: Int, _ words: String...) throws -> Outcome {
    try run([Requirement.binary, "journal", "inspect", "\(directory)/node\(node)"] + words)
  }

  func connection(to node: Int) -> NodeConnection { NodeConnection(socket: file(node, "control.sock")) }

  /// What a node has logged.
  func log(of node: Int) -> String { (try? String(contentsOfFile: file(node, "log"), encoding: .utf8)) ?? "" }

  /// Starts a daemon by itself, and notes it where `testnet down` looks. The caller keeps it: a child that is let go is
  /// killed.
  func start(
    _ node: Int, binary: String = Requirement.binary, prefix: [String] = [], environment: [String: String] = [:]
  ) throws -> ChildProcess {
    let words = prefix + [binary, "daemon", "--config", file(node, "node.conf")]
    let child = try ChildProcess(words, environment: environment, log: file(node, "log"))
    // Field 22 of its stat, behind the name: its start in clock ticks.
    let stat = (try? String(contentsOfFile: "/proc/\(child.id)/stat", encoding: .utf8)) ?? ""
    let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 19 else { throw Trouble("node \(node) ended at once: \(log(of: node).suffix(500))") }
    try "\(child.id) \(fields[19])\n".write(toFile: file(node, "pid"), atomically: true, encoding: .utf8)
    return child
  }

  /// Waits until nodes answer with the same height and state root.
  func agreement(of nodes: [Int], within seconds: Double) throws -> (height: UInt64, stateRoot: String) {
    let connections = nodes.map { connection(to: $0) }
    var agreed = (height: UInt64(0), stateRoot: "")
    try eventually(within: seconds, "nodes \(nodes) at the same height with the same state root") {
      let states = try connections.compactMap { try $0.json(ChainStatusJSON.self, "/v1/chain") }
      guard states.count == nodes.count, let first = states.first, first.height > 0 else { return false }
      agreed = (first.height, first.stateRoot)
      return states.allSatisfy { $0.height == first.height && $0.stateRoot == first.stateRoot }
    }
    return agreed
  }

  /// The blocks of a node up to a height, without those it has pruned.
  func blocks(_ node: Int, from first: UInt64 = 1, to last: UInt64) throws -> [UInt64: BlockJSON] {
    let connection = connection(to: node)
    var blocks: [UInt64: BlockJSON] = [:]
    guard first <= last else { return blocks }
    for height in first...last { blocks[height] = try connection.json(BlockJSON.self, "/v1/blocks/\(height)") }
    return blocks
  }
}

/// Transfers of a microcredit that wait for their blocks: they keep a chain going, one block or so for each.
struct Trickle {
  let connections: [NodeConnection]
  let target: String
  /// When each was sent that came into a block, by that block's height, in the order of both.
  private(set) var sent: [(block: UInt64, at: Date)] = []
  private var turn = 0
  /// Since when one waits that the node gave up to wait for: the next cannot be final before it.
  private var waitingSince: Date?

  init(_ net: LocalTestnet, nodes: [Int], target: String) {
    connections = nodes.map { net.connection(to: $0) }
    self.target = target
  }

  /// One more, at the next node in turn. Returns the block's height; nil when the node did not answer with one.
  @discardableResult
  mutating func next() -> UInt64? {
    struct Transfer: Decodable { var inBlock: UInt64? }
    let connection = connections[turn % connections.count]
    // Who does not answer is not asked again at once.
    turn += 1
    let body = #"{"to": "\#(target)", "amountMicrocredits": 1}"#
    let time = waitingSince ?? Date()
    guard let answer = connection.ask("POST", "/v1/transfers", body), answer.status == 201 else { return nil }
    guard let block = try? JSONDecoder().decode(Transfer.self, from: Data(answer.body)).inBlock else {
      waitingSince = time
      return nil
    }
    waitingSince = nil
    sent.append((block, time))
    return block
  }
}
