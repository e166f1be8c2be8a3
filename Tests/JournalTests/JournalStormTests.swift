import Testing

@testable import Journal

/// Random work on a journal, a disk that fails at a random moment, and a power failure: over and over on what is left.
@Suite struct JournalStormTests {
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }

  @Test(arguments: 0..<60) func whatWasToldDurableIsThereAfterAnyCrash(seed: Int) throws {
    var generator = Generator(state: UInt64(seed))
    var disk = MemoryDisk()
    var content: [[UInt8]] = []
    var epoch: UInt64 = 0
    var number = 0
    for _ in 0..<12 {
      let (journal, recovered) = try openMemory(disk, segmentBytes: 600)
      #expect(recovered.damage == nil && recovered.records == content, "seed \(seed)")
      disk.set {
        $0.changes = 0
        $0.failFrom = Int.random(in: 0...60, using: &generator)
      }
      // What the content is after each piece of work, as far as the journal told it.
      let outcomes = Outcomes()
      var after: [[[UInt8]]] = [content]
      var epochs: [UInt64] = [epoch]
      // Where the last checkpoint begins in it.
      var checkpointStart: Int?
      for work in 0..<Int.random(in: 1...8, using: &generator) {
        var next = after[work]
        var nextEpoch = epochs[work]
        do {
          switch Int.random(in: 0..<10, using: &generator) {
          case 0..<6:
            let records = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
              number += 1
              return record(number, count: Int.random(in: 0...200, using: &generator))
            }
            next += records
            try journal.append(records, completion: outcomes.completion(work))
          case 6:
            next = Array(next.suffix(2))
            checkpointStart = 0
            try journal.compact(keeping: next, completion: outcomes.completion(work))
          case 7:
            checkpointStart = next.count
            let kept = Array(next.suffix(3))
            next += kept
            try journal.checkpoint(kept, completion: outcomes.completion(work))
          case 8:
            next.removeFirst(checkpointStart ?? 0)
            checkpointStart = checkpointStart.map { _ in 0 }
            try journal.dropBeforeCheckpoint(completion: outcomes.completion(work))
          default:
            nextEpoch += 1
            try journal.beginEpoch(nextEpoch, completion: outcomes.completion(work))
          }
        } catch {
          break
        }
        after.append(next)
        epochs.append(nextEpoch)
      }
      journal.close()
      let told = outcomes.numbers.count - outcomes.failures.count
      disk = disk.afterCrash(keeping: Int.random(in: 0...300, using: &generator))
      let left = try openMemory(disk.afterCrash(losing: false), segmentBytes: 600).recovered
      #expect(left.damage == nil, "seed \(seed)")
      // What was told is there; of what came later a beginning may be, record by record.
      let possible = after[told...]
      let isPossible = possible.contains(left.records) || possible.contains { $0.starts(with: left.records) }
      #expect(isPossible && left.records.starts(with: commonStart(Array(possible))), "seed \(seed)")
      content = left.records
      epoch = max(epoch, left.epoch)
    }
  }

  /// The longest beginning that all have.
  private func commonStart(_ contents: [[[UInt8]]]) -> [[UInt8]] {
    guard var common = contents.first else { return [] }
    for content in contents.dropFirst() { common = zip(common, content).prefix { $0 == $1 }.map(\.0) }
    return common
  }
}
