/// What a node is charged for. Points fade; at the bottom its link is closed and it is not let in for a while.
/// Numbers are for ever: counters and the control API name them.
public enum Misconduct: UInt8, CaseIterable, Sendable, Comparable, CustomStringConvertible {
  /// It relayed a message that does not decode, is of another network, or whose signature does not fit.
  case invalidMessage = 1
  /// It announced more ids in a heartbeat than are taken.
  case floodAnnounce = 2
  /// It asked for more messages in a heartbeat than are sent.
  case floodRequest = 3
  /// It did not send what it had announced.
  case brokenPromise = 4
  /// It grafted before its backoff was over.
  case graftTooSoon = 5
  /// It sent a frame that is no `LinkMessage`.
  case badFrame = 6
  /// It sent a record, an accusation or a farewell that does not hold.
  case badRecord = 7
  /// It accuses nodes that refute it again and again.
  case falseAccusation = 8
  /// It asked for blocks, certificates, states, relays or members several times as often as is answered.
  case requestFlood = 9
  /// It asked services several times as much as they answer at once.
  case serviceFlood = 10
  /// It spread far more transactions that no block can hold than honest nodes come to.
  case worthlessFlood = 11
  /// It sent more grafts, prunes and ids that it does not want in a heartbeat than are taken.
  case floodControl = 12

  /// What one case of it costs, in points.
  public var points: Int64 {
    switch self {
    case .badFrame: 50
    case .invalidMessage, .badRecord: 20
    // A tenth of all points fades with a heartbeat: with 10 each, a flood in every heartbeat would never get to 100.
    case .floodAnnounce, .floodRequest, .requestFlood, .serviceFlood, .worthlessFlood, .floodControl: 15
    case .graftTooSoon: 10
    // A node refutes once a second at the most. One that is accused again each time, by a member of a small network where
    // points fade within seconds, is enough to close that member's link.
    case .falseAccusation: 35
    case .brokenPromise: 2
    }
  }

  /// True for what costs points once in a heartbeat, however often it happens: one burst must not close a link, nor what
  /// is lost on the way to an honest peer.
  public var isOncePerHeartbeat: Bool {
    switch self {
    case .floodAnnounce, .floodRequest, .requestFlood, .serviceFlood, .worthlessFlood, .floodControl, .brokenPromise:
      true
    case .badFrame, .invalidMessage, .badRecord, .graftTooSoon, .falseAccusation: false
    }
  }

  /// By number.
  public static func < (left: Misconduct, right: Misconduct) -> Bool { left.rawValue < right.rawValue }

  /// The name under which it is counted.
  public var description: String {
    switch self {
    case .invalidMessage: "invalidMessage"
    case .floodAnnounce: "floodAnnounce"
    case .floodRequest: "floodRequest"
    case .brokenPromise: "brokenPromise"
    case .graftTooSoon: "graftTooSoon"
    case .badFrame: "badFrame"
    case .badRecord: "badRecord"
    case .falseAccusation: "falseAccusation"
    case .requestFlood: "requestFlood"
    case .serviceFlood: "serviceFlood"
    case .worthlessFlood: "worthlessFlood"
    case .floodControl: "floodControl"
    }
  }
}
