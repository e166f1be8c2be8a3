import Primitives
import Wire

// Catching up, the other side: answering those who ask.
extension SimplexMachine {
  /// Answers with the blocks that are here, each once; what is final is in the block store, and the finalization tells
  /// the peer to ask for the chain.
  mutating func serveBlocks(_ ids: [Digest], to peer: NodeID) {
    guard isServed(peer) else { return }
    var isLacking = false
    var served = OrderedSet<Digest>()
    for id in ids.prefix(ConsensusMessage.maximumRequestedBlocks) where served.insert(id) {
      if let entry = tree[id] {
        sendAtOnce(.blocks([entry.block.value]), to: .node(peer))
      } else {
        isLacking = true
      }
    }
    if isLacking, let finalization = tip.finalization ?? boundary {
      send(.certificate(finalization.value), to: .node(peer))
    }
  }

  /// What is not final yet is of use to validators only.
  private mutating func isServed(_ peer: NodeID) -> Bool {
    if validators.index(of: peer) != nil { return true }
    counters.add("requestNotForFollowers")
    return false
  }

  /// Answers with what lets the views be left, and with the last finalization when they are final.
  mutating func serveCertificates(from: UInt64, to: UInt64, to peer: NodeID) {
    guard isServed(peer) else { return }
    var found: [Certificate] = []
    if from <= tip.view, let finalization = tip.finalization { found.append(finalization.value) }
    var remaining = ConsensusMessage.maximumRequestedViews
    for (view, state) in views.entries(from: from) {
      guard view <= to, remaining > 0 else { break }
      remaining -= 1
      found += [state.notarization, state.nullification].compactMap { $0?.value }
    }
    guard !found.isEmpty else { return }
    let limit = Int(ConsensusMessage.maximumRequestedViews) * 2
    send(.certificates(Array(found.prefix(limit))), to: .node(peer))
  }

  /// Has the caller answer from the block store.
  mutating func serveChain(from height: UInt64, to peer: NodeID) {
    guard height > 0, height <= tip.height else {
      counters.add("chainRequestAhead")
      return
    }
    effects.append(.serveChain(fromHeight: height, to: peer))
  }
}
