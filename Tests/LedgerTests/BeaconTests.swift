import Primitives
import Testing
import Wire

@testable import Ledger

/// What leaders reveal.
@Suite struct BeaconTests {
  private func register(_ chain: inout Chain, _ node: NodeID, _ seed: UInt64, length: UInt64) throws -> HashChain {
    let beacon = HashChain(seed: Digest(number(seed, 30)), length: length)
    #expect(try chain.run(node, .registerBeacon(tip: beacon.tip, length: length)) == nil)
    return beacon
  }

  @Test func elementsHashBackToTheTip() {
    let chain = HashChain(seed: Digest(number(1)), length: 5)
    #expect(chain.element(0).map { BeaconHash.step($0) } == chain.tip)
    for index in 1..<5 as Range<UInt64> {
      #expect(chain.element(index).map { BeaconHash.step($0) } == chain.element(index - 1))
    }
    #expect(chain.element(4) == chain.seed)
    #expect(chain.element(5) == nil)
  }

  @Test func aFirstChainHoldsFromTheNextBlockAndIndicesFollowTheViews() throws {
    var chain = try EpochTests.chain { $0.epochBlocks = 100 }
    let leader = chain.genesis.validators[0]
    #expect(chain.ledger.beaconIndex(on: chain.tip, view: 1, leader: leader) == nil)
    chain.beacons[leader] = try register(&chain, leader, 1, length: 10)
    // Four validators: views 1 to 4 are turn 0.
    for (view, index) in [(1, 0), (4, 0), (5, 1), (8, 1), (40, 9)] as [(UInt64, UInt64)] {
      #expect(chain.ledger.beaconIndex(on: chain.tip, view: view, leader: leader) == index)
    }
    for view in [0, 41, .max] as [UInt64] {
      #expect(chain.ledger.beaconIndex(on: chain.tip, view: view, leader: leader) == nil)
    }
    let before = try chain.state.beacon
    chain.view = 7
    try chain.block(leader: leader)
    let header = try #require(chain.history.last).block.value.header
    #expect(header.reveal == chain.beacons[leader]?.element(1))
    #expect(try chain.state.beacon == Digest(domain: 2, before, header.reveal))
    // What was burnt on the way is used up.
    #expect(try chain.state.validator(leader)?.beacon?.usedCount == 2)
    // Who has none reveals none, and the beacon takes in the parent.
    let (other, tip, mixed) = (chain.genesis.validators[1], chain.tip, try chain.state.beacon)
    try chain.block(leader: other)
    #expect(try #require(chain.history.last).block.value.header.reveal == .zero)
    #expect(try chain.state.beacon == Digest(domain: 2, mixed, tip))
  }

  @Test func absentWrongAndForgedRevealsAreRefused() throws {
    var chain = try EpochTests.chain { $0.epochBlocks = 100 }
    let (leader, other) = (chain.genesis.validators[0], chain.genesis.validators[1])
    let beacon = try register(&chain, leader, 1, length: 10)
    chain.beacons[leader] = beacon
    chain.view = 11
    let sound = try chain.draft(timestampMilliseconds: chain.time + 1, leader: leader)
    #expect(sound.view == 11 && sound.reveal == beacon.element(2))
    let block = try chain.build(on: chain.tip, [], sound, leader: leader).block
    var replica = LedgerMachine(genesis: chain.genesis)
    for entry in chain.history {
      _ = try replica.execute(entry.block, leader: entry.leader).get()
      _ = replica.finalize(entry.block.value.id)
    }
    func refusal(_ reveal: Digest?, by leader: NodeID) throws -> BlockRefusal? {
      var header = block.value.header
      header.reveal = reveal ?? .zero
      let changed = try #require(Verified<Block>(header: header, transactions: []))
      if case .failure(let refusal) = replica.execute(changed, leader: leader) { return refusal }
      return nil
    }
    for wrong in [
      nil, beacon.element(0), beacon.element(1), beacon.element(3), beacon.element(9), beacon.tip,
      BeaconHash.step(beacon.tip), Digest(number(3)),
    ] {
      #expect(try refusal(wrong, by: leader) == .wrongReveal)
      var draft = sound
      draft.reveal = wrong ?? .zero
      let built = chain.ledger.build(
        on: chain.tip, candidates: [], draft: draft, leader: leader, maximumBytes: 1 << 20)
      #expect(built?.block == nil)
    }
    #expect(try refusal(beacon.element(2), by: other) == .wrongReveal)
    #expect(try refusal(beacon.element(2), by: leader) == nil)
    // An element is revealed once: the same turn again is no chain's.
    _ = chain.ledger.finalize(block.value.id)
    chain.tip = block.value.id
    #expect(chain.ledger.beaconIndex(on: chain.tip, view: 12, leader: leader) == 2)
    let again = BlockDraft(
      epoch: 0, view: 12, parentView: 11, timestampMilliseconds: chain.time + 5, reveal: try #require(beacon.element(2))
    )
    let built = chain.ledger.build(on: chain.tip, candidates: [], draft: again, leader: leader, maximumBytes: 1 << 20)
    #expect(built?.block == nil)
  }

