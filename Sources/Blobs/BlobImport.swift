import Glibc
import Primitives

/// What an import made.
package struct ImportedDirectory: Equatable, Sendable {
  /// The directory's blob.
  package var summary: BlobSummary
  /// The bytes of all files in it.
  package var contentBytes: UInt64 = 0
  /// Paths left out because a directory cannot hold them, with the reason; the first 100.
  package var skipped: [String] = []
  /// How many paths were left out.
  package var skippedCount = 0
}

/// What an import does with sockets, devices, FIFOs, and links that lead out of the directory.
package enum UnsupportedEntries: Sendable {
  /// It ends with an error that names the path.
  case refuse
  /// It leaves them out and says so in the result.
  case skip
}

extension BlobStore {
  /// Begins a blob whose bytes come piece by piece.
  package func writer() throws(BlobError) -> BlobWriter { try BlobWriter(self) }

  /// Adds bytes that are in memory.
  package func importBytes(_ bytes: [UInt8], pinnedBy owner: String? = nil) throws(BlobError) -> BlobSummary {
    let writer = try writer()
    try writer.write(bytes)
    return try writer.finish(pinnedBy: owner)
  }

  /// Adds the content of a regular file, to which `path` may be a link.
  package func importFile(path: String, pinnedBy owner: String? = nil) throws(BlobError) -> BlobSummary {
    // O_NONBLOCK: the opening of a FIFO must not wait for a writer.
    let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
    return try importFile(file, hold: false, pinnedBy: owner)
  }

  /// Adds a directory and everything below it. Links are kept as links; memory does not grow with the files' sizes.
  ///
  /// - Throws: `.unsupportedEntry`, `.tooLarge` over the bounds on entries and depth, `.full`, `.system`.
  package func importDirectory(
    path: String, unsupported: UnsupportedEntries = .refuse, pinnedBy owner: String? = nil
  ) throws(BlobError) -> ImportedDirectory {
    var run = DirectoryImport(store: self, unsupported: unsupported)
    defer { unhold(run.held) }
    let summary = try run.add(try OpenFile(path, O_RDONLY | O_DIRECTORY), depth: 0, pinnedBy: owner)
    return ImportedDirectory(
      summary: summary, contentBytes: run.contentBytes, skipped: run.skipped, skippedCount: run.skippedCount)
  }

  fileprivate func importFile(
    _ file: OpenFile, hold: Bool, pinnedBy owner: String?
  ) throws(BlobError) -> BlobSummary {
    guard try file.status().st_mode & S_IFMT == S_IFREG else {
      throw BlobError(.unsupportedEntry, "\(file.path) is not a regular file.")
    }
    let writer = try writer()
    while true {
      let bytes = try file.read(count: BlobLimits.chunkBytes)
      try writer.write(bytes)
      if bytes.count < BlobLimits.chunkBytes { break }
    }
    return try writer.finish(.file, hold: hold, pinnedBy: owner)
  }
}

/// One walk over a directory. Everything below it is opened relative to its parent and never through a link, so that
/// a tree that changes meanwhile cannot lead the walk elsewhere.
private struct DirectoryImport {
  let store: BlobStore
  let unsupported: UnsupportedEntries
  var held: [Digest] = []
  var contentBytes: UInt64 = 0
  var skipped: [String] = []
  var skippedCount = 0
  private var entryCount = 0

  init(store: BlobStore, unsupported: UnsupportedEntries) {
    self.store = store
    self.unsupported = unsupported
  }

