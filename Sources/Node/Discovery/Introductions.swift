import Primitives
import Wire

/// Which of the nodes that are heard of on the local network are dialled. Who is heard may be anybody, for an identity costs
/// nothing; so by the rules:
/// 1. A live member is for membership to link with. Another is dialled unless links are enough without it and it is new: a
///    few links tell of all members.
/// 2. Each at most once in `pause` at one address, and all together at most `burst` in `window`. Whoever repeats another's
///    beacon from an address of its own so keeps nobody from being dialled where it is.
struct Introductions: Sendable {
  static let pause = Microseconds.seconds(30)
  static let window = Microseconds.seconds(5)
  static let burst = 16
  /// So many links are enough to hear of everybody.
  static let enoughLinks = 8
  /// The most nodes, each at one address, whose last dial is remembered.
  private static let maximumRemembered = 1_024

  /// What is known of the node that is heard.
  enum Standing: Sendable { case live, gone, unknown }

  private struct Place: Comparable {
    var id: NodeID
    var address: PeerAddress

    static func < (left: Place, right: Place) -> Bool { (left.id, left.address) < (right.id, right.address) }
  }

  private var dialled = BoundedMap<Place, Instant>(capacity: Introductions.maximumRemembered)
  private var windowEnd = Instant.zero
  private var dials = 0

  init() {}

  /// Whether to dial now; notes that it is done.
  mutating func shouldDial(
    _ id: NodeID, _ address: PeerAddress, _ standing: Standing, linkCount: Int, at now: Instant
  ) -> Bool {
    switch standing {
    case .live: return false
    case .unknown where linkCount >= Introductions.enoughLinks: return false
    case .gone, .unknown: break
    }
    let place = Place(id: id, address: address)
    if let last = dialled[place], now - last < Introductions.pause { return false }
    if now >= windowEnd { (windowEnd, dials) = (now + Introductions.window, 0) }
    guard dials < Introductions.burst else { return false }
    dials += 1
    dialled.insert(now, forKey: place)
    return true
  }

  /// Where a node is that spoke from an address: there, at the port of its record. A link-local source says nothing to TCP
  /// without its interface, so then where its record says.
  static func address(of record: NodeRecord, heardFrom source: PeerAddress) -> PeerAddress? {
    let usable = record.addresses.filter(\.isUsable)
    guard !source.isLinkLocal else { return usable.first { !$0.isLinkLocal } }
    let port = (usable.first { $0.isIPv4 == source.isIPv4 } ?? usable.first)?.port
    return port.flatMap { PeerAddress(ip: source.ip, port: $0) }.flatMap { $0.isUsable ? $0 : nil }
  }
}
