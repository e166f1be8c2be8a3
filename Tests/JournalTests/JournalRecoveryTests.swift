import Testing

@testable import Journal

@Suite struct JournalRecoveryTests {
  private let first = "00000001.journal"
  private let size = RecordHeader.byteCount + 20

  @Test func aTailTornAtAnyByteIsCutOff() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    let whole = try #require(disk.content(first)).count
    for kept in (whole - size)..<whole {
      let torn = disk.withoutMark()
      torn.change(first) { $0.removeSubrange(kept...) }
      let (journal, recovered) = try openMemory(torn)
      #expect(recovered.records == [record(0), record(1)])
      #expect(recovered.truncatedBytes == kept - (whole - size) && recovered.damage == nil)
      try journal.append([record(9)]) { _ in }
      journal.close()
      #expect(try openMemory(torn.afterCrash(losing: true)).recovered.records == [record(0), record(1), record(9)])
    }
  }

  @Test func whatWasDurableAndIsCutOffAtAnyByteIsLost() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    let whole = try #require(disk.content(first)).count
    for kept in 0..<whole {
      let cut = disk.afterCrash(losing: false)
      cut.change(first) { $0.removeSubrange(kept...) }
      let (journal, recovered) = try openMemory(cut)
      if kept < SegmentHeader.byteCount {
        #expect(recovered.damage == JournalDamage(kind: .badHeader, segment: 1, offset: 0))
      } else {
        let whole = (kept - SegmentHeader.byteCount) / size
        let offset = SegmentHeader.byteCount + whole * size
        #expect(recovered.damage == JournalDamage(kind: .lostRecords, segment: 1, offset: offset))
        #expect(recovered.records == (0..<whole).map { record($0) })
      }
      #expect(recovered.truncatedBytes == 0)
      #expect(throws: JournalError.self) { try journal.append([record(9)]) { _ in } }
      try journal.compact(keeping: recovered.records) { _ in }
      journal.close()
      let again = try openMemory(cut.afterCrash(losing: true)).recovered
      #expect(again.records == recovered.records && again.damage == nil)
    }
  }

  @Test func aTailOfZerosIsCutOff() throws {
    let disk = try diskHolding([record(0)])
    disk.change(first) { $0 += [UInt8](repeating: 0, count: 4096) }
    let (journal, recovered) = try openMemory(disk)
    #expect(recovered.records == [record(0)] && recovered.truncatedBytes == 4096 && recovered.damage == nil)
    try journal.append([record(1)]) { _ in }
    journal.close()
    let again = try openMemory(disk.afterCrash(losing: true)).recovered
    #expect(again == RecoveredJournal(records: [record(0), record(1)]))
  }

  @Test func anyFlippedBitOfTheLastRecordIsLossOrATornTail() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    let whole = try #require(disk.content(first)).count
    for offset in (whole - size)..<whole {
      for isMarked in [true, false] {
        let flipped = isMarked ? disk.afterCrash(losing: false) : disk.withoutMark()
        flipped.change(first) { $0[offset] ^= 1 << UInt8(offset % 8) }
        let recovered = try openMemory(flipped).recovered
        #expect(recovered.records == [record(0), record(1)])
        #expect(recovered.truncatedBytes == (isMarked ? 0 : size))
        #expect(
          recovered.damage
            == (isMarked ? JournalDamage(kind: .lostRecords, segment: 1, offset: whole - self.size) : nil))
      }
    }
  }

  @Test func aMarkThatCannotBeReadSaysNothing() throws {
    let disk = try diskHolding([record(0)])
    let length = try #require(disk.content(DurableMark.fileName)).count
    for offset in 0..<length {
      let flipped = disk.afterCrash(losing: false)
      flipped.change(DurableMark.fileName) { $0[offset] ^= 4 }
      let recovered = try openMemory(flipped).recovered
      #expect(recovered.damage == nil && recovered.records == [record(0)])
    }
  }

  @Test func aMarkWithoutSegmentsTellsThatTheyAreMissing() throws {
    let disk = try diskHolding([record(0)])
    try disk.remove("/j/" + first)
    let (journal, recovered) = try openMemory(disk)
    #expect(recovered.damage == JournalDamage(kind: .missingSegment, segment: 1, offset: 0) && !recovered.isNew)
    try journal.compact(keeping: []) { _ in }
    try journal.append([record(5)]) { _ in }
    journal.close()
    #expect(disk.names() == ["00000002.journal"])
    #expect(try openMemory(disk.afterCrash(losing: true)).recovered == RecoveredJournal(records: [record(5)]))
  }

  @Test func anyFlippedBitBeforeTheLastRecordIsDamage() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    let whole = try #require(disk.content(first)).count
    for offset in 0..<(whole - size) {
      let flipped = disk.afterCrash(losing: false)
      flipped.change(first) { $0[offset] ^= 1 << UInt8(offset % 8) }
      let (journal, recovered) = try openMemory(flipped)
      if offset < SegmentHeader.byteCount {
        #expect(recovered.damage == JournalDamage(kind: .badHeader, segment: 1, offset: 0))
        #expect(recovered.records.isEmpty)
      } else {
        let bad = (offset - SegmentHeader.byteCount) / size
        let start = SegmentHeader.byteCount + bad * size
        #expect(recovered.damage == JournalDamage(kind: .badRecord, segment: 1, offset: start))
        #expect(recovered.records == (0..<bad).map { record($0) })
      }
      #expect(recovered.truncatedBytes == 0)
      #expect(flipped.content(first)?.count == whole)
      let refused = #expect(throws: JournalError.self) { try journal.append([record(9)]) { _ in } }
      #expect(refused?.code == .damaged)
    }
  }

  @Test func aDamagedJournalGoesOnAfterACompaction() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    disk.change(first) { $0[SegmentHeader.byteCount + size + 17] ^= 1 }
    let (journal, recovered) = try openMemory(disk)
    #expect(recovered.damage != nil)
    try journal.compact(keeping: recovered.records) { _ in }
    try journal.append([record(9)]) { _ in }
    journal.close()
    let again = try openMemory(disk.afterCrash(losing: true)).recovered
    #expect(again.records == [record(0), record(9)] && again.damage == nil)
    #expect(disk.names() == ["00000002.journal"])
  }

  @Test func aTornRecordInAnEarlierSegmentIsDamage() throws {
    let disk = try diskHolding((0..<10).map { record($0) }, segmentBytes: SegmentHeader.byteCount + 3 * size)
    disk.change("00000002.journal") { $0.removeLast() }
    let recovered = try openMemory(disk).recovered
    let offset = SegmentHeader.byteCount + 2 * size
    #expect(recovered.damage == JournalDamage(kind: .badRecord, segment: 2, offset: offset))
    #expect(recovered.records == (0..<5).map { record($0) })
  }

  @Test func aMissingSegmentIsDamage() throws {
    let disk = try diskHolding((0..<10).map { record($0) }, segmentBytes: SegmentHeader.byteCount + 3 * size)
    #expect(disk.names().count == 4)
    for missing in 1...4 {
      let copy = disk.afterCrash(losing: false)
      try copy.remove("/j/" + SegmentName.name(UInt64(missing)))
      let recovered = try openMemory(copy).recovered
      #expect(recovered.damage == JournalDamage(kind: .missingSegment, segment: UInt64(missing), offset: 0))
      #expect(recovered.records == (0..<(3 * (missing - 1))).map { record($0) })
      #expect(copy.names().count == 3)
    }
  }

  @Test func aRecordMissingAtTheEndOfAnEarlierSegmentBreaksTheChain() throws {
    let disk = try diskHolding((0..<10).map { record($0) }, segmentBytes: SegmentHeader.byteCount + 3 * size)
    disk.change("00000002.journal") { $0.removeLast(self.size) }
    let recovered = try openMemory(disk).recovered
    #expect(recovered.damage == JournalDamage(kind: .brokenChain, segment: 3, offset: 0))
    #expect(recovered.records == (0..<5).map { record($0) })
  }

  @Test func aRecordTakenOutBreaksTheChain() throws {
    let disk = try diskHolding((0..<3).map { record($0) })
    disk.change(first) { bytes in
      let start = SegmentHeader.byteCount + self.size
      bytes.removeSubrange(start..<(start + self.size))
    }
    let recovered = try openMemory(disk).recovered
    let offset = SegmentHeader.byteCount + size
    #expect(recovered.damage == JournalDamage(kind: .brokenChain, segment: 1, offset: offset))
    #expect(recovered.records == [record(0)])
  }

  @Test func aPayloadThatLooksLikeARecordDoesNotMakeATornTailDamage() throws {
    // What an attacker could know: the format, and everything but the salt.
    var forged: [UInt8] = []
    RecordHeader(of: record(5), after: 0).encode(salt: 0, into: &forged)
    forged += record(5)
    let disk = try diskHolding([record(0), record(1, count: 100) + forged]).withoutMark()
    disk.change(first) { $0[SegmentHeader.byteCount + self.size] ^= 1 }
    let recovered = try openMemory(disk).recovered
    #expect(recovered.records == [record(0)] && recovered.damage == nil)
  }

  @Test func anotherNetworkIsRefusedAndNothingChanges() throws {
    let disk = try diskHolding([record(0)])
    disk.change(first) { $0.append(1) }
    let error = #expect(throws: JournalError.self) {
      try JournalStore.open(directory: "/j", networkID: [UInt8](repeating: 8, count: 32), disk: disk)
    }
    #expect(error?.code == .wrongNetwork)
    #expect(try openMemory(disk).recovered.truncatedBytes == 1)
  }

  @Test func anUnknownFormatIsRefused() throws {
    let disk = try diskHolding([record(0)])
    disk.change(first) { bytes in
      bytes[8] = 3
      var crc: [UInt8] = []
      crc.append(littleEndian: CRC32C.checksum(bytes[..<(SegmentHeader.byteCount - 4)]))
      bytes.replaceSubrange((SegmentHeader.byteCount - 4)..<SegmentHeader.byteCount, with: crc)
    }
    let error = #expect(throws: JournalError.self) { try openMemory(disk) }
    #expect(error?.code == .unknownFormat)
  }

  @Test(arguments: [true, false]) func aCrashDuringCompactionKeepsTheOldOrTheNew(losing: Bool) throws {
    let old = (0..<10).map { record($0) }
    let new = [record(100, count: 400), record(101)]
    let segmentBytes = SegmentHeader.byteCount + 3 * size
    let start = try diskHolding(old, segmentBytes: segmentBytes)
    var seen: [Bool] = []
    for failFrom in 0...40 {
      let disk = start.afterCrash(losing: false)
      let (journal, _) = try openMemory(disk, segmentBytes: segmentBytes)
      disk.set {
        $0.changes = 0
        $0.failFrom = failFrom
      }
      let outcomes = Outcomes()
      try journal.compact(keeping: new, completion: outcomes.completion(0))
      journal.close()
      let crashed = disk.afterCrash(losing: losing)
      let (after, recovered) = try openMemory(crashed, segmentBytes: segmentBytes)
      #expect(recovered.damage == nil && recovered.truncatedBytes == 0)
      #expect(recovered.records == old || recovered.records == new, "after \(failFrom) operations")
      if outcomes.failures.isEmpty { #expect(recovered.records == new) }
      seen.append(recovered.records == new)
      try after.append([record(200)]) { _ in }
      after.close()
      let last = try openMemory(crashed.afterCrash(losing: true), segmentBytes: segmentBytes).recovered
      #expect(last.records == recovered.records + [record(200)] && last.damage == nil)
      if outcomes.failures.isEmpty {
        #expect(crashed.names().allSatisfy { $0 >= "00000005.journal" })
        break
      }
    }
    #expect(seen.first == false && seen.last == true)
    #expect(seen == seen.sorted { !$0 && $1 })
  }

  @Test func compactionReplacesWhatCameBeforeItOnly() throws {
    let disk = try diskHolding([])
    let (journal, _) = try openMemory(disk)
    try journal.append([record(0)]) { _ in }
    try journal.compact(keeping: [record(50)]) { _ in }
    try journal.append([record(1)]) { _ in }
    journal.close()
    #expect(journal.counters.compactions == 1)
    #expect(try openMemory(disk.afterCrash(losing: true)).recovered.records == [record(50), record(1)])
  }
}
