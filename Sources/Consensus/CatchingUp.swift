import Primitives
import Wire

/// The first of what is missing.
struct Lacking: Sendable {
  var notarized: Digest?
  var proposed: Digest?
  var view: UInt64?

  var isAnything: Bool { notarized != nil || proposed != nil || view != nil }

  func overlaps(_ other: Lacking) -> Bool {
    (notarized != nil && notarized == other.notarized) || (proposed != nil && proposed == other.proposed)
      || (view != nil && view == other.view)
  }
}

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
      if let vote = message.vote { receive(vote, in: message.value, from: peer) }
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
    case .relayRequest(let wanted, let voters): grantRelay(epoch: wanted, voters: voters, to: peer)
    }
  }

  // MARK: Asking

  /// Rule 3: asks for what is missing, after a moment in which it may come by itself, and again of other peers.
  mutating func fetchMissing() {
    let lacking = Lacking(
      notarized: firstNotarizedMissing, proposed: missingOfProposal, view: missingCertificates?.from)
    guard isBehind || lacking.isAnything else {
      fetchAt = nil
      fetchRound = 0
      return
    }
    // What was missing a moment ago has come, and the moment begins anew for what is missing now.
    let isNew = !isBehind && !lacking.overlaps(fetchLacking)
    fetchLacking = lacking
    guard let due = fetchAt, !isNew else {
      fetchAt = now + settings.fetchInterval
      return
    }
    guard now >= due else { return }
    fetchAt = now + settings.fetchInterval
    if isBehind { askForChain() }
    if target != nil {
      fetchAt = max(now + settings.fetchInterval, chainRetryAt ?? now)
    } else {
      // A peer's mere word that more is final must not keep this node from asking for what it knows to be missing.
      askForBlocks()
      askForCertificates()
    }
    fetchRound += 1
  }

  /// The proposal that is to be judged, or its parent, when it is not here.
  private var missingOfProposal: Digest? {
    guard isVoting, let state = views[view], state.ownVotes.isEmpty, let proposal = state.proposal else { return nil }
    guard let header = tree[proposal.blockID]?.header else { return proposal.blockID }
    guard case .missing = parent(of: header), !tree.contains(header.parentID) else { return nil }
    return header.parentID
  }

  /// The notarized block of the lowest view that is not here.
  private var firstNotarizedMissing: Digest? { awaiting.first { !tree.contains($0.value) }?.value }

  /// One request's worth: what the proposal lacks, and of the notarized blocks that are not here others each round, so
  /// that those which nobody has keep none from being asked for.
  private var missingBlocks: [Digest] {
    var ids = missingOfProposal.map { [$0] } ?? []
    var notarized: [Digest] = []
    var seen = OrderedSet(ids)
    for (_, id) in awaiting where !tree.contains(id) && seen.insert(id) { notarized.append(id) }
    guard !notarized.isEmpty else { return ids }
    let room = min(ConsensusMessage.maximumRequestedBlocks - ids.count, notarized.count)
    for place in 0..<room { ids.append(notarized[(fetchRound * room + place) % notarized.count]) }
    return ids
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

  /// How many peers are asked at once for a block, and for certificates.
  static let blockAskBreadth = 2
  static let certificateAskBreadth = 3

  private mutating func askForBlocks() {
    let ids = missingBlocks
    guard !ids.isEmpty else { return }
    var holders = [leader(of: view)]
    if let wanted = awaiting.first(where: { $0.value == ids.first }),
      let certificate = views[wanted.key]?.notarization
    {
      holders = certificate.value.signers.compactMap { validators.member($0) }
    }
    for peer in pickPeers(SimplexMachine.blockAskBreadth, from: holders, or: validators.members) {
      sendAtOnce(.blockRequest(ids), to: .node(peer))
    }
  }

  private mutating func askForCertificates() {
    guard let range = missingCertificates else { return }
    for peer in pickPeers(SimplexMachine.certificateAskBreadth, from: [leader(of: view)], or: validators.members) {
      sendAtOnce(.certificateRequest(from: range.from, to: range.to), to: .node(peer))
    }
  }

  /// Different peers to ask: one of the preferred, by turns, then any that there is a link to.
  mutating func pickPeers(_ count: Int, from preferred: [NodeID], or others: [NodeID]) -> [NodeID] {
    let likely = preferred.filter { links.contains($0) && $0 != node }
    let first = likely.isEmpty ? nil : likely[fetchRound % likely.count]
    let linked = others.filter { links.contains($0) && $0 != node }
    let pool = (linked.isEmpty ? links.members.filter { $0 != node } : linked).filter { $0 != first }
    let rest = generator.sample(pool, count: max(0, count - (first == nil ? 0 : 1)))
    return (first.map { [$0] } ?? []) + rest
  }

  // MARK: Taking

  /// Keeps a block that was asked for: one that a quorum notarized, the proposal, or its parent.
  mutating func takeAskedFor(_ block: Verified<Block>) {
    let id = block.value.id
    guard !tree.contains(id) else { return }
    guard id == missingOfProposal || awaiting.contains(where: { $0.value == id }) else {
      counters.add("blockUnasked")
      return
    }
    admit(block)
  }
}
