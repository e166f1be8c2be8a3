import Primitives

extension Instant? {
  /// True when it was at least a span before another instant, or never was.
  func wasAtLeast(_ span: Microseconds, before now: Instant) -> Bool { map { now - $0 >= span } ?? true }
}
