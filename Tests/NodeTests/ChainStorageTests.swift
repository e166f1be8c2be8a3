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

@Suite struct ChainStorageTests {
  static func open(
    _ scratch: Scratch, _ genesis: Genesis, neverVoted: Bool, life: Int = 1, retainedBlocks: UInt64 = 0
  ) throws -> ChainStorage.Opened {
    // A copy for each life: the directory itself stays locked for as long as anything of the earlier one is there.
    let directory = "\(scratch.path)/chain\(life)"
    if life > 1 { try FileManager.default.copyItem(atPath: "\(scratch.path)/chain\(life - 1)", toPath: directory) }
    return try ChainStorage.open(
      directory: directory, genesis: genesis, sequenceFloor: 5, neverVoted: neverVoted, retainedBlocks: retainedBlocks,
      logger: silence())
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
    await lone.keep(in: first.storage)
    // What comes twice is kept once.
    await lone.keep(in: first.storage)
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
    await lone.keep(in: opened.storage)
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

  @Test func aMissingJournalEndsVotingForNow() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 3)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await lone.keep(in: first.storage)
    first.storage.close()
    try FileManager.default.removeItem(atPath: scratch.path + "/chain1/journal")

    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains?.contains("missing") == true)
    let until = try #require(second.abstainUntilMilliseconds)
    #expect(until > AbstentionMarker.now() && until > second.recovery.tip.timestampMilliseconds)
    #expect(second.recovery.tip.height == lone.core.ledger.finalHeight)
    second.storage.close()
    // The journal that was begun then is whole, and still knows nothing of the votes before it.
    let third = try Self.open(scratch, lone.genesis, neverVoted: false, life: 3)
    #expect(third.abstains?.contains("missing") == true)
    #expect(third.abstainUntilMilliseconds == until)
    // Once an epoch has begun that is late enough, the node votes again and the marker goes.
    try third.storage.abstention.clear()
    third.storage.close()
    let fourth = try Self.open(scratch, lone.genesis, neverVoted: false, life: 4)
    #expect(fourth.abstains == nil && fourth.abstainUntilMilliseconds == nil)
    fourth.storage.close()
  }

  @Test func aDamagedJournalEndsVotingForNow() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 8)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await lone.keep(in: first.storage)
    first.storage.close()
    let directory = scratch.path + "/chain1/journal"
    let names = try FileManager.default.contentsOfDirectory(atPath: directory)
    let name = try #require(names.filter { $0.hasSuffix(".journal") }.sorted().last)
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

  @Test func aRecordThatCannotBeReadIsLossOnce() async throws {
    let scratch = try Scratch()
    let lone = try LoneValidator()
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    first.storage.persist([[0xff]]) { #expect($0.isDurable) }
    first.storage.close()
    let second = try Self.open(scratch, lone.genesis, neverVoted: false, life: 2)
    #expect(second.abstains?.contains("can't be read") == true)
    // Once an epoch has begun that is late enough, nothing of it is left to be found again.
    try second.storage.abstention.clear()
    second.storage.close()
    let third = try Self.open(scratch, lone.genesis, neverVoted: false, life: 3)
    #expect(third.abstains == nil)
    third.storage.close()
  }

  @Test func aCheckpointTakesThePlaceOfTheRecords() async throws {
    let scratch = try Scratch()
    var lone = try LoneValidator()
    try lone.run(toHeight: 6)
    let first = try Self.open(scratch, lone.genesis, neverVoted: true)
    await lone.keep(in: first.storage)
    #expect(!first.storage.hasGrown)
    let checkpoint = lone.core.consensus.checkpoint()
    first.storage.compact(keeping: { checkpoint }) { Issue.record("\($0)") }
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
