import Glibc

/// What became of an append or a compaction.
package typealias JournalOutcome = Result<Void, JournalError>

/// Figures of an open journal, for `status`.
package struct JournalCounters: Equatable, Sendable {
  /// Appends that became durable.
  package var appends = 0
  /// Records in them.
  package var records = 0
  /// Bytes of payload in them.
  package var bytes = 0
  /// Calls of fdatasync for appends.
  package var syncs = 0
  /// Compactions and checkpoints done.
  package var compactions = 0
  /// Bytes on disk besides the last checkpoint: what a new one would make needless, but for what is kept of it.
  package var grownBytes = 0
  /// How long the last fdatasync took.
  package var lastSyncMicroseconds: UInt64 = 0
  /// The most appends that shared one fdatasync.
  package var largestGroup = 0
  /// Segments on disk.
  package var segments = 0
  /// The epoch of the segment in writing.
  package var epoch: UInt64 = 0
  /// Bytes that wait or are in writing.
  package var queuedBytes = 0
}

/// An append-only write-ahead journal of opaque records in a directory of its own.
///
/// Appends are written by one thread in the order of the calls. While it syncs, later appends gather; they are then
/// written together and share one fdatasync (group commit). A write or sync that failed is final, because what the
/// kernel keeps of the data afterwards is unknown (Rebello et al., "Can Applications Recover from fsync Failures?",
/// USENIX ATC 2020): every append that waits and every later one gets the error, and the daemon ends.
package final class JournalStore: Sendable {
  /// Called on the journal's thread, in the order of the calls. It must be quick and must not call `close()`.
  package typealias Completion = @Sendable (JournalOutcome) -> Void

  private enum Work {
    case append([[UInt8]], payloadBytes: Int)
    case compact([[UInt8]])
    case checkpoint([[UInt8]])
    case dropBeforeCheckpoint
    case beginEpoch(UInt64)
    case prune(before: UInt64)

    var isAppend: Bool { if case .append = self { true } else { false } }
  }

  private struct Item: Sendable {
    var work: Work
    var heldBytes: Int
    var completion: Completion
  }

  private struct State: Sendable {
    var items: [Item] = []
    var heldBytes = 0
    var isClosing = false
    var isJoined = false
    var needsCompaction: Bool
    var failure: JournalError?
    var counters = JournalCounters()
  }

  private let monitor: Monitor<State>
  private let thread: WorkerThread
  private let queueLimit: Int

  /// Opens the journal in `directory`, which is made if it is missing, and reads it whole.
  ///
  /// - Parameters:
  ///   - networkID: the 32 bytes of the network; segments of another network are an error.
  ///   - segmentBytes: the size at which a segment is followed by a new one.
  ///   - queueBytes: the bound on bytes that wait or are in writing.
  /// - Returns: the journal and what was in it. Where `damage` is set, `append` throws until `compact` was called.
  package static func open(
    directory: String, networkID: [UInt8], disk: any Disk = SystemDisk(),
    segmentBytes: Int = JournalLimits.segmentBytes, queueBytes: Int = JournalLimits.queueBytes
  ) throws(JournalError) -> (journal: JournalStore, recovered: RecoveredJournal) {
    precondition(networkID.count == 32)
    let lock: DiskFile
    do throws(DiskFailure) {
      try disk.makeDirectory(directory)
      lock = try disk.lockDirectory(directory)
    } catch {
      throw error.errorNumber == EWOULDBLOCK
        ? .locked(directory, error) : .disk("Opening the journal in \(directory)", error)
    }
    do throws(JournalError) {
      let (recovered, position) = try JournalRecovery(disk: disk, directory: directory, networkID: networkID).run()
      var writer = SegmentWriter(
        disk: disk, directory: directory, networkID: networkID, segmentLimit: segmentBytes, at: position)
      do throws(DiskFailure) {
        if recovered.isNew {
          try writer.begin()
        } else if recovered.damage == nil {
          try writer.resume()
        }
      } catch {
        writer.close()
        throw .disk("Preparing the journal in \(directory)", error)
      }
      return (try JournalStore(writer, lock, disk, queueBytes, isDamaged: recovered.damage != nil), recovered)
    } catch {
      disk.close(lock)
      throw error
    }
  }

  private init(
    _ writer: SegmentWriter, _ lock: DiskFile, _ disk: any Disk, _ queueLimit: Int, isDamaged: Bool
  ) throws(JournalError) {
    self.queueLimit = queueLimit
    var state = State(needsCompaction: isDamaged)
    state.counters.segments = writer.segmentCount
    state.counters.grownBytes = writer.grownBytes
    state.counters.epoch = writer.epoch
    let monitor = Monitor(state)
    self.monitor = monitor
    let (thread, errorNumber) = WorkerThread.start {
      var writer = writer
      JournalStore.run(monitor, &writer)
      writer.close()
      disk.close(lock)
    }
    guard let thread else {
      writer.close()
      throw .disk(
        "Starting the journal's thread",
        DiskFailure(operation: "pthread_create", path: "", errorNumber: errorNumber))
    }
    self.thread = thread
  }

  deinit { close() }

  /// Queues records to be written and synced; `completion` is then called with the outcome. An empty append is a
  /// barrier: it completes when all before it are durable. After a crash a prefix of an append's records may be there.
  ///
  /// - Throws: at once, with nothing queued and `completion` never called: `.tooLarge` for a record over 16 MiB,
  ///   `.queueFull` where something waits already and this would exceed the bound (one append of any size is taken by
  ///   an idle journal), `.damaged` before a damaged journal was compacted, `.closed`, or the final failure of before.
  package func append(_ records: [[UInt8]], completion: @escaping Completion) throws(JournalError) {
    let payloadBytes = try JournalStore.payloadBytes(records)
    try enqueue(
      .append(records, payloadBytes: payloadBytes), heldBytes: JournalStore.heldBytes(records, payloadBytes), completion
    )
  }

  /// Makes `records` the whole content in place of everything appended before this call, and deletes the older
  /// segments. Over a crash at any point either the old content or the new is recovered whole. Throws like `append`.
  package func compact(keeping records: [[UInt8]], completion: @escaping Completion) throws(JournalError) {
    let payloadBytes = try JournalStore.payloadBytes(records)
    try enqueue(.compact(records), heldBytes: JournalStore.heldBytes(records, payloadBytes), completion)
  }

  /// Writes `records`, which take the place of everything appended before this call, behind it, in a segment that is
  /// there whole or not at all; both are recovered until `dropBeforeCheckpoint`. It does not count towards the bound on
  /// what waits, so the caller has one at a time under way. Throws like `append`.
  package func checkpoint(_ records: [[UInt8]], completion: @escaping Completion) throws(JournalError) {
    _ = try JournalStore.payloadBytes(records)
    try enqueue(.checkpoint(records), heldBytes: 0, completion)
  }

  /// Deletes the segments before the last checkpoint, once what it leaves out is durable elsewhere. Throws like
  /// `append`.
  package func dropBeforeCheckpoint(completion: @escaping Completion) throws(JournalError) {
    try enqueue(.dropBeforeCheckpoint, heldBytes: 0, completion)
  }

  /// Begins a segment of a later epoch behind everything appended before this call; an epoch that has begun already
  /// changes nothing. Throws like `append`.
  package func beginEpoch(_ epoch: UInt64, completion: @escaping Completion = { _ in }) throws(JournalError) {
    try enqueue(.beginEpoch(epoch), heldBytes: 0, completion)
  }

  /// Deletes the segments that were followed by one of `epoch` or later. To be called once the blocks and the state
  /// that make them needless are durable. Throws like `append`.
  package func prune(before epoch: UInt64, completion: @escaping Completion = { _ in }) throws(JournalError) {
    try enqueue(.prune(before: epoch), heldBytes: 0, completion)
  }

  /// Figures since it was opened.
  package var counters: JournalCounters {
    monitor.update { state in
      var counters = state.counters
      counters.queuedBytes = state.heldBytes
      return counters
    }
  }

  /// Writes what is queued, ends the thread and gives the directory free. Safe to call twice.
  package func close() {
    let mustJoin = monitor.update { state in
      state.isClosing = true
      defer { state.isJoined = true }
      return !state.isJoined
    }
    if mustJoin { thread.join() }
  }

  private static func payloadBytes(_ records: [[UInt8]]) throws(JournalError) -> Int {
    var total = 0
    for record in records {
      guard record.count <= JournalLimits.maximumRecordBytes else {
        throw JournalError(
          .tooLarge,
          "A journal record of \(record.count) bytes is over the bound of \(JournalLimits.maximumRecordBytes). "
            + "This is a fault of linnet: please report it.")
      }
      total += record.count
    }
    return total
  }

  private static func heldBytes(_ records: [[UInt8]], _ payloadBytes: Int) -> Int {
    payloadBytes + (records.count + 1) * RecordHeader.byteCount
  }

  /// What holds no bytes is never refused for want of room.
  private func enqueue(_ work: Work, heldBytes: Int, _ completion: @escaping Completion) throws(JournalError) {
    try monitor.update { state throws(JournalError) in
      if let failure = state.failure { throw failure }
      guard !state.isClosing else { throw JournalError(.closed, "The journal is closed.") }
      var isCompaction = false
      if case .compact = work { isCompaction = true }
      if state.needsCompaction, !isCompaction {
        throw JournalError(
          .damaged, "The journal is damaged and takes no records until its content was replaced by a compaction.")
      }
      guard heldBytes == 0 || state.heldBytes == 0 || state.heldBytes + heldBytes <= queueLimit else {
        throw JournalError(
          .queueFull, "\(state.heldBytes) bytes wait for the disk, which is too slow for what this node must record.")
      }
      if isCompaction { state.needsCompaction = false }
      state.heldBytes += heldBytes
      state.items.append(Item(work: work, heldBytes: heldBytes, completion: completion))
    }
  }
}

