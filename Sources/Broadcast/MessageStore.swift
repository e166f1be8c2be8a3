import Primitives
import Wire

/// The messages that are kept to answer requests, oldest first out.
struct MessageStore: Sendable {
  struct Item: Sendable {
    var message: Verified<Message>
    var order: UInt64
    var since: Instant
    var bytes: Int
    /// How many heartbeats still announce it.
    var announcements: Int
    /// Who is known to have it; at most `maximumHolders`.
    var holders = OrderedSet<NodeID>()
  }

  /// More holders than this are not remembered: they would be told again, which costs 32 bytes each.
  static let maximumHolders = 64

  private var items = Table<Digest, Item>()
  private var ages = Table<UInt64, Digest>()
  private var nextOrder: UInt64 = 0
  private(set) var bytes = 0

  var count: Int { items.count }
  var newestOrder: UInt64 { nextOrder }
  var oldestSince: Instant? { ages.first.flatMap { items[$0.value]?.since } }

  /// The holders remembered of the message that has the most.
  var mostHolders: Int { items.reduce(0) { max($0, $1.value.holders.count) } }

  func contains(_ id: Digest) -> Bool { items.contains(id) }
  subscript(id: Digest) -> Item? { items[id] }

  mutating func insert(_ message: Verified<Message>, announcements: Int, now: Instant) {
    let id = message.value.id
    guard !items.contains(id) else { return }
    let size = Envelope.overheadBytes + message.value.envelope.payload.count
    items[id] = Item(message: message, order: nextOrder, since: now, bytes: size, announcements: announcements)
    ages[nextOrder] = id
    nextOrder &+= 1
    bytes += size
  }

  mutating func addHolder(_ peer: NodeID, of id: Digest) {
    _ = items.modify(id) { item in
      if item.holders.count < MessageStore.maximumHolders { item.holders.insert(peer) }
    }
  }

  @discardableResult mutating func remove(_ id: Digest) -> Bool {
    guard let item = items.removeValue(forKey: id) else { return false }
    ages.removeValue(forKey: item.order)
    bytes -= item.bytes
    return true
  }

  /// Removes and returns the oldest when it is beyond a bound.
  mutating func popBeyond(count limit: Int, bytes byteLimit: Int, olderThan time: Instant) -> Digest? {
    guard let oldest = ages.first?.value, let item = items[oldest] else { return nil }
    guard items.count > limit || bytes > byteLimit || item.since <= time else { return nil }
    remove(oldest)
    return oldest
  }

  /// Up to `limit` ids from an order on, oldest first, and the order after them; nil when there are no more.
  func ids(from order: UInt64, below end: UInt64, limit: Int) -> (ids: [Digest], next: UInt64?) {
    var found: [Digest] = []
    for (place, id) in ages.entries(from: order) {
      guard place < end else { break }
      guard found.count < limit else { return (found, place) }
      found.append(id)
    }
    return (found, nil)
  }

  /// Up to `limit` of these ids, the least announced first, then the oldest, of messages that came at this time or before.
  func settled(in ids: OrderedSet<Digest>, by time: Instant, limit: Int) -> [Digest] {
    var found: [(left: Int, order: UInt64, id: Digest)] = []
    for id in ids.members {
      if let item = items[id], item.since <= time { found.append((item.announcements, item.order, id)) }
    }
    found.sort { ($1.left, $0.order) < ($0.left, $1.order) }
    return found.prefix(limit).map(\.id)
  }

  /// Counts one heartbeat's announcement of a message; true while more are to come.
  mutating func announce(_ id: Digest) -> Bool {
    items.modify(id) { item in
      item.announcements -= 1
      return item.announcements > 0
    } ?? false
  }
}
