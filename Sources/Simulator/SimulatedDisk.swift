import Consensus
import Core
import Ledger
import Primitives
import Wire

/// A node's disk: what was synced outlives a crash, of what was not a prefix may.
struct SimulatedDisk {
  /// A final block; with the certificate when it was the last of its commit.
  struct StoredBlock {
    var block: Verified<Block>
    var finalization: Verified<Certificate>?

    var height: UInt64 { block.value.header.height }
  }

  /// The state at the end of an epoch.
  struct StoredSnapshot {
    var link: EpochLink
    var state: StateSnapshot
    /// False until it is known to be synced.
    var isDurable: Bool

    var height: UInt64 { link.header.height }
  }

  /// The most states kept.
  static let maximumSnapshots = 8

  /// Journal records that are durable.
  private(set) var durable: [ConsensusRecord] = []
  /// Journal records that were appended and not synced, with their sequences.
  private(set) var pending: [(sequence: UInt64, record: ConsensusRecord)] = []
  /// Where in the records a segment of a later epoch begins, counted through what is pending; ascending.
  private var epochStarts: [(epoch: UInt64, start: Int)] = []
  /// The epoch in which the journal's content begins: records of earlier ones were dropped.
  private(set) var journalEpoch: UInt64 = 0
  /// The last checkpoint, until what it replaces is dropped: where it begins and ends in the records, and the epoch of
  /// its segment.
  private var checkpoint: (start: Int, end: Int, epoch: UInt64)?
  /// Of what was appended last in this life of the node.
  private var lastSequence: UInt64 = 0
  /// Final blocks of consecutive heights. They are written without a sync; what a crash takes is in the journal.
  private(set) var blocks: [StoredBlock] = []
  /// The most blocks of one answer.
  var commitBlocks = ConsensusMessage.maximumChainBlocks
  /// How many of them are known to be synced, because a checkpoint or a state stands on them.
  private var syncedBlocks = 0
  /// Outcomes of leases. A job's shim outlives the daemon, and writes them itself.
  var outcomes = Table<Digest, LeaseOutcome>()
  /// The leases whose jobs were started, each once.
  var started = OrderedSet<Digest>()
  /// A mark above every sequence number in use.
  var sequenceMark: UInt64 = 0
  /// The journal is lost or damaged, which the next start will find.
  var mustAbstain = false
  /// Wall time at which that was found last: no vote in an epoch that had begun then.
  var abstainsUntilMilliseconds: UInt64?
  /// The states at the ends of epochs, the latest last; at most `maximumSnapshots`.
  private(set) var snapshots: [StoredSnapshot] = []
  /// The ends of epochs, and whether the validators changed there.
  private(set) var links: [(link: EpochLink, isChange: Bool)] = []
  /// The last sequence of a sync that is under way.
  private(set) var syncing: UInt64?
  /// The next sync fails.
  var failsNextSync = false
  /// The next write finds no room.
  var isFull = false

  /// The block below the first one that is kept.
  private(set) var base: UInt64 = 0
  var height: UInt64 { base + UInt64(blocks.count) }

  mutating func append(_ sequence: UInt64, _ record: ConsensusRecord) {
    pending.append((sequence, record))
    lastSequence = sequence
  }

  /// Begins to sync all that was appended; false when a sync is under way or there is nothing to sync.
  mutating func beginSync() -> Bool {
    guard syncing == nil, let last = pending.last else { return false }
    syncing = last.sequence
    return true
  }

  /// The sync that is under way is done. Returns the sequence up to which all is durable, and the own votes among it.
  mutating func endSync() -> (upTo: UInt64, votes: [Vote])? {
    guard let upTo = syncing else { return nil }
    syncing = nil
    dropBeforeCheckpoint()
    let count = pending.prefix { $0.sequence <= upTo }.count
    var votes: [Vote] = []
    for entry in pending.prefix(count) {
      durable.append(entry.record)
      if case .ownVote(let vote) = entry.record { votes.append(vote) }
    }
    pending.removeFirst(count)
    return (upTo, votes)
  }

