// One block, executed:
//
// 1. Ledger time follows the timestamp by at most one step; the beacon takes in the parent's id.
// 2. Transactions, in order. What may stand in a block at all is decided before any of it is executed.
// 3. Deadlines that ledger time has reached: after the transactions, so that a renewal in this very block counts.
// 4. Assignment (Assignment.swift).

import Primitives
import Wire

/// The state while a block is executed on it.
struct BlockExecution {
  let networkID: Digest
  let parameters: ChainParameters
  let validators: ValidatorSet
  let leader: NodeID
  var state: StateView
  /// Written back at the end: every transaction changes it.
  var chain: ChainRecord
  var receipts: [Receipt] = []
  var events: [LedgerEvent] = []
  /// True once something may make a job fit that did not.
  var capacityFreed = false

  /// Begins a block (rule 1).
  init(
    on view: StateView, networkID: Digest, validators: ValidatorSet, parentID: Digest, timestampMilliseconds: UInt64,
    leader: NodeID
  ) {
    guard var chain = view.chain[SoleKey()], let network = view.network[SoleKey()] else {
      preconditionFailure("every state has its chain and network records")
    }
    self.networkID = networkID
    self.validators = validators
    self.leader = leader
    parameters = network.parameters
    state = view
    chain.height += 1
    chain.timestampMilliseconds = timestampMilliseconds
    chain.ledgerTimeMilliseconds = BlockExecution.ledgerTime(
      at: timestampMilliseconds, after: chain.ledgerTimeMilliseconds, parameters: parameters)
    chain.beacon = Digest(domain: 2, chain.beacon, parentID)
    self.chain = chain
  }

  /// Ledger time of a block with this timestamp on a parent with that ledger time.
  static func ledgerTime(at timestamp: UInt64, after parent: UInt64, parameters: ChainParameters) -> UInt64 {
    max(parent, min(timestamp, parent.clampedSum(parameters.maximumLedgerStepMilliseconds)))
  }

  /// Ledger time in milliseconds since 1970.
  var now: UInt64 { chain.ledgerTimeMilliseconds }

  /// Whether a transaction may stand in a block of ledger time `time`: the rule for blocks and the mempool alike.
  static func includability(
    of transaction: Transaction, by author: NodeID, account: AccountRecord?, parameters: ChainParameters,
    time: UInt64, index: Int
  ) -> Includability {
    if transaction.expiresMilliseconds <= time { return .never(.expired(index: index)) }
    if transaction.feeMicrocredits < parameters.minimumFeeMicrocredits { return .never(.feeNotPaid(index: index)) }
    guard let account, transaction.feeMicrocredits <= account.balanceMicrocredits else {
      return .never(.feeNotPaid(index: index))
    }
    if transaction.nonce < account.nonce { return .never(.wrongNonce(index: index)) }
    return transaction.nonce == account.nonce ? .now : .later
  }

  /// Why the transaction makes the block invalid; nil, and it is executed, when it does not (rule 2).
  mutating func include(_ message: Message, index: Int) -> BlockRefusal? {
    guard case .transaction(let transaction) = message.body else { return .notATransaction(index: index) }
    guard var account = state.accounts[message.author] else { return .feeNotPaid(index: index) }
    switch BlockExecution.includability(
      of: transaction, by: message.author, account: account, parameters: parameters, time: now, index: index)
    {
    case .never(let refusal): return refusal
    case .later: return .wrongNonce(index: index)
    case .now: break
    }
    account.balanceMicrocredits -= transaction.feeMicrocredits
    account.nonce += 1
    state.accounts[message.author] = account
    chain.burntMicrocredits += transaction.feeMicrocredits
    var refusal: TransactionRefusal?
    do { try perform(transaction, id: message.id, author: message.author) } catch {
      refusal = error
      events.append(.transactionRefused(id: message.id, author: message.author, reason: error.message))
    }
    receipts.append(Receipt(id: message.id, refusal: refusal))
    return nil
  }

  /// Each action checks everything before it changes anything.
  private mutating func perform(
    _ transaction: Transaction, id: Digest, author: NodeID
  ) throws(TransactionRefusal) {
    switch transaction.action {
    case .transfer(let to, let amount): try transfer(amount, from: author, to: to)
    case .offer(let terms): try offer(terms, by: author)
    case .withdraw: try withdraw(author)
    case .submitJob(let terms): try submitJob(terms, id: id, feeMicrocredits: transaction.feeMicrocredits, by: author)
    case .cancelJob(let job): try cancelJob(job, by: author)
    case .renew: try renew(author)
    case .acceptLease(let lease): try acceptLease(lease, by: author)
    case .declineLease(let lease, let reason): try declineLease(lease, reason: reason, by: author)
    case .commitResults(let commitments): try commitResults(commitments, by: author)
    case .revealResults(let results): try revealResults(results, by: author)
    case .attest(let provider, let liveness): try attest(provider, liveness, by: author)
    case .stake, .unstake, .rotateKey, .registerBeacon, .evidence: throw .zeroAmount
    }
  }

  /// Rules 3 and 4, and the end of the block.
  mutating func finish() {
    passDeadlines()
    assignJobs()
    state.chain[SoleKey()] = chain
  }
}
