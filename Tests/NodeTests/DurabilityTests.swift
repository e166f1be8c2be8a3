import Consensus
import Core
import Foundation
import Primitives
import Synchronization
import Testing
import Wire

@testable import Journal
@testable import Node

/// In which order things become durable.
@Suite struct DurabilityTests {
  private static func open(
    _ directory: String, _ genesis: Genesis, compactionBytes: Int = ChainStorage.defaultCompactionBytes,
    disk: any Disk = SystemDisk()
  ) throws -> ChainStorage.Opened {
    try ChainStorage.open(
      directory: directory, genesis: genesis, sequenceFloor: 0, neverVoted: true, retainedBlocks: 0,
      compactionBytes: compactionBytes, disk: disk, logger: silence())
  }

  /// The power fails right after a state got its name: the blocks below it are there, for all who ask.
  @Test func noStateIsDurableBeforeTheBlocksBelowIt() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator(epochBlocks: 4)
    try lone.run(toHeight: 6)
    let chain = scratch.path + "/chain"
    let copy = scratch.path + "/after"
    let failure = Mutex<(any Error)?>(nil)
    let disk = WatchedDisk(renamed: { path, disk in
      guard path.hasSuffix(".snapshot") else { return }
      do { try disk.copyAfterCrash(chain, to: copy) } catch { failure.withLock { $0 = error } }
    })
    let opened = try Self.open(chain, lone.genesis, disk: disk)
    await lone.keep(in: opened.storage)
    opened.storage.close()
    #expect(failure.withLock { $0 } == nil)
    let after = try Self.open(copy, lone.genesis)
    defer { after.storage.close() }
    #expect(after.snapshotHeight == 4 && after.recovery.tip.height >= 4)
    #expect(after.storage.blocks.range?.lowerBound == 1 && after.storage.blocks.lastHeight.map { $0 >= 4 } == true)
  }

  /// What may only happen in the new epoch waits for it to be durable, and for the votes of before to be gone.
  @Test func anEpochIsKeptWhenItsStateIs() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator(epochBlocks: 4)
    try lone.run(toHeight: 4)
    let (arrived, opening) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let disk = WatchedDisk(beforeSync: { path in
      guard path.hasSuffix(".snapshot.tmp") || path.hasSuffix(".snapshot") else { return }
      arrived.signal()
      opening.wait()
    })
    let storage = try Self.open(scratch.path + "/chain", lone.genesis, disk: disk).storage
    let isKept = Mutex(false)
    for happening in lone.happenings {
      switch happening {
      case .persist(let record): storage.persist([record.encoded]) { #expect($0.isDurable) }
      case .commit(let blocks, let finalization):
        storage.commit(blocks, finalization: finalization) { Issue.record("\($0)") }
      case .begin(let epoch, let boundary, let finalization, let snapshot, let next):
        storage.begin(
          epoch: epoch, boundary: boundary, finalization: finalization, snapshot: snapshot, next: next,
          kept: { isKept.withLock { $0 = true } }, failed: { Issue.record("\($0)") })
      }
    }
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        arrived.wait()
        continuation.resume()
      }
    }
    #expect(await Self.isDurable(storage))
    #expect(!isKept.withLock { $0 } && storage.snapshots.latest.isEmpty)
    opening.signal()
    storage.close()
    #expect(isKept.withLock { $0 } && storage.snapshots.latest.first?.height == 4)
    let copy = scratch.path + "/copy"
    try FileManager.default.copyItem(atPath: scratch.path + "/chain", toPath: copy)
    let again = try Self.open(copy, lone.genesis)
    #expect(again.recovery.journalEpoch == 1)
    again.storage.close()
  }

  /// Blocks are final all the while, and the blocks' disk is far behind: the journal stays bounded all the same.
  @Test func theJournalIsWrittenAnewWhileBlocksAreFinal() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    let door = Door()
    let disk = WatchedDisk(beforeSync: { path in if path.hasSuffix(".blocks") { door.pass() } })
    let limit = 16_384
    let chain = scratch.path + "/chain"
    let storage = try Self.open(chain, lone.genesis, compactionBytes: limit, disk: disk).storage
    var largest = 0
    var begun: UInt64?
    for height in 1...150 as ClosedRange<UInt64> {
      try lone.run(toHeight: height)
      await lone.keep(in: storage)
      lone.happenings = []
      if storage.hasGrown {
        let checkpoint = lone.core.checkpoint()
        storage.compact(keeping: { checkpoint }) { Issue.record("\($0)") }
        if begun == nil { begun = height }
      }
      // A sync of the blocks takes as long as five commits, and no longer because this machine has other things to do.
      if let first = begun, height == first + 5 {
        door.open()
        await storage.settled()
        door.close()
        begun = nil
      }
      // Nothing is written while the files are looked at.
      #expect(await Self.isDurable(storage))
      largest = max(largest, try Self.journalBytes(chain))
    }
    door.open()
    storage.close()
    #expect(storage.counters.compactions >= 4)
    #expect(largest < 2 * limit, "the journal had \(largest) bytes")
    let copy = scratch.path + "/copy"
    try FileManager.default.copyItem(atPath: chain, toPath: copy)
    let again = try Self.open(copy, lone.genesis)
    defer { again.storage.close() }
    #expect(again.recovery.tip.height == 150 && again.abstains == nil)
    #expect(again.recovery.ledger.finalStateRoot == lone.core.ledger.finalStateRoot)
    #expect(try JournalInspection.inspect(copy).conflicts.isEmpty)
  }

  /// Waits until the journal has what it was given.
  private static func isDurable(_ storage: ChainStorage) async -> Bool {
    await withCheckedContinuation { continuation in
      storage.persist([]) { continuation.resume(returning: $0.isDurable) }
    }
  }

  private static func journalBytes(_ chain: String) throws -> Int {
    try JournalInspection.inspect(chain).segments.reduce(0) { $0 + $1.bytes }
  }

  /// A disk that does not answer is not a full one, and whoever reads why the daemon ended must be told so.
  @Test func aStalledDiskIsCalledOne() throws {
    let scratch = try Scratch()
    let opening = DispatchSemaphore(value: 0)
    let isStalled = Mutex(false)
    let disk = WatchedDisk(beforeSync: { path in
      if path.hasSuffix(".journal"), isStalled.withLock({ $0 }) { opening.wait() }
    })
    let lone = try LoneValidator()
    let storage = try Self.open(scratch.path + "/chain", lone.genesis, disk: disk).storage
    isStalled.withLock { $0 = true }
    let failures = Mutex<[JournalError]>([])
    let record = [UInt8](repeating: 1, count: JournalLimits.maximumRecordBytes)
    for _ in 0..<6 {
      storage.persist([record]) { outcome in
        if case .failure(let error) = outcome { failures.withLock { $0.append(error) } }
      }
    }
    let refused = failures.withLock { $0 }
    #expect(!refused.isEmpty && refused.allSatisfy { $0.code == .queueFull })
    let halt = NodeShell.halt(for: try #require(refused.first))
    #expect(halt.message.contains("stalled") && !halt.suggestion.contains("full"))
    isStalled.withLock { $0 = false }
    for _ in 0..<8 { opening.signal() }
    storage.close()
    #expect(failures.withLock { $0.count } == refused.count)
  }

  /// The power fails while a checkpoint is being put in place of what came before.
  @Test func aCrashDuringACompactionForgetsNothing() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 6)
    let chain = scratch.path + "/chain"
    let place = scratch.path + "/after"
    let copies = Mutex(0)
    let disk = WatchedDisk(renamed: { path, disk in
      guard path.hasSuffix(".journal") else { return }
      let number = copies.withLock { copies in
        copies += 1
        return copies
      }
      do { try disk.copyAfterCrash(chain, to: place + "\(number)") } catch { Issue.record("\(error)") }
    })
    let storage = try Self.open(chain, lone.genesis, disk: disk).storage
    await lone.keep(in: storage)
    let before = copies.withLock { $0 }
    let checkpoint = lone.core.checkpoint()
    storage.compact(keeping: { checkpoint }) { Issue.record("\($0)") }
    await storage.settled()
    storage.close()
    let after = copies.withLock { $0 }
    #expect(after == before + 2)
    for number in (before + 1)...after {
      let opened = try Self.open(place + "\(number)", lone.genesis)
      #expect(opened.abstains == nil)
      let isOld = number == before + 1
      #expect(opened.recovery.records == (isOld ? lone.records + checkpoint : checkpoint))
      // Whatever the blocks lost, the journal has it, or the blocks are there.
      if !isOld { #expect(opened.recovery.tip.height == 6) }
      var again = lone
      again.restart(from: opened.recovery)
      try again.run(toHeight: 8)
      #expect(again.core.ledger.finalHeight == 8)
      opened.storage.close()
    }
  }
}
