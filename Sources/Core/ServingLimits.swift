import Primitives
import Wire

/// How often one peer may have links and chunks: what is over is dropped and counted. A chunk takes the shell a disk read
/// and a few hundred kilobytes of a link.
struct ServingLimits: Sendable {
  /// The most peers remembered; the one that came first is forgotten.
  static let maximumPeers = 1_024
  /// The requests that a peer may have at once after a rest.
  static let burst: Int64 = 32
  /// One more request is granted to a peer each of these.
  static let interval = Microseconds.milliseconds(25)

  /// For each peer when its allowance was used up to.
  private var usedUntil = BoundedMap<NodeID, Instant>(capacity: maximumPeers)

  var count: Int { usedUntil.count }

  /// True when a peer may have one more now.
  mutating func admit(_ peer: NodeID, now: Instant) -> Bool {
    let used = max(usedUntil[peer] ?? .zero, now - ServingLimits.interval * ServingLimits.burst)
    guard used + ServingLimits.interval <= now else { return false }
    usedUntil.insert(used + ServingLimits.interval, forKey: peer)
    return true
  }
}
