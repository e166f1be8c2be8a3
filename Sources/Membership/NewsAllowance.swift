import Primitives

/// So many at once, and after that one in each interval.
struct NewsAllowance: Sendable {
  let burst: Int64
  let interval: Microseconds
  /// When all that was taken would have been due, had it come evenly.
  private var evenly = Instant.zero

  init(burst: Int64, each interval: Microseconds) {
    self.burst = burst
    self.interval = interval
  }

  /// True when one more is allowed now.
  func allows(_ now: Instant) -> Bool { max(evenly, now) - now <= interval * (burst - 1) }

  mutating func take(_ now: Instant) { evenly = max(evenly, now) + interval }
}
