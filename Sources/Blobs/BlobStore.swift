import CLinux
import Glibc
import Primitives
import Synchronization

// On disk, below the store's directory:
//   blobs/<root>/{content,tree}     whole blobs; the directory gets this name by a rename, when both files are durable
//   partial/<root>/{content,tree}   blobs in receipt; what is there is checked again before it is counted as received
//   incoming/                       imports in progress and blobs in removal; emptied when the store is opened
//   pins/<root>                     the owners of the root's pins, a line each
//
// What is evicted, when room is needed: first partial blobs that nobody receives at the moment, then whole blobs, the
// least recently used first. Never: a pinned root, anything below a pinned directory, anything in an import under way.

/// What a blob is.
package struct BlobSummary: Hashable, Sendable {
  /// Its name.
  package var root: Digest
  /// Its length in bytes; of a directory, that of its entries.
  package var size: UInt64
  /// File or directory.
  package var kind: BlobKind

  /// Describes a blob.
  package init(root: Digest, size: UInt64, kind: BlobKind) {
    self.root = root
    self.size = size
    self.kind = kind
  }
}

/// Figures since the store was opened, for `status`.
package struct BlobCounters: Equatable, Sendable {
  /// Chunks given to readers and peers.
  package var chunksRead = 0
  /// Chunks received and found right.
  package var chunksReceived = 0
  /// Chunks received and found wrong.
  package var chunksRefused = 0
  /// Chunks on this disk that no longer hash to their root.
  package var chunksDamaged = 0
  /// Blobs evicted, partial ones included.
  package var evicted = 0
}

/// A content-addressed store of bytes of any length and of directories, with a cap on what it takes on disk.
///
/// Every method may be called from any thread. They block on the disk, so keep them off event loops. Content is read,
/// written and hashed without the lock; removing blobs and reading the entries of pinned directories to spare what is
/// below them happens with it.
package final class BlobStore: Sendable {
  /// What a blob takes besides its bytes: directory entries, inodes, the last blocks' slack.
  private static let overheadBytes: UInt64 = 8 << 10

  struct Blob {
    var summary: BlobSummary
    var lastUse: UInt64
    /// Imports under way that need it.
    var holds = 0
    /// The roots that a directory names, once they were read.
    var children: [Digest]?
  }

  struct Partial {
    var cost: UInt64
    var isActive: Bool
    var lastUse: UInt64
  }

  struct State {
    var blobs: [Digest: Blob] = [:]
    var partials: [Digest: Partial] = [:]
    var pins: [Digest: Set<String>] = [:]
    var usedBytes: UInt64 = 0
    var uses: UInt64 = 0
    var nextIncoming = 0
    var counters = BlobCounters()

    mutating func nextUse() -> UInt64 {
      uses += 1
      return uses
    }
  }

  let directory: String
  /// The cap on content, trees and a share for each blob, in bytes.
  package let maximumBytes: UInt64
  let state = Mutex(State())
  private let lock: OpenFile

  /// Opens the store in `directory`, which is made if it is missing.
  ///
  /// - Throws: `.locked` where another process has it, `.system`.
  package init(directory: String, maximumBytes: UInt64) throws(BlobError) {
    self.directory = directory
    self.maximumBytes = maximumBytes
    try makeDirectory(directory)
    lock = try OpenFile(directory, O_RDONLY | O_DIRECTORY)
    let locked = linnet_lock_file(lock.descriptor)
    guard locked == 0 else {
      throw BlobError(
        .locked, "\(directory) is in use by another process. Stop the other daemon", errorNumber: -locked)
    }
    removeTree(directory, "incoming")
    for name in ["blobs", "partial", "incoming", "pins"] { try makeDirectory(directory + "/" + name) }
    try loadPins()
    try loadBlobs()
    try loadPartials()
  }

  /// Whether the blob is here whole. Of a directory, this says nothing about what it names; see `missing`.
  package func has(_ root: Digest) -> Bool { summary(of: root) != nil }

  /// The length of a blob in bytes; nil when it is not here.
  package func size(of root: Digest) -> UInt64? { summary(of: root)?.size }

  /// What is known of a blob; nil when it is not here.
  package func summary(of root: Digest) -> BlobSummary? { state.withLock { $0.blobs[root]?.summary } }

  /// All blobs that are here whole, in the order of their roots.
  package func list() -> [BlobSummary] {
    state.withLock { state in state.blobs.values.map(\.summary).sorted { $0.root < $1.root } }
  }

  /// What all blobs take, counted as `maximumBytes` counts.
  package var usedBytes: UInt64 { state.withLock { $0.usedBytes } }

  /// Figures since the store was opened.
  package var counters: BlobCounters { state.withLock { $0.counters } }

  /// Removes a blob, pinned or not; what a directory names stays. False when it was not here.
  @discardableResult
  package func remove(_ root: Digest) -> Bool {
    state.withLock { state in
      guard state.blobs[root] != nil else { return false }
      removeBlob(root, &state)
      return true
    }
  }

  static func cost(size: UInt64) -> UInt64 { size + UInt64(TreeFile.byteCount(size: size)) + overheadBytes }

  func path(_ folder: String, _ root: Digest) -> String { "\(directory)/\(folder)/\(root)" }

  /// Notes that a blob was used, on disk too, so that the order outlives the daemon.
  func touch(_ root: Digest) {
    state.withLock { state in
      guard state.blobs[root] != nil else { return }
      let use = state.nextUse()
      state.blobs[root]?.lastUse = use
      setUseTime(path("blobs", root))
    }
  }

  func count(_ body: (inout BlobCounters) -> Void) { state.withLock { body(&$0.counters) } }

  private func setUseTime(_ path: String) {
    // The kernel's own stamp is coarse: two uses in one tick would be told apart no more.
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    _ = utimensat(AT_FDCWD, path, [now, now], 0)
  }
}

