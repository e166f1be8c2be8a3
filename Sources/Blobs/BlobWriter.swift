import Glibc
import Primitives
import Synchronization

/// Takes the bytes of one new blob piece by piece, in bounded memory. A writer that is dropped leaves nothing.
package final class BlobWriter: Sendable {
  private struct State {
    var content: OpenFile?
    var tree: TreeFile?
    var pending: [UInt8] = []
    var leaves: [Digest] = []
    var writtenLeaves = 0
    var size: UInt64 = 0
    var reserved: UInt64 = 0
  }

  private static let leafBatch = 1024

  private let store: BlobStore
  private let name: String
  private let state: Mutex<State>

  init(_ store: BlobStore) throws(BlobError) {
    self.store = store
    let name = store.state.withLock { store.incomingName(&$0) }
    self.name = name
    let folder = "\(store.directory)/incoming/\(name)"
    try makeDirectory(folder)
    var state = State()
    state.content = try OpenFile(folder + "/content", O_RDWR | O_CREAT | O_EXCL)
    state.tree = TreeFile(file: try OpenFile(folder + "/tree", O_RDWR | O_CREAT | O_EXCL))
    self.state = Mutex(state)
  }

  deinit { cancel() }

  /// Adds bytes at the end. Throws `.full`, `.tooLarge`, `.closed` or `.system`; the writer can then only be dropped.
  package func write(_ bytes: [UInt8]) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      guard state.content != nil else { throw .closedWriter }
      var offset = 0
      while offset < bytes.count {
        let count = min(bytes.count - offset, BlobLimits.chunkBytes - state.pending.count)
        state.pending += bytes[offset..<(offset + count)]
        offset += count
        if state.pending.count == BlobLimits.chunkBytes { try writeChunk(&state) }
      }
    }
  }

  /// Ends the blob and names it. `owner` pins it in the same moment, so that it cannot be evicted in between.
  package func finish(pinnedBy owner: String? = nil) throws(BlobError) -> BlobSummary {
    try finish(.file, hold: false, pinnedBy: owner)
  }

  func finish(_ kind: BlobKind, hold: Bool, pinnedBy owner: String?) throws(BlobError) -> BlobSummary {
    try state.withLock { state throws(BlobError) in
      guard let content = state.content, let tree = state.tree else { throw .closedWriter }
      if !state.pending.isEmpty || state.size == 0 { try writeChunk(&state) }
      try tree.writeLeaves(state.leaves, from: state.writtenLeaves)
      let top = try tree.buildLevels(chunkCount: BlobTree.chunkCount(size: state.size))
      try tree.writeHeader(kind, size: state.size)
      try content.synchronize()
      try tree.file.synchronize()
      let summary = BlobSummary(
        root: BlobTree.root(kind, size: state.size, top: top), size: state.size, kind: kind)
      let reserved = state.reserved
      state.reserved = 0
      state.content = nil
      state.tree = nil
      defer { removeTree("\(store.directory)/incoming", name) }
      try store.commit(
        "\(store.directory)/incoming/\(name)", summary, reserved: reserved, hold: hold, pinnedBy: owner)
      return summary
    }
  }

  /// Drops what was written.
  package func cancel() {
    state.withLock { state in
      guard state.content != nil else { return }
      state.content = nil
      state.tree = nil
      store.release(state.reserved)
      state.reserved = 0
      removeTree("\(store.directory)/incoming", name)
    }
  }

  private func writeChunk(_ state: inout State) throws(BlobError) {
    guard let content = state.content, let tree = state.tree else { throw .closedWriter }
    let size = state.size + UInt64(state.pending.count)
    guard size <= BlobLimits.maximumBlobBytes else {
      throw BlobError(.tooLarge, "A blob may have at most \(BlobLimits.maximumBlobBytes) bytes.")
    }
    let cost = BlobStore.cost(size: size)
    if cost > state.reserved {
      try store.reserve(cost - state.reserved)
      state.reserved = cost
    }
    try content.write(state.pending, at: Int(state.size))
    state.leaves.append(BlobTree.leaf(state.pending))
    if state.leaves.count == BlobWriter.leafBatch {
      try tree.writeLeaves(state.leaves, from: state.writtenLeaves)
      state.writtenLeaves += state.leaves.count
      state.leaves.removeAll(keepingCapacity: true)
    }
    state.size = size
    state.pending.removeAll(keepingCapacity: true)
  }
}

extension BlobError {
  fileprivate static var closedWriter: BlobError {
    BlobError(.closed, "This blob was finished or cancelled before.")
  }
}
