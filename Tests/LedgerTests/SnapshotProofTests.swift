import Primitives
import Testing
import Wire

@testable import Ledger

/// Nothing that a chunk proves can be otherwise.
@Suite struct SnapshotProofTests {
  /// A tree over some attestations, and all that a liar could know of it.
  private struct Sample {
    var entries: [(hash: Bytes32, entry: SnapshotEntry)] = []
    var snapshot: StateSnapshot

    /// `count` entries; the key hashes of the last `close` of them agree in their first six bits or more.
    init(count: Int, close: Int = 0) {
      var view = StateView(base: StateTables(), below: [])
      var chosen: [NodeID] = []
      var salt: UInt64 = 0
      var anchor: Bytes32?
      while chosen.count < count {
        salt += 1
        let id = NodeID(number(salt, 60))
        let hash = Digest(hashing: [11] + id.bytes).value
        if chosen.count >= count - close {
          if let anchor, (anchor.firstDifferingBit(from: hash) ?? 256) < 6 { continue }
          anchor = anchor ?? hash
        }
        chosen.append(id)
        view.validators[id] = ValidatorRecord(stakeMicrocredits: salt, key: id)
      }
      var tree = MerkleTree()
      tree.apply(view.changes.leaves)
      snapshot = StateSnapshot(view: view, tree: tree, height: 7)
      let all = snapshot.chunk(covering: .zero, depth: 0).entries
      entries = all.map { (Digest(hashing: [$0.table] + $0.key).value, $0) }
    }

    func entries(below prefix: Bytes32, depth: Int) -> [SnapshotEntry] {
      entries.filter { SnapshotChunk.prefix(of: $0.hash, depth: depth) == prefix }.map(\.entry)
    }

    func verifies(_ chunk: SnapshotChunk) -> Bool { chunk.verify(stateRoot: snapshot.stateRoot, height: 7) }
  }

  private func changed(_ entry: SnapshotEntry) -> SnapshotEntry {
    SnapshotEntry(
      table: entry.table, key: entry.key, value: entry.value.dropLast() + [entry.value.last.map { $0 ^ 1 } ?? 0])
  }

  private func with(
    _ chunk: SnapshotChunk, entries: [SnapshotEntry]? = nil, prefix: Digest? = nil, depth: Int? = nil,
    siblings: [MerkleSibling]? = nil
  ) -> SnapshotChunk {
    SnapshotChunk(
      height: chunk.height, depth: depth.map { UInt8($0) } ?? chunk.depth, prefix: prefix ?? chunk.prefix,
      entries: entries ?? chunk.entries, siblings: siblings ?? chunk.siblings)
  }