// Room.
extension BlobStore {
  /// Takes `bytes` of the cap, evicting what may go; throws `.full` where that is not enough.
  func reserve(_ bytes: UInt64) throws(BlobError) {
    try state.withLock { state throws(BlobError) in try reserve(bytes, &state) }
  }

  func reserve(_ bytes: UInt64, _ state: inout State) throws(BlobError) {
    if !fits(bytes, state) { evict(for: bytes, &state) }
    guard fits(bytes, state) else {
      throw BlobError(
        .full,
        "The blob store is full: \(state.usedBytes) of \(maximumBytes) bytes are in use and none of them may go. "
          + "Unpin or remove blobs, or raise its cap.")
    }
    state.usedBytes += bytes
  }

  func release(_ bytes: UInt64) { state.withLock { $0.usedBytes -= min(bytes, $0.usedBytes) } }

  private func fits(_ bytes: UInt64, _ state: State) -> Bool {
    state.usedBytes <= maximumBytes && bytes <= maximumBytes - state.usedBytes
  }

  private func evict(for bytes: UInt64, _ state: inout State) {
    let idle = state.partials.filter { !$0.value.isActive && state.pins[$0.key] == nil }
    for (root, _) in idle.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
      if fits(bytes, state) { return }
      removePartial(root, &state)
      state.counters.evicted += 1
    }
    let protected = protectedRoots(&state)
    let candidates = state.blobs.filter { $0.value.holds == 0 && !protected.contains($0.key) }
    for (root, _) in candidates.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
      if fits(bytes, state) { return }
      removeBlob(root, &state)
      state.counters.evicted += 1
    }
  }

  /// Every root that is pinned, and all below the directories among them.
  private func protectedRoots(_ state: inout State) -> Set<Digest> {
    var protected = Set<Digest>()
    var open = Array(state.pins.keys)
    while let root = open.popLast() {
      guard protected.insert(root).inserted, let blob = state.blobs[root], blob.summary.kind == .directory else {
        continue
      }
      let children = blob.children ?? ((try? entries(of: root, size: blob.summary.size)) ?? []).compactMap(\.root)
      state.blobs[root]?.children = children
      open += children
    }
    return protected
  }

  private func removeBlob(_ root: Digest, _ state: inout State) {
    guard let blob = state.blobs.removeValue(forKey: root) else { return }
    state.usedBytes -= min(BlobStore.cost(size: blob.summary.size), state.usedBytes)
    discard(path("blobs", root), &state)
  }

  func removePartial(_ root: Digest, _ state: inout State) {
    guard let partial = state.partials.removeValue(forKey: root) else { return }
    state.usedBytes -= min(partial.cost, state.usedBytes)
    discard(path("partial", root), &state)
  }

  /// Takes the name away at once, so that a crash in the middle leaves no half of a blob under it.
  private func discard(_ path: String, _ state: inout State) {
    let name = incomingName(&state)
    if rename(path, "\(directory)/incoming/\(name)") == 0 { removeTree("\(directory)/incoming", name) }
  }

  func incomingName(_ state: inout State) -> String {
    state.nextIncoming += 1
    return String(state.nextIncoming)
  }
}

