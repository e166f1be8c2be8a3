import Consensus
import Core
import Foundation
import Journal
import Ledger
import Logging
import Primitives
import Sodium
import Wire

// How a node comes back from its disk:
//
// 1. The journal is read. What is found wrong with it is written down (`AbstentionMarker`) before it is made whole.
// 2. The latest snapshot whose root is right is the state to begin with; a damaged one is set aside and the one before
//    it taken, and without any the genesis, if the blocks begin there.
// 3. The blocks behind it are executed. A block that is missing or damaged ends that: it and those behind it are
//    dropped and come from peers.
// 4. Links and the state of epochs that ended in step 3 are written, as far as they are not there.
extension ChainStorage {
  /// What was found on the disk.
  struct Opened {
    var storage: ChainStorage
    var recovery: CoreRecovery
    /// Set when the node must not vote for now, with the reason.
    var abstains: String?
    /// With `abstains`: it may vote in the epochs whose boundary block has a later timestamp, in milliseconds since
    /// 1970.
    var abstainUntilMilliseconds: UInt64?
    /// The height of the state that it began with; 0 for the genesis.
    var snapshotHeight: UInt64
    /// How many blocks were executed behind it.
    var replayedBlocks: UInt64
  }

  /// Opens all that is kept, and comes back to the last final block. The time is that of reading the latest state and
  /// executing the blocks behind it, whatever the length of the chain.
  ///
  /// - Parameters:
  ///   - neverVoted: true when the key is known never to have voted: a journal may then be missing.
  ///   - retainedBlocks: how many blocks behind the last epoch's end are kept for those who ask; two epochs at least.
  ///   - compactionBytes: the journal is written anew when it has grown by this much.
  ///   - disk: where all but small files of one write go.
  static func open(
    directory: String, genesis: Genesis, sequenceFloor: UInt64, neverVoted: Bool,
    retainedBlocks: UInt64 = defaultRetainedBlocks, compactionBytes: Int = defaultCompactionBytes,
    disk: any Disk = SystemDisk(), logger: Logger
  ) throws(NodeError) -> Opened {
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      let marker = AbstentionMarker(directory: directory)
      let (journal, records, journalEpoch, mustCompact) = try openJournal(
        directory, genesis, marker, neverVoted, disk, logger)
      let storage = try openStores(
        directory, genesis, journal, marker, retainedBlocks, compactionBytes, disk, logger)
      var opening = Opened(
        storage: storage, recovery: .fresh(genesis), abstains: nil, snapshotHeight: 0, replayedBlocks: 0)
      try opening.restore(genesis, logger)
      try opening.replay(genesis, logger)
      opening.recovery.records = records
      opening.recovery.journalEpoch = journalEpoch
      opening.recovery.sequenceFloor = sequenceFloor
      if mustCompact { try journal.compact(keeping: records.map(\.encoded)) { _ in } }
      try journal.beginEpoch(opening.recovery.tip.epoch)
      try marker.settle(tipMilliseconds: opening.recovery.tip.timestampMilliseconds)
      if let abstention = marker.abstention {
        opening.abstains = abstention.reason
        opening.abstainUntilMilliseconds = abstention.untilMilliseconds
        let until = Date(timeIntervalSince1970: Double(abstention.untilMilliseconds) / 1_000)
        logger.error(
          """
          \(abstention.reason): this node may have voted without knowing how. It follows the chain and signs no vote \
          until an epoch begins after \(until.formatted(.iso8601))
          """)
      }
      return opening
    } catch let error as NodeError {
      throw error
    } catch {
      throw NodeError(
        .storage, "the journal or the blocks in \(directory) can't be opened",
        suggestion: "check the disk: is it full, read-only or failing?", cause: error)
    }
  }

  /// Step 1.
  private static func openJournal(
    _ directory: String, _ genesis: Genesis, _ marker: AbstentionMarker, _ neverVoted: Bool, _ disk: any Disk,
    _ logger: Logger
  ) throws -> (JournalStore, [ConsensusRecord], journalEpoch: UInt64, mustCompact: Bool) {
    let path = directory + "/journal"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    // Ahead of the journal: a crash right after it was made must not leave one that looks as if none was lost.
    if !neverVoted, !names.contains(where: { $0.hasSuffix(".journal") }) {
      try marker.write("the journal is missing and the key may have voted")
    }
    let (journal, recovered) = try JournalStore.open(
      directory: path, networkID: genesis.networkID.bytes, disk: disk)
    if recovered.truncatedBytes > 0 {
      logger.notice("the journal had a torn tail of \(recovered.truncatedBytes) bytes, which never took effect")
    }
    if !neverVoted, let damage = recovered.damage {
      try marker.write("the journal is damaged (\(damage): \(damage.meaning))")
    }
    var records: [ConsensusRecord] = []
    for bytes in recovered.records {
      do { records.append(try ConsensusRecord(decoding: bytes)) } catch {
        try marker.write("the journal holds a record that can't be read (\(error))")
      }
    }
    let isWhole = recovered.damage == nil && records.count == recovered.records.count
    return (journal, records, recovered.contentEpoch, mustCompact: !isWhole)
  }

  private static func openStores(
    _ directory: String, _ genesis: Genesis, _ journal: JournalStore, _ marker: AbstentionMarker,
    _ retainedBlocks: UInt64, _ compactionBytes: Int, _ disk: any Disk, _ logger: Logger
  ) throws -> ChainStorage {
    let networkID = genesis.networkID
    let (blocks, found) = try BlockStore.open(
      directory: directory + "/blocks", networkID: networkID.bytes, disk: disk)
    if found.tornBytes > 0 {
      logger.notice("the block store had a torn tail of \(found.tornBytes) bytes; peers have those blocks")
    }
    for range in found.missing.prefix(16) {
      logger.warning("the blocks \(range.lowerBound) to \(range.upperBound) are damaged or missing on the disk")
    }
    for file in found.unreadableFiles { logger.warning("the file of blocks \(file) is damaged and was set aside") }
    let (snapshots, damaged) = try SnapshotStore.open(
      directory: directory + "/snapshots", networkID: networkID, disk: disk)
    for file in damaged { logger.warning("the state in \(file) is damaged and was set aside") }
    let verifier = Verifier(networkID: networkID) { Sodium.verify($0, of: $1, by: $2) }
    let (links, cut) = try EpochLinkStore.open(
      directory: directory, genesis: genesis, verifier: verifier, disk: disk)
    if cut > 0 { logger.notice("the links of epochs had a torn tail of \(cut) bytes") }
    let (epochs, overflow) = genesis.parameters.epochBlocks.multipliedReportingOverflow(by: 2)
    return ChainStorage(
      journal: journal, blocks: blocks, snapshots: snapshots, links: links, abstention: marker,
      retainedBlocks: max(retainedBlocks, overflow ? .max : epochs), compactionBytes: compactionBytes, logger: logger)
  }
}