  mutating func append(_ committed: [Verified<Block>], _ finalization: Verified<Certificate>) {
    for block in committed where block.value.header.height == height + 1 {
      let isLast = block.value.id == finalization.value.subject.blockID
      blocks.append(StoredBlock(block: block, finalization: isLast ? finalization : nil))
    }
  }

  /// The stored block of a height.
  func block(at height: UInt64) -> StoredBlock? {
    guard height > base, height <= self.height else { return nil }
    return blocks[Int(height - base - 1)]
  }

  /// Final blocks from a height on, as one answer takes them: of one epoch, up to one whose finalization is kept.
  func chain(from height: UInt64) -> ([Block], Certificate)? {
    guard height > base, height <= self.height else { return nil }
    let rest = blocks[Int(height - base - 1)...].prefix(commitBlocks)
    guard let epoch = rest.first?.block.value.header.epoch else { return nil }
    let run = rest.prefix { $0.block.value.header.epoch == epoch }
    guard let end = run.lastIndex(where: { $0.finalization != nil }), let last = run[end].finalization else {
      return nil
    }
    return (run[...end].map(\.block.value), last.value)
  }

  /// The journal is to be written anew as soon as nothing waits for a sync.
  var isCheckpointDue = false

  /// Writes a checkpoint behind all that was appended, as the daemon does when its journal has grown. What it replaces is
  /// dropped a sync later, and the blocks that it leaves out are synced before that. One at a time, and only while no
  /// sync is under way.
  mutating func write(checkpoint records: [ConsensusRecord]) {
    guard checkpoint == nil, syncing == nil else { return }
    isCheckpointDue = false
    let start = durable.count + pending.count
    for record in records { pending.append((lastSequence, record)) }
    checkpoint = (start, start + records.count, segmentEpoch)
  }

  /// Drops what the checkpoint replaces, if that is durable: with the next sync at the latest.
  mutating func dropBeforeCheckpoint() {
    guard let checkpoint, durable.count >= checkpoint.end else { return }
    syncedBlocks = blocks.count
    drop(checkpoint.start, epoch: checkpoint.epoch)
    checkpointRecords = checkpoint.end - checkpoint.start
    self.checkpoint = nil
  }

  /// How many records the last checkpoint has.
  private var checkpointRecords: Int?

  /// True while the journal is a checkpoint and nothing besides.
  var isBareCheckpoint: Bool { checkpoint == nil && pending.isEmpty && durable.count == checkpointRecords }

  /// The epoch of the segment in writing.
  private var segmentEpoch: UInt64 { epochStarts.last?.epoch ?? journalEpoch }

  /// What is appended from now on goes into a segment of this epoch; one that has begun already changes nothing.
  mutating func beginJournal(of epoch: UInt64) {
    guard epoch > segmentEpoch else { return }
    epochStarts.append((epoch, durable.count + pending.count))
  }

  /// The blocks and the state before an epoch are durable: the records of earlier ones are dropped.
  mutating func pruneJournal(before epoch: UInt64) {
    guard let kept = epochStarts.first(where: { $0.epoch >= epoch }), kept.start <= durable.count else { return }
    drop(kept.start, epoch: kept.epoch)
  }

  /// Drops the first records, so that the content begins with a segment of `epoch`.
  private mutating func drop(_ count: Int, epoch: UInt64) {
    durable.removeFirst(count)
    journalEpoch = max(journalEpoch, epoch)
    epochStarts = epochStarts.map { ($0.epoch, max(0, $0.start - count)) }
    if let old = checkpoint {
      checkpoint = old.start < count ? nil : (old.start - count, old.end - count, old.epoch)
    }
  }

