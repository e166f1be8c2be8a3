import Foundation
import Glibc
import Synchronization
import Testing

@testable import Journal

/// The real disk, but for the calls that a test breaks.
final class FaultDisk: Disk {
  private let real = SystemDisk()
  private let broken = Mutex<(operation: String, errorNumber: Int32)?>(nil)
  /// Calls of the broken operation since it broke.
  let refused = Mutex(0)

  func breakCalls(of operation: String, errorNumber: Int32) {
    broken.withLock { $0 = (operation, errorNumber) }
  }

  func heal() { broken.withLock { $0 = nil } }

  private func pass(_ operation: String, _ path: String) throws(DiskFailure) {
    guard let broken = broken.withLock({ $0 }), broken.operation == operation else { return }
    refused.withLock { $0 += 1 }
    throw DiskFailure(operation: operation, path: path, errorNumber: broken.errorNumber)
  }

  func makeDirectory(_ path: String) throws(DiskFailure) { try real.makeDirectory(path) }
  func lockDirectory(_ path: String) throws(DiskFailure) -> DiskFile { try real.lockDirectory(path) }
  func list(_ path: String) throws(DiskFailure) -> [String] { try real.list(path) }
  func readFile(_ path: String) throws(DiskFailure) -> [UInt8] { try real.readFile(path) }
  func create(_ path: String) throws(DiskFailure) -> DiskFile { try real.create(path) }
  func open(_ path: String) throws(DiskFailure) -> DiskFile { try real.open(path) }
  func openForReading(_ path: String) throws(DiskFailure) -> DiskFile { try real.openForReading(path) }
  func write(_ file: DiskFile, _ bytes: [UInt8], from: Int, at offset: Int) throws(DiskFailure) -> Int {
    try pass("write", file.path)
    return try real.write(file, bytes, from: from, at: offset)
  }
  func read(_ file: DiskFile, count: Int, at offset: Int) throws(DiskFailure) -> [UInt8] {
    try pass("read", file.path)
    return try real.read(file, count: count, at: offset)
  }
  func size(_ file: DiskFile) throws(DiskFailure) -> Int { try real.size(file) }
  func truncate(_ file: DiskFile, to length: Int) throws(DiskFailure) { try real.truncate(file, to: length) }
  func synchronize(_ file: DiskFile) throws(DiskFailure) {
    try pass("fdatasync", file.path)
    try real.synchronize(file)
  }
  func synchronizeDirectory(_ path: String) throws(DiskFailure) {
    try pass("fsync", path)
    try real.synchronizeDirectory(path)
  }
  func rename(_ from: String, to: String) throws(DiskFailure) {
    try pass("rename", from)
    try real.rename(from, to: to)
  }
  func remove(_ path: String) throws(DiskFailure) {
    try pass("unlink", path)
    try real.remove(path)
  }
  func close(_ file: DiskFile) { real.close(file) }
}

/// A small file system of its own; nil where this process may not mount one.
final class SmallFileSystem {
  let path: String

  init?(bytes: Int) {
    path = NSTemporaryDirectory() + "linnet-tmpfs-" + UUID().uuidString
    guard mkdir(path, 0o700) == 0 else { return nil }
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 else {
      rmdir(path)
      return nil
    }
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}

private let mayMount = SmallFileSystem(bytes: 1 << 16) != nil

@Suite struct FaultTests {
  /// Appends and waits for what became of it.
  private func outcome(of records: [[UInt8]], _ journal: JournalStore) throws -> JournalOutcome {
    let outcome = Mutex<JournalOutcome?>(nil)
    let isTold = DispatchSemaphore(value: 0)
    try journal.append(records) { told in
      outcome.withLock { $0 = told }
      isTold.signal()
    }
    isTold.wait()
    return try #require(outcome.withLock { $0 })
  }

  @Test(arguments: [("fdatasync", EIO), ("write", EIO), ("write", ENOSPC)])
  func aFailureIsFinalAndNeverTriedAgain(operation: String, errorNumber: Int32) throws {
    let directory = TemporaryDirectory()
    let disk = FaultDisk()
    let path = directory.path + "/journal"
    let (journal, _) = try JournalStore.open(directory: path, networkID: network, disk: disk)
    try outcome(of: [record(0)], journal).get()
    disk.breakCalls(of: operation, errorNumber: errorNumber)
    let outcome = try outcome(of: [record(1)], journal)
    #expect(throws: JournalError.self) { try outcome.get() }
    if case .failure(let error) = outcome { #expect(error.cause?.errorNumber == errorNumber) }
    disk.heal()
    // The disk is well again, and still nothing may be believed of it.
    let later = #expect(throws: JournalError.self) { try journal.append([record(2)]) { _ in } }
    #expect(later?.code == .disk)
    journal.close()
    #expect(disk.refused.withLock { $0 } == 1)
    let recovered = try JournalStore.open(directory: path, networkID: network).recovered
    #expect(recovered.records.first == record(0) && recovered.damage == nil)
  }

  @Test(.enabled(if: mayMount, "mounting a tmpfs needs CAP_SYS_ADMIN"))
  func aFullFileSystemEndsTheJournalAndLosesNothingThatWasTold() throws {
    let disk = try #require(SmallFileSystem(bytes: 256 << 10))
    let path = disk.path + "/journal"
    let outcomes = Outcomes()
    var count = 0
    do {
      let (journal, _) = try JournalStore.open(directory: path, networkID: network)
      defer { journal.close() }
      while outcomes.failures.isEmpty, count < 10_000 {
        do { try journal.append([record(count, count: 3_000)], completion: outcomes.completion(count)) } catch { break }
        count += 1
      }
    }
    #expect(outcomes.failures.first?.cause?.errorNumber == ENOSPC)
    let told = outcomes.numbers.count - outcomes.failures.count
    #expect(told > 10)
    // A full disk keeps the journal readable; room is needed only to go on.
    var records: [[UInt8]] = []
    let findings = try JournalReader(directory: path).read { records.append($0.payload) }
    #expect(findings.damage == nil && records.count >= told)
    #expect(records.prefix(told).elementsEqual((0..<told).map { record($0, count: 3_000) }))
  }

  @Test(.enabled(if: mayMount, "mounting a tmpfs needs CAP_SYS_ADMIN"))
  func aFullFileSystemEndsTheBlockStore() throws {
    let disk = try #require(SmallFileSystem(bytes: 128 << 10))
    let (store, _) = try BlockStore.open(directory: disk.path + "/blocks", networkID: network)
    var height: UInt64 = 1
    let error = #expect(throws: JournalError.self) {
      while height < 1_000 {
        try store.append(height: height, bytes: record(Int(height), count: 3_000))
        height += 1
      }
    }
    #expect(error?.cause?.errorNumber == ENOSPC && height > 10)
    for kept in 1..<height { #expect(try store.read(height: kept) == record(Int(kept), count: 3_000)) }
    #expect(throws: JournalError.self) { try store.append(height: height, bytes: []) }
  }
}