  @Test(arguments: [(0, 0), (1, 0), (2, 0), (2, 2), (3, 2), (5, 3), (24, 4), (400, 3)])
  func whatIsLeftOutAddedChangedOrMovedDoesNotVerify(count: Int, close: Int) throws {
    let sample = Sample(count: count, close: close)
    let stranger = Sample(count: count + 1).entries.map(\.entry).filter { !sample.entries.map(\.entry).contains($0) }
    let depths = count > 100 ? [1, 5, 32] : Array(0...12) + [20, 31, 32]
    for depth in depths {
      // Around every entry, and in places where there is none.
      let around = sample.entries.suffix(count > 100 ? 4 : 24).map(\.hash) + (0..<6).map { number($0, 61) }
      for place in around {
        let prefix = SnapshotChunk.prefix(of: place, depth: depth)
        let chunk = sample.snapshot.chunk(covering: Digest(place), depth: depth)
        #expect(chunk.entries == sample.entries(below: prefix, depth: depth))
        #expect(sample.verifies(chunk))
        #expect(try SnapshotChunk(decoding: chunk.encoded) == chunk)
        for index in chunk.entries.indices.prefix(count > 100 ? 1 : 8) {
          var less = chunk.entries
          less.remove(at: index)
          #expect(!sample.verifies(with(chunk, entries: less)))
          // Not even with the entry named as a neighbour instead.
          let hash = try #require(sample.entries.first { $0.entry == chunk.entries[index] }).hash
          let leaf = MerkleSibling.leaf(key: Digest(hash), value: Digest(hashing: chunk.entries[index].value))
          for level in 0..<depth {
            var siblings = chunk.siblings + Array(repeating: .empty, count: max(0, level + 1 - chunk.siblings.count))
            siblings[level] = leaf
            #expect(!sample.verifies(with(chunk, entries: less, siblings: siblings)))
            siblings[level] = .inner(Digest(domain: 0, Digest(hash), Digest(hashing: chunk.entries[index].value)))
            #expect(!sample.verifies(with(chunk, entries: less, siblings: siblings)))
          }
          var other = chunk.entries
          other[index] = changed(other[index])
          #expect(!sample.verifies(with(chunk, entries: other)))
        }
        for extra in stranger.prefix(2) + sample.entries.map(\.entry).filter({ !chunk.entries.contains($0) }).prefix(2)
        {
          let more = (chunk.entries + [extra]).sorted {
            Digest(hashing: [$0.table] + $0.key) < Digest(hashing: [$1.table] + $1.key)
          }
          #expect(!sample.verifies(with(chunk, entries: more)))
        }
        if chunk.entries.count > 1 { #expect(!sample.verifies(with(chunk, entries: chunk.entries.reversed()))) }
        if let first = chunk.entries.first { #expect(!sample.verifies(with(chunk, entries: [first] + chunk.entries))) }
        #expect(!chunk.verify(stateRoot: sample.snapshot.stateRoot, height: 8))
        #expect(!chunk.verify(stateRoot: Digest(number(1)), height: 7))
        if depth > 0 {
          for level in 0..<depth {
            var bytes = prefix.bytes
            bytes[level / 8] ^= 0x80 >> UInt8(level % 8)
            let moved = try #require(Bytes32(bytes))
            // Only what is true there verifies there: nothing, where there is nothing.
            let truth = sample.entries(below: moved, depth: depth)
            let isTrue = truth.isEmpty && chunk.entries.isEmpty
            #expect(isTrue || !sample.verifies(with(chunk, prefix: Digest(moved))))
          }
          #expect(!sample.verifies(with(chunk, siblings: chunk.siblings + [.empty])))
        }
        for level in chunk.siblings.indices {
          var siblings = chunk.siblings
          siblings[level] = .inner(Digest(number(3)))
          #expect(!sample.verifies(with(chunk, siblings: siblings)))
          siblings[level] = .inner(.zero)
          #expect(!sample.verifies(with(chunk, siblings: siblings)))
          if siblings[level] != .empty {
            siblings[level] = .empty
            while siblings.last == .empty { siblings.removeLast() }
            #expect(siblings == chunk.siblings || !sample.verifies(with(chunk, siblings: siblings)))
          }
        }
      }
    }
  }

  /// Every chunk that can be made of the pieces of a small state: what verifies is the truth.
  @Test(arguments: [(1, 0), (2, 0), (2, 2), (3, 0), (3, 2)])
  func noCombinationOfTruePiecesProvesAnUntruth(count: Int, close: Int) {
    let sample = Sample(count: count, close: close)
    var pieces: [MerkleSibling] = [.empty]
    func collect(_ node: MerkleNode?) {
      guard let node else { return }
      pieces.append(.inner(node.digest))
      if case .leaf(let key, let value, _) = node.content { pieces.append(.leaf(key: Digest(key), value: value)) }
      collect(node.child(false))
      collect(node.child(true))
    }
    collect(sample.snapshot.tree.root)
    let subsets = (0..<(1 << count)).map { mask in
      sample.entries.indices.filter { mask >> $0 & 1 == 1 }.map { sample.entries[$0].entry }
    }
    var proven = 0
    for depth in 0...3 {
      var lists: [[MerkleSibling]] = [[]]
      var all: [[MerkleSibling]] = [[]]
      for _ in 0..<depth {
        lists = lists.flatMap { list in pieces.map { list + [$0] } }
        all += lists
      }
      for prefix in 0..<(1 << depth) {
        let start = Bytes32([UInt8(prefix << (8 - depth) & 0xff)] + [UInt8](repeating: 0, count: 31)) ?? Bytes32()
        let truth = sample.entries(below: start, depth: depth)
        for entries in subsets {
          for siblings in all {
            let chunk = SnapshotChunk(
              height: 7, depth: UInt8(depth), prefix: Digest(start), entries: entries, siblings: siblings)
            guard sample.verifies(chunk) else { continue }
            proven += 1
            if entries != truth { Issue.record("\(entries.count) entries instead of \(truth.count) at \(depth)") }
          }
        }
      }
    }
    // One form at least for each of the 15 subtrees.
    #expect(proven >= 15)
  }

  @Test func formsThatNoNodeMakesAreRefused() {
    let sample = Sample(count: 3)
    let chunk = sample.snapshot.chunk(covering: Digest(number(0, 61)), depth: 3)
    #expect(sample.verifies(chunk))
    #expect(!sample.verifies(with(chunk, depth: 33)))
    #expect(!sample.verifies(with(chunk, prefix: Digest(Bytes32([UInt8](repeating: 0xff, count: 32)) ?? Bytes32()))))
    #expect(!sample.verifies(with(chunk, siblings: Array(repeating: .inner(Digest(number(1))), count: 4))))
    let flood = Array(repeating: chunk.entries.first ?? SnapshotEntry(table: 0, key: [], value: []), count: 16_385)
    #expect(!sample.verifies(with(chunk, entries: flood)))
  }
}
