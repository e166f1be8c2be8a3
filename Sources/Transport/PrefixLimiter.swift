import Primitives
import Wire

/// Token buckets for address prefixes (/24 and /56), bounded in number.
///
/// A prefix whose bucket is full again needs none and is forgotten. When none can be forgotten, further prefixes share
/// one bucket: whoever fills the table slows down strangers, not those who have a bucket.
struct PrefixLimiter {
  /// The most prefixes with a bucket of their own.
  static let maximumPrefixes = 4_096
  // A full table is searched for what can be forgotten at most this often, or searching it would be the attack.
  private static let sweepInterval = Microseconds.seconds(1)

  private let allowance: TokenBucket.Allowance
  private var buckets: [[UInt8]: TokenBucket] = [:]
  private var shared: TokenBucket
  private var swept: Instant

  init(_ allowance: TokenBucket.Allowance, now: Instant) {
    self.allowance = allowance
    shared = TokenBucket(allowance, now: now)
    swept = now - PrefixLimiter.sweepInterval
  }

  /// Takes a token of the source's prefix; false when there is none.
  mutating func take(_ source: PeerAddress, now: Instant) -> Bool {
    withBucket(of: source, now: now) { [allowance] in $0.take(allowance, now: now) }
  }

  /// Takes all tokens of the source's prefix.
  mutating func empty(_ source: PeerAddress, now: Instant) {
    withBucket(of: source, now: now) { $0.empty(now: now) }
  }

  private mutating func withBucket<Answer>(
    of source: PeerAddress, now: Instant, _ body: (inout TokenBucket) -> Answer
  ) -> Answer {
    let prefix = source.prefix
    if buckets[prefix] == nil, buckets.count >= PrefixLimiter.maximumPrefixes {
      sweep(now)
      if buckets.count >= PrefixLimiter.maximumPrefixes { return body(&shared) }
    }
    return body(&buckets[prefix, default: TokenBucket(allowance, now: now)])
  }

  private mutating func sweep(_ now: Instant) {
    guard now - swept >= PrefixLimiter.sweepInterval else { return }
    swept = now
    for (prefix, bucket) in buckets {
      var bucket = bucket
      if bucket.isFull(allowance, now: now) { buckets.removeValue(forKey: prefix) }
    }
  }
}
