import Primitives
import Wire

// What a datagram must pass, cheapest first, by the rules:
// 1. Source, type, length and the envelope's header fit; no hash yet.
// 2. Its MAC fits.
// 3. It is not a copy of one that verified. (A beacon may be: a node says the same until its record changes, and is to be
//    found by who did not reach it the first time.)
// 4. With a good cookie it takes from its source's own bucket: nobody but the source could have sent it.
// 5. Without one it passes if its source's bucket has a token, nothing is under load and the source is not wary. Otherwise
//    the answer is a cookie: it is never silence as long as there is room for replies, or whoever forges a source's
//    address, and so empties its bucket, would silence it.
// 6. A source whose datagrams did not verify is wary for a while if they were without a cookie, since anyone may have sent
//    them, and has its bucket emptied if they were with one.
// 7. A reply goes to the source and is shorter than what caused it.

/// Decides which datagrams are worth a signature check, and gives those that are sent their MACs (after WireGuard's
/// mac1, mac2 and cookies: Donenfeld, "WireGuard", NDSS 2017, section 5.3).
///
/// Without a socket, a clock or randomness of its own: one owner gives it the time and sends what it says. Every
/// collection in it is bounded.
package struct DatagramFilter: Sendable {
  /// The most sources that are wary; the oldest is forgotten for a new one.
  static let maximumWary = 4_096
  /// How long a source is wary.
  static let wariness = Microseconds.seconds(30)
  /// Bytes in the secret that a filter needs.
  package static let secretByteCount = CookieSecrets.secretByteCount

  private let id: NodeID
  private let network: UInt64
  private let keys: DatagramKeys
  private(set) var allowances: SourceAllowances
  private(set) var tags = RecentTags()
  private(set) var sent = SentDatagrams()
  private var secrets: CookieSecrets
  private var wary = BoundedMap<PeerAddress, Instant>(capacity: maximumWary)

  /// A filter that knows no source.
  ///
  /// - Parameters:
  ///   - id: this node, whom datagrams to it name.
  ///   - secret: 32 random bytes that nobody else has; its cookies are made from them.
  package init(
    id: NodeID, networkID: Digest, limits: DatagramLimits = DatagramLimits(), secret: [UInt8], now: Instant
  ) {
    self.id = id
    network = EnvelopeHeader.tag(of: networkID)
    keys = DatagramKeys(id: id, networkID: networkID)
    allowances = SourceAllowances(limits, now: now)
    secrets = CookieSecrets(secret: secret, now: now)
  }

  var waryCount: Int { wary.count }

  /// Judges a datagram that arrived.
  ///
  /// - Parameters:
  ///   - isMulticast: it came to the beacons' port.
  ///   - underLoad: too much waits to be verified; what has no cookie gets one.
  package mutating func judge(
    _ datagram: UnsafeRawBufferPointer, from source: PeerAddress, isMulticast: Bool, underLoad: Bool, now: Instant
  ) -> DatagramVerdict {
    // To one on a network segment nothing can be sent back without its scope, which an address does not have here.
    guard source.isUsable, isMulticast || !source.isLinkLocal else { return .refuse(.badSource) }
    guard let first = datagram.first else { return .refuse(.badLength) }
    guard let type = DatagramFormat.Kind(rawValue: first), (type == .beacon) == isMulticast else {
      return .refuse(.badType)
    }
    guard DatagramFormat.isLength(datagram.count, of: type) else { return .refuse(.badLength) }
    let mac = DatagramMAC(reading: datagram, at: 1)
    let payload = UnsafeRawBufferPointer(rebasing: datagram[type.headerByteCount...])
    if type == .cookieReply { return judgeCookie(payload, mac, from: source, now: now) }

    guard let header = EnvelopeHeader(payload), isExpected(header.kind, in: type) else { return .refuse(.badHeader) }
    guard header.network == network else { return .refuse(.wrongNetwork) }
    guard let author = header.author, author != id, type == .beacon || header.receiver == id else {
      return .refuse(.wrongReceiver)
    }
    let key = type == .beacon ? keys.beacon : keys.own
    guard mac.isSecretlyEqual(to: DatagramMAC(of: payload, key: key)) else { return .refuse(.wrongTag) }
    guard type == .beacon || !tags.contains(mac) else { return .refuse(.replayed) }

    var admitted = AdmittedDatagram(payload: [], mac: mac, isProven: false, isKnown: allowances.isKnown(source))
    if type == .beacon {
      guard allowances.takeBeacon(now: now) else { return .refuse(.limited) }
      admitted.payload = Array(payload)
      return .pass(admitted)
    }

    let isGuarded = underLoad || isWary(source, now: now)
    if type == .withCookie, let age = age(of: datagram, from: source, now: now) {
      guard allowances.takeProven(source, now: now) else { return .refuse(.limited) }
      admitted.isProven = true
      if age == .previous, isGuarded {
        admitted.renewal = cookieReply(to: author, at: source, for: datagram, mac, now: now)
      }
    } else if isGuarded || !allowances.takePlain(source, now: now) {
      guard allowances.takeCookie(source, now: now),
        let reply = cookieReply(to: author, at: source, for: datagram, mac, now: now)
      else { return .refuse(isGuarded ? .needsCookie : .limited) }
      return .reply(reply)
    }
    admitted.payload = Array(payload)
    return .pass(admitted)
  }

  /// The datagram that takes a payload to `receiver` at `address`: with a cookie when one is held. It is remembered for
  /// two seconds, to be sent again when a cookie comes for it.
  ///
  /// - Returns: nil unless the payload has `DatagramFormat.payloadByteCounts`: the receiver would refuse it.
  package mutating func seal(
    _ payload: [UInt8], to address: PeerAddress, receiver: NodeID, now: Instant
  ) -> [UInt8]? {
    guard DatagramFormat.payloadByteCounts.contains(payload.count) else { return nil }
    let mac1 = DatagramMAC(of: payload, key: keys.key(of: receiver))
    sent.remember(payload, mac1: mac1, to: address, now: now)
    guard let cookie = sent.cookie(for: address, now: now) else { return DatagramFormat.plain(payload, mac1: mac1) }
    return DatagramFormat.withCookie(payload, mac1: mac1, cookie: cookie)
  }

  /// The beacon of an envelope; nil as for `seal`.
  package func sealBeacon(_ payload: [UInt8]) -> [UInt8]? {
    guard DatagramFormat.payloadByteCounts.contains(payload.count) else { return nil }
    return DatagramFormat.beacon(payload, key: keys.beacon)
  }

  /// Told that an admitted datagram is signed by whom it names: copies of it are refused from now on. The last 8,192 are
  /// remembered.
  package mutating func verified(_ mac: DatagramMAC) { tags.insert(mac) }

  /// Told that an admitted datagram is not signed by whom it names, or makes no sense.
  package mutating func forged(from source: PeerAddress, isProven: Bool, now: Instant) {
    if isProven { return allowances.silenceProven(source, now: now) }
    wary.removeValue(forKey: source)
    wary.insert(now, forKey: source)
  }

  /// Gives a source buckets of its own, apart from those of strangers: a member that was verified there.
  ///
  /// - Returns: false when 65,536 sources have them; it then stays unknown.
  package mutating func known(_ source: PeerAddress, now: Instant) -> Bool { allowances.learn(source, now: now) }

  /// Makes a source unknown again: a member that left or moved.
  package mutating func forget(_ source: PeerAddress) {
    allowances.forget(source)
    sent.forget(source)
  }

  private func isExpected(_ kind: UInt8, in type: DatagramFormat.Kind) -> Bool {
    type == .beacon
      ? kind == EnvelopeKind.nodeRecord.rawValue
      : (EnvelopeKind.ping.rawValue...EnvelopeKind.pingRequest.rawValue).contains(kind)
  }

  private mutating func judgeCookie(
    _ body: UnsafeRawBufferPointer, _ mac: DatagramMAC, from source: PeerAddress, now: Instant
  ) -> DatagramVerdict {
    // Before the hash: whoever is not on the path cannot know what was sent.
    guard sent.isAwaited(DatagramMAC(reading: body, at: 0), from: source, now: now) else {
      return .refuse(.cookieUnexpected)
    }
    guard mac.isSecretlyEqual(to: DatagramMAC(of: body, key: keys.own)) else { return .refuse(.wrongTag) }
    let cookie = Array(body[DatagramMAC.byteCount...])
    let again = sent.learn(cookie, for: DatagramMAC(reading: body, at: 0), from: source, now: now)
    return again.map { .resend($0) } ?? .refuse(.cookieUnexpected)
  }

  private mutating func age(
    of datagram: UnsafeRawBufferPointer, from source: PeerAddress, now: Instant
  ) -> CookieSecrets.Age? {
    let macOffset = 1 + DatagramMAC.byteCount
    return secrets.age(
      of: Array(datagram[macOffset..<macOffset + DatagramMAC.byteCount]), over: Array(datagram[..<macOffset]),
      from: source, now: now)
  }

  private mutating func cookieReply(
    to requester: NodeID, at source: PeerAddress, for datagram: UnsafeRawBufferPointer, _ mac: DatagramMAC, now: Instant
  ) -> [UInt8]? {
    let cookie = secrets.cookie(for: source, now: now)
    let reply = DatagramFormat.cookieReply(echo: mac, cookie: cookie, key: keys.key(of: requester))
    return reply.count < datagram.count ? reply : nil
  }

  private mutating func isWary(_ source: PeerAddress, now: Instant) -> Bool {
    guard let since = wary[source] else { return false }
    if now - since < DatagramFilter.wariness { return true }
    wary.removeValue(forKey: source)
    return false
  }
}
