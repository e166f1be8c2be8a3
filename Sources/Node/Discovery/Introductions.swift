import Primitives
import Wire

/// Which of the nodes that are heard of on the local network are dialled. Who is heard may be anybody, for an identity costs
/// nothing; so by the rules:
/// 1. A live member is for membership to link with. Another is dialled unless links are enough without it and it is new: a
///    few links tell of all members.
/// 2. Each at most once in `pause`, and all together at most `burst` in `window`.
struct Introductions: Sendable {
  static let pause = Microseconds.seconds(30)
  static let window = Microseconds.seconds(5)
  static let burst = 16
  /// So many links are enough to hear of everybody.
  static let enoughLinks = 8
  /// The most nodes whose last dial is remembered.
  private static let maximumRemembered = 1_024

  /// What is known of the node that is heard.
  enum Standing: Sendable { case live, gone, unknown }

  private var dialled = BoundedMap<NodeID, Instant>(capacity: Introductions.maximumRemembered)
  private var windowEnd = Instant.zero
  private var dials = 0

  init() {}

  /// Whether to dial now; notes that it is done.
  mutating func shouldDial(_ id: NodeID, _ standing: Standing, linkCount: Int, at now: Instant) -> Bool {
    switch standing {
    case .live: return false
    case .unknown where linkCount >= Introductions.enoughLinks: return false
    case .gone, .unknown: break
    }
    if let last = dialled[id], now - last < Introductions.pause { return false }
    if now >= windowEnd { (windowEnd, dials) = (now + Introductions.window, 0) }
    guard dials < Introductions.burst else { return false }
    dials += 1
    dialled.insert(now, forKey: id)
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

extension PeerAddress {
  /// True for an IPv6 address of one link (RFC 4291): which one, only the interface says.
  var isLinkLocal: Bool { !isIPv4 && ip[0] == 0xfe && ip[1] & 0xc0 == 0x80 }
}
