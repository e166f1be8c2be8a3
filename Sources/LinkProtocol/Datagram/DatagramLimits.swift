import Primitives

/// How much a `DatagramFilter` lets through. Each allowance is of datagrams, or of replies.
package struct DatagramLimits: Sendable, Equatable {
  /// Of one known source, without a cookie. Who forges its address can use it up: a cookie is then the way on.
  package var known = TokenBucket.Allowance(ratePerSecond: 50, burst: 200)
  /// Of one known source, with a cookie.
  package var knownProven = TokenBucket.Allowance(ratePerSecond: 50, burst: 200)
  /// Of the unknown sources of one /24 or /56, without a cookie.
  package var prefix = TokenBucket.Allowance(ratePerSecond: 50, burst: 200)
  /// Of all unknown sources together, without a cookie.
  package var unknown = TokenBucket.Allowance(ratePerSecond: 500, burst: 1_000)
  /// Of one unknown source, with a cookie.
  package var proven = TokenBucket.Allowance(ratePerSecond: 50, burst: 100)
  /// Of the unknown sources of one /24 or /56, with cookies: a /56 holds more addresses than anyone can count.
  package var provenPrefix = TokenBucket.Allowance(ratePerSecond: 200, burst: 400)
  /// Of all unknown sources together, with cookies.
  package var provenUnknown = TokenBucket.Allowance(ratePerSecond: 1_000, burst: 2_000)
  /// Cookie replies to one known source.
  package var knownCookies = TokenBucket.Allowance(ratePerSecond: 1_000, burst: 1_000)
  /// Cookie replies to all known sources together.
  package var allKnownCookies = TokenBucket.Allowance(ratePerSecond: 5_000, burst: 5_000)
  /// Cookie replies to the unknown sources of one /24 or /56.
  package var prefixCookies = TokenBucket.Allowance(ratePerSecond: 100, burst: 200)
  /// Cookie replies to all unknown sources together.
  package var cookies = TokenBucket.Allowance(ratePerSecond: 1_000, burst: 1_000)
  /// For how long a source is not heard that sent, with a cookie, what did not verify: nobody else can have sent it.
  package var forgerSilence = Microseconds.seconds(30)
  /// Beacons of everyone together.
  package var beacons = TokenBucket.Allowance(ratePerSecond: 20, burst: 40)

  /// The defaults.
  package init() {}
}
