import LinkProtocol
import Primitives
import Sodium

/// The two keys of a link, and when the own one is renewed.
struct LinkKeys {
  private var sending: NoiseCipher
  private var receiving: NoiseCipher
  private let maximumMessages: UInt64
  private let maximumAge: Microseconds
  private var sealedMessages: UInt64 = 0
  private var renewed: Instant
  private let renewals: TokenBucket.Allowance
  private var renewalsLeft: TokenBucket

  /// How often either side went on to its next key.
  private(set) var rekeys: UInt64 = 0

  init(_ session: NoiseHandshake.Session, configuration: LinkConfiguration, now: Instant) {
    sending = session.sending
    receiving = session.receiving
    maximumMessages = configuration.rekeyMessages
    maximumAge = configuration.rekeyInterval
    renewed = now
    renewals = TokenBucket.Allowance(ratePerSecond: 1, burst: configuration.rekeyBurst)
    renewalsLeft = TokenBucket(renewals, now: now)
  }

  /// True when the own key is used up or old: an empty message is to be sealed, and then `renewSending`.
  func isRenewalDue(_ now: Instant) -> Bool {
    sealedMessages >= maximumMessages || now - renewed >= maximumAge
  }

  /// Seals the plaintext in `buffer`, whose last 16 bytes are room for the tag. False when the cipher is used up.
  mutating func seal(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard sending.seal(buffer) else { return false }
    sealedMessages += 1
    return true
  }

  /// Opens a message in place; the plaintext is all but its last 16 bytes. False when it does not authenticate.
  mutating func open(_ buffer: UnsafeMutableRawBufferPointer) -> Bool { receiving.open(buffer) }

  /// Goes on to the next own key.
  mutating func renewSending(_ now: Instant) throws(SodiumError) {
    try sending.rekey()
    sealedMessages = 0
    renewed = now
    rekeys += 1
  }

  /// Goes on to the other side's next key. False when it does so too often.
  mutating func renewReceiving(_ now: Instant) throws(SodiumError) -> Bool {
    guard renewalsLeft.take(renewals, now: now) else { return false }
    try receiving.rekey()
    rekeys += 1
    return true
  }
}
