import Primitives
import Wire

// Rules 2 and 11: the leader's turn.
extension SimplexMachine {
  /// Rule 2: the highest certified or final view below the current one, if every view between is nullified here.
  func proposalParent() -> (block: CertifiedTip, receivedAt: Instant?)? {
    var below = view - 1
    while below > tip.view {
      if let found = certified(in: below) { return found }
      guard views[below]?.nullification != nil else { return nil }
      below -= 1
    }
    // A finalization above the tip means that the tip is not what to build on.
    guard target == nil else { return nil }
    return (certifiedTip(at: tip.view), tipReceivedAt)
  }

  /// The tip as what is certified in a view.
  func certifiedTip(at view: UInt64) -> CertifiedTip {
    CertifiedTip(
      blockID: tip.blockID, height: tip.height, view: view, timestampMilliseconds: tip.timestampMilliseconds)
  }

  /// The block that is certified in a view above the tip's; that may be the tip itself, proposed again.
  func certified(in view: UInt64) -> (block: CertifiedTip, receivedAt: Instant?)? {
    guard let id = certifiedAt[view] else { return nil }
    if id == tip.blockID { return (certifiedTip(at: view), tipReceivedAt) }
    guard let entry = tree[id] else { return nil }
    let block = CertifiedTip(
      blockID: id, height: entry.header.height, view: view,
      timestampMilliseconds: entry.header.timestampMilliseconds)
    return (block, entry.receivedAt)
  }

  /// Rule 2: true when this node leads the view and has signed nothing in it yet.
  private var isProposalDue: Bool {
    guard canSign, isLeading, buildAskedForView < view else { return false }
    return views[view].map { $0.ownVotes.isEmpty } ?? true
  }

  /// Rule 11: when the leader proposes; nil when it does not, or cannot yet.
  var proposeDue: Instant? {
    guard isProposalDue, let parent = proposalParent() else { return nil }
    if let reproposalDue { return reproposalDue }
    guard hasRoom(on: parent.block) else { return nil }
    let earliest = max(enteredAt, parent.receivedAt.map { $0 + settings.blockIntervalMinimum } ?? enteredAt)
    let due = isWorkPending ? earliest : max(earliest, enteredAt + settings.blockIntervalIdle)
    return buildRetryAt.map { max($0, due) } ?? due
  }

  /// Rules 2 and 11: asks the caller for a block when it is time.
  mutating func propose() {
    guard let due = proposeDue, now >= due, let parent = proposalParent()?.block else { return }
    buildAskedForView = view
    guard reproposalDue == nil else { return proposeAgain(parent) }
    effects.append(
      .build(
        BuildRequest(
          view: view, epoch: epoch, height: parent.height + 1, parentID: parent.blockID, parentView: parent.view,
          minimumTimestampMilliseconds: parent.timestampMilliseconds &+ 1)))
  }

  /// Rule 2: the caller's answer to `build`; the leader's notarize is its proposal.
  mutating func takeBuilt(_ block: Verified<Block>?, for built: UInt64) {
    guard built == view, buildAskedForView == view, views[view]?.ownVotes.isEmpty ?? true else {
      counters.add("builtTooLate")
      return
    }
    guard let block else {
      buildAskedForView = view - 1
      buildRetryAt = now + settings.fetchInterval
      return
    }
    let header = block.value.header
    guard header.view == view, case .ready(let height, let timestamp) = parent(of: header),
      fits(header, height: height, timestampMilliseconds: timestamp),
      areNullified(after: header.parentView, before: view), makeRoom(settings.bounds.openBlocks)
    else {
      counters.add("builtUnfit")
      return
    }
    let subject = VoteSubject.notarize(
      epoch: epoch, view: view, parentView: header.parentView, blockID: block.value.id)
    tree.insert(block, status: .executed, at: now)
    guard cast(subject, proposing: block) else { return }
    views[view, default: ViewState()].noteProposal(subject)
  }

  /// Rules 2 and 3: true when a nullification is held for every view between two.
  func areNullified(after low: UInt64, before high: UInt64) -> Bool {
    var next = low + 1
    while next < high {
      guard views[next]?.nullification != nil else { return false }
      next += 1
    }
    return true
  }
}
