import Primitives
import Sodium
import Wire

/// Makes the cookies that tell who can receive at its address, and knows them again, with nothing kept for anyone.
///
/// A cookie is BLAKE2b-128 of an address, keyed by a secret of this node that changes every two minutes; the one before
/// is good too. So a cookie is good for two to four minutes. The secrets are made from one that is given, by number.
struct CookieSecrets: Sendable {
  /// How long a secret makes cookies.
  static let period = Microseconds.seconds(120)
  /// Bytes in the secret that all are made from.
  static let secretByteCount = 32

  /// How old a cookie is.
  enum Age: Equatable { case current, previous }

  private let secret: [UInt8]
  private let started: Instant
  private var number: Int64 = 0
  private var current: [UInt8]
  // None before the first: a cookie of no one is good.
  private var previous: [UInt8]?

  /// Secrets made from `secret`, 32 random bytes.
  init(secret: [UInt8], now: Instant) {
    precondition(secret.count == CookieSecrets.secretByteCount, "lengths of keys come from code")
    self.secret = secret
    started = now
    current = CookieSecrets.derive(secret, 0)
  }

  /// The cookie for an address.
  mutating func cookie(for address: PeerAddress, now: Instant) -> [UInt8] {
    rotate(now)
    return CookieSecrets.cookie(for: address, current)
  }

  /// How old the cookie is that made `mac2` over `head`; nil when none that is good made it.
  mutating func age(of mac2: [UInt8], over head: [UInt8], from address: PeerAddress, now: Instant) -> Age? {
    rotate(now)
    func fits(_ key: [UInt8]) -> Bool {
      constantTimeEqual(mac2, DatagramFormat.mac2(of: head, cookie: CookieSecrets.cookie(for: address, key)))
    }
    if fits(current) { return .current }
    if let previous, fits(previous) { return .previous }
    return nil
  }

  private mutating func rotate(_ now: Instant) {
    let due = (now - started).count / CookieSecrets.period.count
    // Never back: a clock that steps back leaves the secrets as they are.
    guard due > number else { return }
    previous = due == number + 1 ? current : CookieSecrets.derive(secret, due - 1)
    current = CookieSecrets.derive(secret, due)
    number = due
  }

  private static func derive(_ secret: [UInt8], _ number: Int64) -> [UInt8] {
    let bytes = withUnsafeBytes(of: number.littleEndian) { Array($0) }
    return BLAKE2b.hash(Array("linnet/1/cookie".utf8) + bytes, count: 32, key: secret)
  }

  private static func cookie(for address: PeerAddress, _ key: [UInt8]) -> [UInt8] {
    // The lengths of the two families differ, so that no address can be read as another.
    BLAKE2b.hash(
      address.ip + [UInt8(address.port >> 8), UInt8(truncatingIfNeeded: address.port)],
      count: DatagramFormat.cookieByteCount, key: key)
  }
}
