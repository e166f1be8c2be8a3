import Control
import NIOCore

/// The latest things that happened, numbered from 1. Whoever reads has a place in it and no copy of anything: however slow
/// a reader is, it costs nothing, and is told what it has missed.
struct EventRing {
  /// What a reader finds at its place.
  enum Found: Equatable {
    /// An event that it asked for.
    case event(EventAnswer)
    /// So many events that are not kept any more; the place goes on to the oldest.
    case gap(missed: UInt64)
    /// Nothing yet.
    case end
  }

  /// The most events kept.
  static let capacity = 4_096

  private var events = CircularBuffer<EventAnswer>()
  /// The number of the next event.
  private(set) var next: UInt64 = 1
  /// How many events readers have missed, all of them together.
  private(set) var missed: UInt64 = 0

  /// The number of the oldest event that is kept.
  var oldest: UInt64 { next - UInt64(events.count) }

  /// Adds what happened; forgets the oldest when there is no room.
  mutating func add(_ kind: EventKind, peer: String?, _ detail: EventAnswer.Detail, at time: WallTime) {
    if events.count >= EventRing.capacity { events.removeFirst() }
    events.append(EventAnswer(sequence: next, at: time, kind: kind, peer: peer, detail: detail))
    next += 1
  }

  /// What is at a place or after it, of some kinds or, with none, of all. The place moves behind it.
  mutating func read(at place: inout UInt64, kinds: Set<EventKind>) -> Found {
    if place < oldest {
      let lost = oldest - place
      place = oldest
      missed += lost
      return .gap(missed: lost)
    }
    while place < next {
      let event = events[offset: Int(place - oldest)]
      place += 1
      if kinds.isEmpty || kinds.contains(event.kind) { return .event(event) }
    }
    return .end
  }
}

extension CircularBuffer {
  fileprivate subscript(offset offset: Int) -> Element { self[index(startIndex, offsetBy: offset)] }
}
