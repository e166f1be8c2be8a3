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
  /// The journal is written anew from a checkpoint when it has grown by this much, where nothing else is asked for.
  static let defaultCompactionBytes = 64 * 1_024 * 1_024
  /// A `chain` answer is made longer than a block to reach a finalization, up to this many bytes: more than any commit
  /// has (`ConsensusBounds.commitBytes`, and its certificate), and less than the longest frame of a link.
  private static let longestAnswerBytes = ConsensusBounds().commitBytes + 1_024 * 1_024
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
  private let compactionBytes: Int
  /// A checkpoint is on its way to the disk, or what it replaces is there still.
  private let isCompacting = Mutex(false)
  /// Writes and reads blocks, so that the core's loop never waits for the disk.
  private let queue = DispatchQueue(label: "linnet.blocks")
  /// Writes snapshots, which takes longer.
  private let archive = DispatchQueue(label: "linnet.snapshots")
  private let unwritten = Mutex(Unwritten())
  private let logger: Logger

  /// What the archive has not come to yet; of states only the latest matters.
  private struct Unwritten {
    var links: [EpochLink] = []
    var state: Ending?
  }

  /// The state at the end of an epoch, on its way to the disk.
  private struct Ending {
    var snapshot: StateSnapshot
    var link: EpochLink
    var kept: @Sendable () -> Void
  }

  init(
    journal: JournalStore, blocks: BlockStore, snapshots: SnapshotStore, links: EpochLinkStore,
    abstention: AbstentionMarker, retainedBlocks: UInt64, compactionBytes: Int, logger: Logger
  ) {
    self.journal = journal
    self.blocks = blocks
    self.snapshots = snapshots
    self.links = links
    self.abstention = abstention
    self.retainedBlocks = retainedBlocks
    self.compactionBytes = compactionBytes
    self.logger = logger
  }

  // MARK: - Writing

  /// Appends records; `completion` gets why, when they can never become durable.
  func persist(_ records: [[UInt8]], completion: @escaping JournalStore.Completion) {
    do { try journal.append(records, completion: completion) } catch { completion(.failure(error)) }
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
  /// into the epoch's own segment. Then, off the caller's thread, one after the other: the blocks become durable, the
  /// state and the link do, what they make needless is dropped, and `kept` is called, unless a later epoch has begun
  /// meanwhile.
  func begin(
    epoch: UInt64, boundary: Verified<Block>, finalization: Verified<Certificate>, snapshot: StateSnapshot,
    next: ValidatorSet, kept: @escaping @Sendable () -> Void = {}, failed: @escaping @Sendable (any Error) -> Void
  ) {
    guard
      let link = EpochLink(header: boundary.value.header, finalization: finalization.value, next: next.validators)
    else {
      return failed(NodeError(.diverged, "the end of epoch \(epoch) does not fit", suggestion: "report this"))
    }
    do { try journal.beginEpoch(epoch) } catch { return failed(error) }
    queue.async { [self] in
      // Ahead of the state: a crash that takes blocks below a durable state takes the whole store, which has no gaps.
      do { try blocks.sync() } catch { return report(error, failed) }
      unwritten.withLock { unwritten in
        unwritten.links.append(link)
        unwritten.state = Ending(snapshot: snapshot, link: link, kept: kept)
      }
      archive.async { [self] in settle(failed) }
    }
  }

  /// A state was fetched (`CoreEffect.installed`): it takes the place of the blocks up to it. As for `begin`.
  func install(
    _ install: SnapshotInstall, kept: @escaping @Sendable () -> Void = {},
    failed: @escaping @Sendable (any Error) -> Void
  ) {
    do { try journal.beginEpoch(install.validators.epoch) } catch { return failed(error) }
    // The blocks that follow wait in the queue until the store begins behind the state.
    queue.async { [self] in
      do {
        try blocks.sync()
        try archive.sync {
          try links.add(install.link)
          try snapshots.write(install.snapshot, link: install.link)
        }
        if blocks.nextHeight.map({ $0 <= install.link.header.height }) ?? true {
          try blocks.begin(at: install.link.header.height + 1)
        }
        try drop(before: install.link.header, kept, failed)
      } catch {
        report(error, failed)
      }
    }
  }

  /// Links that were fetched (`CoreEffect.epochLinks`): those that changed the validators are kept.
  func keep(_ fetched: [EpochLink], failed: @escaping @Sendable (any Error) -> Void = { _ in }) {
    // By way of the queue, as those of `begin` go: one that comes ahead of those before it is not taken.
    queue.async { [self] in
      archive.async { [self] in
        do {
          for link in fetched { try links.add(link) }
        } catch {
          logger.critical("the links of epochs can't be kept: \(error)")
          failed(error)
        }
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
      guard let ending = work.state else { return }
      let (snapshot, link) = (ending.snapshot, ending.link)
      let start = DispatchTime.now()
      try snapshots.write(snapshot, link: link)
      let milliseconds = (DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1_000_000
      logger.debug("the state of height \(snapshot.height) was kept in \(milliseconds) ms")
      queue.async { [self] in
        do { try drop(before: link.header, ending.kept, failed) } catch { report(error, failed) }
      }
    } catch {
      report(error, failed)
    }
  }

  /// On the queue: the blocks up to `boundary` and the state after it are durable.
  private func drop(
    before boundary: BlockHeader, _ kept: @escaping @Sendable () -> Void,
    _ failed: @escaping @Sendable (any Error) -> Void
  ) throws {
    // Without a state older than this one, blocks are all that a damaged state could be made good from.
    if let older = snapshots.latest.dropFirst().first {
      let keptFrom = boundary.height > retainedBlocks ? boundary.height - retainedBlocks : 0
      try blocks.prune(below: min(keptFrom, older.height + 1))
    }
    try journal.prune(before: boundary.epoch + 1) { outcome in
      switch outcome {
      case .success: kept()
      case .failure(let error): failed(error)
      }
    }
  }

  private func report(_ error: any Error, _ failed: @Sendable (any Error) -> Void) {
    logger.critical("the state at the end of an epoch can't be kept: \(error)")
    failed(error)
  }

  /// True when the journal has grown so far that it should be written anew.
  var hasGrown: Bool { !isCompacting.withLock { $0 } && journal.counters.grownBytes > compactionBytes }

  /// Writes the journal anew: a checkpoint behind all that there is, which is dropped when the blocks are durable that
  /// the checkpoint leaves out. Blocks may become final all the while, so this never has to wait for a pause. Nothing
  /// happens while an earlier one is under way. To be called where `persist` and `commit` are called, and with what a
  /// checkpoint taken there and then holds: a record that is appended between the two would be lost.
  func compact(
    keeping records: () -> [ConsensusRecord], failed: @escaping @Sendable (any Error) -> Void
  ) {
    let isBusy = isCompacting.withLock { isCompacting in
      defer { isCompacting = true }
      return isCompacting
    }
    guard !isBusy else { return }
    // Whatever fails here is final: nothing is tried again.
    do {
      try journal.checkpoint(records().map(\.encoded)) { outcome in
        if case .failure(let error) = outcome { failed(error) }
      }
    } catch {
      return failed(error)
    }
    queue.async { [self] in
      do {
        try blocks.sync()
        try journal.dropBeforeCheckpoint { [self] outcome in
          switch outcome {
          case .success: isCompacting.withLock { $0 = false }
          case .failure(let error): failed(error)
          }
        }
      } catch {
        failed(error)
      }
    }
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
            bytes < Block.maximumBytes || end == nil, bytes + encoded.count <= ChainStorage.longestAnswerBytes
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
      queue.async { [self] in archive.async { [self] in queue.async { continuation.resume() } } }
    }
  }

  /// Figures for status.
  var counters: JournalCounters { journal.counters }

  /// Writes what is queued and closes.
  func close() {
    queue.sync {}
    archive.sync {}
    queue.sync {
      do { try blocks.sync() } catch { logger.error("the blocks can't be synced: \(error)") }
    }
    journal.close()
  }
}
