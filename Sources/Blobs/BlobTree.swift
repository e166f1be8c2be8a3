import Primitives

// How a root names bytes:
//
// 1. The bytes are cut into chunks of 256 KiB; the last is shorter, and no bytes at all are one empty chunk.
// 2. A leaf is H(0 ‖ chunk). Neighbours are joined level by level, H(1 ‖ left ‖ right); a node without a right
//    neighbour goes up as it is (the shape of RFC 9162, section 2.1).
// 3. The root is H(kind ‖ length of all bytes u64 ‖ top), kind 2 for a file and 3 for a directory: a file that holds
//    the bytes of a directory has another root.
// 4. The proof of a chunk is its siblings from the leaf upwards. Length and index fix how many there are and on which
//    side each stands, so each chunk has exactly one proof.

/// What the bytes of a blob mean.
package enum BlobKind: UInt8, Sendable, Hashable {
  /// Bytes for their own sake.
  case file = 2
  /// The entries of a directory.
  case directory = 3
}

/// The shape and hashes of a blob's tree.
package enum BlobTree {
  /// How many chunks bytes of this length have; at least one.
  package static func chunkCount(size: UInt64) -> Int {
    max(
      1,
      Int((min(size, BlobLimits.maximumBlobBytes) + UInt64(BlobLimits.chunkBytes) - 1) / UInt64(BlobLimits.chunkBytes)))
  }

  /// The length of the chunk at `index`.
  package static func chunkBytes(size: UInt64, index: Int) -> Int {
    let start = UInt64(index) * UInt64(BlobLimits.chunkBytes)
    return start >= size ? 0 : Int(min(size - start, UInt64(BlobLimits.chunkBytes)))
  }

  /// How many siblings the proof of a chunk has.
  package static func proofCount(size: UInt64, index: Int) -> Int {
    var count = 0
    forEachLevel(index, chunkCount(size: size)) { index, width in
      if index ^ 1 < width { count += 1 }
    }
    return count
  }

  /// Which kind of blob with this root has these bytes at this place; nil when none has.
  package static func kind(of chunk: BlobChunk, under root: Digest) -> BlobKind? {
    guard chunk.totalSize <= BlobLimits.maximumBlobBytes else { return nil }
    let count = chunkCount(size: chunk.totalSize)
    guard chunk.index >= 0, chunk.index < count,
      chunk.bytes.count == chunkBytes(size: chunk.totalSize, index: chunk.index),
      chunk.proof.count == proofCount(size: chunk.totalSize, index: chunk.index)
    else { return nil }
    var node = leaf(chunk.bytes)
    var used = 0
    forEachLevel(chunk.index, count) { index, width in
      guard index ^ 1 < width else { return }
      let sibling = chunk.proof[used]
      used += 1
      node = index & 1 == 1 ? join(sibling, node) : join(node, sibling)
    }
    for kind in [BlobKind.file, .directory] where self.root(kind, size: chunk.totalSize, top: node) == root {
      return kind
    }
    return nil
  }

  static func leaf(_ chunk: [UInt8]) -> Digest {
    var hasher = DigestHasher()
    hasher.update([0])
    hasher.update(chunk)
    return hasher.finish()
  }

  static func join(_ left: Digest, _ right: Digest) -> Digest { Digest(domain: 1, left, right) }

  static func root(_ kind: BlobKind, size: UInt64, top: Digest) -> Digest {
    var bytes = [kind.rawValue]
    bytes.append(littleEndian: size)
    return Digest(hashing: bytes + top.bytes)
  }

  /// The widths of all levels, from the leaves to the top.
  static func widths(chunkCount: Int) -> [Int] {
    var widths = [chunkCount]
    while let last = widths.last, last > 1 { widths.append((last + 1) / 2) }
    return widths
  }

  /// Walks from a leaf to below the top with the index and the width of each level.
  private static func forEachLevel(_ leaf: Int, _ chunkCount: Int, _ body: (Int, Int) -> Void) {
    var (index, width) = (leaf, chunkCount)
    while width > 1 {
      body(index, width)
      (index, width) = (index / 2, (width + 1) / 2)
    }
  }
}
