/// A span of time in whole microseconds. May be negative as the result of a subtraction.
public struct Microseconds: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The count of microseconds.
  public var count: Int64

  /// A span of `count` microseconds.
  @inlinable public init(_ count: Int64) { self.count = count }

  /// A span of whole milliseconds.
  @inlinable public static func milliseconds(_ count: Int64) -> Microseconds { Microseconds(count &* 1_000) }

  /// A span of whole seconds.
  @inlinable public static func seconds(_ count: Int64) -> Microseconds { Microseconds(count &* 1_000_000) }

  /// No time at all.
  @inlinable public static var zero: Microseconds { Microseconds(0) }

  /// The order that tables and messages rely on.
  @inlinable public static func < (left: Microseconds, right: Microseconds) -> Bool { left.count < right.count }

  /// The sum, wrapping: spans come from bounded settings, never from a peer.
  @inlinable public static func + (left: Microseconds, right: Microseconds) -> Microseconds {
    Microseconds(left.count &+ right.count)
  }

  /// The difference, wrapping.
  @inlinable public static func - (left: Microseconds, right: Microseconds) -> Microseconds {
    Microseconds(left.count &- right.count)
  }

  /// `factor` times the span, wrapping.
  @inlinable public static func * (left: Microseconds, factor: Int64) -> Microseconds {
    Microseconds(left.count &* factor)
  }

  /// The span divided by a positive number, rounded towards zero.
  @inlinable public static func / (left: Microseconds, divisor: Int64) -> Microseconds {
    Microseconds(left.count / divisor)
  }

  /// For people: seconds with microsecond digits.
  public var description: String {
    let magnitude = count.magnitude
    let fraction = String(magnitude % 1_000_000)
    let padding = String(repeating: "0", count: 6 - fraction.utf8.count)
    return "\(count < 0 ? "-" : "")\(magnitude / 1_000_000).\(padding)\(fraction)s"
  }
}

/// A point on a node's monotonic time line, in microseconds since an origin of the shell's choosing.
///
/// Time reaches the core only as an argument. Wall time is an `Instant` plus the offset that the shell
/// last reported (`WallClock`), so that a stepped clock never moves a timer.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Microseconds since the origin.
  public var microseconds: Int64

  /// The point `microseconds` after the origin.
  @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }

  /// The origin of the time line.
  @inlinable public static var zero: Instant { Instant(microseconds: 0) }

  /// Later than every time a timer can name.
  @inlinable public static var distantFuture: Instant { Instant(microseconds: .max) }

  /// The order that tables and messages rely on.
  @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }

  /// The point a span later, wrapping.
  @inlinable public static func + (left: Instant, right: Microseconds) -> Instant {
    Instant(microseconds: left.microseconds &+ right.count)
  }

  /// The point a span earlier, wrapping.
  @inlinable public static func - (left: Instant, right: Microseconds) -> Instant {
    Instant(microseconds: left.microseconds &- right.count)
  }

  /// The span between two points.
  @inlinable public static func - (left: Instant, right: Instant) -> Microseconds {
    Microseconds(left.microseconds &- right.microseconds)
  }

  /// For transcripts: seconds with microsecond digits.
  public var description: String { Microseconds(microseconds).description }
}

/// What turns an `Instant` into wall time: the shell reports the offset, the core adds it.
public struct WallClock: Hashable, Sendable {
  /// Microseconds to add to an `Instant` to get microseconds since 1970-01-01T00:00:00Z.
  public var offset: Microseconds

  /// A clock with the given offset.
  public init(offset: Microseconds) { self.offset = offset }

  /// Microseconds since 1970; 0 for times before it.
  public func unixMicroseconds(at now: Instant) -> UInt64 { UInt64(max(0, (now + offset).microseconds)) }

  /// Milliseconds since 1970; 0 for times before it.
  public func unixMilliseconds(at now: Instant) -> UInt64 { unixMicroseconds(at: now) / 1_000 }
}
