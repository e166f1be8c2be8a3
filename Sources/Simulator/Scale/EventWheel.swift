import Primitives

/// Events in the order of their times, to the millisecond: a ring of buckets, one for each millisecond ahead. Adding and
/// taking cost the same however many events wait, where a sorted queue of the hundred thousand of a large simulation
/// would cost more than what they do.
///
/// Events of one millisecond come in the order in which they were added.
struct EventWheel<Event> {
  /// How far ahead an event may be; what is later is to be added again when this has passed.
  static var horizonMilliseconds: Int64 { 16_384 }

  private var buckets = [[Event]](repeating: [], count: Int(EventWheel.horizonMilliseconds))
  /// The millisecond that is taken from.
  private var current: Int64 = 0

  /// The time of the events that come next.
  var now: Instant { .zero + .milliseconds(current) }

  /// When an event added for `time` comes: at the next whole millisecond, not before the present one and not behind the
  /// horizon.
  func slot(for time: Instant) -> Instant { .zero + .milliseconds(millisecond(of: time)) }

  private func millisecond(of time: Instant) -> Int64 {
    let whole = (time.microseconds + 999) / 1_000
    return min(max(whole, current), current + EventWheel.horizonMilliseconds - 1)
  }

  private static func place(_ millisecond: Int64) -> Int { Int(millisecond & (horizonMilliseconds - 1)) }

  mutating func add(_ event: Event, at time: Instant) {
    buckets[EventWheel.place(millisecond(of: time))].append(event)
  }

  /// Takes the events of the present millisecond, and what was added for it meanwhile at the next call; goes on to the
  /// next millisecond, and returns nil, when there is none.
  mutating func takeBatch() -> [Event]? {
    let place = EventWheel.place(current)
    guard !buckets[place].isEmpty else {
      current += 1
      return nil
    }
    var batch: [Event] = []
    swap(&batch, &buckets[place])
    return batch
  }
}
