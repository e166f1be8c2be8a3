import CLinux
import Glibc

/// A system call on a disk that failed: which, on what, and why.
package struct DiskFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call, such as `fdatasync`.
  package var operation: String
  /// The file or directory it was made on.
  package var path: String
  /// The `errno` it left.
  package var errorNumber: Int32

  /// Names a failed call.
  package init(operation: String, path: String, errorNumber: Int32) {
    self.operation = operation
    self.path = path
    self.errorNumber = errorNumber
  }

  /// For a person: `fdatasync /var/lib/linnet/journal/00000001.journal: Input/output error`.
  package var description: String {
    "\(operation) \(path): \(String(cString: strerror(errorNumber)))"
  }
}

/// An open file of a `Disk`.
package struct DiskFile: Sendable {
  /// What the disk knows the open file by; a file descriptor on a real one.
  package var descriptor: Int32
  /// Where it is, for error texts.
  package var path: String

  /// Names an open file.
  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }
}

/// The file operations that the journal and the block store make, so that tests can break each of them.
/// `SystemDisk` is the real one.
package protocol Disk: Sendable {
  /// Makes the directory with mode 0700 where it is missing (its parent must exist) and syncs the parent.
  func makeDirectory(_ path: String) throws(DiskFailure)
  /// Opens the directory and takes the exclusive lock on it; `EWOULDBLOCK` where another holds it.
  func lockDirectory(_ path: String) throws(DiskFailure) -> DiskFile
  /// The names in a directory, in no order.
  func list(_ path: String) throws(DiskFailure) -> [String]
  /// The whole content of a file.
  func readFile(_ path: String) throws(DiskFailure) -> [UInt8]
  /// Makes a new, empty file with mode 0600, open for writing and reading; an existing one is emptied.
  func create(_ path: String) throws(DiskFailure) -> DiskFile
  /// Opens an existing file for writing and reading.
  func open(_ path: String) throws(DiskFailure) -> DiskFile
  /// Opens an existing file for reading only.
  func openForReading(_ path: String) throws(DiskFailure) -> DiskFile
  /// Writes what it can of `bytes[from...]` at `offset` and says how many bytes that was.
  func write(_ file: DiskFile, _ bytes: [UInt8], from: Int, at offset: Int) throws(DiskFailure) -> Int
  /// Up to `count` bytes at `offset`; fewer only at the end of the file.
  func read(_ file: DiskFile, count: Int, at offset: Int) throws(DiskFailure) -> [UInt8]
  /// The length of an open file in bytes.
  func size(_ file: DiskFile) throws(DiskFailure) -> Int
  /// Cuts an open file to `length` bytes.
  func truncate(_ file: DiskFile, to length: Int) throws(DiskFailure)
  /// Makes the content durable (fdatasync).
  func synchronize(_ file: DiskFile) throws(DiskFailure)
  /// Makes the names in a directory durable.
  func synchronizeDirectory(_ path: String) throws(DiskFailure)
  /// Renames a file within one directory, replacing what bore the new name.
  func rename(_ from: String, to: String) throws(DiskFailure)
  /// Removes a file.
  func remove(_ path: String) throws(DiskFailure)
  /// Closes a file; what was synced stays.
  func close(_ file: DiskFile)
}

extension Disk {
  /// Writes all of `bytes` at `offset`, in as many calls as it takes.
  func writeAll(_ file: DiskFile, _ bytes: [UInt8], at offset: Int) throws(DiskFailure) {
    var written = 0
    while written < bytes.count {
      let count = try write(file, bytes, from: written, at: offset + written)
      // A write that makes no progress and reports no error would be retried for ever.
      guard count > 0 else { throw DiskFailure(operation: "write", path: file.path, errorNumber: EIO) }
      written += count
    }
  }
}

