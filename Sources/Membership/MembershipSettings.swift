import Primitives

/// Every knob of membership. The defaults are memberlist's LAN profile where it has one (Lifeguard, Dadgar et al. 2017).
public struct MembershipSettings: Sendable, Equatable {
  /// The most members ever held, oneself not counted: what `maximumMembers` may be set to.
  public static let memberBound = 65_536

  /// Time between two probes of one node.
  public var probeInterval = Microseconds.seconds(1)
  /// How much each probe interval varies, in parts of a hundred either way, so that nodes do not march in step.
  public var jitterPercent: Int64 = 10
  /// The least time that a probed node has before others are asked to probe it.
  public var minimumProbeTimeout = Microseconds.milliseconds(100)
  /// The most time that a probed node has before others are asked to probe it.
  public var maximumProbeTimeout = Microseconds.seconds(1)
  /// The same time for a node whose round-trip time is not known yet.
  public var initialProbeTimeout = Microseconds.milliseconds(500)
  /// How many members are asked to probe a node that did not answer (the k of SWIM).
  public var indirectProbes = 3
  /// How long one who probes for another waits before it answers with a nack.
  public var relayTimeout = Microseconds.milliseconds(400)
  /// The most that local health (Lifeguard's LHM) stretches one's own intervals and timeouts: 1 + this.
  public var maximumHealthScore: Int64 = 8
  /// The least time between suspicion and down in a network of up to ten nodes; larger ones wait log10(N) times it.
  public var suspicionBase = Microseconds.seconds(4)
  /// A suspicion that nobody confirms lasts this many times longer than one confirmed by enough.
  public var suspicionFactor: Int64 = 6
  /// The most distinct accusers that a node's going down ever needs.
  public var maximumAccusersNeeded = 3
  /// About how many members probe a newly accused node at once, to confirm or to let it refute.
  public var confirmers: UInt64 = 8
  /// Each rumour rides on this many messages times the decimal digits of the number of nodes.
  public var rumourFactor = 4
  /// Time between two exchanges of the whole table with a random linked member.
  public var exchangeInterval = Microseconds.seconds(30)
  /// The first wait before a down member is tried again; doubles from there.
  public var minimumRetry = Microseconds.seconds(2)
  /// The longest wait before a down member is tried again.
  public var maximumRetry = Microseconds.seconds(60)
  /// When a down member comes back, the others are tried again within this time.
  public var hurrySpan = Microseconds.seconds(2)
  /// The least time between two such occasions.
  public var hurryInterval = Microseconds.seconds(10)
  /// Time between two tries of down members drawn by chance, whatever their backoff says. Beyond `healCrowd` nodes it grows
  /// with their number, for all of them try.
  public var healInterval = Microseconds.seconds(10)
  /// The number of nodes from which on the interval grows.
  public var healCrowd = 16
  /// The most members that this node was told of and that never answered it; more are refused. A newcomer to ten thousand
  /// nodes, the most that a network is built for, is told of all of them within minutes and takes hours to probe them, so
  /// that there must be room for all, and as much again for those that are gone. It is half of the table at the most.
  public var maximumUnseen = 32_768
  /// The most of those whose first address is in one prefix (/24, /56), private ranges aside.
  public var maximumUnseenPerPrefix = 64
  /// The most members that have answered from one prefix (/24, /56), private ranges aside; more are held as if they had not.
  public var maximumSeenPerPrefix = 1_024
  /// How long a down member is tried again that was never heard; then it is forgotten.
  public var unseenRetry = Microseconds.seconds(600)
  /// True when the addresses of the own record were configured: neither interfaces nor what others see changes them.
  public var hasFixedAddresses = false
  /// The least time between two own records that differ in where this node is reached; interfaces that change do not wait.
  public var addressInterval = Microseconds.seconds(5)
  /// How long a link that another has dialled shows that this node can be dialled.
  public var inboundProof = Microseconds.seconds(3_600)
  /// How long after a member behind a NAT was heard a ping to there is thought to pass.
  public var heardSpan = Microseconds.seconds(20)
  /// Time between two looks at which links are missing.
  public var connectInterval = Microseconds.seconds(1)
  /// The first wait before a member that could not be linked is dialled again; doubles from there.
  public var minimumDialDelay = Microseconds.seconds(1)
  /// The longest wait before a member that could not be linked is dialled again.
  public var maximumDialDelay = Microseconds.seconds(60)
  /// Below this number of nodes everyone links with everyone.
  public var fullMeshBelow = 8
  /// The number of links that a node seeks when there is no full mesh.
  public var degree = 6
  /// The least time between two new incarnations made to refute accusations.
  public var refutationInterval = Microseconds.seconds(1)
  /// How long a record means something; its node signs a new one when half of it has passed.
  public var recordLifetime = Microseconds.seconds(24 * 3_600)
  /// A tick later than this means that this node itself was held up: what it then takes for silence is no proof.
  public var lateTick = Microseconds.milliseconds(500)
  /// The most members held; new ones beyond it are refused. At most `memberBound`.
  public var maximumMembers = MembershipSettings.memberBound
  /// Above this number of members, those with whom nothing is going on are kept in 32 bytes each.
  public var detailedMembers = MembershipSettings.memberBound

  /// Hosts on one local network.
  public static let lan = MembershipSettings()

  /// Hosts spread over the world.
  public static let wan: MembershipSettings = {
    var settings = MembershipSettings()
    settings.probeInterval = .seconds(2)
    settings.minimumProbeTimeout = .milliseconds(300)
    settings.maximumProbeTimeout = .seconds(3)
    settings.initialProbeTimeout = .milliseconds(1_500)
    settings.relayTimeout = .milliseconds(1_200)
    settings.suspicionBase = .seconds(8)
    settings.exchangeInterval = .seconds(60)
    settings.maximumRetry = .seconds(300)
    settings.healInterval = .seconds(20)
    settings.lateTick = .seconds(1)
    return settings
  }()

  /// Several nodes on one machine, which starve each other of the processor rather than lose packets.
  public static let loopback: MembershipSettings = {
    var settings = MembershipSettings()
    settings.minimumProbeTimeout = .milliseconds(200)
    settings.suspicionBase = .seconds(3)
    settings.minimumRetry = .seconds(1)
    settings.maximumRetry = .seconds(15)
    settings.maximumDialDelay = .seconds(15)
    return settings
  }()
}
