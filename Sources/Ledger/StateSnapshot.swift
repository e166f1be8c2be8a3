// A state in pieces that can be proven one by one.
//
// 1. A chunk is a subtree of the state tree: the largest around a key hash whose entries take at most `chunkBytes`. So
//    every node that has the state cuts it alike, and no chunk is above the bounds of the wire, however uneven the
//    entries are.
// 2. A subtree deeper than `SnapshotChunk.maximumDepth` is not cut any further.

import Primitives
import Wire

/// The state after a block, to be handed on in chunks. It stays what it was while the ledger goes on, and shares
/// everything with it that did not change.
public struct StateSnapshot: Sendable {
  /// The most bytes that the entries of a chunk take.
  public static let chunkBytes = 256 * 1_024

  let view: StateView
  let tree: MerkleTree
  /// The height of the block.
  public let height: UInt64

  /// The state root of the block.
  public var stateRoot: Digest { tree.digest }
  /// The bytes that all entries take, at most.
  public var byteCount: Int { tree.root?.weight ?? 0 }

  /// The chunk in which a key hash lies (rule 1). The cost is that of its entries.
  public func chunk(covering key: Digest) -> SnapshotChunk {
    var node = tree.root
    var depth = 0
    while depth < Int(SnapshotChunk.maximumDepth), let inner = node, inner.key == nil,
      inner.weight > StateSnapshot.chunkBytes
    {
      node = inner.child(key.value.bit(depth))
      depth += 1
    }
    return chunk(covering: key, depth: depth)
  }

  /// The chunk in which a key hash lies, cut at a depth.
  func chunk(covering key: Digest, depth: Int) -> SnapshotChunk {
    let prefix = SnapshotChunk.prefix(of: key.value, depth: depth)
    var node = tree.root
    var siblings: [MerkleSibling] = []
    for level in 0..<depth {
      if let leaf = node?.key {
        // A leaf that is found above its place is on the way or beside it.
        let isBeside = leaf.firstDifferingBit(from: prefix) == level
        siblings.append(isBeside ? MerkleSibling(node) : .empty)
        if isBeside { node = nil }
      } else {
        siblings.append(MerkleSibling(node?.child(!prefix.bit(level))))
        node = node?.child(prefix.bit(level))
      }
    }
    while siblings.last == .empty { siblings.removeLast() }
    var entries: [SnapshotEntry] = []
    collect(node, into: &entries)
    return SnapshotChunk(
      height: height, depth: UInt8(depth), prefix: Digest(prefix), entries: entries, siblings: siblings)
  }

  /// All chunks in the order of their ranges: together every entry once.
  public var chunks: some Sequence<SnapshotChunk> {
    sequence(state: Digest.zero as Digest?) { next in
      guard let key = next else { return nil }
      let chunk = chunk(covering: key)
      next = chunk.next
      return chunk
    }
  }

  private func collect(_ node: MerkleNode?, into entries: inout [SnapshotEntry]) {
    switch node?.content {
    case nil: return
    case .leaf(_, _, let place):
      guard let entry = view.entry(at: place) else { preconditionFailure("tree and tables have the same entries") }
      entries.append(entry)
    case .inner(let left, let right):
      collect(left, into: &entries)
      collect(right, into: &entries)
    }
  }
}

extension LedgerReader {
  /// The state as chunks. A few references are copied.
  public func snapshot() -> StateSnapshot { StateSnapshot(view: view, tree: tree, height: height) }
}

extension MerkleSibling {
  init(_ node: MerkleNode?) {
    switch node?.content {
    case nil: self = .empty
    case .leaf(let key, let value, _): self = .leaf(key: Digest(key), value: value)
    case .inner: self = .inner(node?.digest ?? .zero)
    }
  }
}

extension StateView {
  /// The entry whose key hash is that of `place`: a table's number and a key's bytes.
  func entry(at place: [UInt8]) -> SnapshotEntry? {
    guard let first = place.first, let table = TableNumber(rawValue: first) else { return nil }
    let key = Array(place.dropFirst())
    func value<Key: StateKey, Value>(_ layered: Layered<Key, Value>) -> [UInt8]? {
      var reader = WireReader(key)
      guard let key = try? Key(from: &reader) else { return nil }
      return layered[key]?.encoded
    }
    let found =
      switch table {
      case .accounts: value(accounts)
      case .providers: value(providers)
      case .jobs: value(jobs)
      case .leases: value(leases)
      case .holdings: value(holdings)
      case .deadlines: value(deadlines)
      case .pending: value(pending)
      case .attestations: value(attestations)
      case .chain: value(chain)
      case .network: value(network)
      case .validators: value(validators)
      case .epochs: value(epochs)
      case .voteKeys: value(voteKeys)
      case .fresh: value(fresh)
      }
    return found.map { SnapshotEntry(table: first, key: key, value: $0) }
  }
}
