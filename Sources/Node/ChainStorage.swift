import Consensus
import Core
import Dispatch
import Foundation
import Journal
import Ledger
import Logging
import Primitives
import Wire

/// A final block as the block store keeps it. The certificate is there when the block was the last of its commit.
struct StoredBlock: Hashable, Sendable, WireCodable {
  var block: Block
  var finalization: Certificate?

  init(block: Block, finalization: Certificate?) {
    self.block = block
    self.finalization = finalization
  }

  func encode(into writer: inout WireWriter) {
    writer.value(block)
    writer.optional(finalization) { $0.value($1) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    block = try reader.value()
    finalization = try reader.optional { (reader) throws(WireError) in try reader.value() }
  }
}

/// What a node keeps of the chain on its disk: the journal of its own votes and what led to them, and the final
/// blocks.
final class ChainStorage: Sendable {
  /// The journal is written anew from a checkpoint when it has grown by this much.
  private static let compactionBytes = 64 * 1_024 * 1_024

  private let journal: JournalStore
  private let blocks: BlockStore
  /// Writes and reads blocks, so that the core's loop never waits for the disk.
  private let queue = DispatchQueue(label: "linnet.blocks")
  private let logger: Logger

  private init(journal: JournalStore, blocks: BlockStore, logger: Logger) {
    self.journal = journal
    self.blocks = blocks
    self.logger = logger
  }

  /// What was found on the disk.
  struct Opened {
    var storage: ChainStorage
    var recovery: CoreRecovery
    /// Set when the node must not vote, with the reason.
    var abstains: String?
  }

  /// Opens journal and block store, and executes the final blocks again.
  ///
  /// - Parameter neverVoted: true when the key is known never to have voted: a journal may then be missing.
  static func open(
    directory: String, genesis: Genesis, sequenceFloor: UInt64, neverVoted: Bool, logger: Logger
  ) throws(NodeError) -> Opened {
    let networkID = genesis.networkID
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      let marker = AbstentionMarker(directory: directory)
      let journalDirectory = directory + "/journal"
      // Ahead of the journal: a crash right after it was made must not leave one that looks as if none was lost.
      if !neverVoted, !holdsSegments(journalDirectory) {
        try marker.write("the journal is missing and the key may have voted")
      }
      let (journal, recovered) = try JournalStore.open(directory: journalDirectory, networkID: networkID.bytes)
      let (blocks, cut) = try BlockStore.open(
        directory: directory + "/blocks", networkID: networkID.bytes, discardingDamage: true)
      if recovered.truncatedBytes > 0 {
        logger.notice("the journal had a torn tail of \(recovered.truncatedBytes) bytes, which never took effect")
      }
      if cut > 0 { logger.notice("the block store had a torn tail of \(cut) bytes; peers have those blocks") }
      // What is found wrong here is written down before the journal is made whole.
      if let damage = recovered.damage {
        try marker.write("the journal is damaged (\(damage))")
      } else if recovered.isNew, !neverVoted {
        try marker.write("the journal is missing and the key may have voted")
      }
      var records: [ConsensusRecord] = []
      for bytes in recovered.records {
        do { records.append(try ConsensusRecord(decoding: bytes)) } catch {
          try marker.write("the journal holds a record that can't be read (\(error))")
        }
      }
      let storage = ChainStorage(journal: journal, blocks: blocks, logger: logger)
      let (ledger, tip) = try storage.replay(genesis)
      if recovered.damage != nil { try storage.compact(keeping: records) }
      return Opened(
        storage: storage,
        recovery: CoreRecovery(ledger: ledger, tip: tip, records: records, sequenceFloor: sequenceFloor),
        abstains: marker.reason)
    } catch let error as NodeError {
      throw error
    } catch {
      throw NodeError(
        .storage, "the journal or the blocks in \(directory) can't be opened",
        suggestion: "check the disk; a node whose journal is lost must be a new node with a new key", cause: error)
    }
  }

  private static func holdsSegments(_ directory: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.contains { $0 != "lock" }
  }

  private func replay(_ genesis: Genesis) throws -> (LedgerMachine, FinalTip) {
    var ledger = LedgerMachine(genesis: genesis)
    var tip = FinalTip.genesis(networkID: genesis.networkID, createdMilliseconds: genesis.createdMilliseconds)
    guard let range = blocks.range else { return (ledger, tip) }
    // The node wrote these itself after verifying them, and the store checks each record.
    let trusting = Verifier(networkID: genesis.networkID) { _, _, _ in true }
    let leaders = LeaderSchedule(validators: genesis.validatorSet, networkID: genesis.networkID)
    for height in range {
      guard let bytes = try blocks.read(height: height) else { break }
      let stored = try StoredBlock(decoding: bytes)
      guard
        let block = try trusting.verify(.blocks([stored.block]), validators: KnownValidators(genesis.validatorSet)).blocks.first,
        let leader = genesis.validatorSet.member(leaders.leader(of: stored.block.header.view))
      else { break }
      if case .failure(let refusal) = ledger.execute(block, leader: leader) {
        throw NodeError(
          .diverged, "the final block \(height) on the disk does not execute (\(refusal))",
          suggestion: "this is a fault of Linnet or of the disk: keep the data directory and report it")
      }
      _ = ledger.finalize(stored.block.id)
      let header = stored.block.header
      var finalization: Verified<Certificate>?
      if let certificate = stored.finalization {
        finalization = try trusting.verify(certificate, validators: genesis.validatorSet)
      }
      tip = FinalTip(
        blockID: stored.block.id, height: header.height, view: header.view,
        timestampMilliseconds: header.timestampMilliseconds, epoch: header.epoch, finalization: finalization)
    }
    return (ledger, tip)
  }

