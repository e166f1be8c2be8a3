// A state put together from chunks.
//
// 1. A chunk is believed by its proof alone, whoever sent it and in whatever order; what is believed is never checked
//    again. A chunk whose range is covered already is dropped; of one that overlaps only the new entries are taken.
// 2. The state is whole when the ranges of the chunks cover all key hashes. The tree is then built anew over all
//    entries, and its root compared once more: it costs little beside the leaves, which are kept.
// 3. At most `maximumRanges` separate ranges are kept: a chunk that would begin another is dropped. Whoever asks for
//    what is missing in order never has more than a few.

import Primitives
import Wire

/// A snapshot on its way in.
public struct SnapshotAssembly: Sendable {
  /// The most ranges of key hashes with gaps between them.
  public static let maximumRanges = 4_096

  /// Why a chunk was dropped.
  public enum Refusal: Error, Hashable, Sendable {
    /// It does not belong to the state root and height: whoever sent it lies, or has another state.
    case unproven
    /// An entry does not read: the state was written by other rules than these.
    case unreadable
    /// All of it was there already.
    case covered
    /// It lies too far from the others (rule 3).
    case tooManyRanges

    /// The name under which a refusal is counted.
    public var counter: String { "\(self)" }
  }

  /// The state root that every chunk is proven against.
  public let stateRoot: Digest
  /// The height of the block that names it.
  public let height: UInt64
  /// The entries so far.
  public private(set) var entryCount = 0
  /// The bytes that they take, at most.
  public private(set) var byteCount = 0
  private(set) var tables = StateTables()
  private var leaves: [MerkleNode] = []
  /// First and last key hash of each range, no two adjacent.
  private var ranges = Table<Bytes32, Bytes32>()

  /// An assembly of the state that a final header names.
  public init(header: BlockHeader) {
    stateRoot = header.stateRoot
    height = header.height
  }

  /// True when nothing is missing.
  public var isWhole: Bool { nextMissing() == nil }

  /// The first key hash above `key`, or of all, that no chunk covers yet; nil when there is none.
  public func nextMissing(after key: Digest? = nil) -> Digest? {
    var start = Bytes32()
    if let key {
      guard let next = key.value.successor else { return nil }
      start = next
    }
    guard let range = ranges.lastEntry(upTo: start), range.value >= start else { return Digest(start) }
    return range.value.successor.map { Digest($0) }
  }

  /// Takes in a chunk; the reason when it was dropped.
  public mutating func add(_ chunk: SnapshotChunk) -> Refusal? {
    let (start, end) = (chunk.prefix.value, chunk.end)
    if let range = ranges.lastEntry(upTo: start), range.value >= end { return .covered }
    guard let new = chunk.leaves(stateRoot: stateRoot, height: height) else { return .unproven }
    // Rule 1: key hashes of entries that an earlier, smaller chunk brought.
    let isNew = new.map { leaf in leaf.key.map { !isCovered($0) } ?? false }
    guard let united = ranges(with: start, end) else { return .tooManyRanges }
    for (entry, isNew) in zip(chunk.entries, isNew) where isNew {
      // The entries before it stay: the range does not count as covered, so nobody reads them.
      guard tables.insert(entry) else { return .unreadable }
    }
    for (leaf, isNew) in zip(new, isNew) where isNew {
      leaves.append(leaf)
      entryCount += 1
      byteCount += leaf.weight
    }
    ranges = united
    return nil
  }

  private func isCovered(_ key: Bytes32) -> Bool { ranges.lastEntry(upTo: key).map { $0.value >= key } ?? false }

  /// The ranges and one more; nil when there are too many.
  private func ranges(with first: Bytes32, _ last: Bytes32) -> Table<Bytes32, Bytes32>? {
    var (start, end) = (first, last)
    var united = ranges
    while let inside = united.firstEntry(from: start), inside.key <= end {
      end = max(end, inside.value)
      united[inside.key] = nil
    }
    if let before = united.lastEntry(upTo: start), before.value >= start || before.value.successor == start {
      start = before.key
      end = max(end, before.value)
      united[before.key] = nil
    }
    if let next = end.successor, let after = united[next] {
      united[next] = nil
      end = after
    }
    united[start] = end
    return united.count <= SnapshotAssembly.maximumRanges ? united : nil
  }

  /// The tree over all entries, built anew (rule 2); nil while something is missing or when its root is another.
  func tree() -> MerkleTree? {
    guard isWhole else { return nil }
    // No two leaves have one key: a chunk's are distinct and only new ones were taken.
    let sorted = leaves.sorted { ($0.key ?? Bytes32()) < ($1.key ?? Bytes32()) }
    let tree = MerkleTree(depth: 0, ascending: sorted)
    return tree.digest == stateRoot ? tree : nil
  }
}

extension Table {
  fileprivate func firstEntry(from key: Key) -> (key: Key, value: Value)? {
    var iterator = entries(from: key)
    return iterator.next()
  }
}

extension StateTables {
  /// Takes in an entry; false when it does not read.
  fileprivate mutating func insert(_ entry: SnapshotEntry) -> Bool {
    guard let table = TableNumber(rawValue: entry.table) else { return false }
    func insert<Key: StateKey, Value: WireCodable>(into table: inout Table<Key, Value>) -> Bool {
      var reader = WireReader(entry.key)
      guard let key = try? Key(from: &reader), reader.remaining == 0, let value = try? Value(decoding: entry.value)
      else { return false }
      table[key] = value
      return true
    }
    switch table {
    case .accounts: return insert(into: &accounts)
    case .providers: return insert(into: &providers)
    case .jobs: return insert(into: &jobs)
    case .leases: return insert(into: &leases)
    case .holdings: return insert(into: &holdings)
    case .deadlines: return insert(into: &deadlines)
    case .pending: return insert(into: &pending)
    case .attestations: return insert(into: &attestations)
    case .chain: return insert(into: &chain)
    case .network: return insert(into: &network)
    case .validators: return insert(into: &validators)
    case .epochs: return insert(into: &epochs)
    case .voteKeys: return insert(into: &voteKeys)
    case .fresh: return insert(into: &fresh)
    }
  }
}
