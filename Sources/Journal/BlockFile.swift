/// One file of blocks at consecutive heights, and where each of them is: 16 bytes of memory a block.
struct BlockFile: Sendable {
  /// On open the payloads in this many bytes at the end of the last file are checked; others when they are read.
  static let checkedTailBytes = 16 << 20
  /// How far behind a bad record a sound one is looked for.
  private static let searchBytes = 64 << 20

  /// Where a block's record is, its header included; length 0 where the block is not there.
  struct Extent: Equatable, Sendable {
    var offset: Int
    var length: Int
    static let missing = Extent(offset: 0, length: 0)
  }

  let path: String
  let firstHeight: UInt64
  let salt: UInt64
  private(set) var extents: [Extent] = []
  /// Where the next record goes.
  private(set) var end = BlockFileHeader.byteCount

  init(path: String, firstHeight: UInt64, salt: UInt64) {
    self.path = path
    self.firstHeight = firstHeight
    self.salt = salt
  }

  /// The height after the last; saturates at the highest.
  var nextHeight: UInt64 {
    let (next, overflow) = firstHeight.addingReportingOverflow(UInt64(extents.count))
    return overflow ? .max : next
  }

  /// Where the block of this height is; nil outside the file or where it is missing.
  func extent(of height: UInt64) -> Extent? {
    guard height >= firstHeight, height - firstHeight < UInt64(extents.count) else { return nil }
    let extent = extents[Int(height - firstHeight)]
    return extent.length > 0 ? extent : nil
  }

  mutating func append(length: Int) {
    extents.append(Extent(offset: end, length: length))
    end += length
  }

  /// Forgets the blocks from this height on; answers where the file then ends.
  mutating func truncate(from height: UInt64) -> Int {
    guard height < nextHeight else { return end }
    let kept = height > firstHeight ? Int(height - firstHeight) : 0
    end = extents[kept...].first { $0.length > 0 }?.offset ?? end
    extents.removeSubrange(kept...)
    return end
  }

  /// The heights that are missing between sound ones.
  var missing: [ClosedRange<UInt64>] {
    var ranges: [ClosedRange<UInt64>] = []
    for (position, extent) in extents.enumerated() where extent.length == 0 {
      let height = firstHeight + UInt64(position)
      if let last = ranges.last, last.upperBound + 1 == height {
        ranges[ranges.count - 1] = last.lowerBound...height
      } else {
        ranges.append(height...height)
      }
    }
    return ranges
  }

  /// Finds the blocks of a file. A record that does not check is passed over where a sound one follows it; `end` is
  /// behind the last sound one.
  mutating func scan(
    _ file: DiskFile, size: Int, isLast: Bool, limit: Int, _ disk: any Disk
  ) throws(DiskFailure) {
    var offset = end
    while offset < size {
      let bytes = try disk.read(file, count: BlockRecordHeader.byteCount, at: offset)
      guard let header = BlockRecordHeader(bytes, at: 0, salt: salt), isNext(header.height, limit: limit),
        offset + BlockRecordHeader.byteCount + Int(header.length) <= size
      else {
        guard let next = try soundRecord(file, after: offset, size: size, limit: limit, disk) else { return }
        offset = next
        continue
      }
      let length = BlockRecordHeader.byteCount + Int(header.length)
      let isTrusted = !isLast || size - offset > BlockFile.checkedTailBytes
      if isTrusted ? true : try isSound(file, header, at: offset, disk) {
        while nextHeight < header.height { extents.append(.missing) }
        end = offset
        append(length: length)
      }
      offset += length
    }
  }

  /// True for the next height, and for a later one that damage may have put in its place.
  private func isNext(_ height: UInt64, limit: Int) -> Bool {
    height >= nextHeight && height - firstHeight < UInt64(limit)
  }

  private func isSound(
    _ file: DiskFile, _ header: BlockRecordHeader, at offset: Int, _ disk: any Disk
  ) throws(DiskFailure) -> Bool {
    let payload = try disk.read(file, count: Int(header.length), at: offset + BlockRecordHeader.byteCount)
    return payload.count == Int(header.length) && CRC32C.checksum(payload) == header.payloadChecksum
  }

  /// Where the first record with a sound header lies behind a bad one.
  private func soundRecord(
    _ file: DiskFile, after offset: Int, size: Int, limit: Int, _ disk: any Disk
  ) throws(DiskFailure) -> Int? {
    let bytes = try disk.read(file, count: min(size - offset, BlockFile.searchBytes), at: offset)
    var start = 1
    while start + BlockRecordHeader.byteCount <= bytes.count {
      // The height is looked at first: it spares nearly all checksums.
      if isNext(bytes.readUInt64(at: start + 8), limit: limit),
        let header = BlockRecordHeader(bytes, at: start, salt: salt),
        offset + start + BlockRecordHeader.byteCount + Int(header.length) <= size
      {
        return offset + start
      }
      start += 1
    }
    return nil
  }
}
