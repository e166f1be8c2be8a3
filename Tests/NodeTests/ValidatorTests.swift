import Control
import Core
import Ledger
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

@Suite struct ValidatorStandingTests {
  private let one = try? nodeID(1)
  private let two = try? nodeID(2)

  private func standing(
    _ key: NodeID?, _ next: NodeID?, _ later: NodeID?, stands: Bool = true, jailed: Bool = false
  ) -> (ValidatorState?, UInt64?) {
    let standing = ValidatorStanding(
      ValidatorStanding.Facts(
        epoch: 5, key: key, nextKey: next, laterKey: later, standsLater: stands, isJailed: jailed))
    return (standing?.state, standing?.changesInEpoch)
  }

  @Test func whoStays() {
    #expect(standing(one, one, one) == (.active, nil))
    #expect(standing(one, one, two) == (.active, 7))
    #expect(standing(one, two, two) == (.active, 6))
  }

  @Test func whoComes() {
    #expect(standing(nil, nil, one) == (.joining, 7))
    #expect(standing(nil, one, one) == (.joining, 6))
  }

  @Test func whoGoes() {
    #expect(standing(one, one, one, stands: false) == (.leaving, 7))
    #expect(standing(one, nil, one, stands: false) == (.leaving, 6))
    #expect(standing(nil, nil, one, stands: false) == (.leaving, nil))
    #expect(standing(nil, nil, nil, stands: false) == (nil, nil))
  }

  @Test func whoIsPutOut() {
    #expect(standing(one, one, one, stands: false, jailed: true) == (.jailed, 7))
    #expect(standing(one, nil, one, stands: false, jailed: true) == (.jailed, 6))
    #expect(standing(nil, nil, one, stands: false, jailed: true) == (.jailed, nil))
  }

  @Test func linksArePreferredOfTheValidatorsInUse() throws {
    let ids = try (1...6).map { try nodeID(UInt8($0)) }
    let genesis = try Genesis(
      name: "test", createdMilliseconds: 1, parameters: ChainParameters(), validators: [ids[0]],
      balances: [Genesis.Balance(account: ids[0], amountMicrocredits: 50_000_000)])
    let table = ValidatorTable(genesis: genesis)
    func set(_ epoch: UInt64, _ members: [NodeID]) throws -> ValidatorSet {
      try #require(ValidatorSet(epoch: epoch, members: members.sorted()))
    }
    _ = table.learn(try set(4, [ids[1], ids[2]]))
    #expect(table.learn(try set(5, [ids[2], ids[3]])) == [ids[1], ids[2], ids[3]])
    // A set of a far epoch was fetched; then the core tells again of those in use.
    _ = table.learn(try set(9, [ids[4]]))
    _ = table.learn(try set(4, [ids[1], ids[2]]))
    #expect(table.learn(try set(5, [ids[2], ids[3]])) == [ids[1], ids[2], ids[3]])
  }

  @Test func theGenesisSaysWhoBegins() throws {
    let ids = try [1, 2, 3].map { try nodeID($0) }.sorted()
    let genesis = try Genesis(
      name: "test", createdMilliseconds: 1, parameters: ChainParameters(), validators: Array(ids.prefix(2)),
      balances: ids.map { Genesis.Balance(account: $0, amountMicrocredits: 50_000_000) })
    let ledger = LedgerMachine(genesis: genesis)
    let state = try #require(ledger.state(at: ledger.finalID))
    #expect(state.validatorNodes == Array(ids.prefix(2)))
    #expect(
      ValidatorStanding(state.validatorFacts(ids[0]))
        == ValidatorStanding(
          ValidatorStanding.Facts(
            epoch: 0, key: ids[0], nextKey: ids[0], laterKey: ids[0], standsLater: true, isJailed: false)))
    #expect(state.memberSince(ids[1]) == 0)
    #expect(ValidatorStanding(state.validatorFacts(ids[2])) == nil)
  }
}

@Suite struct VotingAnswerTests {
  @Test func eachReasonIsTold() throws {
    #expect(NodeControl.voting(.voting, abstains: nil) == VotingAnswer(state: .voting))
    #expect(NodeControl.voting(.notAValidator, abstains: "lost") == VotingAnswer(state: .following))
    let missing = NodeControl.voting(.keyMissing(try nodeID(1)), abstains: nil)
    #expect(missing.state == .abstaining && missing.reason?.contains("vote-keys") == true && missing.until == nil)
    #expect(
      NodeControl.voting(.abstaining(untilMilliseconds: 7), abstains: "lost")
        == VotingAnswer(state: .abstaining, reason: "lost", until: WallTime(microsecondsSinceEpoch: 7_000)))
  }
}

