import Primitives
import Testing
import Wire

@testable import Ledger

#if canImport(Glibc)
  import Glibc
#endif

/// What a large state costs. `LINNET_LEDGER_ENTRIES=100000` in a release build gives the figures of docs/ledger.md; the
/// small default only shows that the pieces fit.
@Suite struct ScaleTests {
  private func setting(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

  private func measured<Answer>(_ what: String, _ body: () throws -> Answer) rethrows -> Answer {
    let clock = ContinuousClock()
    let start = clock.now
    let answer = try body()
    print("ledger scale: \(what): \(clock.now - start)")
    return answer
  }

  @Test func manyAccountsAndJobs() throws {
    let count = setting("LINNET_LEDGER_ENTRIES") ?? 600
    let payers = 50
    var chain = try Chain(count: payers, opening: 1 << 50) { $0.entryDepositMicrocredits = 1 }
    var sent = 0
    func fill(_ action: (UInt64) -> TransactionAction) throws {
      let end = sent + count
      while sent < end {
        var messages: [Verified<Message>] = []
        while sent < end, messages.count < Block.maximumTransactions {
          let nonce = UInt64(sent / payers)
          messages.append(chain.message(chain.members[sent % payers], action(chain.sequence), nonce: nonce))
          sent += 1
        }
        let report = try chain.block(messages, isThorough: false)
        #expect(report.receipts.allSatisfy { $0.refusal == nil })
      }
    }
    try measured("\(count) accounts made") {
      try fill { .transfer(to: NodeID(number($0, 90)), amountMicrocredits: 1) }
    }
    let terms = chain.terms { $0.startDeadlineMilliseconds = 1 << 45 }
    try measured("\(count) jobs made") { try fill { _ in .submitJob(terms) } }
    let state = try chain.state
    #expect(state.chain.accountCount >= UInt64(count) && state.chain.jobCount == UInt64(count))

    // Every job is tried once, a thousand a block; then an empty block has nothing to do.
    try measured("a draw for every job") {
      while try chain.state.chain.freshCount > 0 || chain.state.chain.sweepCursor != nil {
        try chain.block(isThorough: false)
      }
    }
    let block = { (chain: inout Chain) throws in
      for _ in 0..<20 { try chain.block(isThorough: false) }
    }
    try measured("20 empty blocks above it") { try block(&chain) }
    let snapshot = try measured("a snapshot taken") { try chain.state.snapshot() }
    try measured("20 empty blocks while it is kept") { try block(&chain) }
    let chunks = measured("all chunks made") { Array(snapshot.chunks) }
    let bytes = chunks.map(\.encoded.count)
    print(
      "ledger scale: \(chunks.count) chunks of at most \(bytes.max() ?? 0) bytes, \(bytes.reduce(0, +)) in all,",
      "\(chunks.map(\.entries.count).reduce(0, +)) entries")
    #expect(bytes.allSatisfy { $0 <= StateSnapshot.chunkBytes + 4_096 })
    let height = snapshot.height
    let header = try #require(chain.history.first { $0.block.value.header.height == height }).block.value.header
    var assembly = SnapshotAssembly(header: header)
    measured("all chunks verified and taken in") {
      for chunk in chunks {
        let refusal = assembly.add(chunk)
        #expect(refusal == nil)
      }
    }
    let ledger = try measured("the tree built anew and compared") {
      try #require(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: header))
    }
    #expect(ledger.finalStateRoot == snapshot.stateRoot)
  }
}
