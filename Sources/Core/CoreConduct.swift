import Broadcast
import Membership
import Primitives
import Wire

// What nodes have cost this one. Every part charges them in one place, the broadcast's `ConductBook`.
extension NodeCore {
  /// Accusations that their accused refutes, besides one for each member (`charge(accusers:)`). Not each of these is
  /// a lie: who is cut off for a while, or too busy to read, accuses in good faith whom it does not hear, each of them once,
  /// since it hears of no refutation, and all of them refute at once when it is over. After that it is as many as a node that
  /// hears badly for good may make: it finds that out by what it does not hear, and probes once in nine seconds then.
  static let refutedAccusations = Allowances<NodeID>(atOnce: 30, interval: .seconds(5), maximumAskers: 4_096)

  /// What a node has cost and brought, whether it is linked or not; nil when nothing is known of it.
  public func conduct(of id: NodeID) -> Conduct? { broadcast.conduct(of: id) }

  /// Charges a node for what it sent over its link.
  mutating func charge(
    _ peer: NodeID, _ misconduct: Misconduct, now: Instant, into effects: inout [CoreEffect]
  ) {
    step(broadcast: .misconduct(peer, misconduct), now: now, into: &effects)
    switch misconduct {
    case .invalidMessage, .badFrame, .badRecord:
      // It may have been the answer to a request: another is asked.
      sync(now: now, into: &effects) { $0.fail(peer, height: $1, now: now, into: &$2) }
    case .floodAnnounce, .floodRequest, .brokenPromise, .graftTooSoon, .falseAccusation, .requestFlood, .serviceFlood,
      .worthlessFlood, .floodControl:
      break
    }
  }

  /// A suspect, or this node, has refuted these accusers.
  mutating func charge(accusers: [NodeID], now: Instant, into effects: inout [CoreEffect]) {
    for accuser in accusers where accuser != id {
      let isFree = refutedAccusations.take(by: accuser, more: membership.activeCount, now: now) > 0
      if !isFree { charge(accuser, .falseAccusation, now: now, into: &effects) }
    }
  }

  /// The links of the validators of this epoch and the next stay, whatever they cost: agreement needs them. Who comes to
  /// be one is let in at once.
  mutating func keepValidators(now: Instant, into effects: inout [CoreEffect]) {
    let all = OrderedSet(validators.members + nextValidators.members).members.filter { $0 != id }
    for peer in all where broadcast.banSeconds(of: peer, now: now) > 0 {
      effects.append(.close(peer, reason: "it is a validator now", banSeconds: 0))
    }
    step(broadcast: .keep(all), now: now, into: &effects)
  }

  /// Somebody may be found at an address: a node that is not linked, and is either no live member or one of the first few
  /// links.
  mutating func contact(_ address: PeerAddress, _ peer: NodeID?, now: Instant, into effects: inout [CoreEffect]) {
    guard let peer else { return counters.add("contactWithoutID") }
    guard peer != id, !links.contains(peer) else { return }
    let isLive = membership.member(peer).map { $0.state < .down } ?? false
    guard !isLive || links.count < settings.broadcast.minimumDegree else { return }
    dial(address, peer, now: now, into: &effects)
  }

  /// Wants a link, but for those that are not let in.
  mutating func dial(_ address: PeerAddress, _ peer: NodeID, now: Instant, into effects: inout [CoreEffect]) {
    guard broadcast.banSeconds(of: peer, now: now) == 0 else { return counters.add("dialBanned") }
    effects.append(.dial(address, peer))
  }
}
