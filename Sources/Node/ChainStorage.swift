import Consensus
import Core
import Dispatch
import Foundation
import Journal
import Ledger
import Logging
import Primitives
import Synchronization
import Wire

/// What a node keeps of the chain on its disk: the journal of its own votes and what led to them, the final blocks, the
/// states after the latest epochs, and the chain of epochs.
final class ChainStorage: Sendable {
  /// The journal is written anew from a checkpoint when it has grown by this much.
  private static let compactionBytes = 64 * 1_024 * 1_024
  /// A `chain` answer is made longer than a block to reach a finalization, up to this many bytes.
  private static let longestAnswerBytes = 2 * Block.maximumBytes
  /// How many blocks are kept where nothing else is asked for; never less than two epochs.
  static let defaultRetainedBlocks: UInt64 = 20_000

  let journal: JournalStore
  let blocks: BlockStore
  let snapshots: SnapshotStore
  let links: EpochLinkStore
  /// Says why this node must not vote, as long as it must not.
  let abstention: AbstentionMarker
  /// Blocks older than the last epoch's end by more than this are dropped.
  private let retainedBlocks: UInt64
  /// Writes and reads blocks, so that the core's loop never waits for the disk.
  private let queue = DispatchQueue(label: "linnet.blocks")
  /// Writes snapshots, which takes longer.
  private let archive = DispatchQueue(label: "linnet.snapshots")
  private let unwritten = Mutex(Unwritten())
  private let logger: Logger

  /// What the archive has not come to yet; of states only the latest matters.
  private struct Unwritten {
    var links: [EpochLink] = []
    var state: (snapshot: StateSnapshot, link: EpochLink)?
  }

  init(
    journal: JournalStore, blocks: BlockStore, snapshots: SnapshotStore, links: EpochLinkStore,
    abstention: AbstentionMarker, retainedBlocks: UInt64, logger: Logger
  ) {
    self.journal = journal
    self.blocks = blocks
    self.snapshots = snapshots
    self.links = links
    self.abstention = abstention
    self.retainedBlocks = retainedBlocks
    self.logger = logger
  }

