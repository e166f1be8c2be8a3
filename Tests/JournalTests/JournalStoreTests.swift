import Foundation
import Synchronization
import Testing

@testable import Journal

@Suite struct JournalStoreTests {
  @Test func checksumMatchesItsStandard() {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](0..<32)) == 0x46DD_794E)
    let bytes = record(3, count: 77)
    var pieces = CRC32C()
    pieces.update(bytes[..<13])
    pieces.update(bytes[13...])
    #expect(pieces.value == CRC32C.checksum(bytes))
  }

  @Test func roundTripOnTheRealDisk() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/journal"
    let (journal, first) = try JournalStore.open(directory: path, networkID: network)
    #expect(first == RecoveredJournal(isNew: true))
    let outcomes = Outcomes()
    try journal.append([record(0), [], record(1, count: 5000)], completion: outcomes.completion(0))
    try journal.append([record(2, count: 3 << 20)], completion: outcomes.completion(1))
    try journal.append([], completion: outcomes.completion(2))
    journal.close()
    journal.close()
    #expect(outcomes.numbers == [0, 1, 2])
    #expect(outcomes.failures.isEmpty)
    #expect(throws: JournalError.self) { try journal.append([record(9)]) { _ in } }

    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect((attributes[.posixPermissions] as? Int) == 0o700)
    let (again, recovered) = try JournalStore.open(directory: path, networkID: network)
    #expect(recovered.records == [record(0), [], record(1, count: 5000), record(2, count: 3 << 20)])
    #expect(recovered.damage == nil && recovered.truncatedBytes == 0 && !recovered.isNew)
    let locked = #expect(throws: JournalError.self) { try JournalStore.open(directory: path, networkID: network) }
    #expect(locked?.code == .locked)
    try again.append([record(3)]) { _ in }
    again.close()
    #expect(try JournalStore.open(directory: path, networkID: network).recovered.records.count == 5)
  }

  @Test func segmentsFollowOneAnother() throws {
    let records = (0..<40).map { record($0, count: 50 + $0) }
    let disk = try diskHolding(records, segmentBytes: 300)
    #expect(disk.names().count > 5)
    let (journal, recovered) = try openMemory(disk, segmentBytes: 300)
    #expect(recovered.records == records)
    #expect(journal.counters.segments == disk.names().count)
    try journal.append([record(40), record(41, count: 5000), record(42)]) { _ in }
    journal.close()
    let again = try openMemory(disk.afterCrash(losing: true), segmentBytes: 300).recovered
    #expect(again.records == records + [record(40), record(41, count: 5000), record(42)])
  }

  @Test func appendsThatWaitShareOneSync() throws {
    let gate = Gate()
    let disk = MemoryDisk(beforeSync: { gate.pass() })
    let (journal, _) = try openMemory(disk)
    let outcomes = Outcomes()
    gate.arm()
    try journal.append([record(0)], completion: outcomes.completion(0))
    gate.waitForArrival()
    for number in 1...100 { try journal.append([record(number)], completion: outcomes.completion(number)) }
    #expect(outcomes.numbers.isEmpty)
    #expect(journal.counters.queuedBytes == 101 * (20 + 2 * RecordHeader.byteCount))
    gate.open()
    journal.close()
    #expect(outcomes.numbers == Array(0...100))
    #expect(outcomes.failures.isEmpty)
    let counters = journal.counters
    #expect(counters.appends == 101 && counters.records == 101 && counters.bytes == 2020)
    #expect(counters.syncs == 2 && counters.largestGroup == 100 && counters.queuedBytes == 0)
    #expect(try openMemory(disk.afterCrash(losing: true)).recovered.records == (0...100).map { record($0) })
  }

  @Test func appendsOfManyThreadsAllArrive() throws {
    let disk = MemoryDisk()
    let (journal, _) = try openMemory(disk, segmentBytes: 2000)
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for number in 0..<100 { try? journal.append([[UInt8(thread), UInt8(number)]]) { _ in } }
    }
    journal.close()
    let records = try openMemory(disk.afterCrash(losing: true)).recovered.records
    #expect(records.count == 400)
    for thread in 0..<4 {
      #expect(records.filter { $0[0] == UInt8(thread) }.map { Int($0[1]) } == Array(0..<100))
    }
  }

  @Test func nothingIsToldBeforeItIsDurable() throws {
    let disk = MemoryDisk()
    let (journal, _) = try openMemory(disk)
    let wasDurable = Mutex<[Bool]>([])
    for number in 0..<20 {
      try journal.append([record(number)]) { _ in
        let kept = try? openMemory(disk.afterCrash(losing: true)).recovered.records
        wasDurable.withLock { $0.append(kept?.contains(record(number)) == true) }
      }
    }
    journal.close()
    #expect(wasDurable.withLock { $0 } == [Bool](repeating: true, count: 20))
  }

  @Test func aFailedSyncIsFinal() throws {
    let gate = Gate()
    let disk = MemoryDisk(beforeSync: { gate.pass() })
    let (journal, _) = try openMemory(disk)
    let outcomes = Outcomes()
    gate.arm()
    disk.set { $0.syncErrors = 1 }
    try journal.append([record(0)], completion: outcomes.completion(0))
    gate.waitForArrival()
    try journal.append([record(1)], completion: outcomes.completion(1))
    try journal.compact(keeping: [], completion: outcomes.completion(2))
    let before = disk.state.withLock { $0.syncs }
    gate.open()
    journal.close()
    #expect(outcomes.numbers == [0, 1, 2])
    #expect(outcomes.failures.map(\.code) == [.disk, .disk, .disk])
    #expect(outcomes.failures.first?.cause?.operation == "fdatasync")
    #expect(disk.state.withLock { $0.syncs } == before)
    let later = #expect(throws: JournalError.self) { try journal.append([record(2)]) { _ in } }
    #expect(later?.code == .disk)
  }

  @Test func aFullDiskIsFinalAndLeavesATornTail() throws {
    let disk = MemoryDisk()
    let (journal, _) = try openMemory(disk)
    let outcomes = Outcomes()
    try journal.append([record(0)], completion: outcomes.completion(0))
    journal.close()
    let (second, _) = try openMemory(disk)
    disk.set { $0.freeBytes = 30 }
    try second.append([record(1)], completion: outcomes.completion(1))
    second.close()
    #expect(outcomes.failures.map { $0.cause?.errorNumber } == [ENOSPC])
    let recovered = try openMemory(disk.afterCrash(losing: false)).recovered
    #expect(recovered.records == [record(0)])
    #expect(recovered.truncatedBytes == 30 && recovered.damage == nil)
  }

  @Test func theQueueIsBounded() throws {
    let gate = Gate()
    let disk = MemoryDisk(beforeSync: { gate.pass() })
    let (journal, _) = try openMemory(disk, queueBytes: 100)
    let outcomes = Outcomes()
    gate.arm()
    try journal.append([record(0, count: 500)], completion: outcomes.completion(0))
    gate.waitForArrival()
    let full = #expect(throws: JournalError.self) { try journal.append([record(1)], completion: { _ in }) }
    #expect(full?.code == .queueFull)
    gate.open()
    journal.close()
    #expect(outcomes.numbers == [0])
    let tooLarge = #expect(throws: JournalError.self) {
      try journal.append([[UInt8](repeating: 0, count: JournalLimits.maximumRecordBytes + 1)]) { _ in }
    }
    #expect(tooLarge?.code == .tooLarge)
  }
}
