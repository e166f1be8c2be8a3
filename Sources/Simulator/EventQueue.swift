import Primitives

/// Events in the order of their times, those of one time in the order in which they were put in: a binary heap.
struct EventQueue<Event> {
  private struct Entry {
    var at: Instant
    var order: UInt64
    var event: Event

    func isBefore(_ other: Entry) -> Bool { at == other.at ? order < other.order : at < other.at }
  }

  private var heap: [Entry] = []
  private var nextOrder: UInt64 = 0

  /// Puts an event in.
  mutating func add(_ event: Event, at: Instant) {
    heap.append(Entry(at: at, order: nextOrder, event: event))
    nextOrder += 1
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the first event out.
  mutating func next() -> (at: Instant, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
          least = child
        }
        if least == parent { break }
        heap.swapAt(parent, least)
        parent = least
      }
    }
    return (first.at, first.event)
  }
}
