import Foundation
import Primitives

/// Files beside the key that say whether it has voted in a network which `linnet consensus recover` made: a key that
/// voted in the old network has not yet in the new one, and signatures hold for one network only.
///
/// The first start turns the one file into the other, so that making the same network again later, which anyone may,
/// does not make the node forget that it has voted there.
package struct RestartMarker {
  private let never: String
  private let used: String

  /// The marker of a key file for a network.
  package init(keyPath: String, networkID: Digest) {
    never = "\(keyPath).never-voted-in-\(networkID.description.prefix(16))"
    used = "\(keyPath).voted-in-\(networkID.description.prefix(16))"
  }

  /// True when the key has never voted in the network.
  package var exists: Bool { FileManager.default.fileExists(atPath: never) }

  /// Writes the marker, unless the key may have voted there. It is on the disk when this returns.
  ///
  /// - Returns: false when the key may have voted.
  package func write() throws -> Bool {
    guard !FileManager.default.fileExists(atPath: used) else { return false }
    try DurableFile.write(
      Array("This key has never voted in the restarted network. The daemon takes note before it votes.\n".utf8),
      to: never)
    return true
  }

  /// Notes that the key may vote from now on; that is on the disk when this returns.
  package func use() throws(NodeError) {
    guard exists else { return }
    do {
      try FileManager.default.moveItem(atPath: never, toPath: used)
      try DurableFile.syncDirectory(of: never)
    } catch {
      throw NodeError(
        .storage, "the file \(never) can't be renamed", suggestion: "check the permissions of the key's directory",
        cause: error)
    }
  }
}
