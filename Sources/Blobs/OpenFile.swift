import CLinux
import Glibc

/// A file descriptor that closes with its last reference.
final class OpenFile: Sendable {
  let descriptor: Int32
  let path: String

  init(_ path: String, _ flags: Int32, mode: UInt32 = 0o600) throws(BlobError) {
    let descriptor = linnet_open(path, flags, mode)
    guard descriptor >= 0 else { throw .system("Opening \(path)", -descriptor) }
    self.descriptor = descriptor
    self.path = path
  }

  /// Opens below another directory; a link as the last part is not followed.
  init(in directory: OpenFile, _ name: [UInt8], _ flags: Int32, mode: mode_t = 0o600) throws(BlobError) {
    path = directory.path + "/" + String(decoding: name, as: UTF8.self)
    descriptor = openat(directory.descriptor, cString(name), flags | O_NOFOLLOW | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw .system("Opening \(path)") }
  }

  deinit { _ = Glibc.close(descriptor) }

  func status() throws(BlobError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("Reading \(path)") }
    return status
  }

  /// Up to `count` bytes at `offset`, or from where the file stands when it is nil; fewer only at the end.
  func read(count: Int, at offset: Int? = nil) throws(BlobError) -> [UInt8] {
    var errorNumber: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let target = buffer.baseAddress?.advanced(by: initialized)
        let got =
          if let offset {
            pread(descriptor, target, count - initialized, offset + initialized)
          } else {
            Glibc.read(descriptor, target, count - initialized)
          }
        if got > 0 {
          initialized += got
        } else if got == 0 {
          return
        } else if errno != EINTR {
          errorNumber = errno
          return
        }
      }
    }
    guard errorNumber == 0 else { throw .system("Reading \(path)", errorNumber) }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(BlobError) {
    let errorNumber: Int32 = bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = pwrite(
          descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written, offset + written)
        if count > 0 {
          written += count
        } else if count == 0 {
          return EIO
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
    guard errorNumber == 0 else { throw .system("Writing \(path)", errorNumber) }
  }

  func synchronize() throws(BlobError) {
    guard fdatasync(descriptor) == 0 else { throw .system("Syncing \(path)") }
  }

  /// The names in an open directory, as bytes, in byte order.
  func names(limit: Int) throws(BlobError) -> [[UInt8]] {
    let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard copy >= 0 else { throw .system("Reading \(path)") }
    guard let stream = fdopendir(copy) else {
      let error = BlobError.system("Reading \(path)")
      _ = Glibc.close(copy)
      throw error
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      errno = 0
      if name == [46] || name == [46, 46] { continue }
      guard names.count < limit else {
        throw BlobError(.tooLarge, "\(path) has more than \(limit) entries. Split it, or pack it as a file.")
      }
      names.append(name)
    }
    guard errno == 0 else { throw .system("Reading \(path)") }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }
}

/// The bytes of a name with the NUL that system calls want.
func cString(_ name: [UInt8]) -> [CChar] { name.map { CChar(bitPattern: $0) } + [0] }

/// Makes a directory with mode 0700 where it is missing.
func makeDirectory(_ path: String) throws(BlobError) {
  guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .system("Making the directory \(path)") }
}

/// Makes the names in a directory durable.
func synchronizeDirectory(_ path: String) throws(BlobError) {
  let directory = try OpenFile(path, O_RDONLY | O_DIRECTORY)
  guard fsync(directory.descriptor) == 0 else { throw .system("Syncing \(path)") }
}

/// Removes what bears this name in a directory, and everything below it; links are removed, never followed.
func removeTree(in directory: OpenFile, _ name: [UInt8]) {
  if unlinkat(directory.descriptor, cString(name), 0) == 0 { return }
  if let inner = try? OpenFile(in: directory, name, O_RDONLY | O_DIRECTORY) {
    for name in (try? inner.names(limit: .max)) ?? [] { removeTree(in: inner, name) }
  }
  unlinkat(directory.descriptor, cString(name), AT_REMOVEDIR)
}

/// Removes a path of this store or of a failed export, as far as that is possible.
func removeTree(_ parent: String, _ name: String) {
  guard let directory = try? OpenFile(parent, O_RDONLY | O_DIRECTORY) else { return }
  removeTree(in: directory, Array(name.utf8))
}
