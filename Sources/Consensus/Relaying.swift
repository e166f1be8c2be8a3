import Primitives
import Wire

// Rule 13: votes and proposals by way of others, where there is no link.
extension SimplexMachine {
  /// Rule 13: a link came up.
  mutating func noteLink(_ peer: NodeID) {
    if links.count < SimplexMachine.maximumLinks { links.insert(peer) } else { counters.add("linksFull") }
    if let index = validators.index(of: peer) { missingSince.removeValue(forKey: index) }
  }

  /// Rule 13: a link went down.
  mutating func dropLink(_ peer: NodeID) {
    links.remove(peer)
    if ownIndex != nil, peer != node, let index = validators.index(of: peer) { missingSince[index] = now }
  }

  /// Rule 13: at the start the validators that there is no link to begin to be missed.
  mutating func noteMissingLinks() {
    guard let ownIndex else { return }
    for (position, member) in validators.members.enumerated() {
      let index = UInt16(position)
      if index != ownIndex, !links.contains(member) { missingSince[index] = now }
    }
  }

  /// Rule 13: when relays are to be asked for next; nil when every validator is linked, or none is.
  var relayWakeAt: Instant? {
    guard let first = missingSince.values.min(), hasRelay else { return nil }
    let due = first + settings.delta * 2
    return relaysAskedAt.map { max(due, $0 + settings.relayInterval / 2) } ?? due
  }

  private var hasRelay: Bool {
    validators.members.contains { $0 != node && links.contains($0) }
  }

  /// Rule 13: asks f+1 validators, others each time, for the votes and proposals of those that cannot be reached.
  mutating func askForRelays() {
    guard let due = relayWakeAt, now >= due else { return }
    relaysAskedAt = now
    let missing = missingSince.filter { now >= $0.value + settings.delta * 2 }.map(\.key)
    let linked = validators.members.filter { $0 != node && links.contains($0) }
    let count = min(linked.count, validators.faults + 1)
    for place in 0..<count {
      let peer = linked[(relayTurn + place) % linked.count]
      sendAtOnce(.relayRequest(epoch: epoch, voters: missing), to: .node(peer))
    }
    relayTurn = (relayTurn + count) % linked.count
  }

  /// Rule 13: grants a validator that asks what the given voters say, for a while.
  mutating func grantRelay(epoch wanted: UInt64, voters: [UInt16], to peer: NodeID) {
    guard ownIndex != nil, wanted == epoch, let asker = validators.index(of: peer) else {
      counters.add("relayRefused")
      return
    }
    for voter in voters where Int(voter) < validators.count && voter != asker {
      relays[voter, default: Table()][asker] = now + settings.relayInterval
    }
  }

  /// Rule 13: hands on what a validator said over its own link to those that asked for it.
  mutating func relay(_ message: ConsensusMessage, of voter: UInt16, from peer: NodeID) {
    guard let askers = relays[voter], validators.member(voter) == peer else { return }
    for (asker, until) in askers {
      guard now < until else {
        relays[voter, default: Table()].removeValue(forKey: asker)
        continue
      }
      guard let receiver = validators.member(asker), links.contains(receiver) else { continue }
      sendAtOnce(message, to: .node(receiver))
      counters.add("relayed")
    }
    if relays[voter]?.isEmpty ?? false { relays.removeValue(forKey: voter) }
  }
}
