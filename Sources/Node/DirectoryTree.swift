import Blobs
import Control
import Primitives
import Synchronization

/// A directory that a client lists by paths, made into blobs from the leaves up.
struct DirectoryTree {
  private indirect enum Item {
    case file(root: Digest, isExecutable: Bool)
    case link(String)
    case directory([String: Item])
  }

  private var top: [String: Item] = [:]

  /// Reads a manifest whose paths were checked; a directory that is only named by its files' paths is made, too.
  init(_ manifest: Control.DirectoryManifest) throws {
    for entry in manifest.entries {
      let parts = entry.path.split(separator: "/").map(String.init)
      let item: Item
      switch entry.kind {
      case .file:
        guard let root = entry.root.flatMap({ Digest(hex: $0) }) else {
          throw ControlError.invalid("'\(entry.path)' names no blob")
        }
        item = .file(root: root, isExecutable: entry.executable)
      case .symlink: item = .link(entry.target ?? "")
      case .directory: item = .directory([:])
      }
      try DirectoryTree.insert(item, at: parts[...], into: &top, path: entry.path)
    }
  }

  private static func insert(
    _ item: Item, at parts: ArraySlice<String>, into items: inout [String: Item], path: String
  ) throws {
    guard let name = parts.first else { return }
    guard parts.count > 1 else {
      if case .directory = items[name], case .directory = item { return }
      guard items[name] == nil else { throw ControlError.invalid("the path '\(path)' comes twice") }
      items[name] = item
      return
    }
    var below: [String: Item] = [:]
    switch items[name] {
    case .directory(let present): below = present
    case nil: break
    case .file, .link: throw ControlError.invalid("'\(path)' lies below a file")
    }
    try insert(item, at: parts.dropFirst(), into: &below, path: path)
    items[name] = .directory(below)
  }

  /// Stores the directories; the files must be in the store.
  func store(in store: BlobStore, pinnedBy owner: String) throws -> BlobSummary {
    try DirectoryTree.store(top, in: store, pinnedBy: owner)
  }

  private static func store(
    _ items: [String: Item], in store: BlobStore, pinnedBy owner: String?
  ) throws -> BlobSummary {
    var entries: [BlobEntry] = []
    for (name, item) in items.sorted(by: { $0.key < $1.key }) {
      let bytes = Array(name.utf8)
      switch item {
      case .file(let root, let isExecutable):
        guard let size = store.size(of: root) else {
          throw ControlError.invalid("the file '\(name)' is no blob of this node", suggestion: "upload it first")
        }
        entries.append(
          BlobEntry(name: bytes, mode: isExecutable ? 0o755 : 0o644, content: .file(root: root, size: size)))
      case .link(let target):
        entries.append(BlobEntry(name: bytes, mode: 0, content: .link(target: Array(target.utf8))))
      case .directory(let below):
        let summary = try DirectoryTree.store(below, in: store, pinnedBy: nil)
        entries.append(
          BlobEntry(name: bytes, mode: 0o755, content: .directory(root: summary.root, size: summary.size)))
      }
    }
    return try store.importDirectory(entries: entries, pinnedBy: owner)
  }
}

/// Counts the chunks that a stream has given.
final class Position: Sendable {
  private let value = Mutex(0)

  func next(below count: Int) -> Int? {
    value.withLock { value in
      guard value < count else { return nil }
      defer { value += 1 }
      return value
    }
  }
}
