import Consensus
import Core
import Foundation
import Journal
import Ledger
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

/// Restarts across epochs of four blocks.
@Suite struct EpochStorageTests {
  private static func open(
    _ scratch: Scratch, _ genesis: Genesis, life: Int = 1, retainedBlocks: UInt64 = 0
  ) throws -> ChainStorage.Opened {
    try ChainStorageTests.open(
      scratch, genesis, neverVoted: life == 1, life: life, retainedBlocks: retainedBlocks)
  }

  /// A directory that holds all that a validator did up to a height.
  private static func kept(
    _ height: UInt64, retainedBlocks: UInt64 = 0
  ) async throws -> (scratch: Scratch, lone: LoneValidator) {
    let scratch = try Scratch()
    var lone = try LoneValidator(epochBlocks: 4)
    try lone.run(toHeight: height)
    let opened = try open(scratch, lone.genesis, retainedBlocks: retainedBlocks)
    await lone.keep(in: opened.storage)
    opened.storage.close()
    return (scratch, lone)
  }

  private static func expect(_ opened: ChainStorage.Opened, is lone: LoneValidator) {
    #expect(opened.recovery.ledger.finalID == lone.core.ledger.finalID)
    #expect(opened.recovery.ledger.finalStateRoot == lone.core.ledger.finalStateRoot)
    #expect(opened.recovery.tip == lone.core.consensus.tip)
    #expect(opened.recovery.tip.epoch == lone.core.consensus.epoch)
    #expect(opened.abstains == nil)
  }

