import Glibc
import Synchronization

/// What opening a block store found.
package struct BlockFindings: Equatable, Sendable {
  /// Bytes at the end that were cut off: blocks whose writing did not come to its end, or that were damaged there.
  package var tornBytes = 0
  /// Heights between the first and the last that are not there or do not check.
  package var missing: [ClosedRange<UInt64>] = []
  /// Files whose header does not check; they were set aside under the name with `.damaged` behind it.
  package var unreadableFiles: [String] = []
}

/// The final blocks of one network, opaque bytes at consecutive heights, in files of some thousand blocks each.
///
/// Reads take no lock while they read, so they go on beside the writer. `append` leaves the bytes to the kernel; `sync`
/// makes them durable; changes and syncs are made one after the other, by one queue. A failed write or sync is final, as in the journal. Damage is no failure: a block that does not
/// check is missing, and peers have it.
package final class BlockStore: Sendable {
  struct State {
    var files: [BlockFile]
    /// The last of `files`, open for writing; nil when there is none.
    var output: DiskFile?
    var failure: JournalError?
  }

  private let disk: any Disk
  private let directory: String
  private let networkID: [UInt8]
  private let blocksPerFile: Int
  private let lock: DiskFile
  private let state: Mutex<State>

  /// Opens the store in `directory`, which is made if it is missing, and reads the headers of all blocks.
  ///
  /// - Parameters:
  ///   - networkID: the 32 bytes of the network; files of another are an error.
  ///   - blocksPerFile: a file with so many blocks is followed by a new one; pruning goes by files.
  package static func open(
    directory: String, networkID: [UInt8], blocksPerFile: Int = JournalLimits.blocksPerFile,
    disk: any Disk = SystemDisk()
  ) throws(JournalError) -> (store: BlockStore, findings: BlockFindings) {
    precondition(networkID.count == 32 && blocksPerFile > 0)
    let lock: DiskFile
    do throws(DiskFailure) {
      try disk.makeDirectory(directory)
      lock = try disk.lockDirectory(directory)
    } catch {
      throw error.errorNumber == EWOULDBLOCK
        ? .locked(directory, error) : .disk("Opening the block store in \(directory)", error)
    }
    do throws(JournalError) {
      let opening = BlockStoreOpening(
        disk: disk, directory: directory, networkID: networkID, blocksPerFile: blocksPerFile)
      let (state, findings) = try opening.run()
      return (BlockStore(disk, directory, networkID, blocksPerFile, lock, state), findings)
    } catch {
      disk.close(lock)
      throw error
    }
  }

  private init(
    _ disk: any Disk, _ directory: String, _ networkID: [UInt8], _ blocksPerFile: Int, _ lock: DiskFile, _ state: State
  ) {
    self.disk = disk
    self.directory = directory
    self.networkID = networkID
    self.blocksPerFile = blocksPerFile
    self.lock = lock
    self.state = Mutex(state)
  }

  deinit {
    state.withLock { state in
      if let output = state.output { disk.close(output) }
    }
    disk.close(lock)
  }

  /// The lowest and the highest height held; some between may be missing. Nil when there is no block.
  package var range: ClosedRange<UInt64>? {
    state.withLock { state in
      guard let first = state.files.first(where: { !$0.extents.isEmpty }),
        let last = state.files.last(where: { !$0.extents.isEmpty })
      else { return nil }
      return first.firstHeight...(last.firstHeight + UInt64(last.extents.count - 1))
    }
  }

  /// The height of the newest block; nil when there is none.
  package var lastHeight: UInt64? { range?.upperBound }

  /// The only height that `append` takes; nil when it takes any.
  package var nextHeight: UInt64? { state.withLock { $0.files.last?.nextHeight } }

  /// How many files there are.
  package var fileCount: Int { state.withLock { $0.files.count } }

  /// Adds the next block. The first block of an empty store may have any height, each later one the next.
  ///
  /// - Parameter bytes: at most 16 MiB.
  package func append(height: UInt64, bytes: [UInt8]) throws(JournalError) {
    guard bytes.count <= JournalLimits.maximumRecordBytes else {
      throw JournalError(
        .tooLarge, "Block \(height) has \(bytes.count) bytes, over the bound of \(JournalLimits.maximumRecordBytes).")
    }
    try changing("Writing block \(height)") { state throws(JournalOrDisk) in
      let last = state.files.last
      if let last, height != last.nextHeight || height == .max {
        throw .journal(
          JournalError(
            .heightOutOfOrder, "Block \(height) cannot be stored: the next height is \(last.nextHeight)."))
      }
      if last.map({ $0.extents.count >= blocksPerFile || $0.end >= JournalLimits.segmentBytes }) ?? true {
        try JournalOrDisk.wrap { () throws(DiskFailure) in try startFile(at: height, &state) }
      }
      let index = state.files.count - 1
      guard let output = state.output else { return }
      let record = BlockRecordHeader(height: height, payload: bytes).encoded(salt: state.files[index].salt) + bytes
      let end = state.files[index].end
      try JournalOrDisk.wrap { () throws(DiskFailure) in try disk.writeAll(output, record, at: end) }
      state.files[index].append(length: record.count)
    }
  }

  /// The bytes of a block; nil where the height is not held. Throws `.damaged` where they do not check.
  package func read(height: UInt64) throws(JournalError) -> [UInt8]? {
    try read(from: height, maximumCount: 1, maximumBytes: .max).first
  }

  /// The bytes of consecutive blocks from a height on, with one read of the disk; empty where the first is not held.
  /// They end before a block that is missing, at the end of a file, and before `maximumBytes` would be exceeded, though
  /// never before the first. Throws `.damaged` where the first does not check, and ends before any other that does not.
  package func read(from height: UInt64, maximumCount: Int, maximumBytes: Int) throws(JournalError) -> [[UInt8]] {
    let found = state.withLock { state -> (path: String, salt: UInt64, extents: [BlockFile.Extent])? in
      guard let file = state.files.last(where: { $0.firstHeight <= height }), var next = file.extent(of: height)
      else { return nil }
      var extents: [BlockFile.Extent] = []
      var bytes = 0
      while extents.count < maximumCount, extents.isEmpty || bytes + next.length <= maximumBytes {
        extents.append(next)
        bytes += next.length
        guard let following = file.extent(of: height + UInt64(extents.count)) else { break }
        next = following
      }
      return (file.path, file.salt, extents)
    }
    guard let found, let first = found.extents.first, let last = found.extents.last else { return [] }
    let bytes: [UInt8]
    do throws(DiskFailure) {
      let file = try disk.openForReading(found.path)
      defer { disk.close(file) }
      bytes = try disk.read(file, count: last.offset + last.length - first.offset, at: first.offset)
    } catch {
      // It was pruned meanwhile.
      if error.errorNumber == ENOENT { return [] }
      throw .disk("Reading block \(height)", error)
    }
    var blocks: [[UInt8]] = []
    for extent in found.extents {
      let start = extent.offset - first.offset
      guard let payload = BlockStore.payload(bytes, at: start, height + UInt64(blocks.count), found.salt) else {
        guard blocks.isEmpty else { break }
        throw JournalError(
          .damaged, "Block \(height) is damaged, at byte \(extent.offset) of \(found.path). Peers have it.")
      }
      blocks.append(payload)
    }
    return blocks
  }

  /// Deletes the files all of whose blocks lie below `height`. What is left may begin lower: pruning goes by files, and
  /// the last file stays.
  package func prune(below height: UInt64) throws(JournalError) {
    try changing("Pruning blocks below \(height)") { state throws(JournalOrDisk) in
      let count = state.files.dropLast().prefix { $0.nextHeight <= height }.count
      guard count > 0 else { return }
      try JournalOrDisk.wrap { () throws(DiskFailure) in
        for file in state.files[..<count] { try disk.remove(file.path) }
        try disk.synchronizeDirectory(directory)
      }
      state.files.removeFirst(count)
    }
  }

  /// Drops all blocks; the next must be the one at `height`. For a node whose state came from a snapshot.
  package func begin(at height: UInt64) throws(JournalError) {
    try changing("Beginning the block store at \(height)") { state throws(JournalOrDisk) in
      try JournalOrDisk.wrap { () throws(DiskFailure) in
        for file in state.files { try disk.remove(file.path) }
        state.files = []
        try startFile(at: height, &state)
      }
    }
  }

  /// Drops the blocks from `height` on: behind a missing one the rest is of no use to whoever must execute them.
  package func truncate(from height: UInt64) throws(JournalError) {
    try changing("Dropping the blocks from \(height) on") { state throws(JournalOrDisk) in
      try JournalOrDisk.wrap { () throws(DiskFailure) in
        while let last = state.files.last, last.nextHeight > height {
          if let output = state.output { disk.close(output) }
          state.output = nil
          if last.firstHeight >= height, state.files.count > 1 {
            try disk.remove(last.path)
            state.files.removeLast()
          } else {
            let file = try disk.open(last.path)
            state.output = file
            let end = state.files[state.files.count - 1].truncate(from: max(height, last.firstHeight))
            try disk.truncate(file, to: end)
            break
          }
        }
        if state.output == nil, let last = state.files.last { state.output = try disk.open(last.path) }
        try disk.synchronizeDirectory(directory)
      }
    }
  }

  /// Makes every block appended so far durable.
  package func sync() throws(JournalError) {
    // A file that is followed by another was synced before; the lock is not held while this one is.
    let output = try state.withLock { state throws(JournalError) -> DiskFile? in
      if let failure = state.failure { throw failure }
      return state.output
    }
    guard let output else { return }
    do throws(DiskFailure) {
      try disk.synchronize(output)
    } catch {
      let failure = JournalError.disk("Syncing the block store", error)
      state.withLock { $0.failure = failure }
      throw failure
    }
  }

  private static func payload(_ bytes: [UInt8], at start: Int, _ height: UInt64, _ salt: UInt64) -> [UInt8]? {
    guard let header = BlockRecordHeader(bytes, at: start, salt: salt), header.height == height else { return nil }
    let begin = start + BlockRecordHeader.byteCount
    guard begin + Int(header.length) <= bytes.count else { return nil }
    let payload = Array(bytes[begin..<(begin + Int(header.length))])
    return CRC32C.checksum(payload) == header.payloadChecksum ? payload : nil
  }

  /// Syncs the file in writing and begins the next one.
  private func startFile(at height: UInt64, _ state: inout State) throws(DiskFailure) {
    if let output = state.output {
      try disk.synchronize(output)
      disk.close(output)
      state.output = nil
    }
    let path = directory + "/" + BlockFileName.name(height)
    let salt = UInt64.random(in: .min ... .max)
    let header = BlockFileHeader(networkID: networkID, firstHeight: height, salt: salt)
    let temporary = directory + "/" + BlockFileName.name(height) + ".tmp"
    var file = try disk.create(temporary)
    do throws(DiskFailure) {
      try disk.writeAll(file, header.encoded(), at: 0)
      try disk.synchronize(file)
      try disk.rename(temporary, to: path)
      try disk.synchronizeDirectory(directory)
    } catch {
      disk.close(file)
      throw error
    }
    file.path = path
    state.output = file
    state.files.append(BlockFile(path: path, firstHeight: height, salt: salt))
  }

  /// Runs a change; a failure of the disk is final.
  private func changing(
    _ doing: String, _ body: (inout State) throws(JournalOrDisk) -> Void
  ) throws(JournalError) {
    try state.withLock { state throws(JournalError) in
      if let failure = state.failure { throw failure }
      do throws(JournalOrDisk) {
        try body(&state)
      } catch {
        switch error {
        case .journal(let refusal): throw refusal
        case .disk(let cause):
          let failure = JournalError.disk(doing, cause)
          state.failure = failure
          throw failure
        }
      }
    }
  }
}

/// A refusal, which changes nothing, or a failure of the disk, which is final.
enum JournalOrDisk: Error {
  case journal(JournalError)
  case disk(DiskFailure)

  static func wrap(_ body: () throws(DiskFailure) -> Void) throws(JournalOrDisk) {
    do throws(DiskFailure) { try body() } catch { throw .disk(error) }
  }
}
