import Primitives
import Wire

// Rules 4 and 6: certificates, and certifying what they notarize.
extension SimplexMachine {
  /// Rules 4, 6 and 7: takes a certificate, keeps it, writes it down, forwards it once, and notes what follows from it.
  mutating func accept(_ certificate: Verified<Certificate>, from peer: NodeID?, isForwarded: Bool) {
    let subject = certificate.value.subject
    if noteOtherEpoch(subject, from: peer) { return }
    guard subject.view <= SimplexMachine.maximumView else {
      counters.add("certificateViewOutOfRange")
      return
    }
    if subject.kind == .finalize, subject.view > tip.view, let peer { notePeerAhead(peer) }
    guard subject.view > knownFinalView else {
      counters.add("certificateOfFinalView")
      return
    }
    guard ownIndex != nil || subject.kind == .finalize else {
      counters.add("certificateNotForFollowers")
      return
    }
    // Old certificates are genuine and many: they may not crowd out what is needed now.
    guard views.contains(subject.view) || subject.view >= view || views.count < SimplexMachine.maximumOpenViews else {
      counters.add("certificateOpenViewsFull")
      return
    }
    if let known = views[subject.view]?[certificate: subject.kind] {
      if known.value.subject != subject { counters.add("conflictingCertificates") }
      return
    }
    accuse(by: certificate)
    // What was asked for before anything was known to be missing says nothing about the peers that did not answer.
    if subject.kind == .finalize, target == nil, !isChainLong {
      chainRequests.removeAll()
      chainLosses = 0
    }
    note(certificate)
    let holders = holders(of: subject, shownBy: peer)
    persist(.certificate(certificate.value))
    if isForwarded {
      send(
        .certificate(certificate.value),
        to: subject.kind == .finalize ? .everyone(except: holders) : .validators(except: holders))
    }
    // Far behind, or a follower: what is missing is not on its way.
    if subject.kind == .finalize, subject.view > view + 1 || ownIndex == nil { fetchAt = now }
  }

  /// Rule 4: the peers known to have a certificate, which need not be sent it: whoever sent it, and for a notarization
  /// whoever voted to finalize it.
  private func holders(of subject: VoteSubject, shownBy peer: NodeID?) -> [NodeID] {
    let sender = peer.map { [$0] } ?? []
    guard subject.kind == .notarize, let finalizes = views[subject.view]?.finalizes else { return sender }
    return sender
      + finalizes.filter { $0.value.value.subject.blockID == subject.blockID }.compactMap {
        validators.member($0.key)
      }
  }

  /// Rule 1: enters a certificate of a view above the tip into what is known.
  mutating func note(_ certificate: Verified<Certificate>) {
    let subject = certificate.value.subject
    let leader = schedule.leader(of: subject.view)
    views[subject.view, default: ViewState()][certificate: subject.kind] = certificate
    switch subject.kind {
    case .notarize:
      if certificate.value.signers.contains(leader) {
        views[subject.view, default: ViewState()].noteProposal(subject)
      }
      if certifiedAt[subject.view] == nil, !refused.contains(subject.view) { awaiting[subject.view] = subject.blockID }
    case .nullify: highestPassed = max(highestPassed, subject.view)
    case .finalize:
      highestPassed = max(highestPassed, subject.view)
      if subject.view > target?.value.subject.view ?? 0 { target = certificate }
    }
  }

  /// What a block's parent is to this node.
  enum Parent {
    /// The last finalized block, or certified above it.
    case ready(height: UInt64, timestampMilliseconds: UInt64)
    /// Not certified here yet.
    case missing
    /// Below the last finalized block, or beside it, or beside a certified one.
    case impossible
  }

  /// Rules 3 and 4: looks up the parent that a header names.
  func parent(of header: BlockHeader) -> Parent {
    if header.parentView == tip.view {
      guard header.parentID == tip.blockID else { return .impossible }
      return .ready(height: tip.height, timestampMilliseconds: tip.timestampMilliseconds)
    }
    guard header.parentView > tip.view else { return .impossible }
    guard let parent = certified(in: header.parentView)?.block else { return .missing }
    guard parent.blockID == header.parentID else { return .impossible }
    return .ready(height: parent.height, timestampMilliseconds: parent.timestampMilliseconds)
  }

  /// Rule 12: the form of a block on its parent: one higher, later, and within the epoch.
  func fits(_ header: BlockHeader, height: UInt64, timestampMilliseconds: UInt64) -> Bool {
    header.epoch == epoch && header.height <= lastHeight && header.height > height && header.height - height == 1
      && header.timestampMilliseconds > timestampMilliseconds
  }