  /// The machine loses its power: a prefix of what was not synced is left (a torn record is no record), and the last
  /// blocks may be gone, mostly a few, at times all that were not synced. `isFailedSync`: nothing of it is left.
  /// Returns the own votes that are durable since.
  mutating func crash(_ generator: inout SeededGenerator, isFailedSync: Bool = false) -> [Vote] {
    let drawn = generator.index(below: pending.count + 1)
    let isMuchLost = generator.chance(partsPerMillion: 250_000)
    let lostSmall = generator.index(below: 4)
    var votes: [Vote] = []
    var kept = isFailedSync ? 0 : drawn
    // Of a checkpoint all is there or nothing.
    if let checkpoint, checkpoint.start < durable.count + kept, durable.count + kept < checkpoint.end {
      kept = max(0, checkpoint.start - durable.count)
    }
    checkpoint = nil
    for entry in pending.prefix(kept) {
      durable.append(entry.record)
      if case .ownVote(let vote) = entry.record { votes.append(vote) }
    }
    pending.removeAll()
    lastSequence = 0
    syncing = nil
    failsNextSync = false
    isFull = false
    epochStarts.removeAll { $0.start > durable.count }
    if drawn % 2 == 0 { snapshots.removeAll { !$0.isDurable } }
    settleSnapshots()
    let unsynced = blocks.count - syncedBlocks
    let lost = isMuchLost ? generator.index(below: unsynced + 1) : lostSmall
    blocks.removeLast(min(unsynced, lost))
    return votes
  }

  /// A record is damaged: those before it can still be read. True when there was one.
  mutating func damageJournal(_ generator: inout SeededGenerator) -> Bool {
    guard !durable.isEmpty else { return false }
    durable.removeLast(durable.count - generator.index(below: durable.count))
    epochStarts = epochStarts.map { ($0.epoch, min($0.start, durable.count)) }
    return true
  }

  /// The journal is gone.
  mutating func loseJournal() {
    durable = []
    epochStarts = []
    journalEpoch = 0
  }

  /// A final block is damaged: it and those after it are cut off, to be fetched again.
  mutating func damageBlock(_ generator: inout SeededGenerator) {
    cutBlocks(upTo: base + UInt64(generator.index(below: blocks.count + 1)))
  }

  /// The blocks above a height are gone.
  mutating func cutBlocks(upTo height: UInt64) {
    guard height >= base, height <= self.height else { return }
    let kept = Int(height - base)
    blocks.removeLast(blocks.count - kept)
    syncedBlocks = min(syncedBlocks, kept)
  }

  /// The states are gone; what follows them is executed from the genesis, if all blocks are here.
  mutating func loseStates() { snapshots = [] }

  /// Forgets all blocks and begins anew above a height.
  mutating func rebase(_ height: UInt64) {
    blocks = []
    syncedBlocks = 0
    base = height
  }

  /// What is there now outlives every crash, and so do the blocks below it, which were synced before.
  mutating func settleSnapshots() {
    for index in snapshots.indices { snapshots[index].isDurable = true }
    guard let last = snapshots.last, last.height > base else { return }
    syncedBlocks = max(syncedBlocks, min(blocks.count, Int(last.height - base)))
  }

  mutating func add(_ snapshot: StoredSnapshot) {
    snapshots.removeAll { $0.height >= snapshot.height }
    // An epoch ago is long enough to have been synced.
    settleSnapshots()
    if let last = snapshots.last { pruneJournal(before: last.link.header.epoch + 1) }
    snapshots.append(snapshot)
    if snapshots.count > SimulatedDisk.maximumSnapshots { snapshots.removeFirst() }
  }

  mutating func insertLink(_ link: EpochLink, _ isChange: Bool, at index: Int) {
    links.insert((link, isChange), at: index)
  }

  /// Drops the blocks up to a height.
  mutating func dropBlocks(upTo height: UInt64) {
    guard height > base, height <= self.height else { return }
    let count = Int(height - base)
    blocks.removeFirst(count)
    syncedBlocks = max(0, syncedBlocks - count)
    base = height
  }
}
