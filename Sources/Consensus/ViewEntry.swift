import Primitives
import Wire

// Rule 1, and the timers of a view.
extension SimplexMachine {
  /// Rule 1: goes to the view after the highest one that may be passed. True when the view changed.
  mutating func enterNextView() -> Bool {
    guard highestPassed >= view else { return false }
    leaveViews(below: highestPassed + 1)
    view = highestPassed + 1
    enteredAt = now
    timersStartedAt = nil
    retryAt = nil
    buildRetryAt = nil
    clockWakeAt = nil
    return true
  }

  /// Rule 1: keeps only what can still matter of the views that were left, and bounds their number.
  private mutating func leaveViews(below next: UInt64) {
    while views.count > SimplexMachine.maximumOpenViews, let lowest = views.first {
      views.removeValue(forKey: lowest.key)
      certifiedAt.removeValue(forKey: lowest.key)
      awaiting.removeValue(forKey: lowest.key)
      refused.remove(lowest.key)
      counters.add("openViewDropped")
    }
    // Votes of views far behind cannot become certificates that anyone still lacks.
    guard next > settings.retentionViews else { return }
    let from = next - settings.retentionViews
    for (left, _) in views.entries(from: votesKeptFrom) {
      guard left < from else { break }
      _ = views.modify(left) { $0.forgetVotes() }
    }
    votesKeptFrom = max(votesKeptFrom, from)
  }

  /// Rule 11: the timers of rule 5 run from the moment this node has a reason to expect a block.
  mutating func startTimers() {
    guard timersStartedAt == nil else { return }
    let idleOver = enteredAt + settings.blockIntervalIdle
    // f+1 nullifies include an honest one, which had a reason; own votes after a restart had one too.
    let hasReason = views[view].map { !$0.ownVotes.isEmpty || $0.nullifies.count > validators.faults } ?? false
    if hasProposal || hasReason {
      timersStartedAt = now
    } else if let reproposalDue {
      // Whatever work there is cannot be built on the epoch's last block.
      if now >= reproposalDue { timersStartedAt = reproposalDue }
    } else if isWorkPending {
      timersStartedAt = now
    } else if now >= idleOver {
      timersStartedAt = idleOver
    }
  }

  /// Rules 5 and 11: true when the leader's proposal of the current view is here.
  var hasProposal: Bool {
    guard let proposal = views[view]?.proposal else { return false }
    return tree.contains(proposal.blockID)
  }

  /// Rule 9: Δ of the current view.
  var currentDelta: Microseconds {
    settings.delta(distance: view - tip.view)
  }

  /// Rule 9: the leader has not been heard of for a while, but a quorum has.
  var isLeaderSilent: Bool {
    let leader = schedule.leader(of: view)
    guard leader != ownIndex, view > settings.silentViews else { return false }
    let recent = view - settings.silentViews
    guard lastHeard[Int(leader)] < recent else { return false }
    return lastHeard.count(where: { $0 >= recent }) >= validators.quorum
  }

  /// The next time at which `step(.tick)` has something to do; nil when only an input can change anything.
  public var nextWake: Instant? {
    guard isStarted, !isHalted, !isEnded else { return nil }
    var wakes: [Instant?] = [standstillAt, fetchAt, executionRetryAt, relayWakeAt]
    if isVoting {
      wakes += [nullifyDue, retryAt, proposeDue, clockWakeAt]
      if timersStartedAt == nil { wakes.append(reproposalDue ?? enteredAt + settings.blockIntervalIdle) }
    }
    return wakes.compactMap { $0 }.min()
  }
}
