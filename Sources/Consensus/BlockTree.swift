import Primitives
import Wire

/// How far a block above the last finalized one has come.
enum BlockStatus: Sendable {
  /// Here, not executed.
  case present
  /// Given to the caller to execute.
  case executing
  /// Executed to its state root.
  case executed
  /// Refused by execution or by form.
  case invalid
  /// Notarized, executed, and the fact written down.
  case certified
}

/// The blocks above the last finalized one that this node holds.
struct BlockTree: Sendable {
  struct Entry: Sendable {
    let block: Verified<Block>
    var status: BlockStatus
    /// When it came, for the pace of rule 11.
    let receivedAt: Instant
    /// A `certified` record of it is in the journal.
    var isRecorded: Bool
    /// No less than its encoding has.
    let byteCount: Int

    var header: BlockHeader { block.value.header }
  }

  private var entries = Table<Digest, Entry>()

  var count: Int { entries.count }

  /// The block with an id.
  subscript(id: Digest) -> Entry? { entries[id] }

  func contains(_ id: Digest) -> Bool { entries.contains(id) }

  /// Adds a block that is not there yet.
  mutating func insert(_ block: Verified<Block>, status: BlockStatus, at now: Instant, isRecorded: Bool = false) {
    guard !entries.contains(block.value.id) else { return }
    entries[block.value.id] = Entry(
      block: block, status: status, receivedAt: now, isRecorded: isRecorded,
      byteCount: BlockTree.byteCount(of: block.value))
  }

  mutating func remove(_ id: Digest) { entries.removeValue(forKey: id) }

  mutating func setStatus(_ id: Digest, _ status: BlockStatus) {
    _ = entries.modify(id) { $0.status = status }
  }

  mutating func setRecorded(_ id: Digest) {
    _ = entries.modify(id) { $0.isRecorded = true }
  }

  /// Forgets the blocks of views up to the last finalized one.
  mutating func prune(throughView view: UInt64) {
    entries.removeAll { $1.header.view <= view }
  }

  /// All entries.
  var all: [Entry] { entries.values }

  /// All entries in the order of their views.
  var byView: [Entry] { entries.values.sorted { $0.header.view < $1.header.view } }

  /// The blocks from `id` down to the child of `tip`; nil when one between is not here, or they are more than `limit`.
  func path(to id: Digest, above tip: Digest, limit: Int = .max) -> [Digest]? {
    var path: [Digest] = []
    var next = id
    while next != tip {
      guard let entry = entries[next], path.count < min(limit, entries.count) else { return nil }
      path.append(next)
      next = entry.header.parentID
    }
    return path
  }

  /// A bound of a block's encoding: the numbers of a header have ten bytes at most, a length five. Never more than a block
  /// may have, which is what the leader counted with (`hasRoom`).
  static func byteCount(of block: Block) -> Int {
    let header = 4 * 10 + 8 + 5 * 32 + 5
    let sum = block.transactions.reduce(header) { $0 + Envelope.overheadBytes + 5 + $1.envelope.payload.count }
    return min(sum, Block.maximumBytes)
  }
}
