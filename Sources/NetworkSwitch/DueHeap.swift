import Primitives

/// Packets under way, the first to arrive first; of those that arrive at once, the first that was sent.
struct DueHeap {
  /// A packet that arrives at a host.
  struct Entry {
    var due: Instant
    var number: UInt64
    var host: Int
    var packet: [UInt8]

    func isBefore(_ other: Entry) -> Bool { due != other.due ? due < other.due : number < other.number }
  }

  /// How many may be under way.
  static let maximumCount = 65_536

  private var entries: [Entry] = []
  private var sent: UInt64 = 0

  var count: Int { entries.count }

  /// When the first arrives.
  var nextDue: Instant? { entries.first?.due }

  /// Adds a packet; false when there is no room.
  mutating func insert(_ packet: [UInt8], to host: Int, due: Instant) -> Bool {
    guard entries.count < DueHeap.maximumCount else { return false }
    entries.append(Entry(due: due, number: sent, host: host, packet: packet))
    sent += 1
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].isBefore(entries[parent]) else { break }
      entries.swapAt(child, parent)
      child = parent
    }
    return true
  }

  /// Takes out the first packet that has arrived by now.
  mutating func pop(by now: Instant) -> Entry? {
    guard let first = entries.first, first.due <= now else { return nil }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < entries.count && entries[child].isBefore(entries[least]) {
        least = child
      }
      guard least != parent else { return first }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
