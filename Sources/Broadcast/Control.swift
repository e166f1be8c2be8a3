import Primitives

/// How much of something there was within one heartbeat's time. It needs no timer, and so wakes up no node that is idle.
struct Pace: Sendable {
  private var since: Instant?
  private var count = 0

  func count(within interval: Microseconds, _ now: Instant) -> Int {
    since.map { now - $0 < interval } ?? false ? count : 0
  }

  /// Adds to it, and answers how much it is then.
  mutating func add(_ more: Int, within interval: Microseconds, _ now: Instant) -> Int {
    let before = count(within: interval, now)
    if before == 0 { since = now }
    count = before + more
    return count
  }
}

// Rule 7 for what peers say of their mesh: grafts, prunes, and what they do not want.
extension BroadcastMachine {
  /// A graft or a prune counts as much as so many ids that are not wanted, since it makes this node look at its mesh and
  /// answer. An honest node sends one for each change of its mesh, and does not change its mind before a backoff is over: a
  /// link that comes and goes, and grafts and prunes that cross, make a few of it in a heartbeat. 64 are taken, and 256 are
  /// a flood.
  static let costOfGraft = 16
  /// What an honest node leaves of it for its grafts and prunes.
  private static let controlKeptFree = 8 * costOfGraft

  /// Counts what a peer says. True when it is taken.
  mutating func takesControl(
    _ cost: Int, from peer: NodeID, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) -> Bool {
    let span = interval
    guard let count = links.modify(peer, { $0.control.add(cost, within: span, now) }) else { return false }
    let limit = settings.maximumControlPerHeartbeat
    if count > limit * settings.floodFactor { charge(peer, .floodControl, now, &effects) }
    guard count > limit else { return true }
    counters.add("controlIgnored")
    return false
  }

  /// How many ids more a peer may be told now that are not wanted. Beyond it some are sent in vain.
  func roomToTell(_ peer: NodeID, _ now: Instant) -> Int {
    // Two of this node's heartbeats can lie in one of the peer's, and its grafts and prunes with them.
    let most = (settings.maximumControlPerHeartbeat - BroadcastMachine.controlKeptFree) / 2
    return links[peer].map { max(0, most - $0.notWantedTold.count(within: interval, now)) } ?? 0
  }
}
