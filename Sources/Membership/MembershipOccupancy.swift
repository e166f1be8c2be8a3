import Primitives

extension MembershipMachine {
  /// How full every bounded collection is. What each member has of its own is told of the member that has the most.
  public var occupancy: [Occupancy] {
    let members = memberLimit
    var accusations = 0
    var sequences = 0
    for (_, entry) in entries {
      accusations = max(accusations, entry.accusations.count)
      sequences = max(sequences, entry.window.count)
    }
    return [
      Occupancy(name: "members", count: entries.count, limit: members),
      // The own one comes on top.
      Occupancy(name: "accusationsOfOne", count: accusations, limit: MemberEntry.maximumAccusers + 1),
      Occupancy(name: "sequencesOfOne", count: sequences, limit: ReplayWindow.capacity),
      Occupancy(name: "links", count: links.count, limit: MembershipMachine.maximumLinks),
      Occupancy(name: "probes", count: probes.count, limit: MembershipMachine.maximumProbes),
      Occupancy(name: "relays", count: relays.count, limit: MembershipMachine.maximumRelays),
      // A member waits for the end of its suspicion or for a retry, never for both.
      Occupancy(
        name: "deadlines", count: deadlines.count,
        limit: Deadlines.maximumOwn + MembershipMachine.maximumProbes + members),
      Occupancy(name: "rumours", count: rumours.count, limit: RumourQueue.capacity),
      Occupancy(name: "ring", count: ring.count, limit: MembershipMachine.ringFactor * members),
      Occupancy(name: "unseen", count: unseen.count, limit: settings.maximumUnseen),
      Occupancy(name: "wentDown", count: splitWatch.count, limit: MembershipSettings.memberBound),
      Occupancy(name: "ownAccusers", count: ownAccusers.count, limit: MemberEntry.maximumAccusers),
      Occupancy(name: "observedBy", count: observed.count, limit: ObservedAddresses.maximumReporters),
    ]
  }
}
