import Consensus
import Ledger
import Primitives
import Wire

extension NodeCore {
  /// Registers a hash chain when this validator has none, and the next one before the last is used up.
  mutating func keepBeacon(now: Instant, into effects: inout [CoreEffect]) {
    let least = settings.beaconLength
    guard least > 0, !outbox.isPending(.beacon), !outbox.isPaused(.beacon, at: now) else { return }
    let state = finalState
    guard let record = state.validator(id), record.isStanding, record.nextBeacon == nil else { return }
    if let chain = record.beacon {
      let left = chain.length > chain.usedCount ? chain.length - chain.usedCount : 0
      // Two epochs of turns: a chain that is registered now takes over at the next epoch.
      let turns =
        genesis.parameters.epochBlocks.multipliedReportingOverflow(by: 2).partialValue / UInt64(validators.count)
      guard left < max(chain.length / 4, min(turns + 1, chain.length)) else { return }
    }
    // Another length than that of any chain registered before, but for chance: the length makes the seed.
    let (length, isTooLong) = least.addingReportingOverflow(state.account(id).nonce % least)
    let bounded = isTooLong ? TransactionAction.maximumBeaconLength : min(length, TransactionAction.maximumBeaconLength)
    let chain = reveals.chain(length: bounded, signer: identity.signer)
    submitOnce(.registerBeacon(tip: chain.tip, length: chain.length), for: .beacon, now: now, into: &effects)
  }

  /// What this node reveals as the leader of a view: the element that its registered chain demands there.
  mutating func reveal(for request: BuildRequest) -> Digest {
    guard let index = ledger.beaconIndex(on: request.parentID, view: request.view, leader: id),
      let record = ledger.state(at: request.parentID)?.validator(id)?.beacon
    else { return .zero }
    guard let element = reveals.chain(length: record.length, signer: identity.signer).element(index) else {
      counters.add("beaconUnknown")
      return .zero
    }
    return element
  }
}
