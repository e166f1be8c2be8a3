import Primitives
import Testing

@testable import Ledger

@Suite struct MerkleTreeTests {
  /// The rules of MerkleTree.swift once more, without anything kept: the root of leaves below `depth`.
  private func root(_ leaves: [(key: Bytes32, leaf: Digest)], depth: Int = 0) -> Digest {
    if leaves.isEmpty { return .zero }
    if leaves.count == 1 { return leaves[0].leaf }
    return Digest(
      domain: 1, root(leaves.filter { !$0.key.bit(depth) }, depth: depth + 1),
      root(leaves.filter { $0.key.bit(depth) }, depth: depth + 1))
  }

  @Test func theRootIsAFunctionOfTheEntries() {
    var random = SeededGenerator(seed: 11)
    var tree = MerkleTree()
    var entries = Table<Bytes32, MerkleNode>()
    var versions: [(MerkleTree, Digest)] = []
    for round in 0..<120 {
      var changes = Table<Bytes32, MerkleNode?>()
      for _ in 0..<random.index(below: 12) {
        // Keys that differ in their last bits only make long paths.
        var bytes = [UInt8](repeating: 0, count: 31) + [UInt8(random.index(below: 40))]
        if random.index(below: 2) == 0 { bytes[0] = UInt8(random.index(below: 40)) }
        let key = Bytes32(bytes) ?? Bytes32()
        let leaf = random.index(below: 3) == 0 ? nil : MerkleNode(key: key, value: Digest(number(random.next())))
        changes.updateValue(leaf, forKey: key)
      }
      for (key, leaf) in changes { entries[key] = leaf }
      tree.apply(changes.map { MerkleTree.Change(key: $0.key, leaf: $0.value) }.reversed())
      #expect(tree.digest == root(entries.map { ($0.key, $0.value.digest) }), "round \(round)")
      versions.append((tree, tree.digest))
    }
    #expect(versions.allSatisfy { $0.0.root?.digest ?? .zero == $0.1 })
    tree.apply(entries.map { MerkleTree.Change(key: $0.key, leaf: nil) })
    #expect(tree.root == nil)
  }

  @Test func unchangedPartsAreShared() throws {
    var tree = MerkleTree()
    tree.apply(
      (0..<1_000).map {
        MerkleTree.Change(key: number($0), leaf: MerkleNode(key: number($0), value: Digest(number($0, 1))))
      })
    let before = try #require(tree.root)
    let key = number(5)
    tree.apply([MerkleTree.Change(key: key, leaf: MerkleNode(key: key, value: Digest(number(1, 2))))])
    let after = try #require(tree.root)
    #expect(after.digest != before.digest)
    #expect(after.child(!key.bit(0)) === before.child(!key.bit(0)))
  }
}