  /// Appends records; `completion` gets false when they can never become durable.
  func persist(_ records: [[UInt8]], completion: @escaping @Sendable (Bool) -> Void) {
    do {
      try journal.append(records) { outcome in
        switch outcome {
        case .success: completion(true)
        case .failure: completion(false)
        }
      }
    } catch {
      logger.critical("the journal can't be written: \(error)")
      completion(false)
    }
  }

  /// Keeps final blocks. `failed` is called when one can't be kept: every later one would be refused, too.
  func commit(
    _ committed: [Verified<Block>], finalization: Certificate, failed: @escaping @Sendable (any Error) -> Void
  ) {
    queue.async { [self] in
      for block in committed.map(\.value) {
        if let last = blocks.lastHeight, block.header.height <= last { continue }
        let isLast = block.id == finalization.subject.blockID
        let stored = StoredBlock(block: block, finalization: isLast ? finalization : nil)
        do {
          try blocks.append(height: block.header.height, id: block.id.bytes, bytes: stored.encoded)
        } catch {
          logger.critical("block \(block.header.height) can't be kept: \(error)")
          return failed(error)
        }
      }
    }
  }

  /// True when the journal has grown so far that it should be written anew.
  var hasGrown: Bool {
    let counters = journal.counters
    return counters.bytes > ChainStorage.compactionBytes * (counters.compactions + 1)
  }

  /// Makes the blocks durable that a checkpoint of the journal leaves out; `done` is told up to which height.
  func syncBlocks(_ done: @escaping @Sendable (UInt64) -> Void) {
    queue.async { [self] in
      let last = blocks.lastHeight ?? 0
      do {
        try blocks.sync()
        done(last)
      } catch {
        logger.critical("the blocks can't be synced: \(error)")
      }
    }
  }

  /// Writes the journal anew. To be called where `persist` is called, with what a checkpoint taken there and then
  /// holds: a record that is appended between the two would be lost.
  func compact(keeping records: [ConsensusRecord]) throws {
    try journal.compact(keeping: records.map(\.encoded)) { _ in }
  }

  /// Final blocks from a height on that end with one whose certificate is kept, as a `chain` message.
  func chain(from height: UInt64) async -> ConsensusMessage? {
    await read { [self] in
      guard let last = blocks.lastHeight, height > 0, height <= last else { return nil }
      var run: [StoredBlock] = []
      var bytes = 0
      while run.count < ConsensusMessage.maximumChainBlocks, bytes < Block.maximumBytes,
        let block = try? storedBlock(height + UInt64(run.count))
      {
        run.append(block)
        bytes += block.block.encoded.count
      }
      guard let end = run.lastIndex(where: { $0.finalization != nil }), let finalization = run[end].finalization
      else { return nil }
      return .chain(run[...end].map(\.block), finalization: finalization)
    }
  }

  /// A final block.
  func block(at height: UInt64) async -> StoredBlock? {
    await read { [self] in try? storedBlock(height) }
  }

  /// The certificate that finalizes a block: its own, or the first of a later one.
  func finalization(from height: UInt64) async -> Certificate? {
    await read { [self] in
      for offset in 0..<UInt64(ConsensusMessage.maximumChainBlocks) {
        guard let stored = try? storedBlock(height + offset) else { return nil }
        if let finalization = stored.finalization { return finalization }
      }
      return nil
    }
  }

  private func storedBlock(_ height: UInt64) throws -> StoredBlock? {
    guard let bytes = try blocks.read(height: height) else { return nil }
    return try StoredBlock(decoding: bytes)
  }

  private func read<Answer: Sendable>(_ body: @escaping @Sendable () -> Answer) async -> Answer {
    await withCheckedContinuation { continuation in
      queue.async { continuation.resume(returning: body()) }
    }
  }

  /// Figures for status.
  var counters: JournalCounters { journal.counters }

  /// Writes what is queued and closes.
  func close() {
    queue.sync {
      do { try blocks.sync() } catch { logger.error("the blocks can't be synced: \(error)") }
    }
    journal.close()
  }
}
