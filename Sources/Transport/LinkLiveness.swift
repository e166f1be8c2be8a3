import Primitives

/// Whether the other side of a link lives, and how long it takes to answer. Pure: the time is given.
struct LinkLiveness {
  /// What a look at the clock asks for.
  enum Due: Equatable {
    case nothing
    /// The other side is to be asked for a sign of life.
    case ping
    /// Nothing was heard for too long.
    case end
  }

  // Idle or not, the round trip is measured anew this often.
  private static let intervalsPerMeasurement: Int64 = 6

  private let interval: Microseconds
  private let silenceLimit: Microseconds
  private var heardAt: Instant
  private var pingedAt: Instant
  private var value: UInt32 = 0
  private var isUnanswered = false
  /// The smoothed round-trip time of pings; nil before the first answer.
  private(set) var roundTrip: Microseconds?

  init(configuration: LinkConfiguration, now: Instant) {
    interval = configuration.pingInterval
    silenceLimit = configuration.silenceLimit
    heardAt = now
    pingedAt = now
  }

  /// Something came. That a channel takes no data, because its frames are not dealt with here, is no silence: all else
  /// comes as before.
  mutating func heard(_ now: Instant) { heardAt = now }

  func due(_ now: Instant) -> Due {
    if now - heardAt >= silenceLimit { return .end }
    let sincePing = now - pingedAt
    let isIdle = now - heardAt >= interval && sincePing >= interval
    return isIdle || sincePing >= interval * LinkLiveness.intervalsPerMeasurement ? .ping : .nothing
  }

  /// The value of the next ping, which is sent now.
  mutating func ping(_ now: Instant) -> UInt32 {
    value &+= 1
    pingedAt = now
    isUnanswered = true
    return value
  }

  /// An answer came. Only that to the last ping counts, once.
  mutating func pong(_ value: UInt32, now: Instant) {
    guard isUnanswered, value == self.value else { return }
    isUnanswered = false
    let sample = Microseconds(max(1, (now - pingedAt).count))
    // Smoothed by an eighth, as TCP does (RFC 6298).
    roundTrip = roundTrip.map { ($0 * 7 + sample) / 8 } ?? sample
  }
}
