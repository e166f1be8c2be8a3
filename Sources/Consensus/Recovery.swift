import Primitives
import Wire

// The journal: what a restarted node knows, and what it must not forget.
extension SimplexMachine {
  /// Enters the journal's records. Own votes bind whatever becomes of the rest.
  mutating func recover(_ records: [ConsensusRecord], verifier: Verifier) {
    for record in records {
      switch record {
      case .ownVote(let vote): recover(vote)
      case .certificate(let certificate): recover(certificate, verifier)
      case .certified(let block): recover(block, verifier)
      }
    }
    view = max(view, highestPassed + 1)
    if view > settings.retentionViews { votesKeptFrom = view - settings.retentionViews }
  }

  private mutating func recover(_ vote: Vote) {
    let subject = vote.subject
    guard subject.epoch == epoch, subject.view > tip.view, isVoting, let ownIndex else { return }
    guard subject.view <= SimplexMachine.maximumView, vote.voter == ownIndex else {
      counters.add("recoveredVoteUnfit")
      return
    }
    guard views[subject.view]?.ownVotes.contains(where: { $0.value.subject == subject }) != true else { return }
    // Signing the same subject again says nothing new.
    views[subject.view, default: ViewState()].ownVotes.append(signer.vote(subject, as: ownIndex))
  }

  private mutating func recover(_ certificate: Certificate, _ verifier: Verifier) {
    let subject = certificate.subject
    guard subject.epoch == epoch, subject.view <= SimplexMachine.maximumView else { return }
    guard let verified = try? verifier.verify(certificate, validators: validators) else {
      counters.add("recoveredCertificateUnfit")
      return
    }
    if subject.kind == .finalize, subject.blockID == tip.blockID { tip.finalization = verified }
    guard subject.view > tip.view, views[subject.view]?[certificate: subject.kind] == nil else { return }
    note(verified)
  }

  private mutating func recover(_ block: Block, _ verifier: Verifier) {
    let header = block.header
    guard header.epoch == epoch, header.view > tip.view, header.view <= SimplexMachine.maximumView else { return }
    guard let verified = (try? verifier.verify(.blocks([block]), validators: KnownValidators(validators)))?.blocks.first
    else {
      counters.add("recoveredBlockUnfit")
      return
    }
    tree.insert(verified, status: .present, at: now, isRecorded: true)
    recoveredBlocks = tree.count
    if certifiedAt[header.view] == nil, awaiting[header.view] == nil { awaiting[header.view] = block.id }
    // It was certified before: rule 1 had let the view be left.
    highestPassed = max(highestPassed, header.view)
  }

  /// The first step: has the certified blocks executed again, arms the timers and says again what was said.
  mutating func start(links peers: [NodeID]) {
    isStarted = true
    startedAt = now
    enteredAt = now
    for peer in peers where peer != node { noteLink(peer) }
    noteMissingLinks()
    standstillAt = now + settings.standstill
    let parent = workParent
    for vote in views.entries(from: tip.view + 1).flatMap(\.value.ownVotes) { count(vote) }
    if views[view]?.ownVote(.nullify) != nil { retryAt = now + settings.retryInterval }
    // At the beginning of an epoch everyone has just been told all that there is.
    if ownIndex != nil, !isFresh {
      for message in sharedMessages() { send(message, to: .validators(except: [])) }
    }
    // This epoch may have begun elsewhere long ago.
    if epoch > 0, isFresh, !links.isEmpty {
      chainAsksLeft = 1
      fetchAt = now
    }
    settle(workParent: parent)
  }

  /// True when nothing is known of the epoch but its beginning.
  private var isFresh: Bool { tip.view == 0 && views.isEmpty && tree.count == 0 }

  /// The records that replace all earlier ones: what is needed above the last finalized block. The caller must have
  /// the finalized blocks in a durable store before it drops the old records.
  public func checkpoint() -> [ConsensusRecord] {
    var records: [ConsensusRecord] = []
    // Of an epoch that has just begun: what tells a node whose final blocks are damaged that the ones before are over.
    if let finalization = tip.finalization ?? boundary { records.append(.certificate(finalization.value)) }
    for (_, state) in views.entries(from: tip.view + 1) {
      records += state.ownVotes.map { .ownVote($0.value) }
      records += state.certificates.map { .certificate($0.value) }
    }
    records += tree.byView.filter(\.isRecorded).map { .certified($0.block.value) }
    return records
  }

  /// How full every bounded collection is.
  public var occupancy: [Occupancy] {
    let viewLimit = SimplexMachine.maximumOpenViews + Int(clamping: settings.retentionViews) + 2
    let blockLimit = settings.bounds.openBlocks * 2 + settings.bounds.commitBlocks + recoveredBlocks
    return [
      Occupancy(name: "views", count: views.count, limit: viewLimit),
      Occupancy(name: "blocks", count: tree.count, limit: blockLimit),
      Occupancy(name: "certifiedBlocks", count: certifiedAt.count, limit: viewLimit),
      Occupancy(name: "awaitedBlocks", count: awaiting.count, limit: viewLimit),
      Occupancy(name: "refusedViews", count: refused.count, limit: viewLimit),
      Occupancy(name: "undurableVotes", count: undurableVotes.count, limit: SimplexMachine.maximumUndurableVotes),
      Occupancy(name: "links", count: links.count, limit: SimplexMachine.maximumLinks),
      Occupancy(name: "aheadPeers", count: aheadPeers.count, limit: SimplexMachine.maximumAheadPeers),
      Occupancy(name: "staleAnswers", count: staleAnswers.count, limit: validators.count),
      Occupancy(
        name: "votes", count: keptVotes, limit: 3 * validators.count * (Int(clamping: settings.retentionViews) + 2)),
      Occupancy(name: "accused", count: accused.count, limit: validators.count),
      Occupancy(name: "missingLinks", count: missingSince.count, limit: validators.count),
      Occupancy(
        name: "relays", count: relays.values.reduce(0) { $0 + $1.count }, limit: validators.count * validators.count),
      Occupancy(
        name: "boundaryAnswers", count: boundaryAnswers.count, limit: SimplexMachine.maximumBoundaryAnswers),
      Occupancy(
        name: "chainRequests", count: chainRequests.count + chainPieces.count,
        limit: SimplexMachine.maximumChainRequests * 2),
    ]
  }
}
