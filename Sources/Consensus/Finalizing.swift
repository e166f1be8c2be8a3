import Primitives
import Wire

// Rule 7: committing what is final.
extension SimplexMachine {
  /// Rule 7: commits up to the highest finalization whose blocks are all here and executed; has them executed first.
  /// True when something was committed.
  mutating func commitFinal() -> Bool {
    // The chain's first: so no commit is longer than what one chain answer can carry.
    for candidate in [chainTarget, target] {
      guard let candidate, let path = tree.path(from: tip.blockID, to: candidate.value.subject.blockID) else {
        continue
      }
      return commit(path, finalization: candidate)
    }
    return false
  }

  private mutating func commit(_ path: [BlockTree.Entry], finalization: Verified<Certificate>) -> Bool {
    var height = tip.height
    var timestamp = tip.timestampMilliseconds
    for entry in path {
      let header = entry.header
      guard entry.status != .invalid, fits(header, height: height, timestampMilliseconds: timestamp) else {
        diverge(entry)
        return false
      }
      guard entry.status == .executed || entry.status == .certified else {
        execute(entry.block.value.id)
        return false
      }
      height = header.height
      timestamp = header.timestampMilliseconds
    }
    guard let last = path.last else { return false }
    let subject = finalization.value.subject
    tip = FinalTip(
      blockID: subject.blockID, height: last.header.height, view: subject.view,
      timestampMilliseconds: last.header.timestampMilliseconds, epoch: epoch, finalization: finalization)
    tipReceivedAt = last.receivedAt
    effects.append(.commit(path.map(\.block), finalization: finalization))
    guard !isEnded else {
      endEpoch(finalization)
      return true
    }
    forgetFinal()
    attachChain()
    standstillAt = now + settings.standstill
    // More is missing: the rest is asked for at once, there was progress.
    if isBehind {
      fetchAt = now
      fetchRound = 0
    }
    return true
  }

  private mutating func diverge(_ entry: BlockTree.Entry) {
    isHalted = true
    counters.add("diverged")
    effects.append(
      .diverged(
        blockID: entry.block.value.id,
        reason: "block \(entry.block.value.id.short) at height \(entry.header.height) is final for the network, but "
          + "executing it here does not give its state root; stop this node, keep its data for a report, and let it "
          + "start from an empty directory"))
  }

  /// Rule 7: drops what the new tip settles.
  private mutating func forgetFinal() {
    if let view = target?.value.subject.view, view <= tip.view { target = nil }
    if let view = chainTarget?.value.subject.view, view <= tip.view { chainTarget = nil }
    if !isBehind { aheadPeers.removeAll() }
    tree.prune(throughView: tip.view)
    while let first = certifiedAt.first, first.key <= tip.view { certifiedAt.removeValue(forKey: first.key) }
    while let first = refused.first, first <= tip.view { refused.remove(first) }
    while let first = awaiting.first, first.key <= tip.view { awaiting.removeValue(forKey: first.key) }
    let kept = tip.view > settings.retentionViews ? tip.view - settings.retentionViews : 0
    while let first = views.first, first.key < kept { views.removeValue(forKey: first.key) }
    votesKeptFrom = max(votesKeptFrom, kept)
    highestPassed = max(highestPassed, tip.view)
  }
}
