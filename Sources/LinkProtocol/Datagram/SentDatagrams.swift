import Primitives
import Wire

/// The sender's side of cookies: those that were got, and the last datagrams sent, which are sent once more when a cookie
/// comes for them. Both are bounded; the oldest is forgotten for a new one.
struct SentDatagrams: Sendable {
  /// The most cookies held.
  static let maximumCookies = 4_096
  /// How long a cookie is used: the longest that it can be good. One that no longer is costs its 16 bytes.
  static let cookieLifetime = CookieSecrets.period * 2
  /// The most datagrams remembered, the last to each address.
  static let maximumDatagrams = 256
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
  private var datagrams = BoundedMap<PeerAddress, Sent>(capacity: maximumDatagrams)

  var cookieCount: Int { cookies.count }
  var datagramCount: Int { datagrams.count }

  /// The cookie for an address.
  mutating func cookie(for address: PeerAddress, now: Instant) -> [UInt8]? {
    guard let cookie = cookies[address] else { return nil }
    guard now - cookie.since < SentDatagrams.cookieLifetime else {
      cookies.removeValue(forKey: address)
      return nil
    }
    return cookie.bytes
  }

  /// Remembers the last datagram to an address.
  mutating func remember(_ payload: [UInt8], mac1: DatagramMAC, to address: PeerAddress, now: Instant) {
    // A replaced entry would keep its age, and what goes to busy addresses be forgotten first.
    datagrams.removeValue(forKey: address)
    datagrams.insert(Sent(payload: payload, mac1: mac1, since: now), forKey: address)
  }

  /// True when `echo` names the last datagram to an address, sent a moment ago and not answered with a cookie yet.
  func isAwaited(_ echo: DatagramMAC, from address: PeerAddress, now: Instant) -> Bool {
    guard let sent = datagrams[address] else { return false }
    return now - sent.since < SentDatagrams.memory && echo.isSecretlyEqual(to: sent.mac1)
  }

  /// Keeps a cookie that was awaited, and gives the datagram to send again with it.
  mutating func learn(_ cookie: [UInt8], from address: PeerAddress, now: Instant) -> [UInt8]? {
    guard let sent = datagrams.removeValue(forKey: address) else { return nil }
    cookies.removeValue(forKey: address)
    cookies.insert(Cookie(bytes: cookie, since: now), forKey: address)
    return DatagramFormat.withCookie(sent.payload, mac1: sent.mac1, cookie: cookie)
  }

  /// Forgets all about an address.
  mutating func forget(_ address: PeerAddress) {
    cookies.removeValue(forKey: address)
    datagrams.removeValue(forKey: address)
  }
}
