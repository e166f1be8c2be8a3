// Who may vote, and what it costs to break one's word.
//
// 1. A stake of at least `minimumStakeMicrocredits` makes a candidate. Each change holds from the epoch after the next:
//    the sets of this epoch and the next are fixed (Epochs.swift).
// 2. Who leaves may still vote until the end of the next epoch, and evidence counts for `evidenceAgeEpochs` after that;
//    then the stake returns. Staking again before that undoes the leaving.
// 3. Evidence burns `slashPartsPerMillion` of the stake and jails: the validator leaves, and can't stake again until
//    the rest has returned. A second piece of evidence against it changes nothing.
// 4. No two validators ever vote under one key: a key is another's while its record or a set of this epoch or the next
//    has it.

import Primitives
import Wire

extension BlockExecution {
  mutating func stake(_ amount: UInt64, by author: NodeID) throws(TransactionRefusal) {
    guard amount > 0 else { throw .zeroAmount }
    let standing = state.validators[author]
    guard standing?.isJailed != true else { throw .validatorJailed }
    guard let account = state.accounts[author], account.balanceMicrocredits >= amount else {
      throw .insufficientBalance
    }
    var record = standing ?? ValidatorRecord(stakeMicrocredits: 0, key: author)
    guard let total = Pricing.sum(record.stakeMicrocredits, amount), total >= parameters.minimumStakeMicrocredits else {
      throw .belowMinimumStake
    }
    if standing == nil {
      guard chain.validatorCount < LedgerBounds.maximumValidators else { throw .validatorsFull }
      guard isFree(author, for: author) else { throw .voteKeyInUse }
    }
    try lockBond(amount, of: author)
    if standing == nil {
      chain.validatorCount += 1
      state.voteKeys[author] = VoteKeyOwner(node: author)
    }
    if record.returnEpoch != nil {
      record.returnEpoch = nil
      record.isFounder = false
    }
    record.stakeMicrocredits = total
    state.validators[author] = record
  }

  mutating func unstake(_ author: NodeID) throws(TransactionRefusal) {
    guard var record = state.validators[author] else { throw .notStaked }
    guard !record.isJailed else { throw .validatorJailed }
    guard record.isStanding else { throw .alreadyLeaving }
    record.returnEpoch = returnEpoch
    state.validators[author] = record
  }

  /// Rule 2, for one who leaves now.
  private var returnEpoch: UInt64 { epoch.clampedSum(1).clampedSum(parameters.evidenceAgeEpochs) }

  mutating func rotateKey(_ new: NodeID, by author: NodeID) throws(TransactionRefusal) {
    guard var record = state.validators[author] else { throw .notStaked }
    guard !record.isJailed else { throw .validatorJailed }
    guard record.key != new else { throw .voteKeyUnchanged }
    guard isFree(new, for: author) else { throw .voteKeyInUse }
    state.voteKeys[record.key] = nil
    state.voteKeys[new] = VoteKeyOwner(node: author)
    record.key = new
    state.validators[author] = record
  }

  /// Rule 4. A key that the node itself has in one of the sets is free for it.
  private func isFree(_ key: NodeID, for node: NodeID) -> Bool {
    if let owner = state.voteKeys[key]?.node, owner != node { return false }
    for epoch in [epoch, epoch.clampedSum(1)] {
      guard let record = state.epochs[EpochKey(epoch)] else { continue }
      if record.validators.contains(where: { $0.key == key && $0.node != node }) { return false }
    }
    return true
  }

  /// The signatures were checked before the block came here; this finds out whose they are.
  mutating func takeEvidence(_ evidence: Evidence) throws(TransactionRefusal) {
    guard evidence.epoch.clampedSum(parameters.evidenceAgeEpochs) >= epoch else { throw .evidenceTooOld }
    guard let past = state.epochs[EpochKey(evidence.epoch)], Int(evidence.voter) < past.validators.count,
      past.validators[Int(evidence.voter)].key == evidence.key
    else { throw .evidenceOfNoValidator }
    let node = past.validators[Int(evidence.voter)].node
    guard var record = state.validators[node] else { throw .evidenceWithoutStake }
    guard !record.isJailed else { throw .alreadyJailed }
    guard
      let slashed = Pricing.roundedUp(
        record.stakeMicrocredits, times: parameters.slashPartsPerMillion, over: 1_000_000)
    else { preconditionFailure("a part of a stake is at most the stake") }
    burnBond(slashed, of: node)
    record.stakeMicrocredits -= slashed
    record.isJailed = true
    record.returnEpoch = returnEpoch
    state.validators[node] = record
    events.append(.validatorSlashed(node: node, kind: evidence.kind, amountMicrocredits: slashed))
  }
}