  @Test func anExhaustedChainIsNone() throws {
    var chain = try EpochTests.chain(validators: 1) { $0.epochBlocks = 100 }
    let leader = chain.members[0]
    // Of one validator every view is a turn: the registration was view 1.
    chain.beacons[leader] = try register(&chain, leader, 1, length: 4)
    for index in 1...3 as ClosedRange<UInt64> {
      try chain.block()
      #expect(try #require(chain.history.last).block.value.header.reveal == chain.beacons[leader]?.element(index))
    }
    #expect(chain.ledger.beaconIndex(on: chain.tip, view: chain.view + 1, leader: leader) == nil)
    try chain.block()
    #expect(try #require(chain.history.last).block.value.header.reveal == .zero)
  }

  @Test func aLaterChainTakesOverWithTheNextEpochAndBasesMoveOn() throws {
    var chain = try EpochTests.chain(validators: 1) { $0.epochBlocks = 5 }
    let leader = chain.members[0]
    let first = try register(&chain, leader, 1, length: 100)
    chain.beacons[leader] = first
    try chain.reach(epoch: 1)
    // Views 2 to 5 took elements 1 to 4; epoch 1 begins with element 5, in its view 1.
    #expect(try chain.state.validator(leader)?.beacon?.usedCount == 5)
    #expect(chain.ledger.beaconIndex(on: chain.tip, view: 1, leader: leader) == 5)
    try chain.block()
    let second = try register(&chain, leader, 2, length: 50)
    #expect(try #require(chain.history.last).block.value.header.reveal == first.element(6))
    try chain.block()
    #expect(try #require(chain.history.last).block.value.header.reveal == first.element(7))
    // Named twice in an epoch: the last one counts.
    let third = try register(&chain, leader, 3, length: 60)
    #expect(second.tip != third.tip)
    try chain.reach(epoch: 2)
    #expect(try chain.state.validator(leader)?.beacon == BeaconChain(tip: third.tip, length: 60))
    chain.beacons[leader] = third
    try chain.block()
    #expect(try #require(chain.history.last).block.value.header.reveal == third.element(0))
    try chain.reach(epoch: 4)
    #expect(chain.ledger.beaconIndex(on: chain.tip, view: 1, leader: leader) == 10)
  }

  @Test func lengthsAreBounded() throws {
    var chain = try EpochTests.chain()
    let leader = chain.members[0]
    for length in [0, TransactionAction.maximumBeaconLength + 1, .max] as [UInt64] {
      #expect(try chain.run(leader, .registerBeacon(tip: .zero, length: length)) == .badBeaconLength)
    }
    // A tip that nobody has elements for: the validator can't lead until its next chain, and harms nobody else.
    #expect(
      try chain.run(leader, .registerBeacon(tip: .zero, length: TransactionAction.maximumBeaconLength)) == nil)
    var beacon = try #require(chain.state.validator(leader)?.beacon)
    for index in [TransactionAction.maximumBeaconLength, .max, 3] {
      let isTaken = beacon.take(Digest(number(1)), at: index)
      #expect(!isTaken)
    }
    #expect(beacon.usedCount == 0)
  }

  @Test func aJobIsDrawnByAnotherLeaderOfTheCurrentSet() throws {
    var chain = try EpochTests.chain(validators: 2)
    let (one, two) = (chain.members[0], chain.members[1])
    #expect(try chain.run(chain.members[5], .offer(chain.offer())) == nil)
    let job = try chain.next(chain.members[6], .submitJob(chain.terms()))
    try chain.block([job], leader: one)
    try chain.block(leader: one)
    #expect(try chain.state.job(job.value.id)?.state == .pending)
    try chain.block(leader: two)
    #expect(try chain.state.job(job.value.id)?.state == .assigned)
    // Alone in the set, the same leader draws.
    #expect(try chain.run(two, .unstake) == nil)
    try chain.reach(epoch: 2)
    let later = try chain.next(chain.members[6], .submitJob(chain.terms()))
    try chain.block([later], leader: one)
    try chain.block(leader: one)
    #expect(try chain.state.job(later.value.id)?.state == .assigned)
  }
}
