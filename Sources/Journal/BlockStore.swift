import Glibc
import Synchronization

/// The finalised blocks of one network in one file that only grows: opaque bytes, at consecutive heights.
///
/// Reads use pread and take no lock while they read, so they go on beside the writer. `append` leaves the bytes to the
/// kernel; `sync` makes them durable. A failed write or sync is final, as in the journal.
package final class BlockStore: Sendable {
  private static let fileName = "blocks"
  /// On open the payloads in this many bytes at the end are checked; older ones when they are read.
  private static let checkedTailBytes = 16 << 20
  /// How far behind a bad record recovery looks for a good one.
  private static let searchBytes = 64 << 20

  private struct State {
    var index = BlockIndex()
    var end: Int
    var failure: JournalError?
  }

  private let disk: any Disk
  private let file: DiskFile
  private let lock: DiskFile
  private let salt: UInt64
  private let state: Mutex<State>

  /// Opens the store in `directory`, which is made if it is missing, and reads the headers of all blocks.
  ///
  /// A record that does not check at the end of the file, with nothing sound after it, is a torn tail and cut off.
  /// Damage further in throws `.damaged`, unless `discardingDamage` says to cut it off too: finalised blocks can be
  /// fetched from peers again.
  ///
  /// - Returns: the store and how many bytes were cut off.
  package static func open(
    directory: String, networkID: [UInt8], discardingDamage: Bool = false, disk: any Disk = SystemDisk()
  ) throws(JournalError) -> (store: BlockStore, truncatedBytes: Int) {
    precondition(networkID.count == 32)
    let lock: DiskFile
    do throws(DiskFailure) {
      try disk.makeDirectory(directory)
      lock = try disk.lockDirectory(directory)
    } catch {
      throw error.errorNumber == EWOULDBLOCK
        ? .locked(directory, error) : .disk("Opening the block store in \(directory)", error)
    }
    do throws(JournalError) {
      let path = directory + "/" + fileName
      let file: DiskFile
      do throws(DiskFailure) {
        if try !disk.list(directory).contains(fileName) { try create(directory, path, networkID, disk) }
        file = try disk.open(path)
      } catch {
        throw .disk("Opening the block store in \(directory)", error)
      }
      do throws(JournalError) {
        return try load(file, lock, networkID, discardingDamage, disk)
      } catch {
        disk.close(file)
        throw error
      }
    } catch {
      disk.close(lock)
      throw error
    }
  }

  private init(_ disk: any Disk, _ file: DiskFile, _ lock: DiskFile, _ salt: UInt64, _ index: BlockIndex, _ end: Int) {
    self.disk = disk
    self.file = file
    self.lock = lock
    self.salt = salt
    state = Mutex(State(index: index, end: end))
  }

  deinit {
    disk.close(file)
    disk.close(lock)
  }

  /// The heights held; nil when there is no block.
  package var range: ClosedRange<UInt64>? {
    state.withLock { state in
      guard state.index.count > 0 else { return nil }
      return state.index.firstHeight...(state.index.firstHeight + UInt64(state.index.count - 1))
    }
  }

  /// The height of the newest block; nil when there is none.
  package var lastHeight: UInt64? { range?.upperBound }

  /// The height of the block with this 32-byte id.
  package func height(ofID id: [UInt8]) -> UInt64? {
    guard id.count == 32 else { return nil }
    return state.withLock { $0.index.height(ofID: id) }
  }

  /// Adds the next block. The first block of an empty store may have any height, each later one the next.
  ///
  /// - Parameters:
  ///   - id: 32 bytes.
  ///   - bytes: at most 16 MiB.
  package func append(height: UInt64, id: [UInt8], bytes: [UInt8]) throws(JournalError) {
    precondition(id.count == 32)
    guard bytes.count <= JournalLimits.maximumRecordBytes else {
      throw JournalError(
        .tooLarge, "Block \(height) has \(bytes.count) bytes, over the bound of \(JournalLimits.maximumRecordBytes).")
    }
    let record = BlockHeader(height: height, id: id, payload: bytes).encoded(salt: salt) + bytes
    try state.withLock { state throws(JournalError) in
      if let failure = state.failure { throw failure }
      if state.index.count > 0 {
        let (expected, overflow) = state.index.firstHeight.addingReportingOverflow(UInt64(state.index.count))
        guard !overflow, height == expected else {
          throw JournalError(.heightOutOfOrder, "Block \(height) cannot be stored: the next height is \(expected).")
        }
      }
      do throws(DiskFailure) {
        try disk.writeAll(file, record, at: state.end)
      } catch {
        let failure = JournalError.disk("Writing block \(height)", error)
        state.failure = failure
        throw failure
      }
      state.index.append(height: height, id: id, offset: state.end)
      state.end += record.count
    }
  }

  /// The bytes of a block; nil where the height is not held. Throws `.damaged` where they do not check.
  package func read(height: UInt64) throws(JournalError) -> [UInt8]? {
    let extent = state.withLock { state -> Range<Int>? in
      guard let position = state.index.position(ofHeight: height) else { return nil }
      let next = position + 1 < state.index.count ? state.index.offset(at: position + 1) : state.end
      return state.index.offset(at: position)..<next
    }
    guard let extent else { return nil }
    let record: [UInt8]
    do throws(DiskFailure) {
      record = try disk.read(file, count: extent.count, at: extent.lowerBound)
    } catch {
      throw .disk("Reading block \(height)", error)
    }
    guard let header = BlockHeader(record, at: 0, salt: salt), header.height == height,
      record.count == BlockHeader.byteCount + Int(header.length)
    else { throw BlockStore.damaged(file, extent.lowerBound) }
    let payload = Array(record[BlockHeader.byteCount...])
    guard CRC32C.checksum(payload) == header.payloadChecksum else {
      throw BlockStore.damaged(file, extent.lowerBound)
    }
    return payload
  }

  /// Makes every block appended so far durable.
  package func sync() throws(JournalError) {
    if let failure = state.withLock({ $0.failure }) { throw failure }
    do throws(DiskFailure) {
      try disk.synchronize(file)
    } catch {
      let failure = JournalError.disk("Syncing the block store", error)
      state.withLock { $0.failure = failure }
      throw failure
    }
  }

  private static func damaged(_ file: DiskFile, _ offset: Int) -> JournalError {
    JournalError(
      .damaged,
      "\(file.path) is damaged at byte \(offset). "
        + "Let it be cut off there, or move the file away: its blocks are fetched from peers again.")
  }
}

