import Primitives
import Wire

/// Final blocks of consecutive heights that came before those below them.
struct ChainPiece: Sendable {
  let blocks: [Verified<Block>]
  let finalization: Verified<Certificate>

  var firstHeight: UInt64 { blocks.first?.value.header.height ?? 0 }
  var lastHeight: UInt64 { blocks.last?.value.header.height ?? 0 }
}

/// A request for the chain that is under way.
struct ChainRequest: Sendable {
  let peer: NodeID
  let askedAt: Instant
}

// Catching up over many blocks: several ranges of heights are asked for at once, of different peers, so that what a
// node far behind waits for is its own execution, not the round trips.
extension SimplexMachine {
  /// The most requests for the chain under way, together with the answers that wait for those below them.
  static let maximumChainRequests = 4

  /// True when there is reason to believe that more is final than is here.
  var isBehind: Bool { target != nil || chainAsksLeft > 0 }

  /// Asks for the next ranges of heights that neither are here nor were asked for: one until the first long answer
  /// has come, then as many as may be under way.
  mutating func askForChain() {
    forgetChainRequests()
    let limit = isChainLong ? SimplexMachine.maximumChainRequests : 1
    // The lowest gap is asked for in any case: what waits, waits for it.
    while chainRequests.isEmpty || chainRequests.count + chainPieces.count < limit, let height = nextUnaskedHeight,
      let peer = pickForChain(height)
    {
      chainRequests[height] = ChainRequest(peer: peer, askedAt: now)
      if chainAsksLeft > 0 { chainAsksLeft -= 1 }
      sendAtOnce(.chainRequest(fromHeight: height), to: .node(peer))
    }
  }

  /// When the oldest request under way counts as lost.
  var chainRetryAt: Instant? { chainRequests.map { $0.value.askedAt + chainTimeout($0.key) }.min() }

  /// After how long a request counts as lost. Answers are long: whoever waits in vain waits longer the next time, so that
  /// a slow path is not filled twice; and only the lowest range is urgent.
  private func chainTimeout(_ height: UInt64) -> Microseconds {
    settings.fetchInterval * (1 << Int64(min(chainLosses, 4))) * (height > tip.height + 1 ? 4 : 1)
  }

  private mutating func forgetChainRequests() {
    for (height, request) in chainRequests {
      let isLost = now >= request.askedAt + chainTimeout(height)
      guard isLost || height <= tip.height else { continue }
      chainRequests.removeValue(forKey: height)
      // Higher ranges may lie beyond what there is; the lowest does not.
      guard isLost, height == tip.height + 1 else { continue }
      counters.add("chainRequestLost")
      chainLosses += 1
      chainServer = nil
      aheadPeers.removeAll { $0 == request.peer }
      isChainLong = false
    }
    chainPieces.removeAll { $1.lastHeight <= tip.height }
  }

  /// The lowest height that is neither here, nor in a piece that waits, nor covered by a request.
  private var nextUnaskedHeight: UInt64? {
    var next = tip.height + 1
    if let chainTarget, let pending = tree[chainTarget.value.subject.blockID] {
      next = max(next, pending.header.height + 1)
    }
    while true {
      if let piece = chainPieces.lastEntry(upTo: next)?.value, piece.lastHeight >= next {
        next = piece.lastHeight + 1
      } else if let request = chainRequests.lastEntry(upTo: next)?.key, request + chainStride > next {
        next = request + chainStride
      } else {
        return next <= lastHeightToAsk ? next : nil
      }
    }
  }

  /// The height at which the highest finalization known ends, when that block is here; the end of the epoch otherwise.
  private var lastHeightToAsk: UInt64 {
    guard let final = target?.value.subject, chainAsksLeft == 0 else { return lastHeight }
    if let entry = tree[final.blockID] { return entry.header.height }
    return chainPieces.first { $0.value.finalization.value.subject.view >= final.view }?.value.lastHeight ?? lastHeight
  }

