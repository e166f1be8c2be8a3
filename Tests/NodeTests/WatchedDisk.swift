import Foundation
import Synchronization

@testable import Journal

/// The real disk, of which a test sees each step, and knows what was synced.
final class WatchedDisk: Disk {
  private struct Extents {
    var written = 0
    var synced = 0
  }

  private let real = SystemDisk()
  private let extents = Mutex<[String: Extents]>([:])
  /// Nothing changes on the disk while somebody who was told of a name makes a copy of it.
  private let turn = Mutex(())
  /// Called before a file is synced.
  let beforeSync: @Sendable (String) -> Void
  /// Called after a file got its name.
  let renamed: @Sendable (String, WatchedDisk) -> Void

  init(
    beforeSync: @escaping @Sendable (String) -> Void = { _ in },
    renamed: @escaping @Sendable (String, WatchedDisk) -> Void = { _, _ in }
  ) {
    self.beforeSync = beforeSync
    self.renamed = renamed
  }

  /// Makes a copy of a directory as a machine finds it that loses its power now, if nothing that was not synced has
  /// reached the disk by itself.
  func copyAfterCrash(_ directory: String, to copy: String) throws {
    try FileManager.default.copyItem(atPath: directory, toPath: copy)
    for (path, extent) in extents.withLock({ $0 })
    where path.hasPrefix(directory + "/") && extent.synced < extent.written {
      let place = copy + path.dropFirst(directory.count)
      guard FileManager.default.fileExists(atPath: place) else { continue }
      let file = try real.open(place)
      defer { real.close(file) }
      try real.truncate(file, to: extent.synced)
    }
  }

  func makeDirectory(_ path: String) throws(DiskFailure) { try real.makeDirectory(path) }
  func lockDirectory(_ path: String) throws(DiskFailure) -> DiskFile { try real.lockDirectory(path) }
  func list(_ path: String) throws(DiskFailure) -> [String] { try real.list(path) }
  func readFile(_ path: String) throws(DiskFailure) -> [UInt8] { try real.readFile(path) }

  func create(_ path: String) throws(DiskFailure) -> DiskFile {
    try turn.withLock { _ throws(DiskFailure) in
      extents.withLock { $0[path] = Extents() }
      return try real.create(path)
    }
  }

  func open(_ path: String) throws(DiskFailure) -> DiskFile { try real.open(path) }
  func openForReading(_ path: String) throws(DiskFailure) -> DiskFile { try real.openForReading(path) }

  func write(_ file: DiskFile, _ bytes: [UInt8], from: Int, at offset: Int) throws(DiskFailure) -> Int {
    try turn.withLock { _ throws(DiskFailure) in
      let count = try real.write(file, bytes, from: from, at: offset)
      extents.withLock { extents in
        let known = extents[file.path] ?? Extents(written: offset, synced: offset)
        extents[file.path] = Extents(written: max(known.written, offset + count), synced: known.synced)
      }
      return count
    }
  }

  func read(_ file: DiskFile, count: Int, at offset: Int) throws(DiskFailure) -> [UInt8] {
    try real.read(file, count: count, at: offset)
  }

  func size(_ file: DiskFile) throws(DiskFailure) -> Int { try real.size(file) }

  func truncate(_ file: DiskFile, to length: Int) throws(DiskFailure) {
    try turn.withLock { _ throws(DiskFailure) in
      try real.truncate(file, to: length)
      extents.withLock { $0[file.path] = Extents(written: length, synced: length) }
    }
  }

  func synchronize(_ file: DiskFile) throws(DiskFailure) {
    beforeSync(file.path)
    try real.synchronize(file)
    extents.withLock { extents in
      guard let known = extents[file.path] else { return }
      extents[file.path] = Extents(written: known.written, synced: known.written)
    }
  }

  func synchronizeDirectory(_ path: String) throws(DiskFailure) { try real.synchronizeDirectory(path) }

  func rename(_ from: String, to: String) throws(DiskFailure) {
    try turn.withLock { _ throws(DiskFailure) in
      try real.rename(from, to: to)
      extents.withLock { $0[to] = $0.removeValue(forKey: from) }
      renamed(to, self)
    }
  }

  func remove(_ path: String) throws(DiskFailure) {
    try turn.withLock { _ throws(DiskFailure) in
      try real.remove(path)
      extents.withLock { $0[path] = nil }
    }
  }

  func close(_ file: DiskFile) { real.close(file) }
}
