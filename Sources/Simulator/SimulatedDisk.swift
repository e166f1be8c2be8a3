import Consensus
import Core
import Primitives
import Wire

/// A node's disk: what was synced outlives a crash, of what was not a prefix may.
struct SimulatedDisk {
  /// Journal records that are durable.
  private(set) var durable: [ConsensusRecord] = []
  /// Journal records that were appended and not synced, with their sequences.
  private(set) var pending: [(sequence: UInt64, record: ConsensusRecord)] = []
  /// Own votes that are durable: what may be seen on the wire.
  private(set) var durableVotes = OrderedSet<Digest>()
  /// Final blocks. They are written without a sync; what a crash takes is in the journal.
  private(set) var blocks: [(block: Verified<Block>, finalization: Verified<Certificate>?)] = []
  /// How many of them are known to be synced, because a checkpoint left them out.
  private var syncedBlocks = 0
  /// Outcomes of leases. A job's shim outlives the daemon, and writes them itself.
  var outcomes = Table<Digest, LeaseOutcome>()
  /// The leases whose jobs were started, each once.
  var started = OrderedSet<Digest>()
  /// A mark above every sequence number in use.
  var sequenceMark: UInt64 = 0
  /// The last sequence of a sync that is under way.
  private(set) var syncing: UInt64?

  mutating func append(_ sequence: UInt64, _ record: ConsensusRecord) { pending.append((sequence, record)) }

  /// Begins to sync all that was appended; false when a sync is under way or there is nothing to sync.
  mutating func beginSync() -> Bool {
    guard syncing == nil, let last = pending.last else { return false }
    syncing = last.sequence
    return true
  }

  /// The sync that is under way is done. Returns the sequence up to which all is durable.
  mutating func endSync() -> UInt64? {
    guard let upTo = syncing else { return nil }
    syncing = nil
    let count = pending.prefix { $0.sequence <= upTo }.count
    for entry in pending.prefix(count) { keep(entry.record) }
    pending.removeFirst(count)
    return upTo
  }

  private mutating func keep(_ record: ConsensusRecord) {
    durable.append(record)
    if case .ownVote(let vote) = record { durableVotes.insert(Digest(hashing: vote.encoded)) }
  }

  mutating func append(_ committed: [Verified<Block>], _ finalization: Verified<Certificate>) {
    for block in committed where block.value.header.height == UInt64(blocks.count) + 1 {
      let isLast = block.value.id == finalization.value.subject.blockID
      blocks.append((block, isLast ? finalization : nil))
    }
  }

  /// Writes the journal anew from a checkpoint, as the daemon does when it has grown; the blocks are synced before.
  /// Only while nothing waits for a sync.
  mutating func compact(_ checkpoint: [ConsensusRecord]) {
    guard pending.isEmpty, syncing == nil else { return }
    syncedBlocks = blocks.count
    durable.removeAll()
    for record in checkpoint { keep(record) }
  }

  /// The machine loses its power: a prefix of what was not synced is left, and the last blocks may be gone.
  mutating func crash(_ generator: inout SeededGenerator) {
    let kept = generator.index(below: pending.count + 1)
    for entry in pending.prefix(kept) { keep(entry.record) }
    pending.removeAll()
    syncing = nil
    blocks.removeLast(min(blocks.count - syncedBlocks, generator.index(below: 4)))
  }
}
