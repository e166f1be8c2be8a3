import Primitives

/// Events in the order of their times, those of one time in the order in which they were put in: a binary heap.
struct Schedule<Event> {
  private var heap: [(at: Instant, order: UInt64, event: Event)] = []
  private var nextOrder: UInt64 = 0

  private func isBefore(_ first: Int, _ second: Int) -> Bool {
    (heap[first].at, heap[first].order) < (heap[second].at, heap[second].order)
  }

  /// Puts an event in.
  mutating func add(_ event: Event, at: Instant) {
    heap.append((at, nextOrder, event))
    nextOrder += 1
    var child = heap.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Takes the first event out.
  mutating func next() -> (at: Instant, event: Event)? {
    guard !heap.isEmpty else { return nil }
    heap.swapAt(0, heap.count - 1)
    let first = heap.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) { least = child }
      if least == parent { return (first.at, first.event) }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