  /// Rule 4: brings notarized blocks to being certified, oldest first. True when something changed.
  mutating func certifyNotarized() -> Bool {
    var hasProgressed = false
    for (view, id) in awaiting {
      // Proposed again by who did not know that it was final.
      if id == tip.blockID {
        enter(id, certifiedIn: view)
        hasProgressed = true
        continue
      }
      guard let entry = tree[id] else { continue }
      let header = entry.header
      guard header.view == view || isReproposal(header, in: view), entry.status != .invalid else {
        giveUp(view, "notarizedInvalid")
        continue
      }
      switch parent(of: header) {
      case .impossible: giveUp(view, "notarizedOrphan")
      case .missing:
        // A quorum notarized this block, so honest validators had certified its parent.
        if refused.contains(header.parentView) {
          giveUp(view, "notarizedOrphan")
        } else if awaiting[header.parentView] == nil {
          awaiting[header.parentView] = header.parentID
          hasProgressed = true
        }
      case .ready(let height, let timestamp):
        guard fits(header, height: height, timestampMilliseconds: timestamp) else {
          tree.setStatus(id, .invalid)
          giveUp(view, "notarizedInvalid")
          continue
        }
        if entry.status == .executed || entry.status == .certified {
          certify(id, view: view)
          hasProgressed = true
        } else {
          execute(id)
        }
      }
    }
    return hasProgressed
  }

  private mutating func giveUp(_ view: UInt64, _ counter: String) {
    awaiting.removeValue(forKey: view)
    refused.insert(view)
    counters.add(counter)
  }

  /// Rules 1 and 4: the block of a view is certified; the view may be left, and a finalize is due.
  private mutating func certify(_ id: Digest, view certified: UInt64) {
    guard let entry = tree[id] else { return }
    tree.setStatus(id, .certified)
    if !entry.isRecorded, ownIndex != nil {
      tree.setRecorded(id)
      persist(.certified(entry.block.value))
    }
    enter(id, certifiedIn: certified)
  }

  private mutating func enter(_ id: Digest, certifiedIn certified: UInt64) {
    awaiting.removeValue(forKey: certified)
    certifiedAt[certified] = id
    highestPassed = max(highestPassed, certified)
    finalize(certified)
  }

  /// Rule 4: votes to finalize a view whose notarized block is certified.
  private mutating func finalize(_ certified: UInt64) {
    guard isVoting, let state = views[certified], let notarization = state.notarization,
      notarization.value.subject.blockID == certifiedAt[certified],
      // Where a nullification exists no finalization can, and where one exists no vote is needed.
      state.nullification == nil, state.finalization == nil
    else { return }
    let subject = notarization.value.subject
    guard !state.hasLeaderEquivocated, state.ownVote(.nullify) == nil, state.ownVote(.finalize) == nil,
      state.ownVote(.notarize).map({ $0.value.subject == subject }) ?? true
    else { return }
    cast(
      .finalize(
        epoch: epoch, view: certified, parentView: subject.parentView, blockID: subject.blockID))
  }

  /// Rules 3 and 4: asks the caller to execute a block that was not executed yet.
  mutating func execute(_ id: Digest) {
    if let executionRetryAt, now < executionRetryAt { return }
    guard let entry = tree[id], entry.status == .present else { return }
    executionRetryAt = nil
    tree.setStatus(id, .executing)
    effects.append(.execute(entry.block))
  }

  /// The caller's answer to `execute`.
  mutating func noteExecution(of id: Digest, _ outcome: ExecutionOutcome) {
    guard let entry = tree[id], entry.status == .executing else {
      counters.add("executionUnasked")
      return
    }
    switch outcome {
    case .valid: tree.setStatus(id, .executed)
    case .invalid:
      tree.setStatus(id, .invalid)
      counters.add("blockInvalid")
    case .missingParent:
      counters.add("executionMissingParent")
      tree.setStatus(id, .present)
      // The parent's state was lost: it is executed again first. Its record and certificates stand.
      let parentID = entry.header.parentID
      if let parent = tree[parentID], parent.status == .certified || parent.status == .executed {
        tree.setStatus(parentID, .present)
        for (view, id) in certifiedAt where id == parentID {
          certifiedAt.removeValue(forKey: view)
          awaiting[view] = id
        }
      } else {
        executionRetryAt = now + settings.fetchInterval
      }
    }
  }
}
