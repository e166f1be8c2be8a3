import Primitives
import Wire

// Epochs: how one ends, and what is said across its ends.
//
// The last block of an epoch must itself be final before the next epoch begins. Nothing is built on it in its own
// epoch, so that a split of the votes of its view between finalize and nullify would leave it notarized for ever; it
// is therefore proposed again, view after view, until one of these views finalizes it. So is the highest certified block
// where there is no room for another above it.
extension SimplexMachine {
  /// The most peers of older epochs whose last answer is remembered.
  static let maximumBoundaryAnswers = 256
  /// How often the chain is asked for on account of a peer that speaks in a later epoch.
  static let laterEpochAsks = 4

  /// Epoch e holds the heights e·L + 1 to (e + 1)·L.
  static func lastHeight(ofEpoch epoch: UInt64, blocks: UInt64) -> UInt64 {
    let (next, isTooLate) = epoch.addingReportingOverflow(1)
    let (height, isTooHigh) = next.multipliedReportingOverflow(by: blocks)
    return isTooLate || isTooHigh ? UInt64.max : height
  }

  /// The latest proof of finality held: of a block that is not here yet, of the tip, or of the epoch's parent.
  var latestFinalization: Verified<Certificate>? { target ?? tip.finalization ?? boundary }

  /// Rules 2 and 3: true when a block is of an earlier view and so can only be proposed again.
  func isReproposal(_ header: BlockHeader, in view: UInt64) -> Bool {
    header.epoch == epoch && header.view > tip.view && header.view < view
  }

  /// Rules 2 and 11: when the highest certified block is due to be proposed again: it is the epoch's last or has no room
  /// above it, and the finalizes that are under way have had the time to arrive. Nil while something else is due, or
  /// nothing.
  var reproposalDue: Instant? {
    guard let parent = proposalParent()?.block, parent.blockID != tip.blockID,
      parent.height == lastHeight || !hasRoom(on: parent)
    else { return nil }
    return enteredAt + settings.delta
  }

  /// Rule 2: the leader proposes a block again, in its own view and on the view that certified it last.
  mutating func proposeAgain(_ parent: CertifiedTip) {
    guard let entry = tree[parent.blockID] else { return }
    let subject = VoteSubject.notarize(epoch: epoch, view: view, parentView: parent.view, blockID: parent.blockID)
    guard cast(subject, proposing: entry.block) else { return }
    views[view, default: ViewState()].noteProposal(subject)
    counters.add("proposedAgain")
  }

  /// Rule 7: the epoch's last block is committed. Nothing follows in this machine.
  mutating func endEpoch(_ finalization: Verified<Certificate>) {
    guard isEnded else { return }
    effects.append(.epochEnded(boundary: finalization))
  }

  /// Rule 7: what a message of another epoch says about its sender. True when it was of another.
  mutating func noteOtherEpoch(_ subject: VoteSubject, from peer: NodeID?) -> Bool {
    if subject.epoch == epoch { return false }
    guard let peer else { return true }
    if subject.epoch > epoch {
      noteLaterEpoch(peer)
    } else {
      answerOlderEpoch(subject, peer)
    }
    return true
  }

  /// Rule 7: a peer that is in a later epoch has the rest of this one's chain.
  mutating func noteLaterEpoch(_ peer: NodeID) {
    counters.add("laterEpoch")
    notePeerAhead(peer)
    chainAsksLeft = SimplexMachine.laterEpochAsks
  }

  /// Rule 7: a peer that is still in an older epoch gets what ends the last one; the blocks it asks for itself.
  private mutating func answerOlderEpoch(_ subject: VoteSubject, _ peer: NodeID) {
    counters.add("olderEpoch")
    // Votes that were under way when the epoch ended here, and what others forwarded, say nothing about their sender.
    guard let boundary, boundary.value.subject.blockID != subject.blockID || subject.kind != .finalize,
      now >= startedAt + settings.delta
    else { return }
    if let last = boundaryAnswers[peer], now < last + settings.retryInterval { return }
    if boundaryAnswers.count >= SimplexMachine.maximumBoundaryAnswers, !boundaryAnswers.contains(peer) {
      boundaryAnswers.removeAll { now >= $1 + settings.retryInterval }
      guard boundaryAnswers.count < SimplexMachine.maximumBoundaryAnswers else {
        counters.add("boundaryAnswersFull")
        return
      }
    }
    boundaryAnswers[peer] = now
    send(.certificate(boundary.value), to: .node(peer))
  }
}
