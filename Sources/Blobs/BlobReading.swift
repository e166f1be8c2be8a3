import Glibc
import Primitives

extension BlobStore {
  /// One chunk with its proof, checked against the root before it is given out.
  ///
  /// - Throws: `.missing` where the blob or such a chunk is not here, `.damaged` where the disk changed it.
  package func read(_ root: Digest, chunk index: Int) throws(BlobError) -> BlobChunk {
    let reader = try BlobReader(self, root)
    if index == 0 { touch(root) }
    return try reader.chunk(index)
  }

  /// The chunks that a peer asked for, at most 512 KiB of them; empty where the blob is not here.
  package func answer(_ request: BlobRequest) -> [BlobChunk] {
    guard request.firstChunk >= 0, let reader = try? BlobReader(self, request.root) else { return [] }
    if request.firstChunk == 0 { touch(request.root) }
    var chunks: [BlobChunk] = []
    for offset in 0..<max(0, min(request.count, BlobLimits.maximumAnswerChunks)) {
      guard let chunk = try? reader.chunk(request.firstChunk + offset) else { break }
      chunks.append(chunk)
    }
    return chunks
  }

  /// All bytes of a blob of at most `limit` bytes.
  package func bytes(of root: Digest, limit: Int) throws(BlobError) -> [UInt8] {
    let reader = try BlobReader(self, root)
    guard reader.summary.size <= UInt64(clamping: limit) else {
      throw BlobError(.tooLarge, "The blob \(root) has \(reader.summary.size) bytes, over the bound of \(limit).")
    }
    touch(root)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(reader.summary.size))
    for index in 0..<reader.chunkCount { bytes += try reader.chunk(index).bytes }
    return bytes
  }

  /// The entries of a directory.
  package func entries(of root: Digest) throws(BlobError) -> [BlobEntry] {
    guard let summary = summary(of: root) else { throw .missing(root) }
    guard summary.kind == .directory else {
      throw BlobError(.wrongEntry, "The blob \(root) is a file, not a directory.")
    }
    touch(root)
    return try entries(of: root, size: summary.size)
  }

  /// As above, without the lock and without counting as a use.
  func entries(of root: Digest, size: UInt64) throws(BlobError) -> [BlobEntry] {
    guard size <= UInt64(BlobLimits.maximumManifestBytes) else {
      throw BlobError(.badManifest, "The directory \(root) is over the bound.")
    }
    let reader = try BlobReader(path("blobs", root), BlobSummary(root: root, size: size, kind: .directory))
    var bytes: [UInt8] = []
    for index in 0..<reader.chunkCount { bytes += try reader.chunk(index).bytes }
    return try DirectoryManifest.decode(bytes)
  }

  /// What is not here of a blob and all below it, at most `limit` roots; empty when `export` has all it needs.
  package func missing(below root: Digest, limit: Int = 1000) -> [Digest] {
    var missing: [Digest] = []
    var seen = Set<Digest>()
    var open = [root]
    while let root = open.popLast(), missing.count < limit, seen.count < BlobLimits.maximumTreeEntries {
      guard seen.insert(root).inserted else { continue }
      guard let summary = summary(of: root) else {
        missing.append(root)
        continue
      }
      if summary.kind == .directory { open += ((try? entries(of: root)) ?? []).compactMap(\.root) }
    }
    return missing
  }
}

extension BlobError {
  static func missing(_ root: Digest) -> BlobError {
    BlobError(.missing, "The blob \(root) is not in the store. Add it, or fetch it from a node that has it.")
  }
}

/// A blob that is open for reading; it can be read to its end even if it is evicted meanwhile.
struct BlobReader {
  let summary: BlobSummary
  private let content: OpenFile
  private let tree: TreeFile
  private let store: BlobStore?

  var chunkCount: Int { BlobTree.chunkCount(size: summary.size) }

  init(_ store: BlobStore, _ root: Digest) throws(BlobError) {
    guard let summary = store.summary(of: root) else { throw .missing(root) }
    do throws(BlobError) {
      try self.init(store.path("blobs", root), summary, store)
    } catch {
      // Evicted between the two lines.
      throw error.errorNumber == ENOENT ? .missing(root) : error
    }
  }

  init(_ path: String, _ summary: BlobSummary, _ store: BlobStore? = nil) throws(BlobError) {
    self.summary = summary
    self.store = store
    content = try OpenFile(path + "/content", O_RDONLY)
    tree = TreeFile(file: try OpenFile(path + "/tree", O_RDONLY))
  }

  func chunk(_ index: Int) throws(BlobError) -> BlobChunk {
    guard index >= 0, index < chunkCount else {
      throw BlobError(.missing, "The blob \(summary.root) has \(chunkCount) chunks, none with the index \(index).")
    }
    let count = BlobTree.chunkBytes(size: summary.size, index: index)
    let chunk = BlobChunk(
      index: index, bytes: try content.read(count: count, at: index * BlobLimits.chunkBytes),
      proof: try tree.proof(index: index, chunkCount: chunkCount), totalSize: summary.size)
    guard BlobTree.kind(of: chunk, under: summary.root) == summary.kind else {
      store?.count { $0.chunksDamaged += 1 }
      throw BlobError(
        .damaged,
        "Chunk \(index) of the blob \(summary.root) was changed on this disk. "
          + "Remove the blob, check the disk, and add or fetch the blob again.")
    }
    store?.count { $0.chunksRead += 1 }
    return chunk
  }
}
