import Control
import Glibc

/// Sends files and directories to the node's blob store.
struct Upload {
  let client: ControlClient

  /// A file or directory as an input of a job, called `name`.
  func input(_ text: String) async throws -> JobInput {
    let (given, path) = JobArguments.input(text)
    let name = given ?? (realName(path) ?? "")
    guard !name.isEmpty, DirectoryManifest.isSafe(path: name) else {
      throw Failure("the input '\(text)' has no usable name", suggestion: "give it one: -i name=\(path)")
    }
    let (blob, isDirectory) = try await add(path)
    return JobInput(name: name, root: blob.root, isDirectory: isDirectory)
  }

  /// A file, or a directory with all that is in it. A symbolic link on the command line is followed.
  func add(_ path: String) async throws -> (blob: BlobAnswer, isDirectory: Bool) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure.system("read", path) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      return (try await client.addBlob(try FileSource(path: path).bytes), false)
    }
    var entries: [DirectoryEntry] = []
    try await collect(path, below: "", into: &entries)
    return (try await client.addDirectory(DirectoryManifest(entries: entries)), true)
  }

  private func collect(_ directory: String, below prefix: String, into entries: inout [DirectoryEntry]) async throws {
    for name in try names(in: directory) {
      let path = directory + "/" + name
      let inside = prefix + name
      var status = stat()
      guard lstat(path, &status) == 0 else { throw Failure.system("read", path) }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        entries.append(DirectoryEntry(path: inside, kind: .directory))
        try await collect(path, below: inside + "/", into: &entries)
      case S_IFREG:
        let blob = try await client.addBlob(try FileSource(path: path).bytes)
        entries.append(
          DirectoryEntry(
            path: inside, root: blob.root, sizeBytes: blob.sizeBytes, executable: status.st_mode & S_IXUSR != 0))
      case S_IFLNK:
        entries.append(DirectoryEntry(path: inside, kind: .symlink, target: try target(of: path)))
      default:
        throw Failure("'\(path)' is neither a file, a directory nor a link", suggestion: "leave it out of the input")
      }
      guard entries.count <= DirectoryManifest.maximumEntries else {
        throw Failure(
          "the directory has more than \(DirectoryManifest.maximumEntries) entries",
          suggestion: "send it as one archive")
      }
    }
  }

  /// The names in a directory, in the order of their bytes, so that equal directories have equal roots.
  private func names(in directory: String) throws -> [String] {
    guard let stream = opendir(directory) else { throw Failure.system("read", directory) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw Failure.system("read", directory) }
        break
      }
      let bytes = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard let name = String(validating: bytes, as: UTF8.self) else {
        throw Failure("'\(directory)' holds a name that is not UTF-8", suggestion: "rename it")
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  private func target(of link: String) throws -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = max(0, readlink(link, &buffer, buffer.count))
    let bytes = buffer.prefix(count).map { UInt8(bitPattern: $0) }
    guard !bytes.isEmpty, let target = String(validating: bytes, as: UTF8.self) else {
      throw Failure.system("read the link", link)
    }
    return target
  }

  /// What `.` or `..` is really called.
  private func realName(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real).split(separator: "/").last.map(String.init)
  }
}
