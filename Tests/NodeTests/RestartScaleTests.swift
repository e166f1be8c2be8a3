import Foundation
import Ledger
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

/// What a restart costs. `LINNET_STORAGE_ENTRIES=100000` in a release build gives the figures for a large state; the
/// small default only shows that the pieces fit.
@Suite struct RestartScaleTests {
  private static let payers: [NodeID] = (0..<50).map { NodeID(Digest(hashing: [UInt8($0)]).value) }

  private let count = ProcessInfo.processInfo.environment["LINNET_STORAGE_ENTRIES"].flatMap { Int($0) } ?? 400

  private func measured<Answer>(_ what: String, _ body: () throws -> Answer) rethrows -> (Answer, Duration) {
    let clock = ContinuousClock()
    let start = clock.now
    let answer = try body()
    print("restart: \(what): \(clock.now - start)")
    return (answer, clock.now - start)
  }

  /// A chain of one validator, whose transactions bear no real signatures: nothing checks them again here.
  private struct Chain {
    let genesis: Genesis
    let key: SigningKey
    var ledger: LedgerMachine
    var view: UInt64 = 0
    var timeMilliseconds: UInt64 = 1_000_000
    var sequence: UInt64 = 0
    var nonces = [UInt64](repeating: 0, count: payers.count)

    init(epochBlocks: UInt64) throws {
      key = try SigningKey(seed: [UInt8](repeating: 1, count: 32))
      var parameters = ChainParameters()
      parameters.entryDepositMicrocredits = 1
      parameters.epochBlocks = epochBlocks
      genesis = try Genesis(
        name: "scale", createdMilliseconds: timeMilliseconds, parameters: parameters, validators: [key.id],
        balances: payers.map { Genesis.Balance(account: $0, amountMicrocredits: 1 << 44) })
      ledger = LedgerMachine(genesis: genesis)
    }

    mutating func message(_ action: (UInt64) -> TransactionAction) -> Verified<Message> {
      sequence += 1
      let payer = Int(sequence % UInt64(payers.count))
      defer { nonces[payer] += 1 }
      return Signer(id: payers[payer], networkID: genesis.networkID) { _ in .zero }.seal(
        .transaction(
          Transaction(
            nonce: nonces[payer], feeMicrocredits: 100, expiresMilliseconds: 1 << 50, action: action(sequence))),
        sequence: sequence)
    }

    /// The next block, final, handed to a storage as the daemon does it.
    mutating func block(_ messages: [Verified<Message>], into storage: ChainStorage) throws {
      let state = try #require(ledger.state(at: ledger.finalID))
      let isFirst = state.height % genesis.parameters.epochBlocks == 0
      timeMilliseconds += 100
      view = isFirst ? 1 : view + 1
      let draft = BlockDraft(
        epoch: state.epoch, view: view, parentView: view - 1, timestampMilliseconds: timeMilliseconds, reveal: .zero)
      let candidate = ledger.build(
        on: ledger.finalID, candidates: messages, draft: draft, leader: key.id, maximumBytes: Block.maximumBytes)
      let block = try #require(candidate).block
      try #require(block.value.transactions.count == messages.count)
      _ = try ledger.execute(block, leader: key.id).get()
      _ = ledger.finalize(block.value.id)
      let vote = Signer(id: key.id, networkID: genesis.networkID) { [key] in key.sign($0) }.vote(
        .finalize(epoch: draft.epoch, view: view, parentView: view - 1, blockID: block.value.id), as: 0)
      let finalization = try #require(Certificate.assemble([vote]))
      storage.commit([block], finalization: finalization.value) { Issue.record("\($0)") }
      let after = try #require(ledger.state(at: ledger.finalID))
      guard genesis.parameters.isEpochEnd(after.height) else { return }
      storage.begin(
        epoch: after.epoch, boundary: block, finalization: finalization, snapshot: after.snapshot(),
        next: try #require(after.validatorSet(epoch: after.epoch))
      ) { Issue.record("\($0)") }
    }

    mutating func blocks(
      _ count: Int, each: Int, into storage: ChainStorage, _ action: (UInt64) -> TransactionAction
    ) throws {
      var left = count
      while left > 0 {
        try block((0..<min(left, each)).map { _ in message(action) }, into: storage)
        left -= each
      }
    }
  }

  @Test func aRestartFromALargeState() async throws {
    let scratch = try Scratch()
    let perBlock = min(2_000, max(50, count / 8))
    let epochBlocks = UInt64(2 * count / perBlock + 8)
    var chain = try Chain(epochBlocks: epochBlocks)
    let first = try ChainStorageTests.open(scratch, chain.genesis, neverVoted: true)
    let transfer: (UInt64) -> TransactionAction = {
      .transfer(
        to: NodeID(Digest(hashing: [9] + withUnsafeBytes(of: $0.littleEndian) { Array($0) }).value),
        amountMicrocredits: 1)
    }
    let terms = JobTerms(
      specification: chain.genesis.networkID,
      resources: Resources(cpuMilli: 1_000, memoryBytes: 1 << 30, diskBytes: 1 << 30), gpuCount: 0, gpuMemoryBytes: 0,
      labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: false, replication: 1, retries: 1,
      maximumPricePerSecondMicrocredits: 2_000, wallLimitMilliseconds: 10_000, startDeadlineMilliseconds: 1 << 45)
    try chain.blocks(count, each: perBlock, into: first.storage, transfer)
    try chain.blocks(count, each: perBlock, into: first.storage) { _ in .submitJob(terms) }
    while chain.ledger.finalHeight < epochBlocks { try chain.block([], into: first.storage) }
    await first.storage.settled()
    first.storage.close()
    let bytes = first.storage.snapshots.latest.first?.file.byteCount ?? 0
    print("restart: a state of \(count) accounts and \(count) jobs: \(bytes) bytes")

    let (second, _) = try measured("from the state alone") {
      try ChainStorageTests.open(scratch, chain.genesis, neverVoted: false, life: 2)
    }
    #expect(second.snapshotHeight == epochBlocks && second.replayedBlocks == 0)
    #expect(second.recovery.ledger.finalStateRoot == chain.ledger.finalStateRoot)
    // Then some blocks behind it.
    let behind = min(400, Int(epochBlocks) - 4)
    try chain.blocks(behind * 100, each: 100, into: second.storage, transfer)
    await second.storage.settled()
    second.storage.close()
    let (third, duration) = try measured("from the state and \(behind) blocks of 100 transfers") {
      try ChainStorageTests.open(scratch, chain.genesis, neverVoted: false, life: 3)
    }
    #expect(third.replayedBlocks == UInt64(behind))
    #expect(third.recovery.ledger.finalStateRoot == chain.ledger.finalStateRoot)
    print("restart: \(duration / behind) a block with its share of the state")
    third.storage.close()
  }
}
