import Foundation

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
    try DurableFile.write(
      Array("This key has never voted. The daemon removes this file before it votes.\n".utf8), to: path)
  }

  /// Removes the marker; it is gone from the disk when this returns.
  package func remove() throws(NodeError) {
    guard exists else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
      try DurableFile.syncDirectory(of: path)
    } catch {
      throw NodeError(
        .storage, "the file \(path) can't be removed", suggestion: "check the permissions of the key's directory",
        cause: error)
    }
  }
}
