/// Lets through so many things a second, and more at once after a pause. In whole numbers, so that it gives the same on every
/// machine. What it may give is no part of it and is told it each time, the same one always: many buckets share one.
public struct TokenBucket: Sendable {
  /// How much a bucket lets through.
  public struct Allowance: Sendable, Equatable {
    /// Things a second.
    public var ratePerSecond: Int
    /// Things at once after a pause.
    public var burst: Int

    /// An allowance.
    public init(ratePerSecond: Int, burst: Int) {
      self.ratePerSecond = ratePerSecond
      self.burst = burst
    }
  }

  private static let unit: Int64 = 1_000_000

  // In millionths of a token, so that the rate per second is what one microsecond adds.
  private var level: Int64
  private var updated: Instant

  /// A full bucket.
  public init(_ allowance: Allowance, now: Instant) {
    level = Int64(allowance.burst) * TokenBucket.unit
    updated = now
  }

  /// Takes one token; false when there is none.
  public mutating func take(_ allowance: Allowance, now: Instant) -> Bool {
    refill(allowance, now: now)
    guard level >= TokenBucket.unit else { return false }
    level -= TokenBucket.unit
    return true
  }

  /// True when the bucket is as good as a new one.
  public mutating func isFull(_ allowance: Allowance, now: Instant) -> Bool {
    refill(allowance, now: now)
    return level >= Int64(allowance.burst) * TokenBucket.unit
  }

  private mutating func refill(_ allowance: Allowance, now: Instant) {
    let capacity = Int64(allowance.burst) * TokenBucket.unit
    let elapsed = max(0, (now - updated).count)
    let (gain, overflow) = elapsed.multipliedReportingOverflow(by: Int64(allowance.ratePerSecond))
    level = overflow || gain > capacity - level ? capacity : level + gain
    updated = now
  }
}
