import Primitives
import Wire

/// Every knob of the broadcast. The shape is gossipsub's (eager mesh, lazy repair); the numbers are for messages of at
/// most a few kilobytes.
public struct BroadcastSettings: Sendable, Equatable {
  /// Time between heartbeats in a network of `smallBelow` nodes or more.
  public var heartbeat = Microseconds.seconds(1)
  /// Time between heartbeats in a smaller network.
  public var smallHeartbeat = Microseconds.milliseconds(300)
  /// The number of nodes from which a network is not small.
  public var smallBelow = 50
  /// Up to this many links, new messages go over all of them at once.
  public var fullMeshLinks = 8
  /// With more links, new messages go at once over this many of them.
  public var degree = 6
  /// How many peers are told the ids of recent messages in each heartbeat.
  public var announcedPeers = 3
  /// For how many heartbeats the id of a new message is announced.
  public var announcedHeartbeats = 5
  /// How long an id is remembered, so that its message is delivered once.
  public var seenLifetime = Microseconds.seconds(120)
  /// The most ids remembered; beyond it the oldest is forgotten.
  public var maximumSeen = 65_536
  /// How long a message is kept to answer requests, unless it is forgotten before.
  public var storedLifetime = Microseconds.seconds(600)
  /// The most messages kept; beyond it the oldest goes.
  public var maximumStored = 8_192
  /// The most bytes of messages kept; beyond it the oldest go.
  public var maximumStoredBytes = 16 * 1_024 * 1_024
  /// How long a peer has to send what it was asked for before another is asked.
  public var requestTimeout = Microseconds.milliseconds(500)
  /// The most messages waited for at once; announcements beyond it are ignored.
  public var maximumWanted = 4_096
  /// The most messages waited for from one peer at once.
  public var maximumWantedPerPeer = 512
  /// The most announced ids taken from one peer in a heartbeat; more are ignored.
  public var maximumAnnouncedPerHeartbeat = 4_096
  /// The most requested ids answered to one peer in a heartbeat; more are ignored.
  public var maximumRequestedPerHeartbeat = 4_096
  /// The most bytes answered to one peer in a heartbeat; what it asks for beyond is not sent.
  public var maximumAnsweredBytesPerHeartbeat = 2 * GossipMessage.maximumIDs * Envelope.maximumBytes
  /// How many times what is taken of announcements or requests in a heartbeat is a flood, which costs the score.
  public var floodFactor = 4
  /// What a message that the shell refused costs its relayer, in points.
  public var invalidCost: Int64 = 20
  /// What a heartbeat with too many announcements or requests costs a peer, in points.
  public var floodCost: Int64 = 15
  /// What a heartbeat in which a peer did not send what it had announced costs it, in points.
  public var brokenPromiseCost: Int64 = 2
  /// Nothing is taken from a peer whose score falls to this many points. Scores fade by a tenth a heartbeat, so that one
  /// which floods in each gets there after eleven.
  public var closingScore: Int64 = -100
  /// The most points that a peer can gain, one for each message it was the first to bring.
  public var maximumScore: Int64 = 50

  /// The defaults.
  public init() {}
}
