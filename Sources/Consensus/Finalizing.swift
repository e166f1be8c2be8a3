import Primitives
import Wire

/// The blocks from a final one down to the child of the tip. Kept while they are executed one by one.
struct CommitPath: Sendable {
  let goal: Digest
  var blocks: [Digest]
}

// Rule 7: committing what is final.
extension SimplexMachine {
  /// Rule 7: commits up to the highest finalization in reach whose blocks are all here and executed; has them executed
  /// first. True when something was committed.
  mutating func commitFinal() -> Bool {
    // The chain's first: it was as much as one answer carries.
    for (candidate, isAnswer) in [(chainTarget, true), (target, false)] {
      guard let candidate else { continue }
      let goal = candidate.value.subject.blockID
      if goal == tip.blockID {
        renewTip(candidate)
        return true
      }
      guard let path = path(to: goal) else { continue }
      // Where nothing is in reach, others have the finalizations between: the chain is asked for.
      guard let reach = reach(along: path, to: candidate, isAnswer: isAnswer) else { continue }
      return commit(path.blocks.suffix(reach.count).reversed().compactMap { tree[$0] }, finalization: reach.proof)
    }
    return false
  }

  /// The tip, proposed again by who did not know that it was final, is final in a later view.
  private mutating func renewTip(_ finalization: Verified<Certificate>) {
    tip.view = max(tip.view, finalization.value.subject.view)
    tip.finalization = finalization
    forgetFinal()
    attachChain()
  }

  /// The way to a final block; nil while one between is not here.
  private mutating func path(to goal: Digest) -> CommitPath? {
    if let commitPath, commitPath.goal == goal, let next = commitPath.blocks.last,
      tree[next]?.header.parentID == tip.blockID
    {
      return commitPath
    }
    commitPath = tree.path(to: goal, above: tip.blockID).map { CommitPath(goal: goal, blocks: $0) }
    return commitPath
  }

  /// The most blocks on the way that one chain answer carries and that end with a finalization.
  private func reach(
    along path: CommitPath, to goal: Verified<Certificate>, isAnswer: Bool
  ) -> (count: Int, proof: Verified<Certificate>)? {
    var reach: (count: Int, proof: Verified<Certificate>)?
    var bytes = 0
    for (offset, id) in path.blocks.reversed().prefix(settings.bounds.commitBlocks).enumerated() {
      bytes += tree[id]?.byteCount ?? 0
      guard offset == 0 || isAnswer || bytes <= settings.bounds.commitBytes else { break }
      let count = offset + 1
      guard count < path.blocks.count else { return (count, goal) }
      let child = path.blocks[path.blocks.count - count - 1]
      if let proof = finalization(of: id, below: child) { reach = (count, proof) }
    }
    return reach
  }

  /// The finalization of a block whose child is final: of the view in which it was first proposed, or again, up to the
  /// one that the child names.
  private func finalization(of id: Digest, below child: Digest) -> Verified<Certificate>? {
    guard let first = tree[id]?.header.view, let last = tree[child]?.header.parentView else { return nil }
    for (view, state) in views.entries(from: first) {
      guard view <= last else { break }
      if let found = state.finalization, found.value.subject.blockID == id { return found }
    }
    return nil
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
    commitPath?.blocks.removeLast(path.count)
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
    recoveredBlocks = min(recoveredBlocks, tree.count)
    while let first = certifiedAt.first, first.key <= tip.view { certifiedAt.removeValue(forKey: first.key) }
    while let first = refused.first, first <= tip.view { refused.remove(first) }
    while let first = awaiting.first, first.key <= tip.view { awaiting.removeValue(forKey: first.key) }
    let kept = tip.view > settings.retentionViews ? tip.view - settings.retentionViews : 0
    while let first = views.first, first.key < kept { views.removeValue(forKey: first.key) }
    votesKeptFrom = max(votesKeptFrom, kept)
    highestPassed = max(highestPassed, tip.view)
  }
}
