import Consensus
import Foundation
import Journal
import Ledger
import Primitives
import Synchronization
import Wire

/// The states after the last blocks of the latest epochs, each a file of chunks: to restart from, and to serve to
/// joiners. A file has its name only when it is whole and durable.
package final class SnapshotStore: Sendable {
  /// How many are kept.
  package static let keptCount = 2
  private static let suffix = ".snapshot"

  /// What a snapshot is of: the end of the epoch, proven final.
  struct Label: WireCodable {
    var networkID: Digest
    var link: EpochLink

    init(networkID: Digest, link: EpochLink) {
      self.networkID = networkID
      self.link = link
    }

    func encode(into writer: inout WireWriter) {
      writer.digest(networkID)
      writer.value(link)
    }

    init(from reader: inout WireReader) throws(WireError) {
      networkID = try reader.digest()
      link = try reader.value()
    }
  }

  /// A snapshot on the disk.
  package struct Kept: Sendable {
    /// The end of the epoch that the state is of.
    package let link: EpochLink
    /// Its chunks.
    package let file: ChunkFile
    /// The height of the block whose state it is.
    package var height: UInt64 { link.header.height }
  }

  private let directory: String
  private let networkID: Digest
  private let disk: any Disk
  /// Ascending by height.
  private let kept: Mutex<[Kept]>

  /// Opens the snapshots in `directory`, which is made if it is missing.
  ///
  /// - Returns: the store, and the files that were found damaged; each was set aside under its name with `.damaged`
  ///   behind it.
  package static func open(
    directory: String, networkID: Digest, disk: any Disk = SystemDisk()
  ) throws -> (store: SnapshotStore, damaged: [String]) {
    try disk.makeDirectory(directory)
    var kept: [Kept] = []
    var damaged: [String] = []
    for name in try disk.list(directory) {
      let path = directory + "/" + name
      if name.hasSuffix(ChunkFileWriter.temporarySuffix) {
        try disk.remove(path)
      } else if name.hasSuffix(suffix) {
        if let snapshot = read(path, networkID, disk) {
          kept.append(snapshot)
        } else {
          try disk.rename(path, to: path + ".damaged")
          damaged.append(path)
        }
      }
    }
    kept.sort { $0.height < $1.height }
    return (SnapshotStore(directory, networkID, disk, kept), damaged)
  }

  private init(_ directory: String, _ networkID: Digest, _ disk: any Disk, _ kept: [Kept]) {
    self.directory = directory
    self.networkID = networkID
    self.disk = disk
    self.kept = Mutex(kept)
  }

  private static func read(_ path: String, _ networkID: Digest, _ disk: any Disk) -> Kept? {
    guard let file = try? ChunkFile(path: path, disk: disk), let label = try? Label(decoding: file.label),
      label.networkID == networkID
    else { return nil }
    return Kept(link: label.link, file: file)
  }

  /// The snapshots, the latest first.
  package var latest: [Kept] { kept.withLock { $0.reversed() } }

  /// Writes a snapshot chunk by chunk and makes it durable, then deletes all but the latest. One that is there already,
  /// or is older than those kept, is left alone. To be called from one queue.
  package func write(_ snapshot: StateSnapshot, link: EpochLink) throws {
    let height = link.header.height
    let heights = kept.withLock { $0.map(\.height) }
    guard !heights.contains(height), heights.count < SnapshotStore.keptCount || height > (heights.first ?? 0) else {
      return
    }
    let path = self.path(height)
    var writer = try ChunkFileWriter(
      path: path, label: Label(networkID: networkID, link: link).encoded, disk: disk)
    do {
      for chunk in snapshot.chunks { try writer.append(key: chunk.prefix.bytes, bytes: chunk.encoded) }
    } catch {
      writer.abandon()
      throw error
    }
    try writer.finish()
    let new = Kept(link: link, file: try ChunkFile(path: path, disk: disk))
    let dropped = kept.withLock { kept in
      kept.append(new)
      kept.sort { $0.height < $1.height }
      let dropped = kept.dropLast(SnapshotStore.keptCount)
      kept.removeFirst(dropped.count)
      return Array(dropped)
    }
    for old in dropped { try disk.remove(old.file.path) }
    if !dropped.isEmpty { try disk.synchronizeDirectory(directory) }
  }

  /// The chunk of the state at `height` in which a key hash lies, read from the file; nil when that state is not kept or
  /// the chunk does not check.
  package func chunk(height: UInt64, covering key: Digest) -> SnapshotChunk? {
    guard let file = kept.withLock({ $0.first { $0.height == height }?.file }),
      let bytes = try? file.chunk(upTo: key.bytes)
    else { return nil }
    return try? SnapshotChunk(decoding: bytes)
  }

  /// All of a snapshot's chunks, each checked against the state root; nil when one is damaged.
  package func assembly(of snapshot: Kept) -> SnapshotAssembly? {
    var assembly = SnapshotAssembly(header: snapshot.link.header)
    for position in 0..<snapshot.file.count {
      guard let bytes = try? snapshot.file.chunk(at: position), let chunk = try? SnapshotChunk(decoding: bytes),
        assembly.add(chunk) == nil
      else { return nil }
    }
    return assembly
  }

  /// Sets a snapshot aside that turned out to be damaged.
  package func setAside(_ snapshot: Kept) throws {
    kept.withLock { $0.removeAll { $0.height == snapshot.height } }
    try disk.rename(snapshot.file.path, to: snapshot.file.path + ".damaged")
    try disk.synchronizeDirectory(directory)
  }

  private func path(_ height: UInt64) -> String {
    let digits = String(height)
    return directory + "/" + String(repeating: "0", count: 20 - digits.utf8.count) + digits + SnapshotStore.suffix
  }
}
