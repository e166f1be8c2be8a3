/// Who said that a peer does not answer, and when.
package struct SuspicionAnswer: Codable, Sendable, Equatable {
  /// The id of the accuser.
  package var accuser: String
  /// The peer's incarnation that is accused.
  package var incarnation: UInt64?
  /// When this node heard it.
  package var at: WallTime?

  /// Every field.
  package init(accuser: String, incarnation: UInt64? = nil, at: WallTime? = nil) {
    self.accuser = accuser
    self.incarnation = incarnation
    self.at = at
  }
}

/// How a peer answered those who accused it: by a record of a new incarnation.
package struct RefutationAnswer: Codable, Sendable, Equatable {
  /// When this node heard it.
  package var at: WallTime
  /// The new incarnation.
  package var incarnation: UInt64
  /// The ids of those whose accusations it ended.
  package var accusers: [String]

  /// Every field.
  package init(at: WallTime, incarnation: UInt64, accusers: [String]) {
    self.at = at
    self.incarnation = incarnation
    self.accusers = accusers
  }
}

/// An address that a node is seen at, and who sees it there.
package struct ReportedAddressAnswer: Codable, Sendable, Equatable {
  /// Host and port.
  package var address: String
  /// The ids of those who say so.
  package var reporters: [String]
  /// When it was said last.
  package var at: WallTime?

  /// Every field.
  package init(address: String, reporters: [String], at: WallTime? = nil) {
    self.address = address
    self.reporters = reporters
    self.at = at
  }
}

/// How a peer has behaved towards this node. It outlives the link.
package struct ConductAnswer: Codable, Sendable, Equatable {
  /// What it was charged for one kind of misconduct, added up.
  package struct Cost: Codable, Sendable, Equatable {
    /// What it did, such as `badFrame`.
    package var reason: String
    /// How often.
    package var count: UInt64
    /// The points that it was charged, in all.
    package var points: Int64

    /// Every field.
    package init(reason: String, count: UInt64, points: Int64) {
      self.reason = reason
      self.count = count
      self.points = points
    }
  }

  /// A link that was closed for misconduct.
  package struct Closing: Codable, Sendable, Equatable {
    /// When.
    package var at: WallTime
    /// What it did last.
    package var reason: String
    /// For how long it was not let in.
    package var banSeconds: UInt32

    /// Every field.
    package init(at: WallTime, reason: String, banSeconds: UInt32) {
      self.at = at
      self.reason = reason
      self.banSeconds = banSeconds
    }
  }

  /// What it brought first, less what it cost, in points; both fade.
  package var score: Int64
  /// How many messages it was the first to bring.
  package var firsts: UInt64
  /// What it was charged for.
  package var costs: [Cost]
  /// The latest closings, the oldest first.
  package var closings: [Closing]
  /// Until when it is not let in; nil when it is.
  package var bannedUntil: WallTime?

  /// Every field.
  package init(
    score: Int64, firsts: UInt64 = 0, costs: [Cost] = [], closings: [Closing] = [], bannedUntil: WallTime? = nil
  ) {
    self.score = score
    self.firsts = firsts
    self.costs = costs
    self.closings = closings
    self.bannedUntil = bannedUntil
  }
}

/// One connection to a peer.
package struct LinkAnswer: Codable, Sendable, Equatable {
  /// `inbound` when the peer opened it, `outbound` when this node did.
  package var direction: String
  /// The remote host and port.
  package var address: String
  /// When it was opened.
  package var since: WallTime?
  /// Bytes received over it.
  package var receivedBytes: UInt64
  /// Bytes sent over it.
  package var sentBytes: UInt64
  /// Its smoothed round-trip time; nil before the first answer.
  package var rttMicroseconds: UInt64?
  /// How often either side went on to its next key.
  package var rekeys: UInt64?
  /// Bytes that wait to be sent, on all streams.
  package var waitingBytes: UInt64?
  /// Its streams.
  package var streams: [StreamAnswer]

  /// Every field.
  package init(
    direction: String, address: String, since: WallTime? = nil, receivedBytes: UInt64 = 0, sentBytes: UInt64 = 0,
    rttMicroseconds: UInt64? = nil, rekeys: UInt64? = nil, waitingBytes: UInt64? = nil, streams: [StreamAnswer] = []
  ) {
    self.direction = direction
    self.address = address
    self.since = since
    self.receivedBytes = receivedBytes
    self.sentBytes = sentBytes
    self.rttMicroseconds = rttMicroseconds
    self.rekeys = rekeys
    self.waitingBytes = waitingBytes
    self.streams = streams
  }
}

/// One stream of a connection.
package struct StreamAnswer: Codable, Sendable, Equatable {
  /// Its number on the connection.
  package var id: UInt32
  /// What it is for: `consensus`, `broadcast`, `sync`, `services`.
  package var channel: String
  /// Bytes sent on it.
  package var sentBytes: UInt64
  /// Bytes received on it.
  package var receivedBytes: UInt64
  /// Bytes that wait to be sent.
  package var queuedBytes: UInt64
  /// Bytes that may be sent before the peer makes room.
  package var sendWindowBytes: UInt64
  /// Bytes received for which this node has made no room again.
  package var unconsumedBytes: UInt64

  /// Every field.
  package init(
    id: UInt32, channel: String, sentBytes: UInt64, receivedBytes: UInt64, queuedBytes: UInt64,
    sendWindowBytes: UInt64, unconsumedBytes: UInt64
  ) {
    self.id = id
    self.channel = channel
    self.sentBytes = sentBytes
    self.receivedBytes = receivedBytes
    self.queuedBytes = queuedBytes
    self.sendWindowBytes = sendWindowBytes
    self.unconsumedBytes = unconsumedBytes
  }
}
