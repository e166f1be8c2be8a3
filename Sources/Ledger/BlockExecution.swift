// One block, executed:
//
// 1. Ledger time follows the timestamp by at most one step; the beacon takes in what the leader reveals (Beacon.swift).
// 2. Transactions, in order. What may stand in a block at all is decided before any of it is executed.
// 3. Deadlines that ledger time has reached: after the transactions, so that a renewal in this very block counts.
// 4. Assignment (Assignment.swift); and in an epoch's last block the end of the epoch (Epochs.swift).

import Primitives
import Wire

/// The state while a block is executed on it.
struct BlockExecution {
  let networkID: Digest
  let parameters: ChainParameters
  /// The block's epoch.
  let epoch: UInt64
  /// The validators of that epoch.
  let validators: ValidatorSet
  /// The digest of those of the next.
  let nextValidators: Digest
  let leader: NodeID
  var state: StateView
  /// Written back at the end: every transaction changes it.
  var chain: ChainRecord
  var receipts: [Receipt] = []
  var events: [LedgerEvent] = []
  /// True once something may make a job fit that did not.
  var capacityFreed = false

  /// Begins a block (rule 1, without the reveal).
  init(on view: StateView, networkID: Digest, timestampMilliseconds: UInt64, leader: NodeID) {
    guard var chain = view.chain[SoleKey()], let network = view.network[SoleKey()] else {
      preconditionFailure("every state has its chain and network records")
    }
    self.networkID = networkID
    self.leader = leader
    parameters = network.parameters
    state = view
    chain.height += 1
    epoch = parameters.epoch(ofHeight: chain.height)
    guard let validators = view.validatorSet(epoch: epoch), let next = view.epochs[EpochKey(epoch + 1)] else {
      preconditionFailure("every state has the validators of the next block's epoch and of the one after")
    }
    self.validators = validators
    nextValidators = ValidatorSet.digest(of: next.validators)
    chain.timestampMilliseconds = timestampMilliseconds
    chain.ledgerTimeMilliseconds = BlockExecution.ledgerTime(
      at: timestampMilliseconds, after: chain.ledgerTimeMilliseconds, parameters: parameters)
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
    case .stake(let amount): try stake(amount, by: author)
    case .unstake: try unstake(author)
    case .rotateKey(let new): try rotateKey(new.key, by: author)
    case .registerBeacon(let tip, let length): try registerBeacon(tip: tip, length: length, by: author)
    case .evidence(let evidence): try takeEvidence(evidence)
    }
  }

  /// Rules 3 and 4, and the end of the block.
  mutating func finish() {
    passDeadlines()
    assignJobs()
    endEpoch()
    state.chain[SoleKey()] = chain
  }
}
