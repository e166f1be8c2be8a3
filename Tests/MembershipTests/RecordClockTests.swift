import Primitives
import Testing
import Wire

@testable import Membership

/// The own record must mean something to the others, whatever the clock does.
@Suite struct RecordClockTests {
  private func expiry(_ bench: Bench) -> UInt64 {
    if case .nodeRecord(let body) = bench.machine.ownRecord.value.body { body.expiresUnixSeconds } else { 0 }
  }

  /// A machine without a clock of its own starts years back, or ahead, and is then told the time.
  @Test(arguments: [1_000, -1_000] as [Int64]) func aClockThatIsSetMakesARecordThatIsGoodByIt(hours: Int64) {
    var bench = Bench(2)
    _ = bench.run(until: bench.now + .seconds(2))
    let before = bench.machine.ownRecord.sequence
    bench.identity.wallClock.offset = bench.identity.wallClock.offset + .seconds(hours * 3_600)
    _ = bench.run(until: bench.now + .seconds(2))
    let seconds = bench.identity.wallClock.unixMicroseconds(at: bench.now) / 1_000_000
    #expect(expiry(bench) > seconds + 80_000 && expiry(bench) <= seconds + 86_400)
    // Once is enough.
    let renewed = bench.machine.ownRecord.sequence
    #expect(renewed > before)
    _ = bench.run(until: bench.now + .seconds(60))
    #expect(bench.machine.ownRecord.sequence == renewed)
  }
}
