import CLinux
import Glibc

/// What a job left in `/out`, made safe to read: the manifest lists exactly what is still there.
package struct OutputManifest: Sendable {
  /// What kind of entry it is.
  package enum Kind: Sendable, Equatable {
    /// A regular file.
    case file
    /// A directory.
    case directory
    /// A symbolic link that leads to another entry, with its text.
    case link(target: [UInt8])
  }

  /// One entry.
  package struct Entry: Sendable, Equatable {
    /// The path below `/out`, as bytes: a job's names need not be UTF-8.
    package var path: [UInt8]
    /// File, directory or link.
    package var kind: Kind
    /// Permission bits, without set-id and sticky bits.
    package var mode: UInt32
    /// Bytes of a file, else 0.
    package var size: UInt64
  }

  /// What was removed instead of collected.
  package struct Refusal: Sendable, Equatable {
    /// The path below `/out`, as bytes.
    package var path: [UInt8]
    /// Why, for people.
    package var reason: String
  }

  /// The directory on this host. The job is gone, so nobody changes it any more.
  package var directory: String
  /// Entries, parents before children, in byte order of their names.
  package var entries: [Entry] = []
  /// Sum of the files' sizes.
  package var totalBytes: UInt64 = 0
  /// What was removed; at most `maximumRefusals` are listed.
  package var refusals: [Refusal] = []
  /// How much was removed in all.
  package var refusedCount = 0

  /// Refusals that are listed by name.
  package static let maximumRefusals = 1000
}

/// Walks a finished job's `/out` by descriptors that cannot leave it, and removes what must not be collected:
/// devices, FIFOs, sockets, links that lead out or nowhere, what the job does not own, and what exceeds the bounds.
struct OutputCollector {
  /// As deep as the shim lets a running job go.
  static let maximumDepth = 64

  private let top: Int32
  private let owner: uid_t
  private let maximumEntries: Int
  private let maximumBytes: UInt64
  private var manifest: OutputManifest
  private var links: [(path: [UInt8], target: [UInt8])] = []

  static func collect(_ directory: String, maximumEntries: Int, maximumBytes: UInt64) throws(ExecutorError)
    -> OutputManifest
  {
    let top = linnet_open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
    guard top >= 0 else { throw FileAccess.failure("open the output", directory, -top) }
    defer { close(top) }
    var status = stat()
    guard fstat(top, &status) == 0 else { throw FileAccess.failure("read", directory, errno) }
    var collector = OutputCollector(
      top: top, owner: status.st_uid, maximumEntries: maximumEntries, maximumBytes: maximumBytes,
      manifest: OutputManifest(directory: directory))
    collector.walk(top, path: [], depth: 0)
    collector.resolveLinks()
    return collector.manifest
  }

  private mutating func refuse(_ path: [UInt8], _ name: [CChar], in directory: Int32, _ reason: String) {
    TreeRemover.remove(name, in: directory)
    manifest.refusedCount += 1
    if manifest.refusals.count < OutputManifest.maximumRefusals {
      manifest.refusals.append(OutputManifest.Refusal(path: path, reason: reason))
    }
  }

  private mutating func walk(_ directory: Int32, path: [UInt8], depth: Int) {
    let copy = linnet_open_beneath(directory, ".", O_RDONLY | O_DIRECTORY)
    guard copy >= 0 else { return }
    guard let stream = fdopendir(copy) else {
      close(copy)
      return
    }
    let names = DirectoryNames.all(stream, limit: maximumEntries + 1)
    closedir(stream)
    for bytes in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      let name = DirectoryNames.c(bytes)
      let entryPath = path.isEmpty ? bytes : path + [UInt8(ascii: "/")] + bytes
      var status = stat()
      guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
      if let reason = refusal(status, depth: depth) {
        refuse(entryPath, name, in: directory, reason)
      } else {
        accept(status, name, entryPath, in: directory, depth: depth)
      }
    }
  }

  private func refusal(_ status: stat, depth: Int) -> String? {
    guard manifest.entries.count + links.count < maximumEntries else { return "more than \(maximumEntries) entries" }
    guard status.st_uid == owner else { return "it does not belong to the job" }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return depth < Self.maximumDepth ? nil : "nested deeper than \(Self.maximumDepth) directories"
    case S_IFLNK: return nil
    case S_IFREG:
      guard let size = UInt64(exactly: status.st_size), size <= maximumBytes - manifest.totalBytes else {
        return "more than \(maximumBytes) bytes in all"
      }
      return nil
    case S_IFIFO: return "a FIFO"
    case S_IFSOCK: return "a socket"
    default: return "a device"
    }
  }

  private mutating func accept(_ status: stat, _ name: [CChar], _ path: [UInt8], in directory: Int32, depth: Int) {
    let kind = status.st_mode & S_IFMT
    if kind == S_IFLNK {
      links.append((path, Self.target(name, in: directory)))
      return
    }
    let mode = status.st_mode & 0o777
    // The owner's rights are given back, because a collector that is not root has no others.
    let readable = mode | (kind == S_IFDIR ? 0o700 : 0o400)
    if readable != status.st_mode & 0o7777, fchmodat(directory, name, readable, 0) != 0 {
      refuse(path, name, in: directory, "its mode cannot be set")
      return
    }
    if kind == S_IFREG {
      let size = UInt64(status.st_size)
      manifest.totalBytes += size
      manifest.entries.append(OutputManifest.Entry(path: path, kind: .file, mode: mode, size: size))
      return
    }
    let child = linnet_open_beneath(directory, name, O_RDONLY | O_DIRECTORY)
    guard child >= 0 else {
      refuse(path, name, in: directory, "it cannot be opened within the output")
      return
    }
    manifest.entries.append(OutputManifest.Entry(path: path, kind: .directory, mode: mode, size: 0))
    walk(child, path: path, depth: depth + 1)
    close(child)
  }

  private static func target(_ name: [CChar], in directory: Int32) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { raw in
      raw.withMemoryRebound(to: CChar.self) { target in
        target.baseAddress.map { readlinkat(directory, name, $0, target.count) } ?? 0
      }
    }
    return count > 0 ? Array(buffer[..<count]) : []
  }

  /// After everything else, so that a link to what was refused is refused as well.
  private mutating func resolveLinks() {
    for link in links {
      let path = DirectoryNames.c(link.path)
      if linnet_reaches_beneath(top, path) == 0 {
        manifest.entries.append(
          OutputManifest.Entry(path: link.path, kind: .link(target: link.target), mode: 0o777, size: 0))
      } else {
        refuse(link.path, path, in: top, "a link that leads out of the output or nowhere")
      }
    }
  }
}
