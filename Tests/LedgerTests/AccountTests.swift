import Primitives
import Testing
import Wire

@testable import Ledger

@Suite struct AccountTests {
  @Test func transferMovesCreditsAndBurnsTheFee() throws {
    var chain = try Chain()
    let (alice, bob) = (chain.members[4], chain.members[5])
    #expect(try chain.run(alice, .transfer(to: bob, amountMicrocredits: 5)) == nil)
    #expect(try chain.state.account(alice).balanceMicrocredits == Chain.opening - 105)
    #expect(try chain.state.account(alice).nonce == 1)
    #expect(try chain.state.account(bob).balanceMicrocredits == Chain.opening + 5)
    #expect(try chain.state.burntMicrocredits == 100)
    #expect(try chain.run(alice, .transfer(to: alice, amountMicrocredits: 5)) == nil)
    #expect(try chain.state.account(alice).balanceMicrocredits == Chain.opening - 205)
  }

  @Test func refusedTransfersBurnTheFeeAndSayWhy() throws {
    var chain = try Chain()
    let (alice, bob) = (chain.members[4], chain.members[5])
    let stranger = NodeID(number(77, 1))
    #expect(try chain.run(alice, .transfer(to: bob, amountMicrocredits: 0)) == .zeroAmount)
    #expect(try chain.run(alice, .transfer(to: bob, amountMicrocredits: .max)) == .insufficientBalance)
    // The fee is gone before the amount is looked at.
    #expect(
      try chain.run(alice, .transfer(to: bob, amountMicrocredits: Chain.opening - 299)) == .insufficientBalance)
    #expect(try chain.run(alice, .transfer(to: stranger, amountMicrocredits: 999)) == .belowEntryDeposit)
    #expect(try chain.state.account(alice).balanceMicrocredits == Chain.opening - 400)
    #expect(try chain.state.account(alice).nonce == 4)
    let refusals = chain.events.filter { if case .transactionRefused(_, alice, _) = $0 { true } else { false } }
    #expect(refusals.count == 1)
    #expect(try chain.run(alice, .transfer(to: stranger, amountMicrocredits: 1_000)) == nil)
    #expect(try chain.state.account(stranger).balanceMicrocredits == 1_000)
    let all = try chain.state.account(alice).balanceMicrocredits - 100
    #expect(try chain.run(alice, .transfer(to: bob, amountMicrocredits: all)) == nil)
    #expect(try chain.state.account(alice).balanceMicrocredits == 0)
  }

  @Test func whatCannotStandInABlockMakesItInvalid() throws {
    var chain = try Chain()
    let (alice, bob) = (chain.members[4], chain.members[5])
    let pay = TransactionAction.transfer(to: bob, amountMicrocredits: 1)
    let stranger = NodeID(number(77, 1))
    let cases: [(Verified<Message>, BlockRefusal, Includability)] = [
      (chain.message(alice, pay, nonce: 1), .wrongNonce(index: 0), .later),
      (chain.message(alice, pay, nonce: .max), .wrongNonce(index: 0), .later),
      (chain.message(alice, pay, nonce: 0, fee: 99), .feeNotPaid(index: 0), .never(.feeNotPaid(index: 0))),
      (chain.message(alice, pay, nonce: 0, fee: .max), .feeNotPaid(index: 0), .never(.feeNotPaid(index: 0))),
      (chain.message(stranger, pay, nonce: 0), .feeNotPaid(index: 0), .never(.feeNotPaid(index: 0))),
      (
        chain.message(alice, pay, nonce: 0, expires: Chain.start), .expired(index: 0),
        .never(.expired(index: 0))
      ),
    ]
    for (message, refusal, includability) in cases {
      #expect(chain.ledger.includability(of: message, on: chain.tip) == includability)
      #expect(try chain.refusal(handmade(chain, [message])) == refusal)
    }
    // Expired by the new block's ledger time, although not by its parent's.
    let brief = chain.message(alice, pay, nonce: 0, expires: Chain.start + 50)
    #expect(chain.ledger.includability(of: brief, on: chain.tip) == .now)
    #expect(try chain.refusal(handmade(chain, [brief])) == .expired(index: 0))
    let twice = chain.message(alice, pay, nonce: 0)
    #expect(
      try chain.refusal(handmade(chain, [twice, twice])) == .wrongNonce(index: 1))
    try chain.block([twice])
    #expect(chain.ledger.includability(of: twice, on: chain.tip) == .never(.wrongNonce(index: 0)))
    let tooMany = [Verified<Message>](repeating: twice, count: Block.maximumTransactions + 1)
    #expect(try chain.refusal(handmade(chain, tooMany)) == .tooLarge)
  }

  @Test func headersThatDoNotFitAreRefused() throws {
    var chain = try Chain()
    func header(_ change: (inout BlockHeader) -> Void) throws -> Verified<Block> {
      var header = try handmade(chain, []).value.header
      change(&header)
      return try #require(Verified<Block>(header: header, transactions: []))
    }
    #expect(try chain.refusal(handmade(chain, [])) == .wrongStateRoot)
    let strays: [(BlockRefusal, (inout BlockHeader) -> Void)] = [
      (.unknownParent, { $0.parentID = Digest(number(1)) }), (.wrongHeight, { $0.height = 2 }),
      (.wrongHeight, { $0.height = .max }), (.wrongTimestamp, { $0.timestampMilliseconds = Chain.start }),
      (.wrongTimestamp, { $0.timestampMilliseconds = .max }), (.wrongEpoch, { $0.epoch = 1 }),
      (.wrongEpoch, { $0.epoch = .max }), (.wrongValidators, { $0.nextValidators = .zero }),
      (.wrongReveal, { $0.reveal = Digest(number(1)) }),
    ]
    for (refusal, change) in strays {
      #expect(try chain.refusal(header(change)) == refusal)
    }
    try chain.block()
    let again = try #require(chain.history.first)
    #expect(try chain.ledger.execute(again.block, leader: again.leader).get() == chain.lastReport)
  }

  @Test func aBuilderLeavesOutWhatDoesNotFitAndNamesTheStale() throws {
    var chain = try Chain()
    let (alice, bob) = (chain.members[4], chain.members[5])
    let pay = TransactionAction.transfer(to: bob, amountMicrocredits: 1)
    try chain.block([chain.message(alice, pay, nonce: 0)])
    let stale = chain.message(alice, pay, nonce: 0)
    let (now, later) = (chain.message(alice, pay, nonce: 1), chain.message(alice, pay, nonce: 3))
    let draft = BlockDraft(epoch: 0, view: 9, parentView: 1, timestampMilliseconds: 0)
    func build(_ candidates: [Verified<Message>], bytes: Int = Block.maximumBytes) throws -> BuildOutcome {
      try chain.build(on: chain.tip, candidates, draft, leader: alice, bytes: bytes)
    }
    let outcome = try build([later, stale, now, now])
    #expect(outcome.block.value.transactions.map(\.id) == [now.value.id])
    #expect(outcome.stale == [stale.value.id])
    #expect(outcome.block.value.header.timestampMilliseconds == chain.time + 1)
    #expect(try build([now], bytes: 300).block.value.transactions.isEmpty)
    #expect(outcome.block.value.encoded.count <= Block.maximumBytes)
    let lost = chain.ledger.build(
      on: Digest(number(5)), candidates: [], draft: draft, leader: alice, maximumBytes: 1)
    #expect(lost?.block == nil)
    // Used up on this branch only: another branch may need it.
    let branch = outcome.block.value.id
    let above = try chain.build(
      on: branch, [now], BlockDraft(epoch: 0, view: 10, parentView: 9, timestampMilliseconds: 0), leader: alice)
    #expect(above.stale.isEmpty && above.block.value.transactions.isEmpty)
  }

  /// A block on the tip that nobody executed: its state root is wrong.
  private func handmade(_ chain: Chain, _ messages: [Verified<Message>]) throws -> Verified<Block> {
    let header = BlockHeader(
      epoch: 0, view: chain.view + 1, height: chain.ledger.finalHeight + 1, parentID: chain.tip,
      parentView: chain.view, timestampMilliseconds: chain.time + 100,
      transactionsRoot: Block.transactionsRoot(messages.map(\.value.id)), stateRoot: .zero,
      nextValidators: chain.genesis.validatorSet.digest, reveal: .zero)
    return try #require(Verified<Block>(header: header, transactions: messages))
  }
}
