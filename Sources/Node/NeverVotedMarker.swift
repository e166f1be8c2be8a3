import CLinux
import Foundation
import Glibc

/// A file beside the key that says: this key has never voted. `linnet init` writes it, and it is removed durably
/// before the first vote, so that a journal that is missing later is known to be lost. It is no part of a key's
/// backup.
package struct NeverVotedMarker {
  private let path: String

  /// The marker of a key file.
  package init(keyPath: String) { path = keyPath + ".never-voted" }

  /// True when the key has never voted.
  package var exists: Bool { FileManager.default.fileExists(atPath: path) }

  /// Writes the marker.
  package func write() throws {
    try "This key has never voted. The daemon removes this file before it votes.\n".write(
      toFile: path, atomically: true, encoding: .utf8)
  }

  /// Removes the marker; it is gone from the disk when this returns.
  package func remove() throws(NodeError) {
    guard exists else { return }
    let directory = (path as NSString).deletingLastPathComponent
    let descriptor = linnet_open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY, 0)
    defer { if descriptor >= 0 { close(descriptor) } }
    guard descriptor >= 0, unlink(path) == 0, fsync(descriptor) == 0 else {
      throw NodeError(
        .storage, "the file \(path) can't be removed", suggestion: "check the permissions of the key's directory")
    }
  }
}