// Whole blobs coming in.
extension BlobStore {
  /// Gives a finished folder with durable files its name. `reserved` bytes of the cap were taken for it before.
  /// Where the blob is here already, the folder is dropped.
  func commit(
    _ folder: String, _ summary: BlobSummary, reserved: UInt64, hold: Bool = false, pinnedBy owner: String?
  ) throws(BlobError) {
    let isNewPin = try owner.map { owner throws(BlobError) in try pin(summary.root, by: owner) } ?? false
    do throws(BlobError) {
      try place(folder, summary, reserved: reserved, hold: hold)
      try synchronizeDirectory(directory + "/blobs")
    } catch {
      if isNewPin, let owner { try? unpin(summary.root, by: owner) }
      throw error
    }
  }

  private func place(
    _ folder: String, _ summary: BlobSummary, reserved: UInt64, hold: Bool
  ) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      var reserved = reserved
      if state.blobs[summary.root] == nil {
        let cost = BlobStore.cost(size: summary.size)
        if cost > reserved { try reserve(cost - reserved, &state) }
        state.usedBytes -= min(reserved > cost ? reserved - cost : 0, state.usedBytes)
        reserved = 0
        guard rename(folder, path("blobs", summary.root)) == 0 else {
          let error = BlobError.system("Naming the blob \(summary.root)")
          state.usedBytes -= min(cost, state.usedBytes)
          throw error
        }
        state.blobs[summary.root] = Blob(summary: summary, lastUse: 0)
      }
      state.usedBytes -= min(reserved, state.usedBytes)
      if hold { state.blobs[summary.root]?.holds += 1 }
      let use = state.nextUse()
      state.blobs[summary.root]?.lastUse = use
      setUseTime(path("blobs", summary.root))
    }
  }

  /// Lets what an import held be evicted again.
  func unhold(_ roots: [Digest]) {
    state.withLock { state in
      for root in roots where (state.blobs[root]?.holds ?? 0) > 0 { state.blobs[root]?.holds -= 1 }
    }
  }
}

// Opening.
extension BlobStore {
  /// The entries of a folder whose names are roots.
  func roots(in folder: String) throws(BlobError) -> [(root: Digest, path: String)] {
    let opened = try OpenFile("\(directory)/\(folder)", O_RDONLY | O_DIRECTORY)
    return try opened.names(limit: .max).compactMap { name in
      let text = String(decoding: name, as: UTF8.self)
      // Only the form that `path` makes, or one blob could be found under two names.
      guard let root = Digest(hex: text), root.description == text else { return nil }
      return (root, "\(directory)/\(folder)/\(text)")
    }
  }

  /// Takes in what is whole; a folder whose tree does not lead to its name is discarded.
  private func loadBlobs() throws(BlobError) {
    var found: [(summary: BlobSummary, time: timespec)] = []
    for (root, path) in try roots(in: "blobs") {
      var status = stat()
      if let summary = try? check(root, path), stat(path, &status) == 0 {
        found.append((summary, status.st_mtim))
      } else {
        state.withLock { discard(path, &$0) }
      }
    }
    found.sort { ($0.time.tv_sec, $0.time.tv_nsec) < ($1.time.tv_sec, $1.time.tv_nsec) }
    state.withLock { state in
      for (summary, _) in found {
        state.blobs[summary.root] = Blob(summary: summary, lastUse: state.nextUse())
        state.usedBytes += BlobStore.cost(size: summary.size)
      }
    }
  }

  private func check(_ root: Digest, _ path: String) throws(BlobError) -> BlobSummary? {
    let tree = TreeFile(file: try OpenFile(path + "/tree", O_RDONLY))
    guard let (kind, size) = try tree.header() else { return nil }
    let nodes = BlobTree.widths(chunkCount: BlobTree.chunkCount(size: size)).reduce(0, +)
    guard let top = try tree.node(nodes - 1), BlobTree.root(kind, size: size, top: top) == root,
      try OpenFile(path + "/content", O_RDONLY).status().st_size == Int(size)
    else { return nil }
    return BlobSummary(root: root, size: size, kind: kind)
  }

  private func loadPartials() throws(BlobError) {
    for (root, path) in try roots(in: "partial") {
      let header = try? TreeFile(file: try OpenFile(path + "/tree", O_RDONLY)).header()
      state.withLock { state in
        guard let size = header?.size else { return discard(path, &state) }
        let cost = BlobStore.cost(size: size)
        state.partials[root] = Partial(cost: cost, isActive: false, lastUse: state.nextUse())
        state.usedBytes += cost
      }
    }
  }
}

extension BlobEntry {
  /// The blob that it names; nil for a link.
  package var root: Digest? {
    switch content {
    case .file(let root, _), .directory(let root, _): root
    case .link: nil
    }
  }
}
