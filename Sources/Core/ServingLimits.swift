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
    /// Members: a digest, and a request for what differs, when a link comes up and then some in a minute. Membership answers
    /// fewer; here only floods are found.
    case members
    /// This node's own record, which an empty list of records asks for: of a member that was not heard over UDP, for oneself
    /// and for as many others as one relays for at once.
    case ownRecord

    /// The requests that a peer may have at once after a rest, and the time after which it has one more.
    var allowance: (burst: Int64, interval: Microseconds) {
      switch self {
      case .states: (32, .milliseconds(25))
      case .chain: (256, .milliseconds(20))
      case .ownRecord: (256, .milliseconds(4))
      case .blocks: (256, .milliseconds(10))
      case .certificates: (32, .milliseconds(100))
      case .relays, .members: (16, .seconds(1))
      }
    }
  }

  /// What becomes of a request.
  enum Verdict: Sendable {
    /// It is answered.
    case served
    /// It is dropped, which is nobody's fault: who catches up may ask again too early.
    case tooOften
    /// It is dropped, and what this peer asks for is `floodFactor` times as much as is answered.
    case flood
  }

  /// How many times what is answered is a flood, both at once and in time.
  static let floodFactor: Int64 = 4

  private struct Use: Sendable {
    /// When the allowance was used up to by what was answered, and when one `floodFactor` times as large by all.
    var answered = Instant(microseconds: .min)
    var asked = Instant(microseconds: .min)
  }

  /// For each peer what it has used of each kind.
  private var uses = BoundedMap<NodeID, [Use]>(capacity: maximumPeers)

  var count: Int { uses.count }

  /// Whether a peer may have this much more of a kind now.
  mutating func admit(_ peer: NodeID, _ kind: Kind, cost: Int64 = 1, now: Instant) -> Verdict {
    let (burst, interval) = kind.allowance
    var all = uses[peer] ?? [Use](repeating: Use(), count: Kind.allCases.count)
    var use = all[kind.rawValue]
    var verdict = Verdict.tooOften
    let answered = max(use.answered, now - interval * burst) + interval * cost
    if answered <= now {
      use.answered = answered
      verdict = .served
    }
    let span = interval * burst
    let asked = max(use.asked, now - span) + interval * cost / ServingLimits.floodFactor
    // What is beyond the flood is not added, so that it is over soon after the peer has stopped.
    if asked <= now { use.asked = asked } else if verdict == .tooOften { verdict = .flood }
    all[kind.rawValue] = use
    uses.insert(all, forKey: peer)
    return verdict
  }
}
