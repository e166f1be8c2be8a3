import Foundation
import Testing

@testable import Journal

@Suite struct BlockStoreTests {
  private let size = BlockRecordHeader.byteCount + 20

  private func openMemory(
    _ disk: MemoryDisk, blocksPerFile: Int = 4
  ) throws -> (store: BlockStore, findings: BlockFindings) {
    try BlockStore.open(directory: "/b", networkID: network, blocksPerFile: blocksPerFile, disk: disk)
  }

  private func diskHolding(_ heights: ClosedRange<Int>, blocksPerFile: Int = 4) throws -> MemoryDisk {
    let disk = MemoryDisk()
    let (store, _) = try openMemory(disk, blocksPerFile: blocksPerFile)
    for height in heights { try store.append(height: UInt64(height), bytes: record(height)) }
    try store.sync()
    return disk
  }

  /// Which of the heights can be read.
  private func sound(_ store: BlockStore, _ heights: ClosedRange<Int>) -> [Int] {
    heights.filter { (try? store.read(height: UInt64($0))) == record($0) }
  }

  @Test func blocksAreFoundAgainOnTheRealDisk() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/blocks"
    do {
      let (store, findings) = try BlockStore.open(directory: path, networkID: network, blocksPerFile: 100)
      #expect(findings == BlockFindings() && store.range == nil && store.lastHeight == nil && store.nextHeight == nil)
      #expect(try store.read(height: 0) == nil)
      for height in 5..<2005 { try store.append(height: UInt64(height), bytes: record(height, count: height % 97)) }
      try store.sync()
      #expect(store.range == 5...2004 && store.fileCount == 20)
      let locked = #expect(throws: JournalError.self) { try BlockStore.open(directory: path, networkID: network) }
      #expect(locked?.code == .locked)
    }
    let (store, findings) = try BlockStore.open(directory: path, networkID: network)
    #expect(findings == BlockFindings() && store.range == 5...2004)
    for height in 5..<2005 {
      #expect(try store.read(height: UInt64(height)) == record(height, count: height % 97))
    }
    #expect(try store.read(height: 4) == nil && store.read(height: 2005) == nil && store.read(height: .max) == nil)
    try store.append(height: 2005, bytes: [])
    #expect(try store.read(height: 2005) == [])
  }

  @Test func rangesAreReadAtOnce() throws {
    let (store, _) = try openMemory(try diskHolding(1...10))
    #expect(try store.read(from: 1, maximumCount: 3, maximumBytes: .max) == [record(1), record(2), record(3)])
    // A file's end ends the answer; the bound on bytes never leaves out the first.
    #expect(try store.read(from: 3, maximumCount: 64, maximumBytes: .max) == [record(3), record(4)])
    #expect(try store.read(from: 5, maximumCount: 64, maximumBytes: 2 * size) == [record(5), record(6)])
    #expect(try store.read(from: 5, maximumCount: 64, maximumBytes: 1) == [record(5)])
    #expect(try store.read(from: 11, maximumCount: 64, maximumBytes: .max) == [])
  }

  @Test func heightsAreConsecutive() throws {
    let (store, _) = try openMemory(try diskHolding(3...6))
    for height: UInt64 in [0, 3, 6, 8, .max] {
      let error = #expect(throws: JournalError.self) { try store.append(height: height, bytes: []) }
      #expect(error?.code == .heightOutOfOrder)
    }
    // A refusal is no failure.
    try store.append(height: 7, bytes: [])
    #expect(store.lastHeight == 7)
  }

  @Test func heightsDoNotOverflow() throws {
    let (store, _) = try openMemory(MemoryDisk())
    try store.append(height: .max, bytes: [])
    for height: UInt64 in [0, .max] {
      #expect(throws: JournalError.self) { try store.append(height: height, bytes: []) }
    }
    #expect(store.range == UInt64.max...UInt64.max)
  }

  @Test func aTailTornAtAnyByteIsCutOff() throws {
    let disk = try diskHolding(1...7)
    let name = BlockFileName.name(5)
    let whole = try #require(disk.content(name)).count
    for kept in (whole - size)..<whole {
      let torn = disk.afterCrash(losing: false)
      torn.change(name) { $0.removeSubrange(kept...) }
      let (store, findings) = try openMemory(torn)
      #expect(store.range == 1...6 && findings == BlockFindings(tornBytes: kept - (whole - size)))
      try store.append(height: 7, bytes: record(30))
      #expect(try store.read(height: 7) == record(30))
    }
  }

  /// Whatever byte of whatever file is changed: the store opens, what it answers is right, and the rest goes on.
  @Test func aFlippedBitCostsNoMoreThanItsBlock() throws {
    let disk = try diskHolding(1...7)
    for (name, first, last) in [(BlockFileName.name(1), 1, 4), (BlockFileName.name(5), 5, 7)] {
      let whole = try #require(disk.content(name)).count
      for offset in 0..<whole {
        let flipped = disk.afterCrash(losing: false)
        flipped.change(name) { $0[offset] ^= 0x10 }
        let (store, findings) = try openMemory(flipped)
        let readable = sound(store, 1...7)
        if offset < BlockFileHeader.byteCount {
          #expect(findings.unreadableFiles == ["/b/" + name])
          #expect(readable == (1...7).filter { $0 < first || $0 > last })
        } else {
          let bad = first + (offset - BlockFileHeader.byteCount) / size
          #expect(readable == (1...7).filter { $0 != bad }, "\(name) at \(offset)")
          if bad == 7 { #expect(findings.tornBytes == size) }
        }
        if let next = store.nextHeight { try store.append(height: next, bytes: record(50)) }
      }
    }
  }

  @Test func blocksBehindAGapAreDropped() throws {
    let disk = try diskHolding(1...10)
    disk.change(BlockFileName.name(1)) { $0[BlockFileHeader.byteCount + self.size + 8] ^= 1 }
    try disk.remove("/b/" + BlockFileName.name(5))
    let (store, findings) = try openMemory(disk)
    #expect(findings.missing == [2...2, 5...8] && store.range == 1...10)
    #expect(sound(store, 1...10) == [1, 3, 4, 9, 10])
    try store.truncate(from: 5)
    #expect(store.range == 1...4 && store.nextHeight == 5)
    try store.truncate(from: 2)
    #expect(store.range == 1...1 && store.nextHeight == 2)
    for height in 2...9 { try store.append(height: UInt64(height), bytes: record(height)) }
    try store.sync()
    let (again, after) = try openMemory(disk.afterCrash(losing: true))
    #expect(after == BlockFindings() && sound(again, 1...9) == Array(1...9))
  }

  @Test func oldBlocksArePruned() throws {
    let disk = try diskHolding(1...10)
    let (store, _) = try openMemory(disk)
    try store.prune(below: 4)
    #expect(store.range == 1...10)
    try store.prune(below: 5)
    #expect(store.range == 5...10 && sound(store, 1...10) == Array(5...10))
    try store.prune(below: 1_000)
    #expect(store.range == 9...10 && store.fileCount == 1)
    try store.append(height: 11, bytes: record(11))
    try store.sync()
    let (again, findings) = try openMemory(disk.afterCrash(losing: true))
    #expect(again.range == 9...11 && findings == BlockFindings())
  }

  @Test func aStoreBeginsAnewBehindASnapshot() throws {
    let disk = try diskHolding(1...10)
    let (store, _) = try openMemory(disk)
    try store.begin(at: 500)
    #expect(store.range == nil && store.nextHeight == 500)
    #expect(throws: JournalError.self) { try store.append(height: 11, bytes: []) }
    try store.append(height: 500, bytes: record(500))
    try store.sync()
    let (again, findings) = try openMemory(disk.afterCrash(losing: true))
    #expect(again.range == 500...500 && findings == BlockFindings() && again.fileCount == 1)
  }

  @Test(arguments: [true, false]) func aCrashWhileItBeginsAnewLosesNoOrder(losing: Bool) throws {
    for failFrom in 0...20 {
      let disk = try diskHolding(1...10)
      let (store, _) = try openMemory(disk)
      disk.set {
        $0.changes = 0
        $0.failFrom = failFrom
      }
      let isDone = (try? store.begin(at: 500)) != nil
      let (again, _) = try openMemory(disk.afterCrash(losing: losing))
      if isDone {
        #expect(again.range == nil && again.nextHeight == 500)
        return
      }
      #expect(again.range == nil || again.lastHeight == 10)
      try again.begin(at: 500)
    }
    Issue.record("it never came to its end")
  }

  @Test func damageAfterOpeningIsFoundByTheRead() throws {
    let disk = try diskHolding(1...3)
    let (store, _) = try openMemory(disk)
    disk.change(BlockFileName.name(1)) { $0[BlockFileHeader.byteCount + self.size + 25] ^= 1 }
    let error = #expect(throws: JournalError.self) { try store.read(height: 2) }
    #expect(error?.code == .damaged)
    #expect(try store.read(from: 1, maximumCount: 3, maximumBytes: .max) == [record(1)])
    #expect(try store.read(height: 3) == record(3))
  }

  @Test func anotherNetworkIsRefused() throws {
    let disk = try diskHolding(1...3)
    let error = #expect(throws: JournalError.self) {
      try BlockStore.open(directory: "/b", networkID: [UInt8](repeating: 1, count: 32), disk: disk)
    }
    #expect(error?.code == .wrongNetwork)
  }

  @Test func aFailedWriteIsFinal() throws {
    let disk = try diskHolding(1...3)
    let (store, _) = try openMemory(disk)
    disk.set { $0.freeBytes = 10 }
    let error = #expect(throws: JournalError.self) { try store.append(height: 4, bytes: []) }
    #expect(error?.cause?.errorNumber == ENOSPC)
    disk.set { $0.freeBytes = .max }
    #expect(throws: JournalError.self) { try store.append(height: 4, bytes: []) }
    #expect(throws: JournalError.self) { try store.sync() }
    let (again, findings) = try openMemory(disk.afterCrash(losing: false))
    #expect(again.lastHeight == 3 && findings.tornBytes == 10)
  }

  @Test func readersGoOnBesideTheWriter() throws {
    let directory = TemporaryDirectory()
    let (store, _) = try BlockStore.open(directory: directory.path + "/b", networkID: network, blocksPerFile: 50)
    try store.append(height: 0, bytes: record(0))
    DispatchQueue.concurrentPerform(iterations: 3) { thread in
      if thread == 0 {
        for height in 1..<500 {
          try? store.append(height: UInt64(height), bytes: record(height))
          if height % 100 == 0 { try? store.prune(below: UInt64(height - 100)) }
        }
      } else {
        for _ in 0..<500 {
          let height = store.lastHeight ?? 0
          let bytes = try? store.read(height: height)
          // What is read may be pruned meanwhile, never wrong.
          #expect(bytes == nil || bytes == record(Int(height)))
        }
      }
    }
    #expect(store.lastHeight == 499 && (store.range?.lowerBound ?? 0) >= 250)
  }
}
