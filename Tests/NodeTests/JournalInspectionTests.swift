import Consensus
import Foundation
import Journal
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

@Suite struct JournalInspectionTests {
  private static func vote(_ subject: VoteSubject, by key: SigningKey) -> Vote {
    Signer(id: key.id, networkID: Digest(hashing: [1])) { key.sign($0) }.vote(subject, as: 0).value
  }

  private static let blocks = (0..<2).map { Digest(hashing: [UInt8($0)]) }

  private static func notarize(_ view: UInt64, _ block: Int = 0, epoch: UInt64 = 0) -> VoteSubject {
    .notarize(epoch: epoch, view: view, parentView: view - 1, blockID: blocks[block])
  }

  private static func finalize(_ view: UInt64, _ block: Int = 0) -> VoteSubject {
    .finalize(epoch: 0, view: view, parentView: view - 1, blockID: blocks[block])
  }

  private static func conflicts(_ subjects: [VoteSubject]) throws -> [String] {
    let key = try SigningKey(seed: [UInt8](repeating: 3, count: 32))
    return JournalInspection.conflicts(among: subjects.map { vote($0, by: key) }).map {
      "\($0.epoch)/\($0.view): \($0.text.prefix(while: { $0 != "," }))"
    }
  }

  @Test func whatAnHonestNodeSignsIsNoConflict() throws {
    let honest: [VoteSubject] = [
      Self.notarize(1), .nullify(epoch: 0, view: 1), Self.notarize(2), Self.notarize(2), Self.finalize(2),
      Self.notarize(2, 1, epoch: 1), .nullify(epoch: 1, view: 2), .nullify(epoch: 0, view: 3),
    ]
    #expect(try Self.conflicts(honest).isEmpty)
    #expect(try Self.conflicts([]).isEmpty)
  }

  @Test func everyConflictIsFound() throws {
    #expect(
      try Self.conflicts([Self.notarize(1), Self.notarize(2), Self.notarize(1, 1)]) == ["0/1: two notarize votes"])
    #expect(try Self.conflicts([Self.finalize(1), Self.finalize(1, 1)]) == ["0/1: two finalize votes"])
    #expect(
      try Self.conflicts([.nullify(epoch: 0, view: 4), Self.finalize(4)])
        == ["0/4: a nullify vote and a finalize vote for block \(Self.blocks[0].short)"])
    #expect(
      try Self.conflicts([Self.notarize(7), Self.notarize(7, 1), Self.finalize(7), .nullify(epoch: 0, view: 7)]).count
        == 2)
  }

  private static func kept(_ height: UInt64) async throws -> (scratch: Scratch, lone: LoneValidator) {
    let scratch = try Scratch()
    var lone = try LoneValidator(epochBlocks: 4)
    try lone.run(toHeight: height)
    let opened = try ChainStorageTests.open(scratch, lone.genesis, neverVoted: true)
    await lone.keep(in: opened.storage)
    opened.storage.close()
    return (scratch, lone)
  }

  @Test func aJournalIsPrintedWholeAndUnchanged() async throws {
    let (scratch, lone) = try await Self.kept(6)
    let directory = scratch.path + "/chain1/journal"
    try scratch.write("secret", to: "node.key")
    let before = try Self.contents(directory)
    for path in ["/chain1", "/chain1/", "/chain1/journal"] {
      let inspection = try JournalInspection.inspect(scratch.path + path)
      #expect(inspection.networkId == lone.genesis.networkID.description)
      #expect(inspection.segments.map(\.epoch) == inspection.segments.map(\.epoch).sorted())
      #expect(inspection.segments.last?.epoch == 1)
      let counts = inspection.counts
      #expect(counts.ownVotes > 0 && counts.certificates > 0 && counts.certifiedBlocks > 0 && counts.unreadable == 0)
      #expect(inspection.records.count == counts.ownVotes + counts.certificates + counts.certifiedBlocks)
      #expect(inspection.segments.reduce(0) { $0 + $1.records } == inspection.records.count)
      #expect(inspection.records.contains { $0.height == 6 && $0.transactions == 1 })
      #expect(inspection.records.contains { $0.signers == [0] && $0.vote == "finalize" })
      #expect(inspection.damage == nil && inspection.conflicts.isEmpty && !inspection.isMissing)
      #expect(inspection.abstains == nil && inspection.neverVoted == false)
    }
    #expect(try Self.contents(directory) == before)
    let json = try JSONSerialization.jsonObject(
      with: JSONEncoder().encode(JournalInspection.inspect(scratch.path + "/chain1")))
    let fields = try #require(json as? [String: Any])
    #expect(fields["conflicts"] is [Any] && fields["records"] is [Any] && fields["counts"] is [String: Any])
  }

  @Test func itIsReadWhileADaemonWritesIt() async throws {
    let (scratch, lone) = try await Self.kept(6)
    let opened = try ChainStorageTests.open(scratch, lone.genesis, neverVoted: false, life: 2)
    // It is locked by the writer, and read all the same.
    let inspection = try JournalInspection.inspect(scratch.path + "/chain2")
    #expect(inspection.damage == nil && inspection.counts.ownVotes > 0)
    opened.storage.close()
  }

  @Test func damageLossAndConflictsAreSaid() async throws {
    let (scratch, lone) = try await Self.kept(3)
    let directory = scratch.path + "/chain1/journal"
    // A vote that contradicts one that is there, as a fork of the daemon would write it.
    let (journal, _) = try JournalStore.open(directory: directory, networkID: lone.genesis.networkID.bytes)
    try journal.append(
      [ConsensusRecord.ownVote(Self.vote(Self.notarize(1, 1), by: lone.key)).encoded, [0xff]]) { _ in }
    journal.close()
    let inspection = try JournalInspection.inspect(directory)
    #expect(inspection.conflicts.map(\.view) == [1] && inspection.counts.unreadable == 1)

    let file = URL(fileURLWithPath: directory + "/" + (try #require(inspection.segments.last?.name)))
    var bytes = try Data(contentsOf: file)
    try (bytes + [1, 2, 3]).write(to: file)
    let torn = try JournalInspection.inspect(directory)
    #expect(torn.tornBytes == 3 && torn.tornOffset == bytes.count && torn.damage == nil)
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: file)
    let damaged = try JournalInspection.inspect(directory)
    #expect(damaged.damage?.kind == "badRecord" && damaged.records.count < inspection.records.count)

    try FileManager.default.removeItem(atPath: directory)
    #expect(NodeError.code { try JournalInspection.inspect(scratch.path + "/chain1") } == .storage)
    try ChainStorageTests.open(scratch, lone.genesis, neverVoted: false).storage.close()
    let lost = try JournalInspection.inspect(scratch.path + "/chain1")
    #expect(lost.abstains?.contains("missing") == true && lost.records.isEmpty && !lost.isMissing)
  }

  private static func contents(_ directory: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
      contents[name] = try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name))
    }
    return contents
  }
}
