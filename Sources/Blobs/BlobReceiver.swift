import Glibc
import Primitives
import Synchronization

/// Takes the chunks of one blob in any order, from anybody, and checks each against the root before it is written.
/// What was received stays on disk when the receiver is dropped; the next one for the same root goes on from there.
package final class BlobReceiver: Sendable {
  private struct State {
    var content: OpenFile?
    var tree: TreeFile?
    var have: Bitmap
  }

  /// The blob in receipt.
  package let summary: BlobSummary
  private let store: BlobStore
  private let state: Mutex<State>

  /// See `BlobStore.receiver`.
  fileprivate init(_ store: BlobStore, _ summary: BlobSummary) throws(BlobError) {
    self.store = store
    self.summary = summary
    let count = BlobTree.chunkCount(size: summary.size)
    let folder = store.path("partial", summary.root)
    let resumes = try store.beginPartial(summary)
    do throws(BlobError) {
      try makeDirectory(folder)
      let content = try OpenFile(folder + "/content", O_RDWR | O_CREAT)
      let tree = TreeFile(file: try OpenFile(folder + "/tree", O_RDWR | O_CREAT))
      var have = Bitmap(count: count)
      if resumes {
        try BlobReceiver.checkReceived(content, tree, summary, &have)
      } else {
        guard ftruncate(content.descriptor, Int(summary.size)) == 0 else { throw .system("Making \(content.path)") }
        try tree.writeHeader(summary.kind, size: summary.size)
      }
      state = Mutex(State(content: content, tree: tree, have: have))
    } catch {
      store.endPartial(summary.root)
      throw error
    }
  }

  deinit { cancel() }

  /// How many chunks the blob has.
  package var chunkCount: Int { BlobTree.chunkCount(size: summary.size) }

  /// How many of them are here.
  package var receivedCount: Int { state.withLock { $0.have.setCount } }

  /// Whether all chunks are here, so that `finish` may be called.
  package var isComplete: Bool { receivedCount == chunkCount }

  /// The first chunk at or behind `index` that is not here.
  package func firstMissing(from index: Int = 0) -> Int? { state.withLock { $0.have.firstClear(from: index) } }

  /// Checks and writes a chunk; false when it was here already.
  ///
  /// - Throws: `.wrongChunk` where it does not belong to the root (whoever sent it is to blame), `.closed`, `.system`.
  @discardableResult
  package func accept(_ chunk: BlobChunk) throws(BlobError) -> Bool {
    guard chunk.totalSize == summary.size, BlobTree.kind(of: chunk, under: summary.root) == summary.kind else {
      store.count { $0.chunksRefused += 1 }
      throw BlobError(.wrongChunk, "A received chunk does not belong to the blob \(summary.root).")
    }
    let isNew = try state.withLock { state throws(BlobError) in
      guard let content = state.content, let tree = state.tree else { throw .closedReceiver }
      guard !state.have[chunk.index] else { return false }
      try content.write(chunk.bytes, at: chunk.index * BlobLimits.chunkBytes)
      try tree.writeLeaves([BlobTree.leaf(chunk.bytes)], from: chunk.index)
      state.have.set(chunk.index)
      return true
    }
    if isNew { store.count { $0.chunksReceived += 1 } }
    return isNew
  }

  /// Makes the blob one of the store's. `owner` pins it in the same moment.
  ///
  /// - Throws: `.missing` while chunks are, `.damaged` where the disk changed what it was given (it is then received
  ///   anew), `.closed`, `.system`.
  package func finish(pinnedBy owner: String? = nil) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      guard let content = state.content, let tree = state.tree else { throw .closedReceiver }
      guard state.have.setCount == chunkCount else {
        throw BlobError(.missing, "Chunks of the blob \(summary.root) are missing.")
      }
      let top = try tree.buildLevels(chunkCount: chunkCount)
      guard BlobTree.root(summary.kind, size: summary.size, top: top) == summary.root else {
        state.content = nil
        state.tree = nil
        store.dropPartial(summary.root)
        throw BlobError(
          .damaged, "The disk changed what was received of the blob \(summary.root). Check the disk; fetch it again.")
      }
      try content.synchronize()
      try tree.file.synchronize()
      state.content = nil
      state.tree = nil
      try store.commitPartial(summary, pinnedBy: owner)
    }
  }

  /// Stops receiving and keeps what is here for the next receiver, until the store needs the room.
  package func cancel() {
    state.withLock { state in
      guard state.content != nil else { return }
      state.content = nil
      state.tree = nil
      store.endPartial(summary.root)
    }
  }

  /// Counts as received only what hashes to its leaf: a crash may have kept one of the two writes.
  private static func checkReceived(
    _ content: OpenFile, _ tree: TreeFile, _ summary: BlobSummary, _ have: inout Bitmap
  ) throws(BlobError) {
    for index in 0..<BlobTree.chunkCount(size: summary.size) {
      guard let leaf = try tree.node(index) else { break }
      guard leaf != .zero else { continue }
      let count = BlobTree.chunkBytes(size: summary.size, index: index)
      if BlobTree.leaf(try content.read(count: count, at: index * BlobLimits.chunkBytes)) == leaf { have.set(index) }
    }
  }
}

