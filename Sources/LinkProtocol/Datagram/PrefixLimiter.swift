import Primitives
import Wire

/// Token buckets for address prefixes (/24 and /56), bounded in number.
///
/// A prefix whose bucket is full again needs none and is forgotten. When none can be forgotten, further prefixes share
/// one bucket: whoever fills the table slows down strangers, not those who have a bucket.
package struct PrefixLimiter: Sendable {
  /// The most prefixes with a bucket of their own.
  package static let maximumPrefixes = 4_096
  // A full table is searched for what can be forgotten at most this often, or searching it would be the attack.
  private static let sweepInterval = Microseconds.seconds(1)

  private let allowance: TokenBucket.Allowance
  private var buckets: [UInt64: TokenBucket] = [:]
  private var shared: TokenBucket
  private var swept: Instant

  /// Full buckets for all.
  package init(_ allowance: TokenBucket.Allowance, now: Instant) {
    self.allowance = allowance
    shared = TokenBucket(allowance, now: now)
    swept = now - PrefixLimiter.sweepInterval
  }

  /// The number of prefixes with a bucket of their own.
  package var count: Int { buckets.count }

  /// Takes a token of the source's prefix; false when there is none.
  package mutating func take(_ source: PeerAddress, now: Instant) -> Bool {
    let prefix = source.prefixNumber
    if buckets[prefix] == nil, buckets.count >= PrefixLimiter.maximumPrefixes {
      sweep(now)
      if buckets.count >= PrefixLimiter.maximumPrefixes { return shared.take(allowance, now: now) }
    }
    return buckets[prefix, default: TokenBucket(allowance, now: now)].take(allowance, now: now)
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
