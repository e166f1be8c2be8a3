import Primitives

/// What each peer may do so often for nothing, since honest ones do it, too: so many times at once, and then as many in time.
struct Allowances: Sendable {
  /// The most peers remembered; the one that came first is forgotten.
  static let maximumPeers = 4_096

  /// Accusations that their accused refutes, besides one for each member (`NodeCore.charge(accusers:)`). Not each of these is
  /// a lie: who is cut off for a while, or too busy to read, accuses in good faith whom it does not hear, each of them once,
  /// since it hears of no refutation, and all of them refute at once when it is over. After that it is as many as a node that
  /// hears badly for good may make: it finds that out by what it does not hear, and probes once in nine seconds then.
  static let refutedAccusations = Allowances(atOnce: 30, interval: .seconds(5))

  /// Transactions that are worthless by the final state of a node that is up to date: their nonces are over, they
  /// have expired, or nobody pays for them. An honest node passes on only what its own pool has taken. That may be as much as
  /// a pool holds, 16,384, where it is behind and somebody feeds it what is long over; and on a new link it tells of the 8,192
  /// that it keeps, which after a split may all be over on the other side. A burst of 20,000 is less, too. In time it is what a node sends again of its own that
  /// others refuse, at the most 2,048 every 5 s and so 410 in a second: 1,000 are free, which take a twentieth of a processor
  /// to verify. Where a pool has no room (`Mempool.Admission`), or another of the same account in the way, it is nobody's fault
  /// and not counted: in a network that is offered more than it can do each pool has taken others.
  static let worthlessGossip = Allowances(atOnce: 32_768, interval: .milliseconds(1))

  let atOnce: Int64
  /// After this time one more is free.
  let interval: Microseconds
  /// For each peer when its allowance was used up to.
  private var usedUntil = BoundedMap<NodeID, Instant>(capacity: maximumPeers)

  var count: Int { usedUntil.count }

  private init(atOnce: Int64, interval: Microseconds) {
    self.atOnce = atOnce
    self.interval = interval
  }

  /// Takes from a peer's allowance. Returns how much of it is free.
  ///
  /// - Parameter more: what is free at once besides.
  mutating func take(_ wanted: Int = 1, by peer: NodeID, more: Int = 0, now: Instant) -> Int {
    let span = interval * (atOnce + Int64(more))
    let used = max(usedUntil[peer] ?? now - span, now - span)
    let free = min(Int64(wanted), (now - used).count / interval.count)
    guard free > 0 else { return 0 }
    usedUntil.insert(used + interval * free, forKey: peer)
    return Int(free)
  }
}

extension NodeCore {
  /// A suspect, or this node, has refuted these accusers.
  mutating func charge(accusers: [NodeID], now: Instant, into effects: inout [CoreEffect]) {
    for accuser in accusers where accuser != id {
      let isFree = refutedAccusations.take(by: accuser, more: membership.activeCount, now: now) > 0
      if !isFree { charge(accuser, .falseAccusation, now: now, into: &effects) }
    }
  }
}