  /// A peer for a range: for what follows the tip whoever served last, or showed the latest finalization; for what lies
  /// higher those known to be ahead, by turns; or any.
  private mutating func pickForChain(_ height: UInt64) -> NodeID? {
    let ahead = aheadPeers.filter { links.contains($0) && $0 != node }
    if height == tip.height + 1, chainLosses == 0 {
      if isChainLong, let chainServer, links.contains(chainServer) { return chainServer }
      if let latest = ahead.first { return latest }
    }
    chainTurn &+= 1
    let idle = ahead.filter { peer in !chainRequests.contains { $0.value.peer == peer } }
    let pool = idle.isEmpty ? ahead : idle
    // After a loss others than those who say that they are ahead have their turn, too.
    if !pool.isEmpty, chainLosses % 2 == 0 { return pool[chainTurn % pool.count] }
    return pickPeers(1, from: [], or: validators.members).first
  }

  /// Takes blocks of consecutive heights of which the last is proven final, so that all are.
  mutating func takeChain(_ blocks: [Verified<Block>], _ finalization: Verified<Certificate>, from peer: NodeID) {
    let subject = finalization.value.subject
    if noteOtherEpoch(subject, from: peer) { return }
    guard let last = blocks.last?.value, let asked = blocks.first?.value.header.height,
      last.header.height > tip.height, last.header.height <= lastHeight, subject.view > tip.view,
      subject.view <= SimplexMachine.maximumView, last.id == subject.blockID
    else {
      counters.add("chainNotNews")
      return
    }
    // What is committed at once is served at once.
    let bytes = blocks.reduce(0) { $0 + BlockTree.byteCount(of: $1.value) }
    guard blocks.count <= settings.bounds.commitBlocks, blocks.count == 1 || bytes <= settings.bounds.commitBytes,
      zip(blocks, blocks.dropFirst()).allSatisfy({ $1.value.header.parentID == $0.value.id })
    else {
      counters.add("chainGap")
      return
    }
    let wasAskedFor = chainRequests.removeValue(forKey: asked) != nil
    let limit = SimplexMachine.maximumChainRequests * (asked <= tip.height + 1 ? 2 : 1)
    guard asked <= tip.height + 1 || wasAskedFor, chainPieces.count < limit else {
      counters.add("chainUnasked")
      return
    }
    if chainPieces[asked].map({ $0.lastHeight >= last.header.height }) ?? false {
      counters.add("chainDuplicate")
      return
    }
    chainPieces[asked] = ChainPiece(blocks: blocks, finalization: finalization)
    notePeerAhead(peer)
    chainStride = UInt64(blocks.count)
    chainLosses = 0
    chainServer = peer
    // What ends below the highest finalization known, or is as long as an answer may be, is not all there is.
    isChainLong =
      subject.view < knownFinalView
      || (subject.view > knownFinalView && blocks.count == settings.bounds.commitBlocks)
    chainAsksLeft = isChainLong ? SimplexMachine.laterEpochAsks : 0
    if !isChainLong { chainRequests.removeAll { height, _ in height > last.header.height } }
    if subject.view > knownFinalView { accept(finalization, from: peer, isForwarded: false) }
    attachChain()
    if isBehind { fetchAt = now }
  }

  /// Puts the piece that continues the tip into the tree, when the one before it is committed.
  mutating func attachChain() {
    guard chainTarget == nil else { return }
    chainPieces.removeAll { $1.lastHeight <= tip.height }
    guard let (key, piece) = chainPieces.lastEntry(upTo: tip.height + 1) else { return }
    chainPieces.removeValue(forKey: key)
    let news = piece.blocks.drop { $0.value.header.height <= tip.height }
    guard news.first?.value.header.parentID == tip.blockID else {
      counters.add("chainGap")
      return
    }
    for block in news { tree.insert(block, status: .present, at: now) }
    chainTarget = piece.finalization
  }
}
