// What makes a chunk of a snapshot believable.
//
// 1. The chunk's entries give the digest of its subtree by the rules of MerkleTree.swift. Going up, each sibling joins
//    by the same rules; the last digest must be the state root. Nothing can be left out: a digest with another set of
//    entries below it would be a collision.
// 2. Two subtrees that differ look alike only where rule 2 of the tree moves a leaf up, for then its digest does not say
//    how deep it was found. So a sibling that is a single leaf comes with its key hash, which must lie on its own side:
//    a leaf of the chunk can't be passed off as its neighbour, nor the other way round.
// 3. Siblings are named from the root down; those at the end that are empty are left out, so that there is one form.

import Primitives
import Wire

extension SnapshotChunk {
  /// True when these are all entries of the state with this root whose key hashes begin with the chunk's prefix, and
  /// the chunk is of that height. Hashes each entry three times, and twice as often at most for the tree above them.
  public func verify(stateRoot: Digest, height: UInt64) -> Bool {
    leaves(stateRoot: stateRoot, height: height) != nil
  }

  /// The entries as leaves, when the chunk verifies.
  func leaves(stateRoot: Digest, height: UInt64) -> [MerkleNode]? {
    let depth = Int(depth)
    guard self.height == height, depth <= Int(SnapshotChunk.maximumDepth), siblings.count <= depth,
      siblings.last != .empty, entries.count <= SnapshotChunk.maximumEntries,
      prefix.value == SnapshotChunk.prefix(of: prefix.value, depth: depth)
    else { return nil }
    let leaves = entries.map { MerkleNode(place: [$0.table] + $0.key, value: $0.value) }
    var last: Bytes32?
    for case let key? in leaves.map(\.key) {
      guard last.map({ $0 < key }) ?? true, SnapshotChunk.prefix(of: key, depth: depth) == prefix.value else {
        return nil
      }
      last = key
    }
    var node = Subtree(MerkleTree(depth: depth, ascending: leaves).root)
    for level in (0..<depth).reversed() {
      guard let sibling = sibling(at: level) else { return nil }
      node = prefix.value.bit(level) ? Subtree(sibling, node) : Subtree(node, sibling)
    }
    return node.digest == stateRoot ? leaves : nil
  }

  /// Rule 2: what stands beside the way at a level.
  private func sibling(at level: Int) -> Subtree? {
    guard level < siblings.count else { return .empty }
    switch siblings[level] {
    case .empty: return .empty
    case .leaf(let key, let value):
      guard key.value.firstDifferingBit(from: prefix.value) == level else { return nil }
      return .leaf(Digest(domain: 0, key, value))
    case .inner(let digest): return digest == .zero ? nil : .inner(digest)
    }
  }

  /// The first `depth` bits, and zeros.
  static func prefix(of key: Bytes32, depth: Int) -> Bytes32 { filled(key, depth: depth, with: 0) }

  /// The last key hash of the chunk's range.
  var end: Bytes32 { SnapshotChunk.filled(prefix.value, depth: Int(depth), with: 0xff) }

  /// The first key hash above the chunk's range: where the next chunk begins; nil for the last chunk.
  public var next: Digest? { end.successor.map { Digest($0) } }

  private static func filled(_ key: Bytes32, depth: Int, with filler: UInt8) -> Bytes32 {
    var bytes = key.bytes
    for index in 0..<32 {
      let kept = min(8, max(0, depth - 8 * index))
      let mask = UInt8(truncatingIfNeeded: 0xff00 >> kept)
      bytes[index] = bytes[index] & mask | filler & ~mask
    }
    return Bytes32(bytes) ?? key
  }
}

/// A subtree as a proof knows it.
private enum Subtree {
  case empty
  case leaf(Digest)
  case inner(Digest)

  init(_ node: MerkleNode?) {
    guard let node else {
      self = .empty
      return
    }
    self = node.key == nil ? .inner(node.digest) : .leaf(node.digest)
  }

  /// Rules 2 and 3 of the tree.
  init(_ left: Subtree, _ right: Subtree) {
    switch (left, right) {
    case (.empty, .empty): self = .empty
    case (.leaf, .empty): self = left
    case (.empty, .leaf): self = right
    default: self = .inner(Digest(domain: 1, left.digest, right.digest))
    }
  }

  var digest: Digest {
    switch self {
    case .empty: .zero
    case .leaf(let digest), .inner(let digest): digest
    }
  }
}

extension Bytes32 {
  /// The next value in order; nil after the last.
  var successor: Bytes32? {
    var bytes = bytes
    for index in (0..<32).reversed() {
      bytes[index] &+= 1
      if bytes[index] != 0 { return Bytes32(bytes) }
    }
    return nil
  }
}
