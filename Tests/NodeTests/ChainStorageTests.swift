import Consensus
import Core
import Foundation
import Ledger
import Membership
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

/// One validator under virtual time: what it persists and commits is for a storage to keep.
struct LoneValidator {
  let genesis: Genesis
  var core: NodeCore
  var now = Instant.zero + .seconds(1)
  var records: [ConsensusRecord] = []
  var commits: [(blocks: [Verified<Block>], finalization: Certificate)] = []

  init() throws {
    let key = try SigningKey(seed: [UInt8](repeating: 1, count: 32))
    let wall = Microseconds.seconds(1_800_000_000)
    genesis = try Genesis(
      name: "lone", createdMilliseconds: UInt64(wall.count / 1_000), parameters: ChainParameters(),
      validators: [key.id], balances: [Genesis.Balance(account: key.id, amountMicrocredits: 1_000_000_000)])
    core = NodeCore(
      genesis: genesis, signer: Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) },
      wallClock: WallClock(offset: wall), settings: CoreSettings(membership: .loopback),
      record: NodeRecord(
        name: "lone", addresses: [], roles: [.validator], capabilities: .zero, agent: "test",
        expiresUnixSeconds: 1 << 40),
      recovery: .fresh(genesis), seed: 1, now: now)
  }

  /// Makes blocks, each with a transfer in it, until the chain has this height.
  mutating func run(toHeight height: UInt64) throws {
    let target = try nodeID(9)
    step(.start)
    var request: UInt64 = 0
    while core.ledger.finalHeight < height {
      now = max(now, core.nextWake)
      if core.mempool.count == 0 {
        request += 1
        step(.submit(.transfer(to: target, amountMicrocredits: 1_000), request: request))
      }
      step(.tick)
      now = now + .milliseconds(1)
      try #require(now < Instant.zero + .seconds(3_600))
    }
  }

  private mutating func step(_ input: CoreInput) {
    var inputs = [input]
    while !inputs.isEmpty {
      var effects: [CoreEffect] = []
      core.step(inputs.removeFirst(), now: now, into: &effects)
      for effect in effects {
        switch effect {
        case .persist(let sequence, let record):
          records.append(record)
          inputs.append(.persisted(upTo: sequence))
        case .committed(let blocks, let finalization, _): commits.append((blocks, finalization.value))
        default: break
        }
      }
    }
  }
}

@Suite struct ChainStorageTests {
  private static func open(
    _ scratch: Scratch, _ genesis: Genesis, neverVoted: Bool, life: Int = 1
  ) throws -> ChainStorage.Opened {
    // A copy for each life: the directory itself stays locked for as long as anything of the earlier one is there.
    let directory = "\(scratch.path)/chain\(life)"
    if life > 1 { try FileManager.default.copyItem(atPath: "\(scratch.path)/chain\(life - 1)", toPath: directory) }
    return try ChainStorage.open(
      directory: directory, genesis: genesis, sequenceFloor: 5, neverVoted: neverVoted,
      logger: silence())
  }

  /// Puts all that the validator has done on the disk.
  private static func keep(_ lone: LoneValidator, in storage: ChainStorage) async {
    for commit in lone.commits {
      storage.commit(commit.blocks, finalization: commit.finalization) { Issue.record("a block was not kept: \($0)") }
    }
    let isDurable = await withCheckedContinuation { continuation in
      storage.persist(lone.records.map(\.encoded)) { continuation.resume(returning: $0) }
    }
    #expect(isDurable)
  }

  @Test func aFreshOneHasNothing() throws {
    let scratch = try Scratch()
    let lone = try LoneValidator()
    let opened = try Self.open(scratch, lone.genesis, neverVoted: true)
    #expect(opened.abstains == nil)
    #expect(opened.recovery.records.isEmpty)
    #expect(opened.recovery.tip.height == 0)
    #expect(opened.recovery.sequenceFloor == 5)
    opened.storage.close()
  }

