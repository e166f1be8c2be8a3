import Glibc
import Primitives

extension BlobStore {
  /// Writes a blob as a file or a directory to `path`, which must not exist yet; its parent must. What was written is
  /// removed again where the export fails.
  ///
  /// Nothing is written outside `path`: every name is checked, every file is made new below its open parent, no link
  /// is followed, and a link whose target leads out is refused. Modes are cut to 0755 and never carry set-id bits.
  ///
  /// - Parameter maximumBytes: the most bytes of content to write, counting a blob as often as it is named.
  /// - Throws: `.missing`, `.damaged`, `.badManifest`, `.wrongEntry`, `.unsupportedEntry`, `.tooLarge`, `.exists`,
  ///   `.system`.
  package func export(_ root: Digest, to path: String, maximumBytes: UInt64 = .max) throws(BlobError) {
    guard let summary = summary(of: root) else { throw .missing(root) }
    var parts = path.split(separator: "/", omittingEmptySubsequences: true)
    guard let name = parts.popLast().map({ Array($0.utf8) }), BlobEntry.isValidName(name) else {
      throw BlobError(.unsupportedEntry, "\(path) is not a path that a blob can be written to.")
    }
    let parentPath = (path.hasPrefix("/") ? "/" : "./") + parts.joined(separator: "/")
    let parent = try OpenFile(parentPath, O_RDONLY | O_DIRECTORY)
    var status = stat()
    guard fstatat(parent.descriptor, cString(name), &status, AT_SYMLINK_NOFOLLOW) != 0 else {
      throw BlobError(.exists, "\(path) exists already. Remove it, or choose another path.")
    }
    var run = BlobExport(store: self, remainingBytes: maximumBytes)
    do throws(BlobError) {
      switch summary.kind {
      case .file: try run.writeFile(root, size: summary.size, name, mode: 0o644, in: parent)
      case .directory: try run.writeDirectory(root, size: summary.size, name, mode: 0o755, in: parent, depth: 0)
      }
    } catch {
      if run.hasMadeTop { removeTree(in: parent, name) }
      throw error
    }
  }
}

private struct BlobExport {
  let store: BlobStore
  var remainingBytes: UInt64
  private var entryCount = 0
  /// Whether what bears the name of the destination is ours to remove.
  private(set) var hasMadeTop = false

  init(store: BlobStore, remainingBytes: UInt64) {
    self.store = store
    self.remainingBytes = remainingBytes
  }

  mutating func writeFile(
    _ root: Digest, size: UInt64, _ name: [UInt8], mode: UInt16, in parent: OpenFile
  ) throws(BlobError) {
    let reader = try open(root, .file, size)
    guard size <= remainingBytes else { throw BlobError(.tooLarge, "The export is over the bound on its bytes.") }
    remainingBytes -= size
    let file = try OpenFile(in: parent, name, O_WRONLY | O_CREAT | O_EXCL)
    hasMadeTop = true
    for index in 0..<reader.chunkCount {
      try file.write(try reader.chunk(index).bytes, at: index * BlobLimits.chunkBytes)
    }
    try setMode(file, mode | 0o400)
  }

  mutating func writeDirectory(
    _ root: Digest, size: UInt64, _ name: [UInt8], mode: UInt16, in parent: OpenFile, depth: Int
  ) throws(BlobError) {
    guard depth < BlobLimits.maximumDepth else { throw BlobError(.tooLarge, "The directory \(root) lies too deep.") }
    _ = try open(root, .directory, size)
    let entries = try store.entries(of: root)
    guard mkdirat(parent.descriptor, cString(name), 0o700) == 0 else {
      throw .system("Making the directory \(parent.path)/\(String(decoding: name, as: UTF8.self))")
    }
    hasMadeTop = true
    let directory = try OpenFile(in: parent, name, O_RDONLY | O_DIRECTORY)
    for entry in entries {
      entryCount += 1
      guard entryCount <= BlobLimits.maximumTreeEntries else {
        throw BlobError(.tooLarge, "The directory has more than \(BlobLimits.maximumTreeEntries) entries in all.")
      }
      switch entry.content {
      case .file(let root, let size):
        try writeFile(root, size: size, entry.name, mode: entry.mode, in: directory)
      case .directory(let root, let size):
        try writeDirectory(root, size: size, entry.name, mode: entry.mode, in: directory, depth: depth + 1)
      case .link(let target):
        guard BlobEntry.staysInside(target, depth: depth) else {
          throw BlobError(.unsupportedEntry, "The directory \(root) holds a link that leads out of it.")
        }
        guard symlinkat(cString(target), directory.descriptor, cString(entry.name)) == 0 else {
          throw .system("Making a link in \(directory.path)")
        }
      }
    }
    try setMode(directory, mode | 0o700)
  }

  /// Opens a blob that must be of this kind and size, or whoever named it so was wrong.
  private func open(_ root: Digest, _ kind: BlobKind, _ size: UInt64) throws(BlobError) -> BlobReader {
    let reader = try BlobReader(store, root)
    guard reader.summary.kind == kind, reader.summary.size == size else {
      throw BlobError(.wrongEntry, "A directory names the blob \(root) with another size or kind than it has.")
    }
    store.touch(root)
    return reader
  }

  private func setMode(_ file: OpenFile, _ mode: UInt16) throws(BlobError) {
    guard fchmod(file.descriptor, mode_t(mode & DirectoryManifest.permissionMask)) == 0 else {
      throw .system("Setting the mode of \(file.path)")
    }
  }
}
