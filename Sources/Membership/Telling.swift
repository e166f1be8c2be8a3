import Primitives
import Wire

// Rule 4: who is accused hears of it, and who brought the accusation hears the refutation.
extension MembershipMachine {
  /// An ack has as much room as its ping, and most pings have no words. What the author of a datagram must hear and the
  /// ack had no room for goes on a ping of its own: that it is accused, and, when it brought an accusation of this node,
  /// the record that refutes it. `ack` is what the answer carried, nil when there was none. At most once in a probe
  /// interval, and only to who has shown that it is at the address that is written to: it asks for more than it sends, and
  /// its record may name anybody's. Nor must it use up the news, or the probes that the own rounds need.
  mutating func tell(
    _ author: NodeID, beyond ack: [Envelope]?, broughtAccusation: Bool, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard let entry = entries[author], entry.probe == nil else { return }
    let mustHearAccusation =
      !entry.accusations.isEmpty && ack.map { !$0.contains { $0.kind == .accusation } } ?? false
    let mustHearRecord =
      broughtAccusation && entry.knowsOwn < ownRecord.sequence && ack?.contains(ownRecord.envelope) != true
    guard mustHearAccusation || mustHearRecord, probes.count < MembershipMachine.maximumProbes / 2,
      let place = address(of: author, entry), place.ip == entry.verified?.ip,
      entry.toldAt.wasAtLeast(settings.probeInterval, before: now)
    else { return }
    _ = entries.modify(author) { $0.toldAt = now }
    counters.add("toldMore")
    startProbe(author, .errand, withNews: false, now, &identity, &effects)
  }

  /// Sends a member over its link what it is accused of: of the same incarnation it comes back by a refutation alone, and
  /// its accusers may be gone, or its datagrams filtered. The record that is accused goes first, in case it has forgotten
  /// that it ever signed it.
  func tellAccusations(of member: NodeID, _ effects: inout [MembershipEffect]) {
    guard links.contains(member), let entry = entries[member], !entry.accusations.isEmpty else { return }
    let told = weightiest(entry, count: settings.maximumAccusersNeeded).map(\.envelope)
    effects.append(.exchange([entry.record.envelope] + told, to: member))
  }

  /// True when one of the words accuses this node.
  func accusesMe(_ words: [Verified<Message>]) -> Bool {
    words.contains { word in
      if case .accusation(let body) = word.value.body { body.accused == id && word.author != id } else { false }
    }
  }
}
