import Primitives
import Wire

// Catching up: asking for what is missing, and serving those who ask.
extension SimplexMachine {
  /// Remembers who showed a finalization above the tip.
  mutating func notePeerAhead(_ peer: NodeID) {
    aheadPeers.removeAll { $0 == peer }
    aheadPeers.insert(peer, at: 0)
    if aheadPeers.count > SimplexMachine.maximumAheadPeers { aheadPeers.removeLast() }
  }

  /// Sorts a message from a peer to where it belongs.
  mutating func receive(_ message: Verified<ConsensusMessage>, from peer: NodeID) {
    switch message.value {
    case .vote:
      if let vote = message.vote { receive(vote, from: peer) }
    case .proposal:
      if let vote = message.vote, let block = message.blocks.first { receive(block, proposedBy: vote, from: peer) }
    case .certificate:
      for certificate in message.certificates { accept(certificate, from: peer, isForwarded: true) }
    case .certificates:
      for certificate in message.certificates { accept(certificate, from: peer, isForwarded: false) }
    case .blocks:
      for block in message.blocks { takeAskedFor(block) }
    case .chain:
      if let finalization = message.certificates.first { takeChain(message.blocks, finalization, from: peer) }
    case .blockRequest(let ids): serveBlocks(ids, to: peer)
    case .certificateRequest(let from, let to): serveCertificates(from: from, to: to, to: peer)
    case .chainRequest(let height): serveChain(from: height, to: peer)
    case .epochRequest, .epochs, .snapshotRequest, .snapshot: counters.add("syncMessageMisrouted")
    case .relayRequest: break
    }
  }

  // MARK: Asking

  /// Asks for what is missing, after a moment in which it may come by itself, and again of other peers.
  mutating func fetchMissing() {
    guard isMissingSomething else {
      fetchAt = nil
      fetchRound = 0
      return
    }
    guard let due = fetchAt else {
      fetchAt = now + settings.fetchInterval
      return
    }
    guard now >= due else { return }
    fetchAt = now + settings.fetchInterval
    if target != nil {
      askForChain()
    } else {
      askForBlocks()
      askForCertificates()
    }
    fetchRound += 1
  }

  private var isMissingSomething: Bool {
    target != nil || !missingBlocks.isEmpty || missingCertificates != nil
  }

  /// The notarized blocks, the proposal and its parent, as far as they are not here.
  private var missingBlocks: [Digest] {
    var ids: [Digest] = []
    for (_, id) in awaiting where !tree.contains(id) {
      ids.append(id)
      if ids.count == ConsensusMessage.maximumRequestedBlocks { return ids }
    }
    guard isVoting, let state = views[view], state.ownVotes.isEmpty, let proposal = state.proposal else { return ids }
    if let entry = tree[proposal.blockID] {
      if case .missing = parent(of: entry.header), !tree.contains(entry.header.parentID) {
        ids.append(entry.header.parentID)
      }
    } else if !ids.contains(proposal.blockID) {
      ids.append(proposal.blockID)
    }
    return Array(ids.prefix(ConsensusMessage.maximumRequestedBlocks))
  }

  /// The views from which certificates keep this node from judging the proposal or from proposing; at most one
  /// request's worth, the highest.
  private var missingCertificates: (from: UInt64, to: UInt64)? {
    guard isVoting, views[view]?.ownVotes.isEmpty ?? true, view > tip.view + 1 else { return nil }
    var lowest: UInt64?
    if let proposal = views[view]?.proposal, tree.contains(proposal.blockID) {
      guard proposal.parentView >= tip.view else { return nil }
      let hasParent = proposal.parentView == tip.view || certifiedAt.contains(proposal.parentView)
      if !hasParent, views[proposal.parentView]?.notarization == nil {
        lowest = proposal.parentView
      } else if !areNullified(after: proposal.parentView, before: view) {
        lowest = proposal.parentView + 1
      }
    } else if isLeading, proposalParent() == nil {
      lowest = certifiedTip.view + 1
    }
    guard let lowest, lowest < view else { return nil }
    let span = ConsensusMessage.maximumRequestedViews - 1
    // The lowest unknown view first, so that a long gap is closed piece by piece.
    var from = lowest
    while from < view - 1, views[from]?.nullification != nil { from += 1 }
    return (from, min(view - 1, from + span))
  }

