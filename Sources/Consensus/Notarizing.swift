import Primitives
import Wire

// Rules 3 and 12: judging the leader's proposal.
extension SimplexMachine {
  private enum Judgement {
    case valid, pending, invalid
  }

  /// Rule 3: a leader's block with its notarize.
  mutating func receive(_ block: Verified<Block>, proposedBy vote: Verified<Vote>, from peer: NodeID) {
    let subject = vote.value.subject
    if noteOtherEpoch(subject, from: peer) { return }
    guard vote.value.voter == schedule.leader(of: subject.view) else {
      counters.add("proposalNotByLeader")
      return
    }
    guard subject.view <= view + 1 else {
      counters.add("proposalOutOfWindow")
      return
    }
    receive(vote, in: .proposal(block.value, vote.value), from: peer)
    // Its vote may still be evidence; the block is of no use.
    guard subject.view > knownFinalView else { return }
    // Only the first proposal of a view is judged; another is admitted when a quorum wants it.
    guard views[subject.view]?.proposal == subject else { return takeAskedFor(block) }
    let header = block.value.header
    guard header.view == subject.view || isReproposal(header, in: subject.view) else {
      // Proposed again by who does not know that it is final.
      noteInvalidProposal(in: subject.view, header.view <= tip.view ? "proposalOfFinalView" : "proposalInvalid")
      return
    }
    // It may have made room here.
    if header.view < subject.view { wantAgain(subject.parentView) }
    admit(block)
  }

  private mutating func noteInvalidProposal(in proposed: UInt64, _ counter: String = "proposalInvalid") {
    views[proposed, default: ViewState()].isProposalInvalid = true
    counters.add(counter)
  }

  /// Rule 3: notarizes the proposal of the current view once nothing speaks against it.
  mutating func notarizeProposal() {
    clockWakeAt = nil
    guard canSign, let state = views[view], state.ownVotes.isEmpty, !state.isProposalInvalid,
      let proposal = state.proposal, let entry = tree[proposal.blockID]
    else { return }
    switch judge(entry, proposal) {
    case .pending: break
    case .valid: cast(proposal)
    case .invalid: noteInvalidProposal(in: view)
    }
  }

  private mutating func judge(_ entry: BlockTree.Entry, _ proposal: VoteSubject) -> Judgement {
    let header = entry.header
    if isReproposal(header, in: view) { return judgeAgain(header, proposal) }
    guard header.view == view, header.epoch == epoch, header.parentView == proposal.parentView else { return .invalid }
    switch parent(of: header) {
    case .impossible: return .invalid
    case .missing:
      wantAgain(header.parentView)
      return .pending
    case .ready(let height, let timestamp):
      guard fits(header, height: height, timestampMilliseconds: timestamp) else { return .invalid }
    }
    // The leader may know a later final block.
    guard fitsCommit(on: header.parentID, byteCount: entry.byteCount) else { return .pending }
    guard areNullified(after: header.parentView, before: view), isTimely(header) else { return .pending }
    switch entry.status {
    case .present:
      execute(proposal.blockID)
      return .pending
    case .executing: return .pending
    case .executed, .certified: return .valid
    case .invalid: return .invalid
    }
  }

  /// Rule 3 for a block proposed again: valid where the named view certified that very block. It was executed and timely
  /// then.
  private mutating func judgeAgain(_ header: BlockHeader, _ proposal: VoteSubject) -> Judgement {
    guard proposal.parentView >= header.view, proposal.parentView > tip.view else { return .invalid }
    guard let certified = certifiedAt[proposal.parentView] else {
      wantAgain(proposal.parentView)
      return .pending
    }
    guard certified == proposal.blockID else { return .invalid }
    return areNullified(after: proposal.parentView, before: view) ? .valid : .pending
  }

  /// Rule 12: false while the timestamp is too far ahead of the own clock.
  private mutating func isTimely(_ header: BlockHeader) -> Bool {
    let limit = wallClock.unixMilliseconds(at: now + settings.maximumClockLead)
    guard header.timestampMilliseconds > limit else { return true }
    let wait = header.timestampMilliseconds - limit
    // Longer than any timer of a view: it is nullified first.
    if wait <= ChainParameters.maximumValue { clockWakeAt = now + .milliseconds(Int64(wait)) }
    return false
  }
}
