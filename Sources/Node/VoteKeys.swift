import Foundation
import Glibc
import Primitives
import Sodium
import Synchronization
import Wire

/// The keys that this node's votes may be signed with: its own, and those made by `linnet validator rotate`, each in a
/// file of its own below `vote-keys` of the data directory.
///
/// A key is kept from before the ledger hears of it until no epoch uses it, so that a restart at any point finds the key
/// of every epoch that is voted in.
package final class VoteKeys: Sendable {
  /// The most keys besides the node's own.
  static let maximumKeys = 16
  /// A key that no epoch uses is kept this long: its transaction may be on its way still.
  static let pendingSeconds = 3_600.0
  private static let suffix = ".key"
  private static let unfinished = ".new"

  private let directory: String
  /// The node's own key.
  let own: SigningKey
  private let kept: Mutex<[SigningKey]>

  /// Reads the keys of a data directory. A key that can't be read stops the node: it may be that of this epoch.
  package init(dataDirectory: String, own: SigningKey) throws(NodeError) {
    directory = dataDirectory + "/vote-keys"
    self.own = own
    var keys: [SigningKey] = []
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    for name in names.sorted() {
      let path = "\(directory)/\(name)"
      if name.hasSuffix(VoteKeys.unfinished) {
        // Of a crash while it was made: nobody has heard of it.
        unlink(path)
        continue
      }
      guard name.hasSuffix(VoteKeys.suffix) else { continue }
      do {
        let key = try KeyFile.read(path)
        guard name == VoteKeys.name(of: key.id) else {
          throw NodeError(
            .key, "the vote key \(path) is not the one that it is named after",
            suggestion: "give it its name back, \(VoteKeys.name(of: key.id))")
        }
        keys.append(key)
      } catch let error as NodeError {
        throw error
      } catch {
        throw NodeError(
          .key, "the vote key \(path) can't be used",
          suggestion: "restore it from a backup; without it the node must not vote in the epochs that use it",
          cause: error)
      }
    }
    kept = Mutex(keys)
  }

  /// All keys, the node's own first.
  package var all: [SigningKey] { [own] + kept.withLock { $0 } }

  /// Signers of votes, the node's own first.
  package func signers(networkID: Digest) -> [Signer] {
    all.map { key in Signer(id: key.id, networkID: networkID) { key.sign($0) } }
  }

  /// True when there is no key but the node's own.
  package var isEmpty: Bool { kept.withLock { $0.isEmpty } }

  /// Makes a key; it is on the disk when this returns.
  package func make() throws(NodeError) -> SigningKey {
    guard kept.withLock({ $0.count }) < VoteKeys.maximumKeys else {
      throw NodeError(
        .key, "there are \(VoteKeys.maximumKeys) vote keys already",
        suggestion: "wait until the ones that are not used any more are removed: an hour, and two epochs")
    }
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      try DurableFile.syncDirectory(of: directory)
      let key = try SigningKey.generate()
      let path = path(of: key.id)
      try KeyFile.create(key, at: path + VoteKeys.unfinished)
      guard rename(path + VoteKeys.unfinished, path) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
      }
      try DurableFile.syncDirectory(of: path)
      kept.withLock { $0.append(key) }
      return key
    } catch {
      throw NodeError(
        .key, "a vote key can't be kept in \(directory)", suggestion: "check the disk and its permissions",
        cause: error)
    }
  }

  /// Removes the keys that no epoch uses: whoever finds one later can't forge a vote of an epoch that is over.
  ///
  /// - Parameter inUse: the keys of the epochs that are kept and of those to come.
  /// - Returns: the keys that were removed.
  package func prune(inUse: [NodeID], now: Date = Date()) -> [NodeID] {
    let idle = kept.withLock { $0 }.map(\.id).filter { id in
      guard !inUse.contains(id) else { return false }
      let attributes = try? FileManager.default.attributesOfItem(atPath: path(of: id))
      guard let made = attributes?[.modificationDate] as? Date else { return false }
      return abs(now.timeIntervalSince(made)) > VoteKeys.pendingSeconds
    }
    let removed = idle.filter { unlink(path(of: $0)) == 0 }
    guard !removed.isEmpty else { return [] }
    try? DurableFile.syncDirectory(of: path(of: own.id))
    kept.withLock { keys in keys.removeAll { removed.contains($0.id) } }
    return removed
  }

  private func path(of id: NodeID) -> String { "\(directory)/\(VoteKeys.name(of: id))" }

  private static func name(of id: NodeID) -> String { "\(id)\(suffix)" }
}
