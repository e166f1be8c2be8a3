import Primitives
import Wire

/// What others say they see this node at. Reporters that are in one address prefix outside private ranges count as one.
struct ObservedAddresses: Sendable {
  /// The most reporters remembered; the oldest is forgotten.
  static let maximumReporters = 16
  /// How long a report counts: who has gone does not hold this node to where it was.
  static let lifetime = Microseconds.seconds(600)

  /// One who reports: by the prefix of its address, or by its id where a prefix says nothing.
  private struct Reporter: Comparable, Sendable {
    var bytes: [UInt8]

    static func < (left: Reporter, right: Reporter) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
  }

  private struct Report: Sendable {
    var address: PeerAddress
    var reporter: NodeID
    var at: Instant
  }

  private var reports = BoundedMap<Reporter, Report>(capacity: ObservedAddresses.maximumReporters)

  /// How many reporters are remembered.
  var count: Int { reports.count }

  /// Who reports what, in no order that means anything.
  var all: [(reporter: NodeID, address: PeerAddress)] { reports.entries.map { ($0.value.reporter, $0.value.address) } }

  /// Takes a report of one that is at `place` for sure. `privateIsOne` when all of private ranges count as one.
  mutating func report(
    _ address: PeerAddress, by reporter: NodeID, at place: PeerAddress, privateIsOne: Bool, _ now: Instant
  ) {
    let bytes = AddressPrefix(place)?.bytes ?? (privateIsOne ? [] : reporter.bytes)
    // Inserted anew, so that who reports all the time is not the oldest.
    reports.removeValue(forKey: Reporter(bytes: bytes))
    reports.insert(Report(address: address, reporter: reporter, at: now), forKey: Reporter(bytes: bytes))
  }

  /// Forgets all: what was seen was elsewhere.
  mutating func removeAll() {
    reports = BoundedMap(capacity: ObservedAddresses.maximumReporters)
  }

  /// The address that more reporters see than any other, and at least `needed`, and how many do. A NAT may show each another port; then
  /// the port is the one that most see if half of those do, else `port`.
  func agreed(needed: Int, port: UInt16?, _ now: Instant) -> (address: PeerAddress, reporters: Int)? {
    let fresh = reports.entries.map(\.value).filter { now - $0.at < ObservedAddresses.lifetime }
    let (best, count) = ObservedAddresses.most(fresh.map { Reporter(bytes: $0.address.ip) })
    guard let best, count >= max(1, needed) else { return nil }
    let ports = fresh.filter { $0.address.ip == best.bytes }.map(\.address.port)
    let (common, agreeing) = ObservedAddresses.most(ports)
    guard let chosen = common.flatMap({ 2 * agreeing > ports.count ? $0 : nil }) ?? port else { return nil }
    return PeerAddress(ip: best.bytes, port: chosen).map { ($0, count) }
  }

  /// The value that is there more often than any other, and how often; nil when there are two such.
  private static func most<Value: Comparable>(_ values: [Value]) -> (Value?, Int) {
    var counts = Table<Value, Int>()
    for value in values { counts[value, default: 0] += 1 }
    var best: Value?
    var count = 0
    for entry in counts {
      if entry.value == count { best = nil }
      if entry.value > count { (best, count) = (entry.key, entry.value) }
    }
    return (best, count)
  }
}