// The journal's thread.
extension JournalStore {
  private static func run(_ monitor: Monitor<State>, _ writer: inout SegmentWriter) {
    while true {
      let items: [Item] = monitor.wait { state in
        guard !state.items.isEmpty || state.isClosing else { return nil }
        defer { state.items = [] }
        return state.items
      }
      if items.isEmpty { return }
      var done = 0
      do throws(DiskFailure) {
        while done < items.count {
          let group = group(in: items, from: done)
          let written = items[done..<(done + group)]
          try write(written, monitor, &writer)
          done += group
          finish(written, monitor, .success(()))
        }
      } catch {
        fail(items[done...], monitor, .disk("Writing the journal", error))
        return
      }
    }
  }

  /// How many items share the next sync: all appends up to other work, or one such.
  private static func group(in items: [Item], from start: Int) -> Int {
    guard items[start].work.isAppend else { return 1 }
    return (items[start...].firstIndex { !$0.work.isAppend } ?? items.count) - start
  }

  private static func write(
    _ group: ArraySlice<Item>, _ monitor: Monitor<State>, _ writer: inout SegmentWriter
  ) throws(DiskFailure) {
    var appended = JournalCounters()
    for item in group {
      switch item.work {
      case .append(let records, let payloadBytes):
        try writer.append(records)
        appended.appends += 1
        appended.records += records.count
        appended.bytes += payloadBytes
      case .compact(let records):
        try writer.synchronize()
        try writer.replace(with: records)
        appended.compactions += 1
      case .checkpoint(let records):
        try writer.writeCheckpoint(records)
        appended.compactions += 1
      case .dropBeforeCheckpoint: try writer.dropBeforeCheckpoint()
      case .beginEpoch(let epoch): try writer.begin(epoch: epoch)
      case .prune(let epoch): try writer.prune(before: epoch)
      }
    }
    let start = monotonicMicroseconds()
    let synced = try writer.synchronize()
    let elapsed = monotonicMicroseconds() - start
    let segments = writer.segmentCount
    let grownBytes = writer.grownBytes
    let epoch = writer.epoch
    monitor.update { [appended] state in
      state.counters.appends += appended.appends
      state.counters.records += appended.records
      state.counters.bytes += appended.bytes
      state.counters.compactions += appended.compactions
      state.counters.largestGroup = max(state.counters.largestGroup, appended.appends)
      state.counters.segments = segments
      state.counters.grownBytes = grownBytes
      state.counters.epoch = epoch
      if synced {
        state.counters.syncs += 1
        state.counters.lastSyncMicroseconds = elapsed
      }
    }
  }

  private static func finish(_ items: ArraySlice<Item>, _ monitor: Monitor<State>, _ outcome: JournalOutcome) {
    monitor.update { state in
      for item in items { state.heldBytes -= item.heldBytes }
    }
    for item in items { item.completion(outcome) }
  }

  /// Sets the final failure and hands it to everyone who waits, including those who came meanwhile.
  private static func fail(_ items: ArraySlice<Item>, _ monitor: Monitor<State>, _ error: JournalError) {
    let later: [Item] = monitor.update { state in
      state.failure = error
      defer { state.items = [] }
      return state.items
    }
    finish(items, monitor, .failure(error))
    finish(later[...], monitor, .failure(error))
  }

  private static func monotonicMicroseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
  }
}
