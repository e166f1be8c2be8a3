// Epochs: e holds the heights e·L+1 to (e+1)·L, where L is `epochBlocks`.
//
// 1. The validators of the epochs 0 and 1 are those of the genesis. Those of e+2 are computed while the last block of e
//    is executed, after its transactions.
// 2. Candidates are the validators that stand with at least the least stake, and founders whatever their stake. The
//    `ValidatorSet.maximumCount` with the most stake are taken, of equal stakes those with the lower id; their order is
//    that of ids. With no candidate the set of e+1 goes on: a network without validators could never have one again.
// 3. At the same time what leavers had staked returns once its epoch has come, hash chains begin their next epoch, and
//    the sets that evidence can't be about any more are forgotten.

import Primitives
import Wire

extension ChainParameters {
  /// The epoch of the block at a height, from 1.
  public func epoch(ofHeight height: UInt64) -> UInt64 { height == 0 ? 0 : (height - 1) / epochBlocks }

  /// True for the height of an epoch's last block.
  public func isEpochEnd(_ height: UInt64) -> Bool { height > 0 && height % epochBlocks == 0 }
}

extension BlockExecution {
  /// Rules 1 to 3, when the block is its epoch's last.
  mutating func endEpoch() {
    guard parameters.isEpochEnd(chain.height) else { return }
    guard var next = state.epochs[EpochKey(epoch + 1)] else { preconditionFailure("the next set is always known") }
    let chosen = candidates()
    let set = chosen.isEmpty ? next.validators : chosen
    state.epochs[EpochKey(epoch + 2)] = EpochRecord(validators: set)
    if set != next.validators { events.append(.validatorsChosen(epoch: epoch + 2, count: set.count)) }
    next.startTimestampMilliseconds = chain.timestampMilliseconds
    state.epochs[EpochKey(epoch + 1)] = next
    for (key, _) in state.epochs.entries() {
      if key.epoch.clampedSum(parameters.evidenceAgeEpochs) > epoch { break }
      state.epochs[key] = nil
    }
    for (node, record) in state.validators.entries() { endEpoch(of: node, record) }
  }

  /// Rule 2.
  private func candidates() -> [Validator] {
    let standing = state.validators.entries().filter {
      $0.value.isStanding
        && ($0.value.isFounder || $0.value.stakeMicrocredits >= parameters.minimumStakeMicrocredits)
    }
    let chosen = standing.sorted {
      let (left, right) = ($0.value.stakeMicrocredits, $1.value.stakeMicrocredits)
      return left == right ? $0.key < $1.key : left > right
    }.prefix(ValidatorSet.maximumCount)
    return chosen.map { Validator(node: $0.key, key: $0.value.key) }.sorted { $0.node < $1.node }
  }

  /// Rule 3.
  private mutating func endEpoch(of node: NodeID, _ record: ValidatorRecord) {
    if let end = record.returnEpoch, end <= epoch {
      state.voteKeys[record.key] = nil
      state.validators[node] = nil
      chain.validatorCount -= 1
      if record.stakeMicrocredits > 0 { releaseBond(record.stakeMicrocredits, of: node) }
      events.append(.stakeReturned(node: node, amountMicrocredits: record.stakeMicrocredits))
      return
    }
    guard let beacon = record.nextBeacon ?? record.beacon else { return }
    var changed = record
    changed.beacon = beacon
    changed.beacon?.baseIndex = beacon.usedCount
    changed.nextBeacon = nil
    if changed != record { state.validators[node] = changed }
  }
}

extension StateView {
  /// The validators of an epoch; nil for one that is over for long or not known yet.
  func validatorSet(epoch: UInt64) -> ValidatorSet? {
    epochs[EpochKey(epoch)].flatMap { ValidatorSet(epoch: epoch, validators: $0.validators) }
  }
}
