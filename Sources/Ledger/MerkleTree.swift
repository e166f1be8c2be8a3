// The state root: a compressed sparse Merkle tree.
//
// 1. A leaf is H(0 ‖ key hash ‖ value hash); its place is given by the bits of the key hash.
// 2. A subtree without a leaf has the zero digest; one with a single leaf is that leaf, at whatever depth.
// 3. Any other subtree is H(1 ‖ left ‖ right), split by the next bit.
//
// The root is a function of the set of entries alone, whatever the order in which they came. A change rehashes the
// path to the leaf, O(log n) with hashed keys; nodes are never changed, so that blocks share all they have in common.

import Primitives

/// A node of the tree; immutable.
final class MerkleNode: Sendable {
  let digest: Digest
  /// The key hash of a leaf; nil for an inner node.
  let key: Bytes32?
  let left: MerkleNode?
  let right: MerkleNode?

  init(leaf digest: Digest, key: Bytes32) {
    self.digest = digest
    self.key = key
    left = nil
    right = nil
  }

  init(left: MerkleNode?, right: MerkleNode?) {
    digest = Digest(domain: 1, left?.digest ?? .zero, right?.digest ?? .zero)
    key = nil
    self.left = left
    self.right = right
  }
}

/// A persistent tree: a copy is one reference.
struct MerkleTree: Sendable {
  /// A change of one leaf; nil removes it.
  struct Change {
    var key: Bytes32
    var leaf: Digest?
  }

  private(set) var root: MerkleNode?

  /// The digest of all entries; zero when there is none.
  var digest: Digest { root?.digest ?? .zero }

  /// The digest of a leaf (rule 1).
  static func leaf(key: Bytes32, value: [UInt8]) -> Digest {
    Digest(domain: 0, Digest(key), Digest(hashing: value))
  }

  /// Applies changes of distinct keys, in any order.
  mutating func apply(_ changes: [Change]) {
    let sorted = changes.sorted { $0.key < $1.key }
    root = MerkleTree.updated(root, depth: 0, sorted[...])
  }

  private static func updated(_ node: MerkleNode?, depth: Int, _ changes: ArraySlice<Change>) -> MerkleNode? {
    if changes.isEmpty { return node }
    guard let node else { return built(depth: depth, changes.filter { $0.leaf != nil }[...]) }
    if let key = node.key {
      var leaves = changes.filter { $0.leaf != nil }
      if !changes.contains(where: { $0.key == key }) {
        let place = leaves.firstIndex { $0.key > key } ?? leaves.count
        leaves.insert(Change(key: key, leaf: node.digest), at: place)
      }
      return built(depth: depth, leaves[...])
    }
    let middle = split(changes, at: depth)
    let left = updated(node.left, depth: depth + 1, changes[..<middle])
    let right = updated(node.right, depth: depth + 1, changes[middle...])
    // Rule 2: what is left of a subtree after removals may be a single leaf, which then moves up.
    if left == nil, right == nil || right?.key != nil { return right }
    if right == nil, left?.key != nil { return left }
    return MerkleNode(left: left, right: right)
  }

  /// The subtree of sorted, distinct leaves that agree in their first `depth` bits.
  private static func built(depth: Int, _ leaves: ArraySlice<Change>) -> MerkleNode? {
    guard let first = leaves.first else { return nil }
    if leaves.count == 1 { return first.leaf.map { MerkleNode(leaf: $0, key: first.key) } }
    let middle = split(leaves, at: depth)
    return MerkleNode(
      left: built(depth: depth + 1, leaves[..<middle]), right: built(depth: depth + 1, leaves[middle...]))
  }

  /// The first position whose key has bit `depth` set.
  private static func split(_ changes: ArraySlice<Change>, at depth: Int) -> Int {
    var low = changes.startIndex
    var high = changes.endIndex
    while low < high {
      let middle = (low + high) >> 1
      if changes[middle].key.bit(depth) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
