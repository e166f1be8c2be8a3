import Control
import Glibc
import Primitives

/// The monotonic time line of this process.
enum MonotonicClock {
  /// Microseconds since the host started.
  static func now() -> Instant { Instant(microseconds: microseconds(CLOCK_MONOTONIC)) }

  static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}

/// The host's wall clock.
enum WallTimeSource {
  /// What must be added to the monotonic clock to get microseconds since 1970.
  static func offset() -> Microseconds {
    Microseconds(MonotonicClock.microseconds(CLOCK_REALTIME) - MonotonicClock.microseconds(CLOCK_MONOTONIC))
  }

  /// The host's wall clock now.
  static func now() -> WallTime {
    WallTime(microsecondsSinceEpoch: MonotonicClock.now().microseconds &+ offset().count)
  }
}