  private static func corrupt(_ path: String, at fraction: Double = 0.5) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[Int(Double(bytes.count) * fraction)] ^= 0xff
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  private static func files(_ directory: String, _ suffix: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(suffix) }.sorted()
      .map { directory + "/" + $0 }
  }

  @Test(arguments: [3, 4, 5, 8, 11, 16] as [UInt64])
  func aRestartBeginsWithTheLastEpochsState(height: UInt64) async throws {
    let (scratch, lone) = try await Self.kept(height)
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    defer { opened.storage.close() }
    Self.expect(opened, is: lone)
    let epoch = height / 4
    #expect(opened.snapshotHeight == epoch * 4 && opened.replayedBlocks == height % 4)
    #expect(opened.recovery.boundary?.value.subject.epoch == (epoch > 0 ? epoch - 1 : nil))
    if height % 4 == 0 { #expect(opened.recovery.tip.view == 0) }
    // Of the journal and the blocks no more is left than the rules say.
    #expect(opened.storage.counters.epoch == epoch)
    #expect(opened.recovery.records.allSatisfy { $0.isOfEpoch(epoch) } || height < 4)
    #expect(opened.storage.snapshots.latest.count == min(2, Int(epoch)))
  }

  @Test func aRestartedValidatorGoesOn() async throws {
    let (scratch, first) = try await Self.kept(9)
    var lone = first
    for life in 2...5 {
      let opened = try Self.open(scratch, lone.genesis, life: life)
      lone.restart(from: opened.recovery)
      try lone.run(toHeight: UInt64(9 + 3 * (life - 1)))
      await lone.keep(in: opened.storage)
      opened.storage.close()
    }
    let opened = try Self.open(scratch, lone.genesis, life: 6)
    Self.expect(opened, is: lone)
    #expect(opened.recovery.tip.height == 21)
    opened.storage.close()
    #expect(try JournalInspection.inspect(scratch.path + "/chain6").conflicts.isEmpty)
  }

  @Test func aDamagedStateGivesWayToTheOneBefore() async throws {
    let (scratch, lone) = try await Self.kept(14)
    for (life, left) in [(2, 8), (3, 0)] as [(Int, UInt64)] {
      let directory = "\(scratch.path)/chain\(life - 1)"
      let states = try Self.files(directory + "/snapshots", ".snapshot")
      #expect(states.count == 2)
      for state in life == 2 ? states.suffix(1) : states { try Self.corrupt(state) }
      let opened = try Self.open(scratch, lone.genesis, life: life)
      Self.expect(opened, is: lone)
      #expect(opened.snapshotHeight == left && opened.replayedBlocks == 14 - left)
      // What was executed again is written again.
      #expect(opened.storage.snapshots.latest.first?.height == 12)
      opened.storage.close()
    }
  }

  @Test func withoutStateAndOldBlocksTheChainComesFromPeers() async throws {
    let (scratch, lone) = try await Self.kept(14)
    for state in try Self.files("\(scratch.path)/chain1/snapshots", ".snapshot") { try Self.corrupt(state) }
    for blocks in try Self.files("\(scratch.path)/chain1/blocks", ".blocks") {
      let name = "\(scratch.path)/chain1/blocks/\(String(repeating: "0", count: 19))7.blocks"
      try FileManager.default.moveItem(atPath: blocks, toPath: name)
    }
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    #expect(opened.recovery.tip.height == 0 && opened.recovery.boundary == nil)
    #expect(opened.storage.blocks.nextHeight.map { $0 == 1 } ?? true)
    // The votes of later epochs bind all the same.
    #expect(opened.recovery.records.contains { $0.isOfEpoch(3) })
    // The chain comes again, and nothing of it is refused.
    await lone.keep(in: opened.storage)
    opened.storage.close()
    let again = try Self.open(scratch, lone.genesis, life: 3)
    Self.expect(again, is: lone)
    again.storage.close()
  }

  @Test func aDamagedBlockCostsWhatLiesBehindItUpToTheState() async throws {
    let (scratch, lone) = try await Self.kept(15)
    let blocks = try #require(try Self.files("\(scratch.path)/chain1/blocks", ".blocks").first)
    // In the middle, below the state of height 12: nobody needs it here.
    try Self.corrupt(blocks)
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    Self.expect(opened, is: lone)
    opened.storage.close()
    // Near the end: the blocks behind it come from peers.
    try Self.corrupt(blocks.replacingOccurrences(of: "chain1", with: "chain2"), at: 0.92)
    let cut = try Self.open(scratch, lone.genesis, life: 3)
    #expect(cut.recovery.tip.height < 15 && cut.recovery.tip.height >= 12 && cut.abstains == nil)
    #expect(cut.storage.blocks.nextHeight == cut.recovery.tip.height + 1)
    await lone.keep(in: cut.storage)
    await cut.storage.settled()
    #expect(cut.storage.blocks.lastHeight == 15)
    cut.storage.close()
  }

  @Test func answersAreOfOneEpoch() async throws {
    let (scratch, lone) = try await Self.kept(14)
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    defer { opened.storage.close() }
    for height in 1...14 as ClosedRange<UInt64> {
      guard case .chain(let blocks, let finalization)? = await opened.storage.chain(from: height) else {
        Issue.record("nothing is served from \(height)")
        continue
      }
      #expect(blocks.first?.header.height == height)
      #expect(blocks.last?.id == finalization.subject.blockID)
      #expect(Set(blocks.map(\.header.epoch)) == [(height - 1) / 4])
      #expect(blocks.last?.header.height == min(14, (height - 1) / 4 * 4 + 4))
    }
  }

  @Test func stateAndLinksAreServed() async throws {
    let (scratch, lone) = try await Self.kept(14)
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    defer { opened.storage.close() }
    let snapshot = try #require(lone.snapshots.last)
    for key in [Digest.zero, lone.genesis.networkID] {
      #expect(await opened.storage.snapshot(height: 12, covering: key) == .snapshot(snapshot.chunk(covering: key)))
      #expect(await opened.storage.snapshot(height: 8, covering: key) != nil)
      #expect(await opened.storage.snapshot(height: 4, covering: key) == nil)
    }
    guard case .epochs(let links)? = await opened.storage.epochs(from: 0) else {
      Issue.record("no links are served")
      return
    }
    // The validators never changed, so the last link is the whole chain of epochs.
    #expect(links.map(\.header.height) == [12])
    let verifier = Verifier(networkID: lone.genesis.networkID) { Sodium.verify($0, of: $1, by: $2) }
    #expect(try verifier.verify(links, from: lone.genesis.validatorSet).epoch == 3)
    #expect(await opened.storage.epochs(from: 2) != nil)
    #expect(await opened.storage.epochs(from: 3) == nil)
  }

  @Test func aFetchedStateTakesThePlaceOfTheBlocks() async throws {
    var lone = try LoneValidator(epochBlocks: 4)
    try lone.run(toHeight: 14)
    let scratch = try Scratch()
    let opened = try Self.open(scratch, lone.genesis)
    for happening in lone.happenings {
      guard case .begin(3, let boundary, let finalization, let snapshot, let next) = happening,
        let link = EpochLink(header: boundary.value.header, finalization: finalization.value, next: next.validators)
      else { continue }
      opened.storage.install(
        SnapshotInstall(link: link, finalization: finalization, snapshot: snapshot, validators: next)
      ) { Issue.record("the state was not kept: \($0)") }
    }
    // Blocks up to the state are not wanted any more, those behind it are.
    for commit in lone.commits where (commit.blocks.first?.value.header.height ?? 0) > 12 {
      opened.storage.commit(commit.blocks, finalization: commit.finalization) { Issue.record("\($0)") }
    }
    opened.storage.close()
    let again = try Self.open(scratch, lone.genesis, life: 2)
    Self.expect(again, is: lone)
    #expect(again.snapshotHeight == 12 && again.storage.blocks.range == 13...14)
    again.storage.close()
  }

  /// An epoch has begun of which nothing is written down yet; then what led to it is damaged.
  @Test func anEpochWhoseVotesWereDroppedIsNotVotedInAgain() async throws {
    let (scratch, first) = try await Self.kept(8)
    var lone = first
    let directory = scratch.path + "/chain2"
    try FileManager.default.copyItem(atPath: scratch.path + "/chain1", toPath: directory)
    try FileManager.default.removeItem(atPath: directory + "/snapshots")
    do {
      let networkID = lone.genesis.networkID.bytes
      let (blocks, _) = try BlockStore.open(directory: directory + "/blocks", networkID: networkID)
      try blocks.truncate(from: 7)
    }
    let opened = try Self.open(scratch, lone.genesis, life: 3)
    defer { opened.storage.close() }
    #expect(opened.recovery.tip.epoch == 1 && !opened.recovery.records.contains { $0.isOfEpoch(2) })
    lone.restart(from: opened.recovery)
    guard case .abstaining = lone.core.votingStanding else {
      Issue.record("it votes in an epoch whose votes were dropped: \(lone.core.votingStanding)")
      return
    }
  }

  @Test func aLostLinkIsMadeAgain() async throws {
    let (scratch, lone) = try await Self.kept(14)
    for name in ["epochs", "epoch-last"] {
      try? FileManager.default.removeItem(atPath: "\(scratch.path)/chain1/\(name)")
    }
    try FileManager.default.removeItem(atPath: "\(scratch.path)/chain1/snapshots")
    let opened = try Self.open(scratch, lone.genesis, life: 2)
    Self.expect(opened, is: lone)
    #expect(opened.storage.links.last?.header.height == 12)
    opened.storage.close()
  }

  /// A journal cut or changed anywhere: either no own vote is missing, or the node abstains.
  @Test func noOwnVoteIsForgottenWithoutAWord() async throws {
    let (scratch, lone) = try await Self.kept(2)
    let whole = lone.records.filter(\.isOwnVote)
    let segment = try #require(try Self.files("\(scratch.path)/chain1/journal", ".journal").last)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
    for offset in stride(from: 0, to: bytes.count, by: 41) {
      for isCut in [true, false] {
        var changed = bytes
        if isCut { changed.removeSubrange(offset...) } else { changed[offset] ^= 0x20 }
        let trial = try Scratch()
        try FileManager.default.copyItem(atPath: scratch.path + "/chain1", toPath: trial.path + "/chain1")
        try changed.write(
          to: URL(fileURLWithPath: segment.replacingOccurrences(of: scratch.path, with: trial.path)))
        let inspection = try JournalInspection.inspect(trial.path + "/chain1")
        let opened = try ChainStorageTests.open(trial, lone.genesis, neverVoted: false)
        #expect(opened.recovery.records.filter(\.isOwnVote) == whole || opened.abstains != nil, "at \(offset)")
        #expect((inspection.damage != nil) == (opened.abstains != nil))
        opened.storage.close()
      }
    }
  }
}

extension ConsensusRecord {
  var isOwnVote: Bool { if case .ownVote = self { true } else { false } }

  func isOfEpoch(_ epoch: UInt64) -> Bool {
    switch self {
    case .ownVote(let vote): vote.subject.epoch == epoch
    case .certificate(let certificate): certificate.subject.epoch == epoch
    case .certified(let block): block.header.epoch == epoch
    }
  }
}
