import Foundation
import Testing

@testable import Journal

@Suite struct JournalCheckpointTests {
  private let old = (0..<10).map { record($0) }
  private let new = [record(100, count: 400), record(101)]

  @Test func bothAreThereUntilTheOldIsDropped() throws {
    let disk = try diskHolding(old, segmentBytes: 300)
    let (journal, _) = try openMemory(disk, segmentBytes: 300)
    // Nothing is dropped where there is no checkpoint.
    try journal.dropBeforeCheckpoint { _ in }
    try journal.append([record(20)]) { _ in }
    try journal.checkpoint(new) { _ in }
    try journal.append([record(21)]) { _ in }
    journal.close()
    let both = old + [record(20)] + new + [record(21)]
    #expect(try openMemory(disk.afterCrash(losing: true), segmentBytes: 300).recovered.records == both)
    #expect(journal.counters.compactions == 1)

    let (second, _) = try openMemory(disk, segmentBytes: 300)
    try second.checkpoint(new) { _ in }
    try second.append([record(22)]) { _ in }
    try second.dropBeforeCheckpoint { _ in }
    try second.append([record(23)]) { _ in }
    second.close()
    let left = try openMemory(disk.afterCrash(losing: true), segmentBytes: 300).recovered
    #expect(left.records == new + [record(22), record(23)] && left.damage == nil)
    #expect(disk.names().count == second.counters.segments)
  }

  @Test(arguments: [true, false]) func aCrashInBetweenKeepsTheOldOrTheNew(losing: Bool) throws {
    let segmentBytes = SegmentHeader.byteCount + 3 * (20 + RecordHeader.byteCount)
    let start = try diskHolding(old, segmentBytes: segmentBytes)
    let possible = [old, old + new, new]
    var seen: [Int] = []
    for failFrom in 0...60 {
      let disk = start.afterCrash(losing: false)
      let (journal, _) = try openMemory(disk, segmentBytes: segmentBytes)
      disk.set {
        $0.changes = 0
        $0.failFrom = failFrom
      }
      let outcomes = Outcomes()
      try journal.checkpoint(new, completion: outcomes.completion(0))
      // It may have failed by now.
      try? journal.dropBeforeCheckpoint(completion: outcomes.completion(1))
      journal.close()
      let crashed = disk.afterCrash(losing: losing)
      let (after, recovered) = try openMemory(crashed, segmentBytes: segmentBytes)
      #expect(recovered.damage == nil && recovered.truncatedBytes == 0)
      seen.append(try #require(possible.firstIndex(of: recovered.records), "after \(failFrom) operations"))
      try after.append([record(200)]) { _ in }
      after.close()
      let last = try openMemory(crashed.afterCrash(losing: true), segmentBytes: segmentBytes).recovered
      #expect(last.records == recovered.records + [record(200)] && last.damage == nil)
      if outcomes.numbers.count == 2, outcomes.failures.isEmpty { break }
    }
    #expect(Set(seen) == [0, 1, 2] && seen == seen.sorted())
  }

  /// The epoch ends between the two: what the checkpoint was to replace goes with it.
  @Test func pruningMayComeInBetween() throws {
    let disk = MemoryDisk()
    let (journal, _) = try openMemory(disk)
    try journal.append([record(0)]) { _ in }
    try journal.checkpoint(new) { _ in }
    try journal.beginEpoch(1)
    try journal.append([record(1)]) { _ in }
    try journal.prune(before: 1)
    try journal.dropBeforeCheckpoint { _ in }
    journal.close()
    let recovered = try openMemory(disk.afterCrash(losing: true)).recovered
    #expect(recovered.records == [record(1)] && recovered.contentEpoch == 1 && recovered.damage == nil)
  }

  @Test func growthIsCountedFromTheLastCheckpoint() throws {
    let disk = try diskHolding(old)
    let (journal, _) = try openMemory(disk)
    func grown(_ journal: JournalStore) throws -> Int {
      let isDone = DispatchSemaphore(value: 0)
      try journal.append([]) { _ in isDone.signal() }
      isDone.wait()
      return journal.counters.grownBytes
    }
    let size = 20 + RecordHeader.byteCount
    let atStart = SegmentHeader.byteCount + 10 * size
    #expect(try grown(journal) == atStart)
    try journal.append([record(1)]) { _ in }
    #expect(try grown(journal) == atStart + size)
    try journal.checkpoint(new) { _ in }
    #expect(try grown(journal) == atStart + size)
    try journal.append([record(2)]) { _ in }
    try journal.dropBeforeCheckpoint { _ in }
    // What followed the checkpoint, and the header of the segment that says where the content begins.
    #expect(try grown(journal) == size + SegmentHeader.byteCount)
    try journal.beginEpoch(1)
    try journal.prune(before: 1)
    #expect(try grown(journal) == 2 * SegmentHeader.byteCount)
    journal.close()
  }

  /// A checkpoint is no reason to refuse a vote, nor is a full queue one to put off what empties the disk.
  @Test func aCheckpointDoesNotCountTowardsTheBound() throws {
    let gate = Gate()
    let disk = MemoryDisk(beforeSync: { gate.pass() })
    let (journal, _) = try openMemory(disk, queueBytes: 100)
    let outcomes = Outcomes()
    gate.arm()
    try journal.append([record(0, count: 60)], completion: outcomes.completion(0))
    gate.waitForArrival()
    try journal.checkpoint(new, completion: outcomes.completion(1))
    try journal.beginEpoch(1, completion: outcomes.completion(2))
    try journal.dropBeforeCheckpoint(completion: outcomes.completion(3))
    #expect(journal.counters.queuedBytes == 60 + 2 * RecordHeader.byteCount)
    let full = #expect(throws: JournalError.self) { try journal.append([record(1)], completion: { _ in }) }
    #expect(full?.code == .queueFull)
    gate.open()
    journal.close()
    #expect(outcomes.numbers == [0, 1, 2, 3] && outcomes.failures.isEmpty)
    #expect(try openMemory(disk.afterCrash(losing: true)).recovered.records == new)
  }
}
