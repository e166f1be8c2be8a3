import Foundation
import Synchronization

@testable import Journal

/// A disk in memory that knows what is durable: content up to the last sync of each file, names up to the last sync of
/// the directory. It fails where a test says so, and `afterCrash` is what a machine finds that lost its power.
final class MemoryDisk: Disk {
  struct State: Sendable {
    struct File: Sendable {
      var content: [UInt8] = []
      var durable: [UInt8] = []
    }
    var files: [Int: File] = [:]
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]
    var open: [Int32: Int] = [:]
    var nextFile = 0
    var nextDescriptor: Int32 = 3
    var locked = false
    /// Operations that change something, counted; from number `failFrom` on all fail.
    var changes = 0
    var failFrom = Int.max
    var syncs = 0
    /// Bytes that may still be written before ENOSPC.
    var freeBytes = Int.max
    var syncErrors = 0
  }

  let state: Mutex<State>
  /// Called before each sync of a file, outside the lock: a test holds the writer thread in it.
  let beforeSync: @Sendable () -> Void

  init(_ state: State = State(), beforeSync: @escaping @Sendable () -> Void = {}) {
    self.state = Mutex(state)
    self.beforeSync = beforeSync
  }

  func set(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

  /// What is left after the power failed: everything (`losing: false`, as after a killed process), or only what was
  /// synced.
  func afterCrash(losing: Bool) -> MemoryDisk {
    MemoryDisk(
      state.withLock { old in
        var new = old
        new.open = [:]
        new.locked = false
        new.changes = 0
        new.failFrom = .max
        new.freeBytes = .max
        new.syncErrors = 0
        guard losing else { return new }
        new.names = old.durableNames
        new.files = old.files.mapValues { State.File(content: $0.durable, durable: $0.durable) }
        return new
      })
  }

  /// What is left after the power failed while `kept` of the bytes that were written behind each file's last sync had
  /// reached the disk.
  func afterCrash(keeping kept: Int) -> MemoryDisk {
    let whole = state.withLock { $0 }
    let crashed = afterCrash(losing: true)
    crashed.set { state in
      for (id, file) in whole.files where file.content.count > file.durable.count {
        state.files[id]?.content = Array(file.durable + file.content[file.durable.count...].prefix(kept))
      }
    }
    return crashed
  }

  /// The content of a file by the end of its path.
  func content(_ name: String) -> [UInt8]? {
    state.withLock { state in
      state.names.first { $0.key.hasSuffix("/" + name) }.flatMap { state.files[$0.value]?.content }
    }
  }

  func change(_ name: String, _ body: (inout [UInt8]) -> Void) {
    state.withLock { state in
      guard let id = state.names.first(where: { $0.key.hasSuffix("/" + name) })?.value else { return }
      body(&state.files[id, default: .init()].content)
    }
  }

  /// The names of all files but the mark, ascending.
  func names() -> [String] { allNames().filter { $0 != DurableMark.fileName } }

  func allNames() -> [String] {
    state.withLock { state in state.names.keys.compactMap { $0.split(separator: "/").last.map(String.init) }.sorted() }
  }

  /// What a power failure leaves that came right after the last sync: the mark knows nothing of the end.
  func withoutMark() -> MemoryDisk {
    let copy = afterCrash(losing: false)
    copy.set { state in state.names = state.names.filter { !$0.key.hasSuffix("/" + DurableMark.fileName) } }
    return copy
  }

  private func changing<T>(
    _ operation: String, _ path: String, _ body: (inout State) throws(DiskFailure) -> T
  ) throws(DiskFailure) -> T {
    try state.withLock { state throws(DiskFailure) in
      state.changes += 1
      if state.changes > state.failFrom {
        throw DiskFailure(operation: operation, path: path, errorNumber: EIO)
      }
      return try body(&state)
    }
  }

  func makeDirectory(_ path: String) throws(DiskFailure) {}

  func lockDirectory(_ path: String) throws(DiskFailure) -> DiskFile {
    try state.withLock { state throws(DiskFailure) in
      guard !state.locked else { throw DiskFailure(operation: "lock", path: path, errorNumber: EWOULDBLOCK) }
      state.locked = true
      return DiskFile(descriptor: 0, path: path)
    }
  }

  func list(_ path: String) throws(DiskFailure) -> [String] { allNames() }

  func readFile(_ path: String) throws(DiskFailure) -> [UInt8] {
    let file = try open(path)
    defer { close(file) }
    return try read(file, count: size(file), at: 0)
  }

  func create(_ path: String) throws(DiskFailure) -> DiskFile {
    try changing("open", path) { state in
      state.nextFile += 1
      state.names[path] = state.nextFile
      state.files[state.nextFile] = State.File()
      state.nextDescriptor += 1
      state.open[state.nextDescriptor] = state.nextFile
      return DiskFile(descriptor: state.nextDescriptor, path: path)
    }
  }

  func open(_ path: String) throws(DiskFailure) -> DiskFile {
    try state.withLock { state throws(DiskFailure) in
      guard let id = state.names[path] else {
        throw DiskFailure(operation: "open", path: path, errorNumber: ENOENT)
      }
      state.nextDescriptor += 1
      state.open[state.nextDescriptor] = id
      return DiskFile(descriptor: state.nextDescriptor, path: path)
    }
  }

  func openForReading(_ path: String) throws(DiskFailure) -> DiskFile { try open(path) }

  func write(_ file: DiskFile, _ bytes: [UInt8], from: Int, at offset: Int) throws(DiskFailure) -> Int {
    try changing("write", file.path) { state throws(DiskFailure) in
      guard let id = state.open[file.descriptor] else {
        throw DiskFailure(operation: "write", path: file.path, errorNumber: EBADF)
      }
      var content = state.files[id]?.content ?? []
      let wanted = bytes.count - from
      let growth = min(max(0, offset + wanted - content.count), state.freeBytes)
      let count = min(wanted, max(0, content.count - offset) + growth)
      guard count > 0 else { throw DiskFailure(operation: "write", path: file.path, errorNumber: ENOSPC) }
      if state.freeBytes != .max { state.freeBytes -= growth }
      if content.count < offset + count { content += [UInt8](repeating: 0, count: offset + count - content.count) }
      content.replaceSubrange(offset..<(offset + count), with: bytes[from..<(from + count)])
      state.files[id]?.content = content
      return count
    }
  }

  func read(_ file: DiskFile, count: Int, at offset: Int) throws(DiskFailure) -> [UInt8] {
    state.withLock { state in
      let content = state.open[file.descriptor].flatMap { state.files[$0]?.content } ?? []
      guard offset < content.count else { return [] }
      return Array(content[offset..<min(content.count, offset + count)])
    }
  }

  func size(_ file: DiskFile) throws(DiskFailure) -> Int {
    state.withLock { state in state.open[file.descriptor].flatMap { state.files[$0]?.content.count } ?? 0 }
  }

  func truncate(_ file: DiskFile, to length: Int) throws(DiskFailure) {
    try changing("truncate", file.path) { state in
      guard let id = state.open[file.descriptor] else { return }
      state.files[id]?.content.removeSubrange(length...)
    }
  }

  func synchronize(_ file: DiskFile) throws(DiskFailure) {
    beforeSync()
    try changing("fdatasync", file.path) { state throws(DiskFailure) in
      if state.syncErrors > 0 {
        state.syncErrors -= 1
        throw DiskFailure(operation: "fdatasync", path: file.path, errorNumber: EIO)
      }
      state.syncs += 1
      guard let id = state.open[file.descriptor], let content = state.files[id]?.content else { return }
      state.files[id]?.durable = content
    }
  }

  func synchronizeDirectory(_ path: String) throws(DiskFailure) {
    try changing("fsync", path) { $0.durableNames = $0.names }
  }

  func rename(_ from: String, to: String) throws(DiskFailure) {
    try changing("rename", from) { $0.names[to] = $0.names.removeValue(forKey: from) }
  }

  func remove(_ path: String) throws(DiskFailure) {
    try changing("unlink", path) { _ = $0.names.removeValue(forKey: path) }
  }

  func close(_ file: DiskFile) {
    state.withLock { state in
      if file.descriptor == 0 { state.locked = false } else { state.open[file.descriptor] = nil }
    }
  }
}
