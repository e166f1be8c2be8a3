import Foundation
import Primitives
import Sodium
import Wire

/// The key of a grant that came with an invite, kept until the daemon has claimed it.
package struct GrantFile: Sendable {
  private let path: String

  /// The file of a data directory.
  package init(dataDirectory: String) { path = dataDirectory + "/grant.key" }

  /// Writes the grant of an invite. The same one may be written again.
  package func write(_ grant: InviteGrant) throws {
    let key = try SigningKey(seed: grant.seed.bytes)
    do throws(KeyFileError) {
      try KeyFile.create(key, at: path)
    } catch {
      guard error.code == .exists else { throw error }
      guard try KeyFile.read(path).id == key.id else {
        throw NodeError(
          .key, "there is a grant at \(path) that was not claimed yet",
          suggestion: "start the daemon, which claims it, and give the other one to a node of its own")
      }
    }
  }

  /// The key; nil when there is nothing to claim.
  func read() throws(KeyFileError) -> SigningKey? {
    do throws(KeyFileError) { return try KeyFile.read(path) } catch {
      if error.code == .missing { return nil }
      throw error
    }
  }

  /// Forgets the grant: it is claimed.
  func remove() throws {
    try FileManager.default.removeItem(atPath: path)
    try DurableFile.syncDirectory(of: path)
  }
}
