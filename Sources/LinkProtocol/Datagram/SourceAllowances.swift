import Primitives
import Wire

// Who may send how much, by the rules:
// 1. A known source has buckets of its own, so that no flood of strangers, not even from its own prefix, silences it.
// 2. Anyone else takes from the bucket of its prefix first, then from the one that all unknown sources share: a
//    flood from one prefix is stopped by its prefix and leaves the shared bucket to others.
// 3. What comes with a cookie, what comes without and what is answered with a cookie take from different buckets:
//    whoever forges an address uses up nothing of who owns it, but room for replies.
// 4. Who sent with a cookie what did not verify is not heard for a while: an empty bucket would be full again at once.

/// The buckets of a `DatagramFilter`.
struct SourceAllowances: Sendable {
  /// The most known sources; further ones are treated as unknown.
  static let maximumKnown = 65_536
  /// The most unknown sources with a bucket for what they send with cookies. The oldest is forgotten for a new one, which
  /// begins with a full bucket; those of its prefix and of all hold it.
  static let maximumProven = 4_096
  // Once strangers have used up their bucket, the rest of this span is for those with cookies.
  private static let exhaustion = Microseconds.seconds(1)

  private struct Known {
    var plain: TokenBucket
    var proven: TokenBucket
    var cookies: TokenBucket
    /// Rule 4.
    var silentUntil: Instant?
  }

  /// A bucket for what an unknown source sends with cookies.
  private struct Proven {
    var bucket: TokenBucket
    /// Rule 4.
    var silentUntil: Instant?
  }

  private let limits: DatagramLimits
  private var known: [PeerAddress: Known] = [:]
  private var allKnownCookies: TokenBucket

  private(set) var prefixes: PrefixLimiter
  private var unknown: TokenBucket
  private var exhausted: Instant?

  private var proven = BoundedMap<PeerAddress, Proven>(capacity: maximumProven)
  private(set) var provenPrefixes: PrefixLimiter
  private var provenUnknown: TokenBucket

  private(set) var cookiePrefixes: PrefixLimiter
  private var cookies: TokenBucket
  private var beacons: TokenBucket

  init(_ limits: DatagramLimits, now: Instant) {
    self.limits = limits
    allKnownCookies = TokenBucket(limits.allKnownCookies, now: now)
    prefixes = PrefixLimiter(limits.prefix, now: now)
    unknown = TokenBucket(limits.unknown, now: now)
    provenPrefixes = PrefixLimiter(limits.provenPrefix, now: now)
    provenUnknown = TokenBucket(limits.provenUnknown, now: now)
    cookiePrefixes = PrefixLimiter(limits.prefixCookies, now: now)
    cookies = TokenBucket(limits.cookies, now: now)
    beacons = TokenBucket(limits.beacons, now: now)
  }

  var knownCount: Int { known.count }
  var provenCount: Int { proven.count }

  func isKnown(_ source: PeerAddress) -> Bool { known[source] != nil }

  /// Gives a source buckets of its own. False when the table is full.
  mutating func learn(_ source: PeerAddress, now: Instant) -> Bool {
    guard known[source] == nil else { return true }
    guard known.count < SourceAllowances.maximumKnown else { return false }
    known[source] = Known(
      plain: TokenBucket(limits.known, now: now), proven: TokenBucket(limits.knownProven, now: now),
      cookies: TokenBucket(limits.knownCookies, now: now))
    return true
  }

  /// Makes a source unknown again.
  mutating func forget(_ source: PeerAddress) { known.removeValue(forKey: source) }

  /// True when a datagram without a cookie may pass.
  mutating func takePlain(_ source: PeerAddress, now: Instant) -> Bool {
    // In two steps, since an optional chain through the subscript would move the buckets out and in.
    if known[source] != nil { return known[source]?.plain.take(limits.known, now: now) ?? false }
    if let exhausted, (0..<SourceAllowances.exhaustion.count).contains((now - exhausted).count) { return false }
    guard prefixes.take(source, now: now) else { return false }
    if unknown.take(limits.unknown, now: now) { return true }
    exhausted = now
    return false
  }

  /// True when a datagram with a cookie may pass.
  mutating func takeProven(_ source: PeerAddress, now: Instant) -> Bool {
    if known[source] != nil {
      if let until = known[source]?.silentUntil, now < until { return false }
      return known[source]?.proven.take(limits.knownProven, now: now) ?? false
    }
    if !proven.contains(source) {
      proven.insert(Proven(bucket: TokenBucket(limits.proven, now: now)), forKey: source)
    }
    let mayPass = proven.modify(source) { [limits] source in
      if let until = source.silentUntil, now < until { return false }
      return source.bucket.take(limits.proven, now: now)
    }
    guard mayPass == true else { return false }
    return provenPrefixes.take(source, now: now) && provenUnknown.take(limits.provenUnknown, now: now)
  }

  /// True when a cookie may be sent.
  mutating func takeCookie(_ source: PeerAddress, now: Instant) -> Bool {
    if known[source] != nil {
      return known[source]?.cookies.take(limits.knownCookies, now: now) == true
        && allKnownCookies.take(limits.allKnownCookies, now: now)
    }
    return cookiePrefixes.take(source, now: now) && cookies.take(limits.cookies, now: now)
  }

  /// True when a beacon may pass.
  mutating func takeBeacon(now: Instant) -> Bool { beacons.take(limits.beacons, now: now) }

  /// Does not hear what a source sends with a cookie for a while: it sent what did not verify, and nobody else did.
  mutating func silenceProven(_ source: PeerAddress, now: Instant) {
    let until = now + limits.forgerSilence
    if known[source] != nil {
      known[source]?.silentUntil = until
    } else {
      _ = proven.modify(source) { $0.silentUntil = until }
    }
  }
}
