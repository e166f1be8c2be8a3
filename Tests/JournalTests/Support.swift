import Foundation
import Synchronization
import Testing

@testable import Journal

let network = [UInt8](repeating: 7, count: 32)

/// A directory that goes away with the value's scope.
final class TemporaryDirectory {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "linnet-journal-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Collects the outcomes of appends in the order in which they are told.
final class Outcomes: Sendable {
  private let list = Mutex<[(Int, JournalOutcome)]>([])

  func completion(_ number: Int) -> JournalStore.Completion {
    { outcome in self.list.withLock { $0.append((number, outcome)) } }
  }

  var numbers: [Int] { list.withLock { $0.map(\.0) } }
  var failures: [JournalError] {
    list.withLock { $0.compactMap { if case .failure(let error) = $0.1 { error } else { nil } } }
  }
}

/// A door for the journal's thread, shut until the test opens it.
final class Gate: Sendable {
  private let arrived = DispatchSemaphore(value: 0)
  private let opened = DispatchSemaphore(value: 0)
  private let isArmed = Mutex(false)

  func arm() { isArmed.withLock { $0 = true } }

  /// The thread's side: reports and waits, once after each `arm`.
  func pass() {
    let mustWait = isArmed.withLock { armed in
      defer { armed = false }
      return armed
    }
    guard mustWait else { return }
    arrived.signal()
    opened.wait()
  }

  func waitForArrival() { arrived.wait() }
  func open() { opened.signal() }
}

func openMemory(
  _ disk: MemoryDisk, segmentBytes: Int = JournalLimits.segmentBytes, queueBytes: Int = JournalLimits.queueBytes
) throws -> (journal: JournalStore, recovered: RecoveredJournal) {
  try JournalStore.open(
    directory: "/j", networkID: network, disk: disk, segmentBytes: segmentBytes, queueBytes: queueBytes)
}

/// A disk that holds a journal of these records, each in an append of its own.
func diskHolding(_ records: [[UInt8]], segmentBytes: Int = JournalLimits.segmentBytes) throws -> MemoryDisk {
  let disk = MemoryDisk()
  let (journal, _) = try openMemory(disk, segmentBytes: segmentBytes)
  for record in records { try journal.append([record]) { _ in } }
  journal.close()
  return disk
}

func record(_ number: Int, count: Int = 20) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number &* 7 &+ 1) }
}