  // MARK: - Writing

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
        if let next = blocks.nextHeight, block.header.height < next { continue }
        let isLast = block.id == finalization.subject.blockID
        let stored = StoredBlock(block: block, finalization: isLast ? finalization : nil)
        do {
          try blocks.append(height: block.header.height, bytes: stored.encoded)
        } catch {
          logger.critical("block \(block.header.height) can't be kept: \(error)")
          return failed(error)
        }
      }
    }
  }

  /// An epoch has begun (`CoreEffect.epochBegan`). To be called where `persist` is called: what is appended later goes
  /// into the epoch's own segment. Then, off the caller's thread: the state and the link become durable, and only after
  /// them and the blocks what they make needless is dropped.
  func begin(
    epoch: UInt64, boundary: Verified<Block>, finalization: Verified<Certificate>, snapshot: StateSnapshot,
    next: ValidatorSet, failed: @escaping @Sendable (any Error) -> Void
  ) {
    guard
      let link = EpochLink(header: boundary.value.header, finalization: finalization.value, next: next.validators)
    else {
      return failed(NodeError(.diverged, "the end of epoch \(epoch) does not fit", suggestion: "report this"))
    }
    do { try journal.beginEpoch(epoch) } catch { return failed(error) }
    unwritten.withLock { unwritten in
      unwritten.links.append(link)
      unwritten.state = (snapshot, link)
    }
    archive.async { [self] in settle(failed) }
  }

  /// A state was fetched (`CoreEffect.installed`): it takes the place of the blocks up to it. As for `begin`.
  func install(_ install: SnapshotInstall, failed: @escaping @Sendable (any Error) -> Void) {
    do { try journal.beginEpoch(install.validators.epoch) } catch { return failed(error) }
    // The blocks that follow wait in the queue until the store begins behind the state.
    queue.async { [self] in
      do {
        try archive.sync {
          try links.add(install.link)
          try snapshots.write(install.snapshot, link: install.link)
        }
        if blocks.nextHeight.map({ $0 <= install.link.header.height }) ?? true {
          try blocks.begin(at: install.link.header.height + 1)
        }
        try drop(before: install.link.header, failed)
      } catch {
        report(error, failed)
      }
    }
  }

  /// Links that were fetched (`CoreEffect.epochLinks`): those that changed the validators are kept.
  func keep(_ fetched: [EpochLink], failed: @escaping @Sendable (any Error) -> Void = { _ in }) {
    archive.async { [self] in
      do {
        for link in fetched { try links.add(link) }
      } catch {
        logger.critical("the links of epochs can't be kept: \(error)")
        failed(error)
      }
    }
  }

  /// On the archive: writes what is there, and drops what it makes needless.
  private func settle(_ failed: @escaping @Sendable (any Error) -> Void) {
    let work = unwritten.withLock { unwritten in
      defer { unwritten = Unwritten() }
      return unwritten
    }
    do {
      for link in work.links { try links.add(link) }
      guard let (snapshot, link) = work.state else { return }
      let start = DispatchTime.now()
      try snapshots.write(snapshot, link: link)
      let milliseconds = (DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1_000_000
      logger.debug("the state of height \(snapshot.height) was kept in \(milliseconds) ms")
      queue.async { [self] in
        do { try drop(before: link.header, failed) } catch { report(error, failed) }
      }
    } catch {
      report(error, failed)
    }
  }

  /// On the queue: the state after `boundary` is durable.
  private func drop(before boundary: BlockHeader, _ failed: @escaping @Sendable (any Error) -> Void) throws {
    try blocks.sync()
    // Without a state older than this one, blocks are all that a damaged state could be made good from.
    if let older = snapshots.latest.dropFirst().first {
      let keptFrom = boundary.height > retainedBlocks ? boundary.height - retainedBlocks : 0
      try blocks.prune(below: min(keptFrom, older.height + 1))
    }
    try journal.prune(before: boundary.epoch + 1) { outcome in
      if case .failure(let error) = outcome { failed(error) }
    }
  }

  private func report(_ error: any Error, _ failed: @Sendable (any Error) -> Void) {
    logger.critical("the state at the end of an epoch can't be kept: \(error)")
    failed(error)
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

  // MARK: - Reading

  /// Final blocks from a height on, all of one epoch, that end with one whose certificate is kept, as a `chain`
  /// message.
  func chain(from height: UInt64) async -> ConsensusMessage? {
    await read { [self] in
      guard let last = blocks.lastHeight, height > 0, height <= last else { return nil }
      var run: [Block] = []
      var end: (count: Int, finalization: Certificate)?
      var bytes = 0
      while run.count < ConsensusMessage.maximumChainBlocks {
        // A block's worth of bytes, and more only as long as no finalization was among them.
        let limit = end == nil ? ChainStorage.longestAnswerBytes : Block.maximumBytes
        guard bytes < limit,
          let piece = try? blocks.read(
            from: height + UInt64(run.count), maximumCount: ConsensusMessage.maximumChainBlocks - run.count,
            maximumBytes: Block.maximumBytes),
          !piece.isEmpty
        else { break }
        for encoded in piece {
          guard let stored = try? StoredBlock(decoding: encoded),
            run.first.map({ $0.header.epoch == stored.block.header.epoch }) ?? true,
            bytes < Block.maximumBytes || end == nil
          else { return ChainStorage.answer(run, end) }
          run.append(stored.block)
          bytes += encoded.count
          if let finalization = stored.finalization { end = (run.count, finalization) }
        }
      }
      return ChainStorage.answer(run, end)
    }
  }

  private static func answer(
    _ run: [Block], _ end: (count: Int, finalization: Certificate)?
  ) -> ConsensusMessage? {
    end.map { .chain(Array(run[..<$0.count]), finalization: $0.finalization) }
  }

  /// The links of the epochs from one on that changed the validators, and the last, as an `epochs` message.
  func epochs(from epoch: UInt64) async -> ConsensusMessage? {
    await read { [self] in links.answer(from: epoch) }
  }

  /// The chunk that covers a key hash, of the state at `height`, as a `snapshot` message.
  func snapshot(height: UInt64, covering key: Digest) async -> ConsensusMessage? {
    await read { [self] in snapshots.chunk(height: height, covering: key).map { .snapshot($0) } }
  }

  /// A final block.
  func block(at height: UInt64) async -> StoredBlock? {
    await read { [self] in try? storedBlock(height) }
  }

  /// The certificate that finalizes a block: its own, or the first of a later one.
  func finalization(from height: UInt64) async -> Certificate? {
    await read { [self] in
      for offset in 0..<UInt64(ConsensusMessage.maximumChainBlocks) {
        let (next, overflow) = height.addingReportingOverflow(offset)
        guard !overflow, let stored = try? storedBlock(next) else { return nil }
        if let finalization = stored.finalization { return finalization }
      }
      return nil
    }
  }

  func storedBlock(_ height: UInt64) throws -> StoredBlock? {
    guard let bytes = try blocks.read(height: height) else { return nil }
    return try StoredBlock(decoding: bytes)
  }

  private func read<Answer: Sendable>(_ body: @escaping @Sendable () -> Answer) async -> Answer {
    await withCheckedContinuation { continuation in
      queue.async { continuation.resume(returning: body()) }
    }
  }

  /// Returns when everything that was handed over before is written.
  func settled() async {
    await withCheckedContinuation { continuation in
      archive.async { [self] in queue.async { continuation.resume() } }
    }
  }

  /// Figures for status.
  var counters: JournalCounters { journal.counters }

  /// Writes what is queued and closes.
  func close() {
    archive.sync {}
    queue.sync {
      do { try blocks.sync() } catch { logger.error("the blocks can't be synced: \(error)") }
    }
    journal.close()
  }
}