extension ChainStorage.Opened {
  /// Signatures were checked before anything was written here, and the files have checksums.
  private static func trusting(_ genesis: Genesis) -> Verifier {
    Verifier(networkID: genesis.networkID) { _, _, _ in true }
  }

  /// Step 2.
  fileprivate mutating func restore(_ genesis: Genesis, _ logger: Logger) throws {
    let verifier = ChainStorage.Opened.trusting(genesis)
    for snapshot in storage.snapshots.latest {
      if let assembly = storage.snapshots.assembly(of: snapshot),
        let found = CoreRecovery(genesis: genesis, snapshot: assembly, link: snapshot.link, verifier: verifier)
      {
        recovery = found
        snapshotHeight = snapshot.height
        return
      }
      logger.warning("the state of height \(snapshot.height) is damaged and was set aside")
      try storage.snapshots.setAside(snapshot)
    }
    if let first = storage.blocks.range?.lowerBound, first > 1 {
      logger.warning("no state on the disk is sound and the blocks begin at \(first): the chain comes from peers")
    }
  }

  /// Steps 3 and 4.
  fileprivate mutating func replay(_ genesis: Genesis, _ logger: Logger) throws {
    let verifier = ChainStorage.Opened.trusting(genesis)
    var ended: (snapshot: StateSnapshot, link: EpochLink)?
    while let stored = nextBlock(genesis, logger) {
      let header = stored.block.header
      guard let set = finalState?.validatorSet(epoch: header.epoch),
        let block = try verifier.verify(.blocks([stored.block]), validators: KnownValidators(set)).blocks.first
      else { break }
      let finalization = try stored.finalization.map { try verifier.verify($0, validators: set) }
      if let refusal = recovery.append([block], finalization: finalization) {
        throw NodeError(
          .diverged, "the final block \(header.height) on the disk does not execute (\(refusal))",
          suggestion: "this is a fault of Linnet or of the disk: keep the data directory and report it")
      }
      replayedBlocks += 1
      if genesis.parameters.isEpochEnd(header.height), let proof = stored.finalization,
        let state = finalState, let next = state.validatorSet(epoch: header.epoch + 1)?.validators,
        let link = EpochLink(header: header, finalization: proof, next: next)
      {
        try storage.links.add(link)
        ended = (state.snapshot(), link)
      }
    }
    // What follows a gap is of no use, and the next block must be the one behind the tip.
    let next = recovery.tip.height + 1
    if let last = storage.blocks.lastHeight, last >= next { try storage.blocks.truncate(from: next) }
    if let expected = storage.blocks.nextHeight, expected != next { try storage.blocks.begin(at: next) }
    if let ended { try storage.snapshots.write(ended.snapshot, link: ended.link) }
  }

  private var finalState: LedgerReader? { recovery.ledger.state(at: recovery.ledger.finalID) }

  /// The block behind the tip; nil where it is missing, damaged, or an epoch's last without its proof.
  private func nextBlock(_ genesis: Genesis, _ logger: Logger) -> StoredBlock? {
    let height = recovery.tip.height + 1
    guard let last = storage.blocks.lastHeight, height <= last else { return nil }
    guard let stored = try? storage.storedBlock(height), stored.block.header.height == height,
      stored.finalization != nil || !genesis.parameters.isEpochEnd(height)
    else {
      logger.warning("block \(height) is missing or damaged on the disk: it and those behind it come from peers")
      return nil
    }
    return stored
  }
}
