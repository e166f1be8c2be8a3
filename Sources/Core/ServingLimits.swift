import Primitives
import Wire

/// How often one peer may have what it asks for: what is over is dropped and counted. A request of a few bytes can take a
/// disk read, or megabytes of a link. Each kind has an allowance of its own, so that none is refused for another.
struct ServingLimits: Sendable {
  /// The most peers remembered; the one that came first is forgotten.
  static let maximumPeers = 1_024

  /// What is asked for. The allowances are some times what an honest peer needs.
  enum Kind: Int, CaseIterable, Sendable {
    /// Links of epochs, and chunks of states: a few hundred kilobytes each.
    case states
    /// Ranges of the chain: up to 64 blocks each. Who catches up has four requests under way.
    case chain
    /// Blocks by their ids, each of which counts: up to 16 in a request.
    case blocks
    /// Certificates of up to 64 views: one request in each fetch interval.
    case certificates
    /// Relays: one request in 5 seconds.
    case relays

    /// The requests that a peer may have at once after a rest, and the time after which it has one more.
    var allowance: (burst: Int64, interval: Microseconds) {
      switch self {
      case .states: (32, .milliseconds(25))
      case .chain: (256, .milliseconds(20))
      case .blocks: (256, .milliseconds(10))
      case .certificates: (32, .milliseconds(100))
      case .relays: (16, .seconds(1))
      }
    }
  }

  private static let never = Instant(microseconds: .min)

  /// For each peer when its allowance of each kind was used up to.
  private var usedUntil = BoundedMap<NodeID, [Instant]>(capacity: maximumPeers)

  var count: Int { usedUntil.count }

  /// True when a peer may have this much more of a kind now.
  mutating func admit(_ peer: NodeID, _ kind: Kind, cost: Int64 = 1, now: Instant) -> Bool {
    let (burst, interval) = kind.allowance
    var all = usedUntil[peer] ?? [Instant](repeating: ServingLimits.never, count: Kind.allCases.count)
    let used = max(all[kind.rawValue], now - interval * burst) + interval * cost
    guard used <= now else { return false }
    all[kind.rawValue] = used
    usedUntil.insert(all, forKey: peer)
    return true
  }
}