extension BlobStore {
  /// Begins or goes on receiving a blob whose root, size and kind are known; `BlobTree.kind(of:under:)` of any one
  /// right chunk tells the latter two.
  ///
  /// - Throws: `.exists` where it is here already, `.busy` where another receiver is at it, `.full`, `.tooLarge`,
  ///   `.system`.
  package func receiver(_ summary: BlobSummary) throws(BlobError) -> BlobReceiver {
    guard summary.size <= BlobLimits.maximumBlobBytes else {
      throw BlobError(.tooLarge, "A blob may have at most \(BlobLimits.maximumBlobBytes) bytes.")
    }
    return try BlobReceiver(self, summary)
  }

  /// Takes the partial blob for one receiver; answers whether there is something to go on from.
  fileprivate func beginPartial(_ summary: BlobSummary) throws(BlobError) -> Bool {
    let header = try? TreeFile(file: try OpenFile(path("partial", summary.root) + "/tree", O_RDONLY)).header()
    return try state.withLock { state throws(BlobError) in
      guard state.blobs[summary.root] == nil else {
        throw BlobError(.exists, "The blob \(summary.root) is in the store already.")
      }
      if let partial = state.partials[summary.root] {
        guard !partial.isActive else {
          throw BlobError(.busy, "The blob \(summary.root) is being received already.")
        }
        if let header, header.kind == summary.kind, header.size == summary.size {
          state.partials[summary.root]?.isActive = true
          return true
        }
        removePartial(summary.root, &state)
      }
      let cost = BlobStore.cost(size: summary.size)
      try reserve(cost, &state)
      state.partials[summary.root] = Partial(cost: cost, isActive: true, lastUse: state.nextUse())
      return false
    }
  }

  fileprivate func endPartial(_ root: Digest) {
    state.withLock { state in
      let use = state.nextUse()
      state.partials[root]?.isActive = false
      state.partials[root]?.lastUse = use
    }
  }

  fileprivate func dropPartial(_ root: Digest) { state.withLock { removePartial(root, &$0) } }

  fileprivate func commitPartial(_ summary: BlobSummary, pinnedBy owner: String?) throws(BlobError) {
    let reserved = state.withLock { $0.partials.removeValue(forKey: summary.root)?.cost ?? 0 }
    defer { removeTree(directory + "/partial", summary.root.description) }
    try commit(path("partial", summary.root), summary, reserved: reserved, pinnedBy: owner)
  }
}

extension BlobError {
  fileprivate static var closedReceiver: BlobError {
    BlobError(.closed, "The receipt of this blob was finished or cancelled before.")
  }
}

/// One bit for each chunk.
struct Bitmap: Sendable {
  let count: Int
  private(set) var setCount = 0
  private var words: [UInt64]

  init(count: Int) {
    self.count = count
    words = [UInt64](repeating: 0, count: (count + 63) / 64)
  }

  subscript(index: Int) -> Bool { words[index / 64] >> UInt64(index % 64) & 1 == 1 }

  mutating func set(_ index: Int) {
    if !self[index] { setCount += 1 }
    words[index / 64] |= 1 << UInt64(index % 64)
  }

  func firstClear(from start: Int) -> Int? {
    var index = start
    while index < count {
      // Bits below `index` count as set, so that the first clear one of the word is at or behind it.
      let word = words[index / 64] | ((1 << UInt64(index % 64)) - 1)
      if word != .max {
        let found = index / 64 * 64 + (~word).trailingZeroBitCount
        return found < count ? found : nil
      }
      index = (index / 64 + 1) * 64
    }
    return nil
  }
}
