import CLinux
import Glibc

/// The few file operations that the executor needs, with errors that name the path.
enum FileAccess {
  static func failure(_ what: String, _ path: String, _ number: Int32) -> ExecutorError {
    ExecutorError(.storage, "cannot \(what) \(path)", cause: String(cString: strerror(number)))
  }

  /// Makes the directory and sets its mode whatever the umask; one that exists is kept.
  static func makeDirectory(_ path: String, mode: mode_t) throws(ExecutorError) {
    if mkdir(path, mode) < 0, errno != EEXIST { throw failure("make the directory", path, errno) }
    guard chmod(path, mode) == 0 else { throw failure("set the mode of", path, errno) }
  }

  /// What tells this file or directory from all others of the host, whatever its path.
  static func identity(of path: String) throws(ExecutorError) -> (device: UInt64, inode: UInt64) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure("look at", path, errno) }
    return (UInt64(status.st_dev), UInt64(status.st_ino))
  }

  /// Makes a new file, which must not exist.
  static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(ExecutorError) {
    let file = linnet_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    guard file >= 0 else { throw failure("make the file", path, -file) }
    defer { close(file) }
    guard fchmod(file, mode) == 0 else { throw failure("set the mode of", path, errno) }
    var offset = 0
    while offset < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(file, $0.baseAddress?.advanced(by: offset), bytes.count - offset)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("write", path, errno) }
      offset += count
    }
  }

  /// Replaces the file as a whole, durably: temporary name, fsync, rename, fsync of the directory.
  static func replace(_ name: String, in directory: String, with bytes: [UInt8]) throws(ExecutorError) {
    let temporary = "\(directory)/\(name).new"
    let path = "\(directory)/\(name)"
    unlink(temporary)
    try write(bytes, to: temporary, mode: 0o600)
    try synchronize(temporary)
    guard rename(temporary, path) == 0 else { throw failure("rename to", path, errno) }
    try synchronize(directory)
  }

  private static func synchronize(_ path: String) throws(ExecutorError) {
    let file = linnet_open(path, O_RDONLY, 0)
    guard file >= 0 else { throw failure("open", path, -file) }
    defer { close(file) }
    guard fsync(file) == 0 else { throw failure("make durable", path, errno) }
  }

  /// The file's bytes, at most `limit` of them; nil when there is no such file or it cannot be read.
  static func read(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
    let file = linnet_open(path, O_RDONLY | O_NOFOLLOW, 0)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count < limit {
      let wanted = min(buffer.count, limit - bytes.count)
      let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, wanted) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { break }
      bytes.append(contentsOf: buffer[..<count])
    }
    return bytes
  }

  static func text(_ path: String, limit: Int = 1 << 20) -> String? {
    read(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Names in a directory, without `.` and `..`; empty when it cannot be read.
  static func names(in path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    return DirectoryNames.all(stream, limit: .max).map { String(decoding: $0, as: UTF8.self) }
  }
}

/// Names as bytes, because a job's need not be UTF-8.
enum DirectoryNames {
  static func all(_ stream: OpaquePointer, limit: Int) -> [[UInt8]] {
    var names: [[UInt8]] = []
    while names.count < limit, let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: UInt8.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
          Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
        }
      }
      if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
    }
    return names
  }

  /// A name as C takes it.
  static func c(_ name: [UInt8]) -> [CChar] { name.map { CChar(bitPattern: $0) } + [0] }
}