/// The machine's own file systems.
package struct SystemDisk: Disk {
  /// There is only one.
  package init() {}

  /// See `Disk`.
  package func makeDirectory(_ path: String) throws(DiskFailure) {
    if mkdir(path, 0o700) == 0 {
      try synchronizeDirectory(path + "/..")
    } else if errno != EEXIST {
      throw failure("mkdir", path)
    }
  }

  /// See `Disk`.
  package func lockDirectory(_ path: String) throws(DiskFailure) -> DiskFile {
    let directory = try openFile(path, O_RDONLY | O_DIRECTORY)
    let result = linnet_lock_file(directory.descriptor)
    guard result == 0 else {
      close(directory)
      throw DiskFailure(operation: "lock", path: path, errorNumber: -result)
    }
    return directory
  }

  /// See `Disk`.
  package func list(_ path: String) throws(DiskFailure) -> [String] {
    guard let stream = opendir(path) else { throw failure("opendir", path) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw failure("readdir", path) }
    return names
  }

  /// See `Disk`.
  package func readFile(_ path: String) throws(DiskFailure) -> [UInt8] {
    let file = try openFile(path, O_RDONLY)
    defer { close(file) }
    return try read(file, count: size(file), at: 0)
  }

  /// See `Disk`.
  package func create(_ path: String) throws(DiskFailure) -> DiskFile {
    try openFile(path, O_RDWR | O_CREAT | O_TRUNC)
  }

  /// See `Disk`.
  package func open(_ path: String) throws(DiskFailure) -> DiskFile {
    try openFile(path, O_RDWR)
  }

  /// See `Disk`.
  package func openForReading(_ path: String) throws(DiskFailure) -> DiskFile {
    try openFile(path, O_RDONLY)
  }

  /// See `Disk`.
  package func write(_ file: DiskFile, _ bytes: [UInt8], from: Int, at offset: Int) throws(DiskFailure) -> Int {
    while true {
      let count = bytes.withUnsafeBytes { buffer in
        let rest = UnsafeRawBufferPointer(rebasing: buffer[from...])
        return pwrite(file.descriptor, rest.baseAddress, rest.count, offset)
      }
      if count >= 0 { return count }
      if errno != EINTR { throw failure("write", file.path) }
    }
  }

  /// See `Disk`.
  package func read(_ file: DiskFile, count: Int, at offset: Int) throws(DiskFailure) -> [UInt8] {
    var errorNumber: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let got = pread(
          file.descriptor, buffer.baseAddress?.advanced(by: initialized), count - initialized, offset + initialized)
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
    guard errorNumber == 0 else {
      throw DiskFailure(operation: "read", path: file.path, errorNumber: errorNumber)
    }
    return bytes
  }

  /// See `Disk`.
  package func size(_ file: DiskFile) throws(DiskFailure) -> Int {
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw failure("stat", file.path) }
    return Int(status.st_size)
  }

  /// See `Disk`.
  package func truncate(_ file: DiskFile, to length: Int) throws(DiskFailure) {
    guard ftruncate(file.descriptor, length) == 0 else { throw failure("truncate", file.path) }
  }

  /// See `Disk`.
  package func synchronize(_ file: DiskFile) throws(DiskFailure) {
    guard fdatasync(file.descriptor) == 0 else { throw failure("fdatasync", file.path) }
  }

  /// See `Disk`.
  package func synchronizeDirectory(_ path: String) throws(DiskFailure) {
    let directory = try openFile(path, O_RDONLY | O_DIRECTORY)
    defer { close(directory) }
    guard fsync(directory.descriptor) == 0 else { throw failure("fsync", path) }
  }

  /// See `Disk`.
  package func rename(_ from: String, to: String) throws(DiskFailure) {
    guard Glibc.rename(from, to) == 0 else { throw failure("rename", from) }
  }

  /// See `Disk`.
  package func remove(_ path: String) throws(DiskFailure) {
    guard unlink(path) == 0 else { throw failure("unlink", path) }
  }

  /// See `Disk`.
  package func close(_ file: DiskFile) {
    _ = Glibc.close(file.descriptor)
  }

  private func openFile(_ path: String, _ flags: Int32) throws(DiskFailure) -> DiskFile {
    let descriptor = linnet_open(path, flags, 0o600)
    guard descriptor >= 0 else { throw DiskFailure(operation: "open", path: path, errorNumber: -descriptor) }
    return DiskFile(descriptor: descriptor, path: path)
  }

  private func failure(_ operation: String, _ path: String) -> DiskFailure {
    DiskFailure(operation: operation, path: path, errorNumber: errno)
  }
}
