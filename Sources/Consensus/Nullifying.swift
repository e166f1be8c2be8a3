import Primitives
import Wire

// Rules 5 and 8: giving up on a view, and saying things again.
extension SimplexMachine {
  /// Rule 5: true when this node could still nullify the current view.
  private var canNullify: Bool {
    guard canSign else { return false }
    return views[view]?.permits(.nullify(epoch: epoch, view: view)) ?? true
  }

  /// Rule 5: when the timers say that the view is to be nullified; nil while they do not run or it is too late to.
  var nullifyDue: Instant? {
    guard canNullify else { return nil }
    if isHopeless { return now }
    guard let timersStartedAt else { return nil }
    if isLeaderSilent, !hasProposal { return timersStartedAt }
    return timersStartedAt + currentDelta * (hasProposal ? 3 : 2)
  }

  /// Rule 5: the proposal is invalid, or of a block that is final here already, though the leader may not know that; or the
  /// leader gave up, or this node led the view before a restart and the block it had proposed is lost.
  private var isHopeless: Bool {
    guard let state = views[view] else { return false }
    if state.isProposalInvalid || state.nullifies.contains(schedule.leader(of: view)) { return true }
    guard isLeading, let own = state.ownVote(.notarize) else { return false }
    return !tree.contains(own.value.subject.blockID)
  }

  /// Rule 5: nullifies the current view when it is time.
  mutating func nullifyIfDue() {
    guard let due = nullifyDue, now >= due else { return }
    cast(.nullify(epoch: epoch, view: view))
    retryAt = now + settings.retryInterval
  }

  /// Rule 5: while stuck in a nullified view, the nullify again and what let this node enter.
  mutating func sayAgainIfStuck() {
    guard let due = retryAt, now >= due else { return }
    retryAt = now + settings.retryInterval
    guard let own = views[view]?.ownVote(.nullify) else { return }
    send(.vote(own.value), to: .validators(except: []))
    if let passage = passage(through: view - 1) { send(.certificate(passage.value), to: .validators(except: [])) }
  }

  /// Rule 8: nothing was finalized for long.
  mutating func sayAgainAtStandstill() {
    guard now >= standstillAt else { return }
    standstillAt = now + settings.standstill
    counters.add("standstill")
    guard ownIndex != nil else {
      // A follower hears finalizations only; after a silence it asks whether it missed the last.
      askForChain()
      return
    }
    for message in sharedMessages() { send(message, to: .validators(except: [])) }
  }

  /// Rule 8: tells a peer whose link came up what it may have missed: a validator everything since the last finalization,
  /// any other the finalization.
  mutating func share(with peer: NodeID) {
    guard peer != node else { return }
    if validators.index(of: peer) != nil, ownIndex != nil {
      for message in sharedMessages() { send(message, to: .node(peer)) }
    } else if let finalization = latestFinalization {
      send(.certificate(finalization.value), to: .node(peer))
    }
  }

  /// Rule 8: the highest finalization, all later certificates, all later own votes.
  func sharedMessages() -> [ConsensusMessage] {
    var later: [ConsensusMessage] = []
    let final = latestFinalization
    for (view, state) in views.entries(from: knownFinalView + 1) {
      later += state.certificates.map { .certificate($0.value) }
      for vote in state.ownVotes {
        let id = vote.value.subject.blockID
        if vote.value.subject.kind == .notarize, view == self.view, schedule.leader(of: view) == ownIndex,
          let entry = tree[id]
        {
          later.append(.proposal(entry.block.value, vote.value))
        } else {
          later.append(.vote(vote.value))
        }
      }
    }
    // The highest views are what lets a peer enter the current one; the rest can be asked for.
    return (final.map { [.certificate($0.value)] } ?? []) + later.suffix(SimplexMachine.maximumSharedMessages)
  }
}