  /// Asks for the chain above the tip.
  mutating func askForChain() {
    guard let peer = pick(from: aheadPeers, or: validators.members) else { return }
    sendAtOnce(.chainRequest(fromHeight: tip.height + 1), to: .node(peer))
  }

  private mutating func askForBlocks() {
    let ids = missingBlocks
    guard !ids.isEmpty else { return }
    var holders: [NodeID] = []
    if let first = awaiting.first(where: { !tree.contains($0.value) }),
      let certificate = views[first.key]?.notarization
    {
      holders = certificate.value.signers.compactMap { validators.member($0) }
    } else {
      holders = [leader(of: view)]
    }
    guard let peer = pick(from: holders, or: validators.members) else { return }
    sendAtOnce(.blockRequest(ids), to: .node(peer))
  }

  private mutating func askForCertificates() {
    guard let range = missingCertificates, let peer = pick(from: [leader(of: view)], or: validators.members) else {
      return
    }
    sendAtOnce(.certificateRequest(from: range.from, to: range.to), to: .node(peer))
  }

  /// A peer to ask: the preferred first, then by turns any that there is a link to.
  private mutating func pick(from preferred: [NodeID], or others: [NodeID]) -> NodeID? {
    let likely = preferred.filter { links.contains($0) && $0 != signer.id }
    if !likely.isEmpty, fetchRound % 2 == 0 { return likely[(fetchRound / 2) % likely.count] }
    let linked = others.filter { links.contains($0) && $0 != signer.id }
    let pool = linked.isEmpty ? links.members.filter { $0 != signer.id } : linked
    guard !pool.isEmpty else { return likely.first }
    return pool[generator.index(below: pool.count)]
  }

  // MARK: Taking

  /// Keeps a block that was asked for: one that a quorum notarized, the proposal, or its parent.
  mutating func takeAskedFor(_ block: Verified<Block>) {
    let id = block.value.id
    guard !tree.contains(id) else { return }
    guard awaiting[block.value.header.view] == id || missingBlocks.contains(id) else {
      counters.add("blockUnasked")
      return
    }
    admit(block)
  }

  /// Takes blocks of consecutive heights of which the last is proven final, so that all are.
  mutating func takeChain(_ blocks: [Verified<Block>], _ finalization: Verified<Certificate>, from peer: NodeID) {
    let subject = finalization.value.subject
    let news = blocks.drop { $0.value.header.height <= tip.height }
    guard subject.epoch == epoch, subject.view > tip.view, subject.view <= SimplexMachine.maximumView,
      let first = news.first, let last = news.last, last.value.id == subject.blockID
    else {
      counters.add("chainNotNews")
      return
    }
    guard first.value.header.parentID == tip.blockID, news.count <= ConsensusMessage.maximumChainBlocks,
      zip(news, news.dropFirst()).allSatisfy({ $1.value.header.parentID == $0.value.id })
    else {
      counters.add("chainGap")
      return
    }
    guard chainTarget == nil else {
      counters.add("chainBusy")
      return
    }
    for block in news { tree.insert(block, status: .present, at: now) }
    notePeerAhead(peer)
    if subject.view > knownFinalView { accept(finalization, from: peer, isForwarded: false) }
    chainTarget = finalization
  }

  // MARK: Serving

  private mutating func serveBlocks(_ ids: [Digest], to peer: NodeID) {
    var isLacking = false
    for id in ids.prefix(ConsensusMessage.maximumRequestedBlocks) {
      if let entry = tree[id] {
        sendAtOnce(.blocks([entry.block.value]), to: .node(peer))
      } else {
        isLacking = true
      }
    }
    // What is final is not here any more: the finalization tells the peer to ask for the chain.
    if isLacking, let finalization = tip.finalization {
      send(.certificate(finalization.value), to: .node(peer))
    }
  }

  private mutating func serveCertificates(from: UInt64, to: UInt64, to peer: NodeID) {
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

  private mutating func serveChain(from height: UInt64, to peer: NodeID) {
    guard height > 0, height <= tip.height else {
      counters.add("chainRequestAhead")
      return
    }
    effects.append(.serveChain(fromHeight: height, to: peer))
  }
}
