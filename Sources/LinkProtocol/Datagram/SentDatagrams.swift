import Primitives
import Wire

/// The sender's side of cookies: those that were got, and the last datagrams sent, which are sent once more when a cookie
/// comes for them. Both are bounded; the oldest is forgotten for a new one.
struct SentDatagrams: Sendable {
  /// The most cookies held.
  static let maximumCookies = 4_096
  /// How long a cookie is used: the longest that it can be good. One that no longer is costs its 16 bytes.
  static let cookieLifetime = CookieSecrets.period * 2
  /// The most addresses whose last datagrams are remembered.
  static let maximumAddresses = 256
  /// The most datagrams remembered for one address. With only one, who sends more often than an answer takes to come back
  /// would never learn a cookie.
  static let maximumDatagramsPerAddress = 4
  /// How long a datagram may be sent again.
  static let memory = Microseconds.seconds(2)

  private struct Sent {
    var payload: [UInt8]
    var mac1: DatagramMAC
    var since: Instant
  }

  private struct Cookie {
    var bytes: [UInt8]
    var since: Instant
  }

  private var cookies = BoundedMap<PeerAddress, Cookie>(capacity: maximumCookies)
  private var datagrams = BoundedMap<PeerAddress, [Sent]>(capacity: maximumAddresses)

  var cookieCount: Int { cookies.count }
  var datagramCount: Int { datagrams.entries.reduce(0) { $0 + $1.value.count } }

  /// The cookie for an address.
  mutating func cookie(for address: PeerAddress, now: Instant) -> [UInt8]? {
    guard let cookie = cookies[address] else { return nil }
    guard now - cookie.since < SentDatagrams.cookieLifetime else {
      cookies.removeValue(forKey: address)
      return nil
    }
    return cookie.bytes
  }

  /// Remembers a datagram to an address.
  mutating func remember(_ payload: [UInt8], mac1: DatagramMAC, to address: PeerAddress, now: Instant) {
    // Taken out first: a replaced entry would keep its age, and what goes to busy addresses be forgotten first.
    var last = datagrams.removeValue(forKey: address) ?? []
    if last.count == SentDatagrams.maximumDatagramsPerAddress { last.removeFirst() }
    last.append(Sent(payload: payload, mac1: mac1, since: now))
    datagrams.insert(last, forKey: address)
  }

  /// True when `echo` names a datagram to an address, sent a moment ago and not answered with a cookie yet.
  func isAwaited(_ echo: DatagramMAC, from address: PeerAddress, now: Instant) -> Bool {
    index(of: echo, to: address, now: now) != nil
  }

  /// Keeps a cookie that was awaited, and gives the datagram that `echo` names, to be sent again with it.
  mutating func learn(
    _ cookie: [UInt8], for echo: DatagramMAC, from address: PeerAddress, now: Instant
  ) -> [UInt8]? {
    guard let index = index(of: echo, to: address, now: now),
      let sent = datagrams.modify(address, { $0.remove(at: index) })
    else { return nil }
    if datagrams[address]?.isEmpty == true { datagrams.removeValue(forKey: address) }
    cookies.removeValue(forKey: address)
    cookies.insert(Cookie(bytes: cookie, since: now), forKey: address)
    return DatagramFormat.withCookie(sent.payload, mac1: sent.mac1, cookie: cookie)
  }

  /// Forgets all about an address.
  mutating func forget(_ address: PeerAddress) {
    cookies.removeValue(forKey: address)
    datagrams.removeValue(forKey: address)
  }

  private func index(of echo: DatagramMAC, to address: PeerAddress, now: Instant) -> Int? {
    datagrams[address]?.firstIndex { now - $0.since < SentDatagrams.memory && echo.isSecretlyEqual(to: $0.mac1) }
  }
}
