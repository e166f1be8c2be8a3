import Testing

@testable import Journal

@Suite struct ChunkFileTests {
  private func key(_ first: UInt8) -> [UInt8] { [first] + [UInt8](repeating: 0, count: 31) }

  private func write(_ disk: MemoryDisk) throws {
    var writer = try ChunkFileWriter(path: "/c/state", label: record(7, count: 50), disk: disk)
    for number in 0..<4 { try writer.append(key: key(UInt8(number * 64)), bytes: record(number, count: 30 * number)) }
    try writer.finish()
  }

  @Test func chunksAreFoundByKey() throws {
    let disk = MemoryDisk()
    try write(disk)
    let file = try ChunkFile(path: "/c/state", disk: disk.afterCrash(losing: true))
    #expect(file.label == record(7, count: 50) && file.count == 4)
    for (first, number) in [(0, 0), (63, 0), (64, 1), (127, 1), (191, 2), (192, 3), (255, 3)] as [(UInt8, Int)] {
      #expect(try file.chunk(upTo: key(first)) == record(number, count: 30 * number))
    }
    #expect(try file.chunk(upTo: [UInt8](repeating: 255, count: 32)) == record(3, count: 90))
    var empty = try ChunkFileWriter(path: "/c/empty", label: [], disk: disk)
    try empty.finish()
    #expect(try ChunkFile(path: "/c/empty", disk: disk).chunk(upTo: key(5)) == nil)
    // The lowest key need not be zero.
    empty = try ChunkFileWriter(path: "/c/one", label: [], disk: disk)
    try empty.append(key: key(9), bytes: [1])
    try empty.finish()
    #expect(try ChunkFile(path: "/c/one", disk: disk).chunk(upTo: key(8)) == nil)
  }

  @Test func anyChangedOrMissingByteIsFound() throws {
    let disk = MemoryDisk()
    try write(disk)
    let whole = try #require(disk.content("state"))
    for offset in whole.indices {
      for isCut in [true, false] {
        let changed = disk.afterCrash(losing: false)
        changed.change("state") { if isCut { $0.removeSubrange(offset...) } else { $0[offset] ^= 0x11 } }
        // Nothing that is answered is wrong.
        guard let file = try? ChunkFile(path: "/c/state", disk: changed) else { continue }
        let chunks = (0..<4).map { try? file.chunk(at: $0) }
        #expect(!isCut && chunks.contains(nil), "at \(offset)")
        for (number, chunk) in chunks.enumerated() where chunk != nil {
          #expect(chunk == record(number, count: 30 * number))
        }
      }
    }
  }

  @Test(arguments: [true, false]) func aCrashLeavesAWholeFileOrNone(losing: Bool) throws {
    for failFrom in 0...30 {
      let disk = MemoryDisk()
      disk.set { $0.failFrom = failFrom }
      let isDone = (try? write(disk)) != nil
      let crashed = disk.afterCrash(losing: losing)
      if crashed.names().contains("state") {
        let file = try ChunkFile(path: "/c/state", disk: crashed)
        for number in 0..<4 { #expect(try file.chunk(at: number) == record(number, count: 30 * number)) }
      }
      if isDone {
        #expect(crashed.names() == ["state"])
        return
      }
    }
    Issue.record("it never came to its end")
  }
}

@Suite struct RecordFileTests {
  private func open(_ disk: MemoryDisk) throws -> (file: RecordFile, records: [[UInt8]], end: Int, cut: Int) {
    var records: [[UInt8]] = []
    let (file, end, cut) = try RecordFile.open(path: "/r/links", disk: disk) { _, bytes in
      records.append(bytes)
      return bytes != [0xBA]
    }
    return (file, records, end, cut)
  }

  private func diskHolding(_ records: [[UInt8]]) throws -> MemoryDisk {
    let disk = MemoryDisk()
    var (file, _, end, _) = try open(disk)
    for record in records {
      let extent = try file.append(record, at: end)
      #expect(try file.read(extent) == record)
      end = extent.offset + extent.length
    }
    return disk
  }

  @Test func recordsAreFoundAgain() throws {
    let disk = try diskHolding([record(1), [], record(2, count: 500)])
    let (_, records, _, cut) = try open(disk.afterCrash(losing: true))
    #expect(records == [record(1), [], record(2, count: 500)] && cut == 0)
  }

  @Test func whatDoesNotCheckIsCutOffWithAllBehindIt() throws {
    let disk = try diskHolding([record(1), record(2), record(3)])
    let whole = try #require(disk.content("links")).count
    for offset in 0..<whole {
      let changed = disk.afterCrash(losing: false)
      changed.change("links") { $0[offset] ^= 2 }
      let sound = offset / 28
      let (file, records, end, cut) = try open(changed)
      #expect(records == [record(1), record(2), record(3)].prefix(sound) + [] && cut == whole - end)
      _ = try file.append(record(9), at: end)
      #expect(try open(changed).records == records + [record(9)])
    }
  }

  @Test func whatIsNotWantedIsCutOff() throws {
    let disk = try diskHolding([record(1), [0xBA], record(3)])
    #expect(try open(disk).cut == 9 + 28)
    #expect(try open(disk).records == [record(1)])
  }
}