@Suite struct GossipBatchTests {
  private func envelope(_ sequence: UInt64, bytes: Int = 10) throws -> Envelope {
    let key = try SigningKey(seed: [UInt8](repeating: 3, count: 32))
    let signer = Signer(id: key.id, networkID: Digest(hashing: [1])) { key.sign($0) }
    let transaction = Transaction(
      nonce: sequence, feeMicrocredits: 1, expiresMilliseconds: 1,
      action: .declineLease(lease: Digest(hashing: [1]), reason: String(repeating: "x", count: bytes)))
    return signer.seal(.transaction(transaction), sequence: sequence).value.envelope
  }

  @Test func manyGoInOneFrame() throws {
    var batch = GossipBatch()
    let (one, two) = (try nodeID(1), try nodeID(2))
    let envelopes = try (1...3).map { try envelope(UInt64($0)) }
    for envelope in envelopes { #expect(batch.add([envelope], to: one).isEmpty) }
    #expect(batch.add([envelopes[0]], to: two).isEmpty && !batch.isEmpty)
    let sent = batch.drain()
    #expect(batch.isEmpty && batch.drain().isEmpty)
    #expect(sent.first { $0.peer == one }?.message == .publish(envelopes))
    #expect(sent.first { $0.peer == two }?.message == .publish([envelopes[0]]))
    #expect(sent.count == 2)
  }

  @Test func noFrameIsOverItsBounds() throws {
    var batch = GossipBatch()
    let peer = try nodeID(1)
    let one = try envelope(1)
    var full = batch.add([Envelope](repeating: one, count: GossipMessage.maximumEnvelopes), to: peer)
    #expect(full.isEmpty)
    full = batch.add([one], to: peer)
    #expect(full == [.publish([Envelope](repeating: one, count: GossipMessage.maximumEnvelopes))])
    let sent = batch.drain()
    #expect(sent.count == 1 && sent[0].message == .publish([one]))
  }
}

@Suite struct SlashLogTests {
  private let key = try? SigningKey(seed: [UInt8](repeating: 3, count: 32))
  private let network = Digest(hashing: [1])

  private func evidence(of signer: Signer) throws -> Evidence {
    let votes = [1, 2].map {
      signer.vote(
        .notarize(epoch: 2, view: 9, parentView: 8, blockID: Digest(hashing: [$0])), as: 0
      ).value
    }
    return try #require(Evidence(key: signer.id, votes[0], votes[1]))
  }

  @Test func evidenceIsKeptOverARestart() throws {
    let scratch = try Scratch()
    let key = try #require(key)
    let signer = Signer(id: key.id, networkID: network) { key.sign($0) }
    let accused = try nodeID(7)
    let set = try #require(ValidatorSet(epoch: 2, validators: [Validator(node: accused, key: key.id)]))
    let transaction = Transaction(
      nonce: 0, feeMicrocredits: 1, expiresMilliseconds: 1, action: .evidence(try evidence(of: signer)))
    let message = signer.seal(.transaction(transaction), sequence: 1).value
    let header = BlockHeader(
      epoch: 2, view: 11, height: 12, parentID: .zero, parentView: 10, timestampMilliseconds: 5,
      transactionsRoot: Block.transactionsRoot([message.id]), stateRoot: .zero, nextValidators: .zero, reveal: .zero)
    let block = try #require(Block(header: header, transactions: [message]))
    let events: [LedgerEvent] = [
      .block(id: block.id, height: 12),
      .validatorSlashed(node: accused, kind: .conflictingNotarize, amountMicrocredits: 50),
    ]
    let log = SlashLog(directory: scratch.path, logger: silence())
    for _ in 0..<2 { log.add([block], events: events) { $0 == 2 ? set : nil } }
    log.flush()
    let expected = SlashAnswer(
      kind: "conflicting-notarize", epoch: 2, view: 9, inBlock: 12, reporter: "\(key.id)", burntMicrocredits: 50,
      at: WallTime(microsecondsSinceEpoch: 5_000))
    #expect(log.slashes(of: accused) == [expected])
    #expect(SlashLog(directory: scratch.path, logger: silence()).slashes(of: accused) == [expected])
    #expect(log.slashes(of: key.id).isEmpty)
  }

  @Test func aDamagedFileIsBegunAnew() throws {
    let scratch = try Scratch()
    try scratch.write("{", to: "slashes.json")
    #expect(SlashLog(directory: scratch.path, logger: silence()).slashes(of: try nodeID(1)).isEmpty)
  }
}
