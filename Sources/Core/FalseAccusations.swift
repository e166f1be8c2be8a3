import Primitives

/// Which refuted accusations are charged to those who made them (`Misconduct.falseAccusation`).
///
/// An accusation is false when its accused refutes it, but not each of these is a lie: who is cut off for a while, or too
/// busy to read, accuses in good faith whom it does not hear, as many as it probes in that time, and all of them refute at
/// once when it is over. So many are free at once, and then as many in time as a node that hears badly for good may make.
struct FalseAccusations: Sendable {
  /// The most accusers remembered; the one that came first is forgotten.
  static let maximumAccusers = 4_096
  /// How many are free at once.
  static let freeAtOnce: Int64 = 30
  /// After this time one more is free: three in a minute.
  static let interval = Microseconds.seconds(20)

  /// For each accuser when its allowance was used up to.
  private var usedUntil = BoundedMap<NodeID, Instant>(capacity: maximumAccusers)

  var count: Int { usedUntil.count }

  /// Notes an accusation that was refuted. True when it is to be charged.
  mutating func note(_ accuser: NodeID, now: Instant) -> Bool {
    let span = FalseAccusations.interval * FalseAccusations.freeAtOnce
    let used = max(usedUntil[accuser] ?? now - span, now - span) + FalseAccusations.interval
    guard used <= now else { return true }
    usedUntil.insert(used, forKey: accuser)
    return false
  }
}

extension NodeCore {
  /// A suspect, or this node, has refuted these accusers.
  mutating func charge(accusers: [NodeID], now: Instant, into effects: inout [CoreEffect]) {
    for accuser in accusers where accuser != id && falseAccusations.note(accuser, now: now) {
      charge(accuser, .falseAccusation, now: now, into: &effects)
    }
  }
}
