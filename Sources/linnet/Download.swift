import Control
import Glibc

/// Writes a directory that came from another node. What it lists is not trusted: nothing is written outside of it, nor
/// through a symbolic link that an earlier download left there.
struct Download {
  let directory: String

  /// Writes all entries; `fetch` gets the content of a file.
  func write(
    _ manifest: DirectoryManifest,
    fetch: (DirectoryEntry, _ each: ([UInt8]) async throws -> Void) async throws -> Void
  ) async throws {
    try manifest.check()
    try make(directory)
    // Links come last, so that no file of this download goes through one.
    for entry in manifest.entries where entry.kind != .symlink {
      let parent = entry.path.split(separator: "/").dropLast().map(String.init)
      try makeDirectories(
        entry.kind == .directory ? parent + [String(entry.path.split(separator: "/").last ?? "")] : parent)
      guard entry.kind == .file else { continue }
      let sink = try FileSink(path: directory + "/" + entry.path, executable: entry.executable)
      try await fetch(entry) { try sink.write($0) }
      try sink.finish()
    }
    for entry in manifest.entries where entry.kind == .symlink {
      try makeDirectories(entry.path.split(separator: "/").dropLast().map(String.init))
      let path = directory + "/" + entry.path
      unlink(path)
      guard symlink(entry.target ?? "", path) == 0 else { throw Failure.system("make the link", path) }
    }
  }

  private func makeDirectories(_ names: [String]) throws {
    var path = directory
    for name in names {
      path += "/" + name
      try make(path, followingLinks: false)
    }
  }

  private func make(_ path: String, followingLinks: Bool = true) throws {
    if mkdir(path, 0o777) == 0 { return }
    guard errno == EEXIST else { throw Failure.system("make the directory", path) }
    var status = stat()
    let isThere = followingLinks ? stat(path, &status) == 0 : lstat(path, &status) == 0
    guard isThere, status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure("'\(path)' is in the way: it is not a directory", suggestion: "choose an empty directory")
    }
  }
}
