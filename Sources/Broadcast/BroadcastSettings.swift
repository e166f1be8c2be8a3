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
  /// Up to this many links, new messages go over all of them at once. Not more than the degree: a mesh that had grown
  /// beyond it while links were few would have to be cut, and who is pruned by several at once stands there with too few.
  public var fullMeshLinks = 6
  /// With more links, the mesh is brought to this many of them when it has too few or too many.
  public var degree = 6
  /// With more links, a mesh of fewer takes in others.
  public var minimumDegree = 4
  /// The most links in the mesh.
  public var maximumDegree = 12
  /// How many links in the mesh are to be such as this node dialled: who dials it must not be all that it hears.
  public var outboundDegree = 2
  /// How many of the best stay in the mesh when it is brought down to its degree.
  public var keptBest = 3
  /// A link with a score below this is taken out of the mesh; one below 0 is not taken in.
  public var pruneScore: Int64 = -20
  /// How long after a prune neither side takes the other into its mesh.
  public var pruneBackoff = Microseconds.seconds(60)
  /// A graft that comes this soon after a prune was on its way already, and costs nothing.
  public var graftGrace = Microseconds.seconds(2)
  /// Who breaks promises in this many heartbeats, and brings nothing between them, is taken out of the mesh.
  public var brokenPromisesInARow = 10
  /// How often a mesh of low scores takes in links with better ones.
  public var opportunisticInterval = Microseconds.seconds(60)
  /// A mesh half of which has scores below this is one of low scores.
  public var opportunisticScore: Int64 = 1
  /// How many links are taken in so.
  public var opportunisticGrafts = 2
  /// Who is sent a message longer than this tells its mesh at once that it does not want it again.
  public var largeMessageBytes = 1_024
  /// For how many heartbeats a message is not pushed to a peer that did not want it.
  public var unwantedHeartbeats: Int64 = 3
  /// The most ids remembered that one peer does not want.
  public var maximumUnwanted = GossipMessage.maximumIDs
  /// How many peers are told the ids of recent messages in each heartbeat, those outside the mesh first, and one more when
  /// these are as many: one in the mesh is always among them.
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
  /// The most messages waited for at once. Beyond it who is asked for less displaces what is wanted of who is asked for most.
  public var maximumWanted = 4_096
  /// The most messages waited for from one peer at once.
  public var maximumWantedPerPeer = 512
  /// The most announced ids taken from one peer in a heartbeat; more are ignored.
  public var maximumAnnouncedPerHeartbeat = 4_096
  /// The most requested ids answered to one peer in a heartbeat; more are ignored.
  public var maximumRequestedPerHeartbeat = 4_096
  /// The most ids that are not wanted, taken from one peer in a heartbeat; more are ignored. A graft or a prune counts as
  /// some of them.
  public var maximumControlPerHeartbeat = 2 * GossipMessage.maximumIDs
  /// How many times one peer may have each message that is kept, on the average over all.
  public var answersOfOneMessage = 8
  /// The most bytes answered to one peer in a heartbeat; what it asks for beyond is not sent.
  public var maximumAnsweredBytesPerHeartbeat = 2 * GossipMessage.maximumIDs * Envelope.maximumBytes
  /// How many times what is taken of announcements, requests or words on the mesh in a heartbeat is a flood, which costs the
  /// score.
  public var floodFactor = 4
  /// What misconduct leads to.
  public var conduct = ConductSettings()

  /// The defaults.
  public init() {}
}
