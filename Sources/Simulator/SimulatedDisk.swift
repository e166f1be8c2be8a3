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
  /// Final blocks of consecutive heights. They are written without a sync; what a crash takes is in the journal.
  private(set) var blocks: [StoredBlock] = []
  /// How many of them are known to be synced, because a checkpoint left them out.
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

  mutating func append(_ sequence: UInt64, _ record: ConsensusRecord) { pending.append((sequence, record)) }

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
    let rest = blocks[Int(height - base - 1)...].prefix(ConsensusMessage.maximumChainBlocks)
    guard let epoch = rest.first?.block.value.header.epoch else { return nil }
    let run = rest.prefix { $0.block.value.header.epoch == epoch }
    guard let end = run.lastIndex(where: { $0.finalization != nil }), let last = run[end].finalization else {
      return nil
    }
    return (run[...end].map(\.block.value), last.value)
  }

  /// The journal is to be written anew as soon as nothing waits for a sync.
  var isCheckpointDue = false

  /// Writes the journal anew from a checkpoint, as the daemon does when it has grown; blocks and states are synced
  /// before. Only while nothing waits for a sync.
  mutating func compact(_ checkpoint: [ConsensusRecord]) {
    guard pending.isEmpty, syncing == nil else { return }
    isCheckpointDue = false
    syncedBlocks = blocks.count
    settleSnapshots()
    durable = checkpoint
  }

  /// The machine loses its power: a prefix of what was not synced is left (a torn record is no record), and the last
  /// blocks may be gone. `isFailedSync`: nothing of it is left.
  /// Returns the own votes that are durable since.
  mutating func crash(_ generator: inout SeededGenerator, isFailedSync: Bool = false) -> [Vote] {
    let drawn = generator.index(below: pending.count + 1)
    let lostBlocks = generator.index(below: 4)
    var votes: [Vote] = []
    for entry in pending.prefix(isFailedSync ? 0 : drawn) {
      durable.append(entry.record)
      if case .ownVote(let vote) = entry.record { votes.append(vote) }
    }
    pending.removeAll()
    syncing = nil
    failsNextSync = false
    isFull = false
    blocks.removeLast(min(blocks.count - syncedBlocks, lostBlocks))
    if drawn % 2 == 0 { snapshots.removeAll { !$0.isDurable } }
    return votes
  }

  /// A record is damaged: those before it can still be read. True when there was one.
  mutating func damageJournal(_ generator: inout SeededGenerator) -> Bool {
    guard !durable.isEmpty else { return false }
    durable.removeLast(durable.count - generator.index(below: durable.count))
    return true
  }

  /// The journal is gone.
  mutating func loseJournal() { durable = [] }

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

  /// What is there now outlives every crash.
  mutating func settleSnapshots() {
    for index in snapshots.indices { snapshots[index].isDurable = true }
  }

  mutating func add(_ snapshot: StoredSnapshot) {
    snapshots.removeAll { $0.height >= snapshot.height }
    // An epoch ago is long enough to have been synced.
    settleSnapshots()
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
