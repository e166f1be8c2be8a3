import Primitives

/// Nodes that get no link for some time: at most 4,096, of which the one banned longest ago is forgotten for a new one.
/// Pure: the time is given.
struct LinkBans {
  static let maximumNodes = 4_096

  private var ends = BoundedMap<NodeID, Instant>(capacity: LinkBans.maximumNodes)

  /// Bans a node, or changes until when it is banned.
  mutating func ban(_ id: NodeID, until end: Instant) { ends.insert(end, forKey: id) }

  /// True while a node is banned.
  mutating func isBanned(_ id: NodeID, now: Instant) -> Bool {
    guard let end = ends[id] else { return false }
    if now < end { return true }
    ends.removeValue(forKey: id)
    return false
  }
}
