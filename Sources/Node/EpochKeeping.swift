import Core
import Ledger
import Primitives
import Wire

// What the shell does as epochs come and go.

extension NodeShell {
  /// Lets the vote keys go that no epoch uses any more.
  func retireVoteKeys() {
    guard let driver = driver.value else { return }
    Task { [self] in
      let (inUse, networkID) = await driver.read { core, _ in (core.voteKeysInUse, core.genesis.networkID) }
      let removed = voteKeys.prune(inUse: inUse)
      guard !removed.isEmpty else { return }
      logger.notice("vote keys of no epoch were removed: \(removed.map(\.short).joined(separator: ", "))")
      driver.post(.voteSigners(voteKeys.signers(networkID: networkID)))
    }
  }
}

extension NodeCore {
  /// The vote keys of the epochs that are kept and of those to come, and those on their way into the ledger.
  var voteKeysInUse: [NodeID] {
    let facts = finalState.validatorFacts(id)
    return [facts.key, facts.nextKey, facts.laterKey].compactMap { $0 } + voteKeysUnderWay
  }
}

extension NodeShell {
  /// An epoch has begun: what is needed to start again from here, and to bring joiners here, is kept.
  func begin(
    _ epoch: UInt64, boundary: Verified<Block>, finalization: Verified<Certificate>, snapshot: StateSnapshot,
    next: ValidatorSet
  ) {
    logger.info("epoch \(epoch) begins with \(next.count) validators after block \(boundary.value.header.height)")
    storage.begin(
      epoch: epoch, boundary: boundary, finalization: finalization, snapshot: snapshot, next: next,
      kept: { [self] in endAbstention(in: epoch) },
      failed: { [self] error in haltForDisk("the state at the end of an epoch could not be kept", error) })
    retireVoteKeys()
  }

  /// A state was fetched: the node goes on behind it.
  func install(_ install: SnapshotInstall) {
    logger.notice("the state of block \(install.link.header.height) was fetched: the node goes on from there")
    storage.install(
      install, kept: { [self] in endAbstention(in: install.validators.epoch) },
      failed: { [self] error in haltForDisk("a state that was fetched could not be kept", error) })
    bell.ring()
    retireVoteKeys()
  }

  /// An epoch that the disk holds the beginning of, so that no crash leads back before it. If the node votes in it, it can
  /// hold none of the votes that were lost, and nothing stands against the node any more.
  private func endAbstention(in epoch: UInt64) {
    guard let driver = driver.value, storage.abstention.abstention != nil else { return }
    Task { [self] in
      // Of a later epoch that has begun meanwhile this is asked when that one is kept.
      let votes = await driver.read { core, _ in core.consensus.epoch == epoch && core.votingStanding == .voting }
      guard votes else { return }
      do {
        try storage.abstention.clear()
        logger.notice("this node votes again: no lost vote can be of this epoch")
      } catch { logger.error("\(error)") }
    }
  }

  func haltForDisk(_ message: String, _ error: any Error) {
    onHalt(
      NodeError(
        .storage, message, suggestion: "check the disk (is it full?) and start the daemon again", cause: error))
  }
}
