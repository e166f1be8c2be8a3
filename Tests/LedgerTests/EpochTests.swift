import Primitives
import Testing
import Wire

@testable import Ledger

/// Who votes when.
@Suite struct EpochTests {
  static let least: UInt64 = 10_000_000

  /// Eight accounts of 100 credits, four of them founders; epochs of five blocks.
  static func chain(
    count: Int = 8, validators: Int = 4, opening: UInt64 = Chain.opening,
    _ change: (inout ChainParameters) -> Void = { _ in }
  ) throws -> Chain {
    try Chain(count: count, validators: validators, opening: opening) {
      $0.epochBlocks = 5
      $0.minimumStakeMicrocredits = least
      $0.maximumLedgerStepMilliseconds = 1_000
      change(&$0)
    }
  }

  @Test func foundersStakeFromTheirBalanceAndStandWhateverItIs() throws {
    let chain = try Self.chain()
    let state = try chain.state
    for founder in chain.genesis.validators {
      #expect(state.account(founder).balanceMicrocredits == Chain.opening - Self.least)
      #expect(state.bonded(by: founder) == Self.least)
      #expect(state.validator(founder)?.stakeMicrocredits == Self.least)
    }
    var poor = try Self.chain(opening: 5_000_000)
    #expect(try poor.state.account(poor.members[0]).balanceMicrocredits == 0)
    #expect(try poor.state.validator(poor.members[0])?.stakeMicrocredits == 5_000_000)
    try poor.reach(epoch: 4)
    #expect(try poor.members(5) == poor.genesis.validators)
    // A founder without an account at all.
    let genesis = try Genesis(
      name: "test", createdMilliseconds: 1, parameters: ChainParameters(), validators: [poor.members[0]], balances: [])
    let ledger = LedgerMachine(genesis: genesis)
    #expect(try #require(ledger.state(at: genesis.networkID)).inconsistencies() == [])
  }