// Opening.
extension BlockStore {
  private static func create(
    _ directory: String, _ path: String, _ networkID: [UInt8], _ disk: any Disk
  ) throws(DiskFailure) {
    let header = BlockFileHeader(networkID: networkID, salt: UInt64.random(in: .min ... .max))
    let file = try disk.create(path + ".tmp")
    defer { disk.close(file) }
    try disk.writeAll(file, header.encoded(), at: 0)
    try disk.synchronize(file)
    try disk.rename(path + ".tmp", to: path)
    try disk.synchronizeDirectory(directory)
  }

  private static func load(
    _ file: DiskFile, _ lock: DiskFile, _ networkID: [UInt8], _ discardingDamage: Bool, _ disk: any Disk
  ) throws(JournalError) -> (store: BlockStore, truncatedBytes: Int) {
    do {
      let size = try disk.size(file)
      let fileHeader = try BlockFileHeader.read(
        try disk.read(file, count: BlockFileHeader.byteCount, at: 0), path: file.path)
      guard fileHeader.networkID == networkID else { throw JournalError.wrongNetwork(file.path) }
      let salt = fileHeader.salt

      var (index, end) = try scanHeaders(file, size: size, salt: salt, disk)
      if let bad = try firstBadPayload(file, index, end: end, salt: salt, disk) {
        end = index.offset(at: bad)
        index.truncate(to: bad)
      }
      if end < size {
        if !discardingDamage, try holdsBlock(file, after: end, size: size, salt: salt, disk) {
          throw damaged(file, end)
        }
        try disk.truncate(file, to: end)
      }
      try disk.synchronize(file)
      return (BlockStore(disk, file, lock, salt, index, end), size - end)
    } catch let error as JournalError {
      throw error
    } catch let failure as DiskFailure {
      throw .disk("Reading the block store", failure)
    } catch {
      throw JournalError(.damaged, "Reading the block store failed: \(error)")
    }
  }

  /// All blocks whose headers check and follow one another, and where they end.
  private static func scanHeaders(
    _ file: DiskFile, size: Int, salt: UInt64, _ disk: any Disk
  ) throws(DiskFailure) -> (BlockIndex, Int) {
    var index = BlockIndex()
    var offset = BlockFileHeader.byteCount
    while offset < size {
      let bytes = try disk.read(file, count: BlockHeader.byteCount, at: offset)
      guard let header = BlockHeader(bytes, at: 0, salt: salt) else { break }
      let next = offset + BlockHeader.byteCount + Int(header.length)
      guard next <= size, index.count == 0 || header.height == index.firstHeight &+ UInt64(index.count)
      else { break }
      index.append(height: header.height, id: header.id, offset: offset)
      offset = next
    }
    return (index, offset)
  }

  /// The first block in the checked tail whose payload does not check.
  private static func firstBadPayload(
    _ file: DiskFile, _ index: BlockIndex, end: Int, salt: UInt64, _ disk: any Disk
  ) throws(DiskFailure) -> Int? {
    var first = index.count
    while first > 0, first == index.count || index.offset(at: first) > end - checkedTailBytes { first -= 1 }
    for position in first..<index.count {
      let offset = index.offset(at: position)
      let next = position + 1 < index.count ? index.offset(at: position + 1) : end
      let record = try disk.read(file, count: next - offset, at: offset)
      guard let header = BlockHeader(record, at: 0, salt: salt),
        CRC32C.checksum(record[BlockHeader.byteCount...]) == header.payloadChecksum
      else { return position }
    }
    return nil
  }

  /// Whether the header of any block lies behind the bad one at `offset`.
  private static func holdsBlock(
    _ file: DiskFile, after offset: Int, size: Int, salt: UInt64, _ disk: any Disk
  ) throws(DiskFailure) -> Bool {
    let bytes = try disk.read(file, count: min(size - offset, searchBytes), at: offset)
    var start = 1
    if let bad = BlockHeader(bytes, at: 0, salt: salt) { start = BlockHeader.byteCount + Int(bad.length) }
    while start + BlockHeader.byteCount <= bytes.count {
      if BlockHeader(bytes, at: start, salt: salt) != nil { return true }
      start += 1
    }
    return false
  }
}
