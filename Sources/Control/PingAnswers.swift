/// How often a peer is to be pinged.
package struct PeerPingRequest: Codable, Sendable, Equatable {
  /// How many pings a request may ask for.
  package static let counts = 1...100
  /// The pauses that may be between them.
  package static let intervalsMilliseconds = 100...10_000

  /// How many pings.
  package var count: Int
  /// The time from one to the next.
  package var intervalMilliseconds: Int

  /// Every field.
  package init(count: Int = 4, intervalMilliseconds: Int = 1_000) {
    self.count = count
    self.intervalMilliseconds = intervalMilliseconds
  }

  private enum Keys: String, CodingKey {
    case count, intervalMilliseconds
  }

  /// Reads the object; what is absent is 4 pings, one a second.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Keys.self)
    self.init()
    count = try values.decodeIfPresent(Int.self, forKey: .count) ?? count
    intervalMilliseconds = try values.decodeIfPresent(Int.self, forKey: .intervalMilliseconds) ?? intervalMilliseconds
  }

  /// Throws `requestInvalid` for what is out of bounds.
  package func check() throws {
    guard Self.counts.contains(count) else {
      throw ControlError.invalid("'count' is \(count), and must be from 1 to \(Self.counts.upperBound)")
    }
    guard Self.intervalsMilliseconds.contains(intervalMilliseconds) else {
      throw ControlError.invalid(
        "'intervalMilliseconds' is \(intervalMilliseconds), and must be from "
          + "\(Self.intervalsMilliseconds.lowerBound) to \(Self.intervalsMilliseconds.upperBound)")
    }
  }
}

/// What came of one ping over one path. On the socket: one JSON object a line.
package struct PingAnswer: Codable, Sendable, Equatable {
  /// The ways to a peer.
  package enum Path: String, Codable, Sendable, CaseIterable {
    /// A probe of membership, as those that decide whether it is alive.
    case udp
    /// A question over the link, answered by the peer's daemon.
    case tcp
  }

  /// Why there is no answer.
  package enum Failure: String, Codable, Sendable, CaseIterable {
    /// Nothing came in time.
    case timedOut
    /// The peer names no address that can be written to.
    case noAddress
    /// It is no member any more.
    case notAMember
    /// Too much is asked already.
    case busy
    /// There is no link with it.
    case noLink
  }

  /// Which ping, from 1; both paths of one have the same.
  package var sequence: Int
  /// The way that it went.
  package var path: Path
  /// Where the answer came from.
  package var address: String?
  /// The time until the answer; nil when there is none.
  package var rttMicroseconds: UInt64?
  /// Why there is none.
  package var error: Failure?

  /// Every field.
  package init(
    sequence: Int, path: Path, address: String? = nil, rttMicroseconds: UInt64? = nil, error: Failure? = nil
  ) {
    self.sequence = sequence
    self.path = path
    self.address = address
    self.rttMicroseconds = rttMicroseconds
    self.error = error
  }

  /// True when something was sent: only then silence is a loss.
  package var isSent: Bool { error == nil || error == .timedOut }
}
