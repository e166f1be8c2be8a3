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
  enum Content {
    /// `place` is what the key is the hash of: the table's number and the key's bytes.
    case leaf(key: Bytes32, value: Digest, place: [UInt8])
    case inner(left: MerkleNode?, right: MerkleNode?)
  }

  let digest: Digest
  let content: Content
  /// The bytes that all entries below take in a snapshot, at most.
  let weight: Int

  /// A leaf (rule 1).
  init(key: Bytes32, value: Digest, place: [UInt8] = [], weight: Int = 0) {
    digest = Digest(domain: 0, Digest(key), value)
    content = .leaf(key: key, value: value, place: place)
    self.weight = weight
  }

  /// The leaf of an entry.
  convenience init(place: [UInt8], value: [UInt8]) {
    // The table is part of the place; the lengths of key and value take up to two and three bytes.
    self.init(
      key: Digest(hashing: place).value, value: Digest(hashing: value), place: place,
      weight: place.count + value.count + 5)
  }

  init(left: MerkleNode?, right: MerkleNode?) {
    digest = Digest(domain: 1, left?.digest ?? .zero, right?.digest ?? .zero)
    content = .inner(left: left, right: right)
    weight = (left?.weight ?? 0) + (right?.weight ?? 0)
  }

  /// The key hash of a leaf; nil for an inner node.
  var key: Bytes32? {
    if case .leaf(let key, _, _) = content { return key }
    return nil
  }

  /// The half below in which bit `bit` of the key hash is set or not; nil for a leaf.
  func child(_ bit: Bool) -> MerkleNode? {
    guard case .inner(let left, let right) = content else { return nil }
    return bit ? right : left
  }
}

/// A persistent tree: a copy is one reference.
struct MerkleTree: Sendable {
  /// A change of one leaf; nil removes it.
  struct Change {
    var key: Bytes32
    var leaf: MerkleNode?

    init(key: Bytes32, leaf: MerkleNode?) {
      self.key = key
      self.leaf = leaf
    }

    /// The entry at a place gets a value, or goes.
    init(place: [UInt8], value: [UInt8]?) {
      leaf = value.map { MerkleNode(place: place, value: $0) }
      key = leaf?.key ?? Digest(hashing: place).value
    }
  }

  private(set) var root: MerkleNode?

  /// The digest of all entries; zero when there is none.
  var digest: Digest { root?.digest ?? .zero }

  /// An empty tree.
  init() {}

  /// The subtree of leaves in ascending order of distinct key hashes that agree in their first `depth` bits.
  init(depth: Int, ascending leaves: [MerkleNode]) {
    root = MerkleTree.built(depth: depth, leaves[...])
  }

  /// Applies changes of distinct keys, in any order.
  mutating func apply(_ changes: [Change]) {
    let sorted = changes.sorted { $0.key < $1.key }
    root = MerkleTree.updated(root, depth: 0, sorted[...])
  }

  private static func updated(_ node: MerkleNode?, depth: Int, _ changes: ArraySlice<Change>) -> MerkleNode? {
    if changes.isEmpty { return node }
    guard let node else { return built(depth: depth, changes.compactMap(\.leaf)[...]) }
    if let key = node.key {
      var leaves = changes.compactMap(\.leaf)
      if !changes.contains(where: { $0.key == key }) {
        let place = leaves.firstIndex { $0.key.map { $0 > key } ?? false } ?? leaves.count
        leaves.insert(node, at: place)
      }
      return built(depth: depth, leaves[...])
    }
    let middle = split(changes) { $0.key.bit(depth) }
    let left = updated(node.child(false), depth: depth + 1, changes[..<middle])
    let right = updated(node.child(true), depth: depth + 1, changes[middle...])
    // Rule 2: what is left of a subtree after removals may be a single leaf, which then moves up.
    if left == nil, right == nil || right?.key != nil { return right }
    if right == nil, left?.key != nil { return left }
    return MerkleNode(left: left, right: right)
  }

  private static func built(depth: Int, _ leaves: ArraySlice<MerkleNode>) -> MerkleNode? {
    guard leaves.count > 1 else { return leaves.first }
    let middle = split(leaves) { $0.key?.bit(depth) ?? false }
    return MerkleNode(
      left: built(depth: depth + 1, leaves[..<middle]), right: built(depth: depth + 1, leaves[middle...]))
  }

  /// The first position for which `isRight` holds; it holds for all after it.
  private static func split<Element>(_ elements: ArraySlice<Element>, _ isRight: (Element) -> Bool) -> Int {
    var low = elements.startIndex
    var high = elements.endIndex
    while low < high {
      let middle = (low + high) >> 1
      if isRight(elements[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
