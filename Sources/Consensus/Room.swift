import Primitives
import Wire

// Room: how much may lie above the last final block, and what makes room when that is reached.
//
// Whatever is committed at once must be served at once, so a block is neither proposed nor notarized whose commit would
// be longer than one chain answer. And what is held is bounded in number. Neither must end the chain: where no new block
// has room, the highest certified one is proposed again (rule 2), until one of these views finalizes it.
extension SimplexMachine {
  /// Rules 2 and 3: true when a block on a parent could be committed together with all between it and the tip.
  func fitsCommit(on parentID: Digest, byteCount: Int) -> Bool {
    guard let above = tree.path(to: parentID, above: tip.blockID, limit: settings.bounds.commitBlocks - 1) else {
      return false
    }
    let bytes = above.reduce(byteCount) { $0 + (tree[$1]?.byteCount ?? 0) }
    return above.isEmpty || bytes <= settings.bounds.commitBytes
  }

  /// Rule 2: true when a new block, however long, can be proposed on a parent.
  func hasRoom(on parent: CertifiedTip) -> Bool {
    guard
      parent.view == tip.view || parent.blockID == tip.blockID
        || fitsCommit(on: parent.blockID, byteCount: Block.maximumBytes)
    else { return false }
    return tree.count < settings.bounds.openBlocks || needless != nil
  }

  /// Rule 3: keeps a block if there is room. One that no quorum is known to want is of a view up to the next, or it would
  /// stay for ever.
  mutating func admit(_ block: Verified<Block>) {
    let header = block.value.header
    guard !tree.contains(block.value.id) else { return }
    let isWanted = awaiting.contains { $0.value == block.value.id }
    guard header.epoch == epoch, header.view > tip.view, isWanted || header.view <= view + 1 else {
      counters.add("blockViewOutOfRange")
      return
    }
    guard makeRoom(isWanted ? settings.bounds.openBlocks * 2 : settings.bounds.openBlocks) else {
      counters.add("blocksFull")
      return
    }
    tree.insert(block, status: .present, at: now)
  }

  /// Drops what is not needed until there is room for one more block; false when there is none.
  mutating func makeRoom(_ limit: Int) -> Bool {
    while tree.count >= limit {
      guard let id = needless else { return false }
      tree.remove(id)
      recoveredBlocks = min(recoveredBlocks, tree.count)
      certifiedAt.removeAll { $1 == id }
      awaiting.removeAll { $1 == id }
      counters.add("blockMadeRoom")
    }
    return true
  }

  /// The oldest block that is not needed, of those that nothing lies on, so that what stays lies on what stays: neither the
  /// highest certified one, nor notarized in a later view, nor known to be final, nor of the current view or the next, nor
  /// below such a one. It can only become final by way of a proposal that builds on it, and then it is asked for again.
  private var needless: Digest? {
    let top = certifiedAt.last
    var needed = OrderedSet<Digest>()
    func keep(_ id: Digest) {
      var next = id
      while let entry = tree[next], needed.insert(next) { next = entry.header.parentID }
    }
    if let top { keep(top.value) }
    for (_, id) in awaiting.entries(from: (top?.key ?? tip.view) + 1) { keep(id) }
    for final in [target, chainTarget].compactMap({ $0 }) { keep(final.value.subject.blockID) }
    for current in [view, view + 1] { if let id = views[current]?.proposal?.blockID { keep(id) } }
    let entries = tree.byView
    for entry in entries where entry.header.view >= view { keep(entry.block.value.id) }
    let parents = OrderedSet(entries.map(\.header.parentID))
    return entries.map(\.block.value.id).first { !needed.contains($0) && !parents.contains($0) }
  }

  /// Rule 3: a block that made room is needed after all, for a proposal builds on it.
  mutating func wantAgain(_ certified: UInt64) {
    guard certified > tip.view, certifiedAt[certified] == nil, awaiting[certified] == nil, !refused.contains(certified),
      let id = views[certified]?.notarization?.value.subject.blockID
    else { return }
    awaiting[certified] = id
  }
}
