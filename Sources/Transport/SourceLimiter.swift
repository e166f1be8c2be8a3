import Primitives
import Wire

// Who may send how much, by the rules:
// 1. A known source has a bucket of its own, so that no flood of strangers, not even from its own prefix, silences it.
// 2. Anyone else takes from the bucket of its prefix first, then from the one that all unknown sources share: a
//    flood from one prefix is stopped by its prefix and leaves the shared bucket to others.

/// Decides which datagrams are worth more than a hash.
struct SourceLimiter {
  /// The most known sources; further ones are treated as unknown.
  static let maximumKnown = 65_536

  private let knownAllowance: TokenBucket.Allowance
  private let unknownAllowance: TokenBucket.Allowance
  private var known: [PeerAddress: TokenBucket] = [:]
  private var prefixes: PrefixLimiter
  private var unknown: TokenBucket

  init(
    known: TokenBucket.Allowance, prefix: TokenBucket.Allowance, unknown: TokenBucket.Allowance, now: Instant
  ) {
    knownAllowance = known
    unknownAllowance = unknown
    prefixes = PrefixLimiter(prefix, now: now)
    self.unknown = TokenBucket(unknown, now: now)
  }

  /// True when a datagram from `source` may pass.
  mutating func admit(_ source: PeerAddress, now: Instant) -> Bool {
    // In two steps, since an optional chain through the subscript would move the bucket out and in.
    if known[source] != nil {
      return known[source]?.take(knownAllowance, now: now) ?? false
    }
    return prefixes.take(source, now: now) && unknown.take(unknownAllowance, now: now)
  }

  /// Gives a source a bucket of its own. False when the table is full.
  mutating func learn(_ source: PeerAddress, now: Instant) -> Bool {
    guard known[source] == nil else { return true }
    guard known.count < SourceLimiter.maximumKnown else { return false }
    known[source] = TokenBucket(knownAllowance, now: now)
    return true
  }

  /// Makes a source unknown again.
  mutating func forget(_ source: PeerAddress) { known.removeValue(forKey: source) }

  /// Takes all tokens of a source: it sent what did not verify.
  mutating func empty(_ source: PeerAddress, now: Instant) {
    if known[source] != nil {
      known[source]?.empty(now: now)
    } else {
      prefixes.empty(source, now: now)
    }
  }
}