  @Test func aStakeCountsExactlyTwoEpochsOn() throws {
    var chain = try Self.chain()
    let (founders, newcomer) = (chain.genesis.validators, chain.members[6])
    #expect(try chain.run(newcomer, .stake(amountMicrocredits: Self.least)) == nil)
    #expect(try chain.state.validatorSet(epoch: 2) == nil)
    try chain.reach(epoch: 1)
    #expect(try chain.members(1) == founders)
    #expect(try chain.members(2) == (founders + [newcomer]).sorted())
    // Staked in the last block of epoch 1: still counts for epoch 3, and not for 2.
    for _ in 0..<4 { try chain.block() }
    #expect(try chain.run(chain.members[7], .stake(amountMicrocredits: Self.least)) == nil)
    #expect(try chain.state.epoch == 2)
    #expect(try chain.members(2) == (founders + [newcomer]).sorted())
    #expect(try chain.members(3) == (founders + [newcomer, chain.members[7]]).sorted())
    #expect(chain.events.contains(.validatorsChosen(epoch: 3, count: 6)))
    // The first block of epoch 2 names epoch 3's.
    try chain.block()
    let header = try #require(chain.history.last).block.value.header
    #expect(header.epoch == 2)
    #expect(header.nextValidators == (try #require(chain.state.validatorSet(epoch: 3)).digest))
    #expect(
      try chain.state.epochRecord(2)?.startTimestampMilliseconds
        == chain.history[9].block.value.header.timestampMilliseconds)
    #expect(try chain.state.epochRecord(3)?.startTimestampMilliseconds == 0)
  }

  @Test func whoLeavesVotesOnForAnEpochAndIsRepaidAfterTheEvidenceAge() throws {
    var chain = try Self.chain()
    let leaver = chain.genesis.validators[1]
    #expect(try chain.run(leaver, .unstake) == nil)
    #expect(try chain.run(leaver, .unstake) == .alreadyLeaving)
    try chain.reach(epoch: 1)
    #expect(try chain.members(1).contains(leaver))
    #expect(try !chain.members(2).contains(leaver))
    // Epoch 1 is the last it votes in; evidence of it counts up to epoch 3.
    try chain.reach(epoch: 3)
    #expect(try chain.state.bonded(by: leaver) == Self.least)
    for _ in 0..<4 { try chain.block() }
    #expect(try chain.state.bonded(by: leaver) == Self.least)
    try chain.block()
    #expect(try chain.state.bonded(by: leaver) == 0)
    #expect(try chain.state.validator(leaver) == nil)
    #expect(chain.events.contains(.stakeReturned(node: leaver, amountMicrocredits: Self.least)))
    #expect(try chain.run(leaver, .unstake) == .notStaked)
    // A founder no more: less than the least is refused.
    #expect(try chain.run(leaver, .stake(amountMicrocredits: Self.least - 1)) == .belowMinimumStake)
    #expect(try chain.run(leaver, .stake(amountMicrocredits: Self.least)) == nil)
    try chain.reach(epoch: 6)
    #expect(try chain.members(6).contains(leaver))
  }

  @Test func stakingAgainUndoesLeaving() throws {
    var chain = try Self.chain()
    let leaver = chain.genesis.validators[1]
    #expect(try chain.run(leaver, .unstake) == nil)
    #expect(try chain.run(leaver, .stake(amountMicrocredits: 1)) == nil)
    try chain.reach(epoch: 6)
    #expect(try chain.members(6).contains(leaver))
    #expect(try chain.state.validator(leaver)?.stakeMicrocredits == Self.least + 1)
  }

  @Test func amountsAtTheEdges() throws {
    var chain = try Self.chain()
    let (founder, other) = (chain.genesis.validators[0], chain.members[6])
    for (amount, refusal) in [
      (0, TransactionRefusal.zeroAmount), (1, .belowMinimumStake), (Self.least - 1, .belowMinimumStake),
      (.max, .insufficientBalance), (Chain.opening, .insufficientBalance), (UInt64(Int64.max), .insufficientBalance),
    ] {
      #expect(try chain.run(other, .stake(amountMicrocredits: amount)) == refusal)
    }
    #expect(try chain.run(founder, .stake(amountMicrocredits: .max)) == .insufficientBalance)
    let rest = try chain.state.account(other).balanceMicrocredits - 100
    #expect(try chain.run(other, .stake(amountMicrocredits: rest)) == nil)
    #expect(try chain.state.account(other).balanceMicrocredits == 0)
    #expect(try chain.state.validator(other)?.stakeMicrocredits == rest)
    for action in [
      TransactionAction.unstake, .registerBeacon(tip: .zero, length: 1),
      .rotateKey(VoteKey(key: other, proof: .zero)),
    ] {
      #expect(try chain.run(chain.members[7], action) == .notStaked)
    }
  }

  @Test func aHundredWithTheMostStakeAreTakenThenTheLowerIDs() throws {
    var chain = try Self.chain(count: 130, validators: 1)
    var messages: [Verified<Message>] = []
    // Stakes in three steps: 30 with the most, 80 with a middle one, 19 with the least.
    for (index, member) in chain.members.dropFirst().enumerated() {
      let extra: UInt64 = index % 13 < 3 ? 2 : index % 13 < 11 ? 1 : 0
      messages.append(try chain.next(member, .stake(amountMicrocredits: Self.least + extra)))
    }
    try chain.block(messages)
    try chain.reach(epoch: 2)
    let state = try chain.state
    let set = try #require(state.validatorSet(epoch: 2))
    let ranked = state.validators.map { (stake: $0.record.stakeMicrocredits, id: $0.id) }
      .sorted { $0.stake == $1.stake ? $0.id < $1.id : $0.stake > $1.stake }
    #expect(ranked.count == 130)
    #expect(set.count == 100)
    #expect(set.members == ranked.prefix(100).map(\.id).sorted())
    #expect(Set(ranked.map(\.stake)).count == 3)
  }

  @Test func anEmptySetKeepsTheOneBefore() throws {
    var chain = try Self.chain(validators: 2)
    let founders = chain.genesis.validators
    for founder in founders { #expect(try chain.run(founder, .unstake) == nil) }
    try chain.reach(epoch: 6)
    for epoch in 4...7 as ClosedRange<UInt64> { #expect(try chain.members(epoch) == founders) }
    #expect(try chain.state.validators.map(\.id).isEmpty)
    // Whoever stakes takes over from them.
    #expect(try chain.run(chain.members[5], .stake(amountMicrocredits: Self.least)) == nil)
    try chain.reach(epoch: 8)
    #expect(try chain.members(8) == [chain.members[5]])
    try chain.block()
  }

  @Test func aKeyHoldsTwoEpochsOnAndIsNobodyElses() throws {
    var chain = try Self.chain()
    let (one, two, stranger) = (chain.genesis.validators[0], chain.genesis.validators[1], chain.members[6])
    let key = NodeID(number(1, 77))
    func rotation(_ key: NodeID) -> TransactionAction { .rotateKey(VoteKey(key: key, proof: .zero)) }
    func keys(_ epoch: UInt64) throws -> [NodeID] {
      try #require(chain.state.validatorSet(epoch: epoch)).validators.map(\.key)
    }
    #expect(try chain.run(one, rotation(one)) == .voteKeyUnchanged)
    #expect(try chain.run(one, rotation(two)) == .voteKeyInUse)
    #expect(try chain.run(one, rotation(key)) == nil)
    // Pending for another, and the old one is still in two sets.
    #expect(try chain.run(two, rotation(key)) == .voteKeyInUse)
    #expect(try chain.run(two, rotation(one)) == .voteKeyInUse)
    try chain.reach(epoch: 1)
    #expect(try keys(1) == chain.genesis.validators)
    #expect(try keys(2)[0] == key && keys(2)[1] == two)
    #expect(try chain.run(two, rotation(one)) == .voteKeyInUse)
    try chain.reach(epoch: 2)
    #expect(try chain.run(two, rotation(one)) == nil)
    // `one` may not come back to its node's key now; nor may anyone stake whose node's key is taken.
    #expect(try chain.run(one, rotation(one)) == .voteKeyInUse)
    #expect(try chain.run(two, rotation(stranger)) == nil)
    #expect(try chain.run(stranger, .stake(amountMicrocredits: Self.least)) == .voteKeyInUse)
    #expect(try chain.run(one, rotation(one)) == nil)
    try chain.reach(epoch: 4)
    #expect(try keys(4)[0] == one && keys(4)[1] == stranger)
    #expect(try chain.members(4) == chain.genesis.validators)
  }

  @Test func attestationsAreTheCurrentValidators() throws {
    var chain = try Self.chain(validators: 1)
    let (founder, newcomer, provider) = (chain.members[0], chain.members[5], chain.members[6])
    #expect(try chain.run(provider, .offer(chain.offer())) == nil)
    #expect(try chain.run(newcomer, .attest(provider: provider, liveness: .down)) == .notAValidator)
    #expect(try chain.run(newcomer, .stake(amountMicrocredits: Self.least)) == nil)
    try chain.reach(epoch: 1)
    #expect(try chain.run(newcomer, .attest(provider: provider, liveness: .down)) == .notAValidator)
    try chain.reach(epoch: 2)
    #expect(try chain.run(founder, .attest(provider: provider, liveness: .down)) == nil)
    #expect(try !chain.state.isDown(provider))
    #expect(try chain.run(founder, .unstake) == nil)
    // The founder's word is gone with its seat: of one validator, one is a quorum.
    try chain.reach(epoch: 4)
    #expect(try chain.members(4) == [newcomer])
    #expect(try chain.run(founder, .attest(provider: provider, liveness: .up)) == .notAValidator)
    #expect(try chain.run(newcomer, .attest(provider: provider, liveness: .down)) == nil)
    #expect(try chain.state.isDown(provider))
    #expect(try chain.state.attestation(of: provider, by: founder) == nil)
    #expect(try chain.run(newcomer, .attest(provider: provider, liveness: .up)) == nil)
    #expect(try !chain.state.isDown(provider))
  }

  @Test func headersMustFitTheEpoch() throws {
    var chain = try Self.chain()
    for _ in 0..<5 { try chain.block() }
    try chain.nextView()
    let leader = chain.members[0]
    var draft = try chain.draft(timestampMilliseconds: chain.time + 1, leader: leader)
    let built = try chain.build(on: chain.tip, [], draft, leader: leader)
    #expect(built.block.value.header.epoch == 1)
    draft.epoch = 0
    let wrong = chain.ledger.build(on: chain.tip, candidates: [], draft: draft, leader: leader, maximumBytes: 1 << 20)
    #expect(wrong?.block == nil)
    var header = built.block.value.header
    header.epoch = 0
    #expect(try chain.refusal(#require(Verified<Block>(header: header, transactions: []))) == .wrongEpoch)
  }
}
