import CLinux
import Foundation
import Glibc

/// Small files that must be whole and on the disk before what follows from them.
enum DurableFile {
  /// Replaces a file's content: after a crash at any point either the old content is there or the new.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let temporary = path + ".new"
    let descriptor = linnet_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw failure(-descriptor, temporary) }
    defer { close(descriptor) }
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw failure(errno, temporary) }
      written += count
    }
    guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure(errno, path) }
    try syncDirectory(of: path)
  }

  /// Makes what was renamed or removed in a file's directory durable.
  static func syncDirectory(of path: String) throws {
    let directory = (path as NSString).deletingLastPathComponent
    let descriptor = linnet_open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY, 0)
    guard descriptor >= 0 else { throw failure(-descriptor, directory) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(errno, directory) }
  }

  private static func failure(_ number: Int32, _ path: String) -> any Error {
    POSIXError(POSIXErrorCode(rawValue: number) ?? .EIO, userInfo: [NSFilePathErrorKey: path])
  }
}
