import Foundation
import Testing

@testable import Journal

@Suite struct BlockStoreTests {
  private func id(_ number: Int) -> [UInt8] {
    (0..<32).map { UInt8(truncatingIfNeeded: number >> (($0 % 4) * 8)) }
  }

  private func openMemory(
    _ disk: MemoryDisk, discardingDamage: Bool = false
  ) throws -> (store: BlockStore, truncatedBytes: Int) {
    try BlockStore.open(directory: "/b", networkID: network, discardingDamage: discardingDamage, disk: disk)
  }

  private func diskHolding(_ heights: ClosedRange<Int>) throws -> MemoryDisk {
    let disk = MemoryDisk()
    let (store, _) = try openMemory(disk)
    for height in heights { try store.append(height: UInt64(height), id: id(height), bytes: record(height)) }
    try store.sync()
    return disk
  }

  @Test func blocksAreFoundAgainOnTheRealDisk() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/blocks"
    do {
      let (store, cut) = try BlockStore.open(directory: path, networkID: network)
      #expect(cut == 0 && store.range == nil && store.lastHeight == nil)
      #expect(try store.read(height: 0) == nil)
      for height in 5..<2005 {
        try store.append(height: UInt64(height), id: id(height), bytes: record(height, count: height % 97))
      }
      try store.sync()
      #expect(store.range == 5...2004)
      let locked = #expect(throws: JournalError.self) { try BlockStore.open(directory: path, networkID: network) }
      #expect(locked?.code == .locked)
    }
    let (store, cut) = try BlockStore.open(directory: path, networkID: network)
    #expect(cut == 0 && store.range == 5...2004)
    for height in 5..<2005 {
      #expect(try store.read(height: UInt64(height)) == record(height, count: height % 97))
      #expect(store.height(ofID: id(height)) == UInt64(height))
    }
    #expect(try store.read(height: 4) == nil && store.read(height: 2005) == nil && store.read(height: .max) == nil)
    #expect(store.height(ofID: [UInt8](repeating: 0xEE, count: 32)) == nil)
    #expect(store.height(ofID: []) == nil)
    try store.append(height: 2005, id: id(2005), bytes: [])
    #expect(try store.read(height: 2005) == [])
  }

  @Test func idsLeadToTheirHeights() throws {
    var index = BlockIndex()
    let ids = (0..<5000).map { number -> [UInt8] in
      // Equal beginnings, as ground by an attacker, and different ends.
      [UInt8](repeating: 1, count: 24) + (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
    for (number, id) in ids.prefix(300).enumerated() {
      index.append(height: UInt64(number + 10), id: id, offset: number)
    }
    for (number, id) in ids.prefix(300).enumerated() { #expect(index.height(ofID: id) == UInt64(number + 10)) }
    #expect(index.height(ofID: ids[300]) == nil)
    index.truncate(to: 100)
    #expect(index.height(ofID: ids[99]) == 109 && index.height(ofID: ids[100]) == nil && index.count == 100)
  }

  @Test func heightsAreConsecutive() throws {
    let (store, _) = try openMemory(try diskHolding(3...6))
    for height: UInt64 in [0, 3, 6, 8, .max] {
      let error = #expect(throws: JournalError.self) { try store.append(height: height, id: id(1), bytes: []) }
      #expect(error?.code == .heightOutOfOrder)
    }
    try store.append(height: 7, id: id(7), bytes: [])
    #expect(store.lastHeight == 7)
    let (top, _) = try openMemory(try diskHolding(1...1).afterCrash(losing: false))
    #expect(top.lastHeight == 1)
  }

  @Test func heightsDoNotOverflow() throws {
    let (store, _) = try openMemory(MemoryDisk())
    try store.append(height: .max, id: id(1), bytes: [])
    #expect(throws: JournalError.self) { try store.append(height: 0, id: id(2), bytes: []) }
    #expect(store.range == UInt64.max...UInt64.max)
  }

  @Test func aTailTornAtAnyByteIsCutOff() throws {
    let disk = try diskHolding(1...3)
    let whole = try #require(disk.content("blocks")).count
    let size = BlockHeader.byteCount + 20
    for kept in (whole - size)..<whole {
      let torn = disk.afterCrash(losing: false)
      torn.change("blocks") { $0.removeSubrange(kept...) }
      let (store, cut) = try openMemory(torn)
      #expect(store.range == 1...2 && cut == kept - (whole - size))
      #expect(store.height(ofID: id(3)) == nil)
      try store.append(height: 3, id: id(30), bytes: record(30))
      #expect(try store.read(height: 3) == record(30))
      #expect(store.height(ofID: id(30)) == 3)
    }
  }

  @Test func aFlippedBitIsFound() throws {
    let disk = try diskHolding(1...3)
    let whole = try #require(disk.content("blocks")).count
    let size = BlockHeader.byteCount + 20
    for offset in BlockFileHeader.byteCount..<whole {
      let flipped = disk.afterCrash(losing: false)
      flipped.change("blocks") { $0[offset] ^= 0x10 }
      let bad = (offset - BlockFileHeader.byteCount) / size
      if bad == 2 {
        #expect(try openMemory(flipped).store.lastHeight == 2)
      } else {
        let error = #expect(throws: JournalError.self) { try openMemory(flipped) }
        #expect(error?.code == .damaged)
        let (store, cut) = try openMemory(flipped, discardingDamage: true)
        #expect(store.lastHeight == (bad == 0 ? nil : UInt64(bad)) && cut == (3 - bad) * size)
      }
    }
  }

  @Test func damageAfterOpeningIsFoundByTheRead() throws {
    let disk = try diskHolding(1...3)
    let (store, _) = try openMemory(disk)
    disk.change("blocks") { $0[BlockFileHeader.byteCount + BlockHeader.byteCount] ^= 1 }
    let error = #expect(throws: JournalError.self) { try store.read(height: 1) }
    #expect(error?.code == .damaged)
    #expect(try store.read(height: 2) == record(2))
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
    let error = #expect(throws: JournalError.self) { try store.append(height: 4, id: id(4), bytes: []) }
    #expect(error?.cause?.errorNumber == ENOSPC)
    disk.set { $0.freeBytes = .max }
    #expect(throws: JournalError.self) { try store.append(height: 4, id: id(4), bytes: []) }
    #expect(throws: JournalError.self) { try store.sync() }
    let (again, cut) = try openMemory(disk.afterCrash(losing: false))
    #expect(again.lastHeight == 3 && cut == 10)
  }

  @Test func readersGoOnBesideTheWriter() throws {
    let directory = TemporaryDirectory()
    let (store, _) = try BlockStore.open(directory: directory.path + "/b", networkID: network)
    try store.append(height: 0, id: id(0), bytes: record(0))
    DispatchQueue.concurrentPerform(iterations: 3) { thread in
      if thread == 0 {
        for height in 1..<500 { try? store.append(height: UInt64(height), id: id(height), bytes: record(height)) }
      } else {
        for _ in 0..<500 {
          let height = store.lastHeight ?? 0
          #expect((try? store.read(height: height)) == record(Int(height)))
        }
      }
    }
    #expect(store.lastHeight == 499)
  }
}
