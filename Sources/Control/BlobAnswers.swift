/// What the blob store calls a file that it has taken in.
package struct BlobAnswer: Codable, Sendable, Equatable {
  /// The hash that names the content.
  package var root: String
  /// How long the content is; for a directory, its files together.
  package var sizeBytes: UInt64

  /// Every field.
  package init(root: String, sizeBytes: UInt64) {
    self.root = root
    self.sizeBytes = sizeBytes
  }
}

/// One file, directory or symbolic link of a directory blob.
package struct DirectoryEntry: Codable, Sendable, Equatable {
  /// What an entry is.
  package enum Kind: String, Codable, Sendable {
    case file, directory, symlink
  }

  /// Path below the directory's top, `/` between the names, no leading `/`, no `.` or `..`.
  package var path: String
  /// What it is.
  package var kind: Kind
  /// The content of a file.
  package var root: String?
  /// The length of a file.
  package var sizeBytes: UInt64
  /// Whether a file may be executed.
  package var executable: Bool
  /// Where a symbolic link points.
  package var target: String?

  private enum CodingKeys: String, CodingKey {
    case path, kind, root, sizeBytes, executable, target
  }

  /// Every field.
  package init(
    path: String, kind: Kind = .file, root: String? = nil, sizeBytes: UInt64 = 0, executable: Bool = false,
    target: String? = nil
  ) {
    self.path = path
    self.kind = kind
    self.root = root
    self.sizeBytes = sizeBytes
    self.executable = executable
    self.target = target
  }

  /// Reads an entry; `kind` is `file`, `sizeBytes` 0 and `executable` false where absent.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      path: try values.decode(String.self, forKey: .path),
      kind: try values.decodeIfPresent(Kind.self, forKey: .kind) ?? .file,
      root: try values.decodeIfPresent(String.self, forKey: .root),
      sizeBytes: try values.decodeIfPresent(UInt64.self, forKey: .sizeBytes) ?? 0,
      executable: try values.decodeIfPresent(Bool.self, forKey: .executable) ?? false,
      target: try values.decodeIfPresent(String.self, forKey: .target))
  }
}

/// What a directory blob holds: the request that makes one from files uploaded before, and the answer that lists one.
package struct DirectoryManifest: Codable, Sendable, Equatable {
  /// The most entries of one directory blob.
  package static let maximumEntries = 100_000

  /// The root of the directory itself; nil in a request.
  package var root: String?
  /// The entries, in the order of their paths.
  package var entries: [DirectoryEntry]

  /// Every field.
  package init(root: String? = nil, entries: [DirectoryEntry]) {
    self.root = root
    self.entries = entries
  }

  /// Throws `requestInvalid` when there are too many entries, a path could leave the directory or comes twice, or an
  /// entry lacks what its kind needs.
  package func check() throws {
    guard entries.count <= Self.maximumEntries else {
      throw ControlError.invalid("a directory may have \(Self.maximumEntries) entries, this one has \(entries.count)")
    }
    var seen = Set<String>()
    for entry in entries {
      guard Self.isSafe(path: entry.path) else {
        throw ControlError.invalid("'\(entry.path)' is not a path below the directory")
      }
      guard seen.insert(entry.path).inserted else {
        throw ControlError.invalid("the path '\(entry.path)' comes twice")
      }
      switch entry.kind {
      case .file where entry.root == nil: throw ControlError.invalid("the file '\(entry.path)' has no root")
      case .symlink where entry.target == nil: throw ControlError.invalid("the link '\(entry.path)' has no target")
      default: break
      }
    }
  }

  /// Whether `path` is relative, not empty, at most 4096 bytes and made of plain names only.
  package static func isSafe(path: String) -> Bool {
    guard !path.isEmpty, path.utf8.count <= 4096, !path.utf8.contains(0) else { return false }
    return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255
    }
  }
}