  @Test func whatIsKeptIsExecutedAgain() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 6)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await Self.keep(lone, in: first.storage)
    // What comes twice is kept once.
    await Self.keep(lone, in: first.storage)
    first.storage.close()

    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains == nil)
    #expect(second.recovery.tip.height == lone.core.ledger.finalHeight)
    #expect(second.recovery.ledger.finalStateRoot == lone.core.ledger.finalStateRoot)
    #expect(second.recovery.ledger.finalID == lone.core.ledger.finalID)
    #expect(second.recovery.records == lone.records + lone.records)
    second.storage.close()
  }

  @Test func blocksAreServedWithTheirCertificate() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 5)
    let opened = try Self.open(scratch, lone.genesis, neverVoted: true)
    await Self.keep(lone, in: opened.storage)
    guard case .chain(let blocks, let finalization)? = await opened.storage.chain(from: 2) else {
      Issue.record("nothing is served")
      return
    }
    #expect(blocks.first?.header.height == 2)
    #expect(blocks.last?.id == finalization.subject.blockID)
    for height in [0, 1_000, .max] as [UInt64] {
      #expect(await opened.storage.chain(from: height) == nil)
      #expect(await opened.storage.block(at: height) == nil)
    }
    #expect(await opened.storage.block(at: 3)?.block.header.height == 3)
    #expect(await opened.storage.finalization(from: 3) != nil)
    opened.storage.close()
  }

  @Test func aMissingJournalEndsVotingForGood() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 3)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await Self.keep(lone, in: first.storage)
    first.storage.close()
    try FileManager.default.removeItem(atPath: scratch.path + "/chain1/journal")

    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains?.contains("missing") == true)
    #expect(second.recovery.tip.height == lone.core.ledger.finalHeight)
    second.storage.close()
    // The journal that was begun then is whole, and still knows nothing of the votes before it.
    let third = try Self.open(scratch, lone.genesis, neverVoted: false, life: 3)
    #expect(third.abstains?.contains("missing") == true)
    third.storage.close()
  }

  @Test func aDamagedJournalEndsVotingForGood() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 8)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await Self.keep(lone, in: first.storage)
    first.storage.close()
    let directory = scratch.path + "/chain1/journal"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: directory).sorted().last)
    let file = URL(fileURLWithPath: directory + "/" + name)
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count / 2] ^= 0xff
    try bytes.write(to: file)

    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains?.contains("damaged") == true)
    #expect(second.recovery.records.count < lone.records.count)
    second.storage.close()
    let third = try Self.open(scratch, lone.genesis, neverVoted: false, life: 3)
    #expect(third.abstains?.contains("damaged") == true)
    third.storage.close()
  }

  @Test func aCheckpointTakesThePlaceOfTheRecords() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 6)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await Self.keep(lone, in: first.storage)
    #expect(!first.storage.hasGrown)
    let height = await withCheckedContinuation { continuation in
      first.storage.syncBlocks { continuation.resume(returning: $0) }
    }
    #expect(height == lone.core.ledger.finalHeight)
    let checkpoint = lone.core.consensus.checkpoint()
    try first.storage.compact(keeping: checkpoint)
    first.storage.close()
    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains == nil)
    #expect(second.recovery.records == checkpoint)
    #expect(second.recovery.ledger.finalStateRoot == lone.core.ledger.finalStateRoot)
    second.storage.close()
  }

  @Test func anotherNetworkIsRefused() throws {
    let scratch = try Scratch()
    let lone = try LoneValidator()
    try Self.open(scratch, lone.genesis, neverVoted: true).storage.close()
    let other = try Genesis(
      name: "other", createdMilliseconds: 1, parameters: ChainParameters(), validators: lone.genesis.validators,
      balances: [])
    #expect(NodeError.code { try Self.open(scratch, other, neverVoted: true, life: 2) } == .storage)
  }

  @Test func aStoredBlockIsReadAsItWasWritten() throws {
    var lone = try LoneValidator()
    try lone.run(toHeight: 2)
    let commit = try #require(lone.commits.first)
    for finalization in [nil, commit.finalization] {
      let stored = StoredBlock(block: try #require(commit.blocks.last).value, finalization: finalization)
      #expect(try StoredBlock(decoding: stored.encoded) == stored)
      #expect(throws: WireError.self) { try StoredBlock(decoding: stored.encoded.dropLast()) }
      #expect(throws: WireError.self) { try StoredBlock(decoding: stored.encoded + [0]) }
    }
  }
}
