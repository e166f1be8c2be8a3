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

    var header: BlockHeader { block.value.header }
  }

  /// The most blocks that are not yet known to be final. When as many are held, proposals that came to nothing make
  /// room, then further blocks are refused until a finalization does (rule 8 brings it about). Blocks of a finalized
  /// chain are admitted beyond it, one answer's worth at a time. No more than one answer carries, so that whatever is
  /// committed at once can be served at once.
  static let maximumBlocks = ConsensusMessage.maximumChainBlocks

  private var entries = Table<Digest, Entry>()

  var count: Int { entries.count }
  var isFull: Bool { entries.count >= BlockTree.maximumBlocks }

  /// The block with an id.
  subscript(id: Digest) -> Entry? { entries[id] }

  func contains(_ id: Digest) -> Bool { entries.contains(id) }

  /// Adds a block that is not there yet.
  mutating func insert(_ block: Verified<Block>, status: BlockStatus, at now: Instant, isRecorded: Bool = false) {
    guard !entries.contains(block.value.id) else { return }
    entries[block.value.id] = Entry(block: block, status: status, receivedAt: now, isRecorded: isRecorded)
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

  /// All entries in the order of their views.
  var byView: [Entry] { entries.values.sorted { $0.header.view < $1.header.view } }

  /// The blocks from the child of `tip` up to `id`, oldest first; nil when one between is not here.
  func path(from tip: Digest, to id: Digest) -> [Entry]? {
    var path: [Entry] = []
    var next = id
    while next != tip {
      guard let entry = entries[next], path.count < entries.count else { return nil }
      path.append(entry)
      next = entry.header.parentID
    }
    return path.reversed()
  }
}
