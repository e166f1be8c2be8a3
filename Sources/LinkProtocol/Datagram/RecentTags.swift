/// The MACs of the last datagrams whose signatures fitted: one that comes again is a copy, and costs no signature check.
/// Only what verified is remembered, or forgeries would push it out. The oldest is forgotten for a new one.
struct RecentTags: Sendable {
  /// The most that are remembered.
  static let capacity = 8_192

  private var ring: [DatagramMAC] = []
  private var next = 0
  private var known: Set<DatagramMAC> = []

  /// The number that are remembered.
  var count: Int { known.count }

  func contains(_ mac: DatagramMAC) -> Bool { known.contains(mac) }

  mutating func insert(_ mac: DatagramMAC) {
    guard known.insert(mac).inserted else { return }
    if ring.count < RecentTags.capacity {
      ring.append(mac)
    } else {
      known.remove(ring[next])
      ring[next] = mac
      next = (next + 1) % RecentTags.capacity
    }
  }
}
