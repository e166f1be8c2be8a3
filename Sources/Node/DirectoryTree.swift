import Blobs
import Control
import Primitives
import Synchronization

/// A directory that a client lists by paths, made into blobs from the leaves up.
struct DirectoryTree {
  private enum Item {
    case file(root: Digest, isExecutable: Bool)
    case link(String)
    case directory(Folder)
  }

  /// By the bytes of the names: two that Swift takes for equal, composed and decomposed, are two files on Linux.
  private final class Folder {
    var items: [[UInt8]: Item] = [:]
  }

  private let top = Folder()

  /// Reads a manifest whose paths were checked; a directory that is only named by its files' paths is made, too.
  init(_ manifest: Control.DirectoryManifest) throws {
    for entry in manifest.entries {
      let item: Item
      switch entry.kind {
      case .file:
        guard let root = entry.root.flatMap({ Digest(hex: $0) }) else {
          throw ControlError.invalid("'\(entry.path)' names no blob")
        }
        item = .file(root: root, isExecutable: entry.executable)
      case .symlink: item = .link(entry.target ?? "")
      case .directory: item = .directory(Folder())
      }
      try insert(item, at: entry.path)
    }
  }

  private func insert(_ item: Item, at path: String) throws {
    let parts = path.utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
    guard let name = parts.last, parts.count <= BlobLimits.maximumDepth else {
      throw ControlError.invalid("'\(path)' is more than \(BlobLimits.maximumDepth) directories deep")
    }
    var folder = top
    for part in parts.dropLast() {
      switch folder.items[part] {
      case .directory(let present): folder = present
      case nil:
        let made = Folder()
        folder.items[part] = .directory(made)
        folder = made
      case .file, .link: throw ControlError.invalid("'\(path)' lies below a file")
      }
    }
    switch (folder.items[name], item) {
    case (nil, _): folder.items[name] = item
    case (.directory, .directory): break
    default: throw ControlError.invalid("the path '\(path)' comes twice")
    }
  }

  /// Stores the directories; the files must be in the store.
  func store(in store: BlobStore, pinnedBy owner: String) throws -> BlobSummary {
    try DirectoryTree.store(top, in: store, pinnedBy: owner)
  }

  private static func store(
    _ folder: Folder, in store: BlobStore, pinnedBy owner: String?
  ) throws -> BlobSummary {
    var entries: [BlobEntry] = []
    for (name, item) in folder.items {
      switch item {
      case .file(let root, let isExecutable):
        guard let size = store.size(of: root) else {
          throw ControlError.invalid(
            "the file '\(String(decoding: name, as: UTF8.self))' is no blob of this node",
            suggestion: "upload it first")
        }
        entries.append(
          BlobEntry(name: name, mode: isExecutable ? 0o755 : 0o644, content: .file(root: root, size: size)))
      case .link(let target):
        entries.append(BlobEntry(name: name, mode: 0, content: .link(target: Array(target.utf8))))
      case .directory(let below):
        let summary = try DirectoryTree.store(below, in: store, pinnedBy: nil)
        entries.append(
          BlobEntry(name: name, mode: 0o755, content: .directory(root: summary.root, size: summary.size)))
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
