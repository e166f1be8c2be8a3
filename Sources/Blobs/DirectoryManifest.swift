import Primitives

/// One name in a directory.
package struct BlobEntry: Hashable, Sendable {
  /// What the name stands for.
  package enum Content: Hashable, Sendable {
    /// A file of so many bytes.
    case file(root: Digest, size: UInt64)
    /// A directory whose entries take so many bytes.
    case directory(root: Digest, size: UInt64)
    /// A symbolic link; its target is relative and stays inside the imported directory.
    case link(target: [UInt8])
  }

  /// The name in bytes, as Linux has it: not empty, at most 255, no `/`, no NUL, neither `.` nor `..`.
  package var name: [UInt8]
  /// Permission bits, a subset of 0755; 0 for a link.
  package var mode: UInt16
  /// What it stands for.
  package var content: Content

  /// An entry; `DirectoryManifest` checks it.
  package init(name: [UInt8], mode: UInt16, content: Content) {
    self.name = name
    self.mode = mode
    self.content = content
  }

  static func isValidName(_ name: [UInt8]) -> Bool {
    !name.isEmpty && name.count <= BlobLimits.maximumNameBytes && !name.contains(0) && !name.contains(47)
      && name != [46] && name != [46, 46]
  }

  /// Whether a link in a directory `depth` levels below the top leads to a place inside. A `..` may only stand at the
  /// beginning: behind a name that is itself a link it would lead elsewhere than its text says.
  static func staysInside(_ target: [UInt8], depth: Int) -> Bool {
    guard isValidTarget(target) else { return false }
    var level = depth
    var hasDescended = false
    for part in target.split(separator: 47) {
      if part.elementsEqual([46, 46]) {
        level -= 1
        if hasDescended || level < 0 { return false }
      } else if !part.elementsEqual([46]) {
        hasDescended = true
      }
    }
    return true
  }

  fileprivate static func isValidTarget(_ target: [UInt8]) -> Bool {
    !target.isEmpty && target.count <= BlobLimits.maximumLinkBytes && !target.contains(0) && target.first != 47
  }
}

/// The entries of a directory as the bytes of a blob: sorted by name, in one form only.
///
/// count u32 ‖ for each: kind u8 (1 file, 2 directory, 3 link) ‖ mode u16 ‖ name length u8 ‖ name ‖ then root 32 ‖ size
/// u64, or for a link target length u16 ‖ target. Little-endian.
package enum DirectoryManifest {
  static let permissionMask: UInt16 = 0o755

  /// The bytes of these entries; `.badManifest` or `.tooLarge` where they cannot be a directory.
  package static func encode(_ entries: [BlobEntry]) throws(BlobError) -> [UInt8] {
    let sorted = entries.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt32(clamping: sorted.count))
    for entry in sorted {
      switch entry.content {
      case .file: bytes.append(1)
      case .directory: bytes.append(2)
      case .link: bytes.append(3)
      }
      bytes.append(littleEndian: entry.mode)
      bytes.append(UInt8(clamping: entry.name.count))
      bytes += entry.name
      switch entry.content {
      case .file(let root, let size), .directory(let root, let size):
        bytes += root.bytes
        bytes.append(littleEndian: size)
      case .link(let target):
        bytes.append(littleEndian: UInt16(clamping: target.count))
        bytes += target
      }
    }
    guard bytes.count <= BlobLimits.maximumManifestBytes, sorted.count <= BlobLimits.maximumDirectoryEntries else {
      throw BlobError(
        .tooLarge, "A directory has \(sorted.count) entries, which is over the bound. Split it, or pack it as a file.")
    }
    _ = try decode(bytes)
    return bytes
  }

  /// The entries in these bytes; `.badManifest` for anything but the one canonical form.
  package static func decode(_ bytes: [UInt8]) throws(BlobError) -> [BlobEntry] {
    let failure = BlobError(.badManifest, "The entries of a directory blob do not decode.")
    guard bytes.count <= BlobLimits.maximumManifestBytes else { throw failure }
    var reader = ByteReader(bytes, failure: failure)
    let count = Int(try reader.integer(UInt32.self))
    guard count <= BlobLimits.maximumDirectoryEntries else { throw failure }
    var entries: [BlobEntry] = []
    for _ in 0..<count {
      let kind = try reader.integer(UInt8.self)
      let mode = try reader.integer(UInt16.self)
      let name = Array(try reader.take(Int(try reader.integer(UInt8.self))))
      guard BlobEntry.isValidName(name), mode & ~permissionMask == 0,
        entries.last.map({ $0.name.lexicographicallyPrecedes(name) }) ?? true
      else { throw failure }
      let content: BlobEntry.Content
      switch kind {
      case 1, 2:
        let root = try reader.digest()
        let size = try reader.integer(UInt64.self)
        guard size <= (kind == 1 ? BlobLimits.maximumBlobBytes : UInt64(BlobLimits.maximumManifestBytes)) else {
          throw failure
        }
        content = kind == 1 ? .file(root: root, size: size) : .directory(root: root, size: size)
      case 3:
        let target = Array(try reader.take(Int(try reader.integer(UInt16.self))))
        guard mode == 0, BlobEntry.isValidTarget(target) else { throw failure }
        content = .link(target: target)
      default:
        throw failure
      }
      entries.append(BlobEntry(name: name, mode: mode, content: content))
    }
    try reader.end()
    return entries
  }
}
