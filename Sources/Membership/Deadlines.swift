import Primitives

/// The timers of a machine: at most one for each event.
struct Deadlines: Sendable {
  /// How many events are of no probe and no member.
  static let maximumOwn = 6

  enum Event: Comparable, Sendable {
    case round
    case exchange
    case connect
    case renewal
    case refutation
    case heal
    case probe(UInt64)
    case suspicion(NodeID)
    case retry(NodeID)
  }

  private struct Entry: Comparable, Sendable {
    var at: Instant
    var event: Event

    static func < (left: Entry, right: Entry) -> Bool {
      left.at == right.at ? left.event < right.event : left.at < right.at
    }
  }

  private var queue = OrderedSet<Entry>()
  private var times = Table<Event, Instant>()

  /// Sets, moves or (nil) removes the timer of an event.
  mutating func set(_ event: Event, at time: Instant?) {
    if let old = times[event] { queue.remove(Entry(at: old, event: event)) }
    times[event] = time
    if let time { queue.insert(Entry(at: time, event: event)) }
  }

  subscript(event: Event) -> Instant? { times[event] }

  /// How many timers run.
  var count: Int { times.count }

  /// When the next timer is due.
  var next: Instant? { queue.first?.at }

  /// Removes and returns the first event that is due.
  mutating func popDue(_ now: Instant) -> Event? {
    guard let entry = queue.first, entry.at <= now else { return nil }
    queue.remove(entry)
    times[entry.event] = nil
    return entry.event
  }

  mutating func removeAll() {
    queue.removeAll()
    times.removeAll()
  }
}
