import Control
import Dispatch
import Foundation
import Ledger
import Logging
import Primitives
import Synchronization
import Wire

/// What this node has seen of evidence that was final: the ledger keeps who is jailed, and this who showed it, when and
/// what for. A file of the data directory, so that it outlives a restart.
final class SlashLog: Sendable {
  /// The most that are kept; the oldest goes first.
  static let capacity = 1_024

  /// One line of the file.
  struct Entry: Codable, Equatable, Sendable {
    var node: String
    var slash: SlashAnswer
  }

  private let path: String
  private let logger: Logger
  private let entries: Mutex<[Entry]>
  /// Writes the file, so that the core's loop never waits for the disk.
  private let queue = DispatchQueue(label: "linnet.slashes")

  init(directory: String, logger: Logger) {
    path = directory + "/slashes.json"
    self.logger = logger
    var found: [Entry] = []
    if let data = FileManager.default.contents(atPath: path) {
      do { found = try ControlJSON.decode([Entry].self, from: Array(data)) } catch {
        logger.warning("\(path) can't be read; what it said of evidence is lost: \(error)")
      }
    }
    entries = Mutex(found.suffix(SlashLog.capacity))
  }

  /// The evidence against a node, the oldest first.
  func slashes(of node: NodeID) -> [SlashAnswer] {
    let text = node.description
    return entries.withLock { $0.filter { $0.node == text }.map(\.slash) }
  }

  /// Notes what final blocks say.
  ///
  /// - Parameter set: the validators of an epoch, where they are known.
  func add(_ blocks: [Block], events: [LedgerEvent], set: (UInt64) -> ValidatorSet?) {
    var block: Block?
    var found: [Entry] = []
    for event in events {
      switch event {
      case .block(let id, _): block = blocks.first { $0.id == id }
      case .validatorSlashed(let node, let kind, let amount):
        guard let block else { continue }
        guard let (evidence, reporter) = SlashLog.evidence(against: node, kind, in: block, set: set) else { continue }
        logger.warning(
          """
          \(node.short) contradicted itself (\(kind.name)) in epoch \(evidence.epoch), view \
          \(evidence.first.subject.view), and is jailed: block \(block.header.height), by \(reporter.short)
          """)
        let slash = SlashAnswer(
          kind: kind.name, epoch: evidence.epoch, view: evidence.first.subject.view, inBlock: block.header.height,
          reporter: "\(reporter)", burntMicrocredits: amount,
          at: NodeControl.wallTime(milliseconds: block.header.timestampMilliseconds))
        found.append(Entry(node: "\(node)", slash: slash))
      default: break
      }
    }
    guard !found.isEmpty else { return }
    let all = entries.withLock { entries in
      for entry in found where !entries.contains(entry) { entries.append(entry) }
      if entries.count > SlashLog.capacity { entries.removeFirst(entries.count - SlashLog.capacity) }
      return entries
    }
    queue.async { [self] in
      do { try DurableFile.write(try ControlJSON.encode(all, pretty: true), to: path) } catch {
        logger.error("what is known of evidence can't be kept: \(error)")
      }
    }
  }

  /// Waits until what was added is on the disk.
  func flush() { queue.sync {} }

  private static func evidence(
    against node: NodeID, _ kind: Evidence.Kind, in block: Block, set: (UInt64) -> ValidatorSet?
  ) -> (Evidence, reporter: NodeID)? {
    for message in block.transactions {
      guard case .transaction(let transaction) = message.body, case .evidence(let evidence) = transaction.action,
        evidence.kind == kind
      else { continue }
      // The set of an epoch that is over for long is not at hand; then the kind must do.
      if let accused = set(evidence.epoch)?.member(evidence.voter), accused != node { continue }
      return (evidence, message.author)
    }
    return nil
  }
}
