import Primitives
import Wire

/// What it does.
enum Attack: String {
  /// Accuses everyone, all the time.
  case accuse
  /// Sends again whatever it received.
  case replay
  /// Announces messages that nobody has.
  case announce
  /// Asks for messages, known and unknown, all the time.
  case request
  /// Grafts and prunes in turn.
  case graft
  /// Hands on messages whose signatures are wrong.
  case invalid
  /// Says of itself and of others that they are where they are not.
  case lie
  /// Opens thousands of connections.
  case dial
  /// Floods the network segment with beacons of nodes that do not exist.
  case beacon
}

/// Whom it harms.
struct Target: Sendable {
  let address: PeerAddress
  let id: NodeID
}