  mutating func add(_ directory: OpenFile, depth: Int, pinnedBy owner: String?) throws(BlobError) -> BlobSummary {
    guard depth < BlobLimits.maximumDepth else {
      throw BlobError(.tooLarge, "\(directory.path) lies deeper than \(BlobLimits.maximumDepth) directories.")
    }
    var entries: [BlobEntry] = []
    for name in try directory.names(limit: BlobLimits.maximumDirectoryEntries) {
      entryCount += 1
      guard entryCount <= BlobLimits.maximumTreeEntries else {
        throw BlobError(.tooLarge, "\(directory.path): more than \(BlobLimits.maximumTreeEntries) entries in all.")
      }
      do throws(BlobError) {
        entries.append(try entry(name, in: directory, depth: depth))
      } catch {
        guard error.code == .unsupportedEntry, unsupported == .skip else { throw error }
        skippedCount += 1
        if skipped.count < BlobLimits.maximumSkippedPaths { skipped.append(error.message) }
      }
    }
    let writer = try store.writer()
    try writer.write(try DirectoryManifest.encode(entries))
    let summary = try writer.finish(.directory, hold: true, pinnedBy: owner)
    held.append(summary.root)
    return summary
  }

  private mutating func entry(_ name: [UInt8], in directory: OpenFile, depth: Int) throws(BlobError) -> BlobEntry {
    let path = directory.path + "/" + String(decoding: name, as: UTF8.self)
    var status = stat()
    guard fstatat(directory.descriptor, cString(name), &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      throw .system("Reading \(path)")
    }
    let mode = UInt16(status.st_mode & 0o777) & DirectoryManifest.permissionMask
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      let file = try OpenFile(in: directory, name, O_RDONLY | O_NONBLOCK)
      let summary = try store.importFile(file, hold: true, pinnedBy: nil)
      held.append(summary.root)
      contentBytes += summary.size
      return BlobEntry(name: name, mode: mode | 0o400, content: .file(root: summary.root, size: summary.size))
    case S_IFDIR:
      let inner = try OpenFile(in: directory, name, O_RDONLY | O_DIRECTORY)
      let summary = try add(inner, depth: depth + 1, pinnedBy: nil)
      return BlobEntry(name: name, mode: mode | 0o700, content: .directory(root: summary.root, size: summary.size))
    case S_IFLNK:
      let target = try linkTarget(name, in: directory, path)
      guard BlobEntry.staysInside(target, depth: depth) else {
        throw BlobError(.unsupportedEntry, "\(path) is a link that leads out of the directory.")
      }
      return BlobEntry(name: name, mode: 0, content: .link(target: target))
    default:
      throw BlobError(.unsupportedEntry, "\(path) is neither a file, nor a directory, nor a link.")
    }
  }

  private func linkTarget(_ name: [UInt8], in directory: OpenFile, _ path: String) throws(BlobError) -> [UInt8] {
    var errorNumber: Int32 = 0
    let target = [UInt8](unsafeUninitializedCapacity: BlobLimits.maximumLinkBytes + 1) { buffer, count in
      buffer.withMemoryRebound(to: CChar.self) { buffer in
        guard let base = buffer.baseAddress else { return }
        let result = readlinkat(directory.descriptor, cString(name), base, buffer.count)
        if result < 0 { errorNumber = errno } else { count = result }
      }
    }
    guard errorNumber == 0 else { throw .system("Reading the link \(path)", errorNumber) }
    return target
  }
}

extension BlobStore {
  /// Makes a directory of blobs that are in the store already: what a client does that uploads file by file.
  ///
  /// - Throws: `.missing` for an entry that is not here with that kind and size, `.badManifest`, `.tooLarge`, `.full`,
  ///   `.system`.
  package func importDirectory(
    entries: [BlobEntry], pinnedBy owner: String? = nil
  ) throws(BlobError) -> BlobSummary {
    for entry in entries {
      let expected: BlobSummary
      switch entry.content {
      case .file(let root, let size): expected = BlobSummary(root: root, size: size, kind: .file)
      case .directory(let root, let size): expected = BlobSummary(root: root, size: size, kind: .directory)
      case .link: continue
      }
      guard summary(of: expected.root) == expected else { throw .missing(expected.root) }
    }
    let bytes = try DirectoryManifest.encode(entries)
    let writer = try BlobWriter(self)
    try writer.write(bytes)
    return try writer.finish(.directory, hold: false, pinnedBy: owner)
  }
}
