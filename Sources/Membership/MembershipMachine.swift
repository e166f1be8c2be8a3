import Primitives
import Wire

/// Who is here and who is alive: SWIM (Das et al. 2002) with Lifeguard (Dadgar et al. 2017), made accountable.
///
/// 1. A member is known by its own signed record; the record with the highest sequence wins. Nothing else makes a
///    member alive, so nobody can resurrect, move or impersonate a node.
/// 2. Each interval one member, in shuffled rounds, is pinged. Who does not answer in time is pinged through others.
///    Who does not answer at all is accused: a signed word that names the node and its incarnation.
/// 3. An accused member is suspect. It goes down when its suspicion has run out, enough distinct accusers stand and
///    nothing was heard of it meanwhile. Confirmations shorten the suspicion.
/// 4. Whoever talks with an accused member tells it so. It refutes with a new record, which clears every accusation.
/// 5. Down members are retried for ever with backoff, and at once when another of them comes back; only who never answered
///    this node is forgotten after a while. Farewells are signed too.
/// 6. Records, accusations and farewells ride on pings and acks. What is new goes over links at once, and linked nodes
///    compare digests of their tables, so that what differs is sent and nothing else.
/// 7. An answer goes to the source of the request and is never longer than it.
/// 8. Where a node is reached it learns from its interfaces and from what most others see. One that nobody can dial, behind
///    a NAT, names linked members in its record: it dials, and is probed through them.
public struct MembershipMachine: Sendable {
  /// The most links kept in mind; more are ignored.
  public static let maximumLinks = 4_096
  /// The most probes that wait for an answer; more are not begun.
  public static let maximumProbes = 256
  /// The most probes at once for one node that asks for them by ping-request.
  public static let maximumRelaysPerMember = 4
  /// The most of those at once in all: the own rounds must never lack room for theirs.
  public static let maximumRelays = 64
  /// The most accusers a second that are pinged so that they count.
  static let maximumVerifications = 32
  /// For so long nobody is blamed for an accusation of a member that this node has accused itself.
  static let silenceMemory = Microseconds.seconds(600)
  /// A round of probes has at most this many places times the most members: those that are gone keep theirs.
  static let ringFactor = 2

  /// The knobs.
  public let settings: MembershipSettings
  /// This node's identity.
  public let id: NodeID
  /// This node's own record as it last signed it.
  public internal(set) var ownRecord: Verified<Message>
  /// What was refused, dropped or decided, by name.
  public internal(set) var counters = Counters()
  /// Lifeguard's local health: 0 is well; each point stretches intervals and timeouts by their own length.
  public internal(set) var healthScore: Int64 = 0

  /// True when others see this node where no interface of it is, and nobody dials it.
  public internal(set) var isBehindNAT = false

  var entries: MemberTable
  var stateCounts = [0, 0, 0, 0]
  var ownBody: NodeRecord
  var ownHeight: UInt64 = 0
  var links = Table<NodeID, MemberLink>()
  var probes = Table<UInt64, Probe>()
  var relays = Table<NodeID, Int>()
  var deadlines = Deadlines()
  var rumours = RumourQueue()
  /// For the records of others that are passed on at once: all of them, and those of nodes that are not linked.
  var news: TokenBucket
  var strangersNews: TokenBucket
  var generator: SeededGenerator
  /// The order of the running round of probes, by the numbers of places in the table; members that are not active any
  /// more are skipped.
  var ring: [UInt32] = []
  var ringIndex = 0
  /// True when the last place of the round was of a member that was never heard.
  var lastPlaceUnseen = false
  var observed = ObservedAddresses()
  /// The addresses of the host's interfaces; nil when nobody has said.
  var interfaces: [PeerAddress]?
  /// True when the own record's address comes from what others see.
  var isAddressLearned = false
  /// When a datagram of a member last came.
  var lastDatagram: Instant?
  /// When another node last dialled this one.
  var lastInbound: Instant?
  /// When the own record last changed its addresses.
  var lastAddressChange: Instant?
  var lastRefutation: Instant?
  /// When all down members were last tried again because one of them had come back.
  var lastHurry: Instant?
  var isRunning = false
  /// From whom the words come that are applied just now.
  var speaker: NodeID?
  /// True when they come over a link, whose other end is the speaker for sure.
  var isSpokenOverLink = false
  /// The same as `speaker` when they are news; nil for those of a table.
  var newsSource: NodeID?
  /// Who accuses the own record that stands, up to a bound.
  var ownAccusers = OrderedSet<NodeID>()
  /// Since when accusers are counted that were pinged so that they count, and how many were.
  var verificationsSince: Instant?
  var verifications = 0
  /// The newest own incarnation whose accusers have raised the health score.
  var healthBlamed: UInt64 = 0
  var unseen = PrefixIndex<NodeID>()
  /// Those that were heard, by where.
  var seen = PrefixIndex<NodeID>()
  /// When room was last sought for new members.
  var lastRoomMade: Instant?
  /// When an unseen member last made room for another.
  var lastDisplaced: Instant?
  var splitWatch = SplitWatch()
  /// The XOR of what each member stands for in a digest, by buckets.
  var digestBuckets = [MemberDigest.Bucket](repeating: .empty, count: MemberDigest.maximumBuckets)

  /// A machine with a first record signed by `identity`; its expiry is set by the settings. Nothing happens before
  /// `.start`.
  public init(
    settings: MembershipSettings, ownRecord: NodeRecord, identity: inout Identity, now: Instant, seed: UInt64
  ) {
    self.settings = settings
    id = identity.id
    generator = SeededGenerator(seed: seed)
    entries = MemberTable(settings: settings)
    news = TokenBucket(MembershipMachine.newsOfAll, now: now)
    strangersNews = TokenBucket(MembershipMachine.newsOfOne, now: now)
    entries.owner = identity.id
    ownBody = ownRecord
    ownBody.expiresUnixSeconds = MembershipMachine.expiry(settings, identity, now)
    self.ownRecord = identity.seal(.nodeRecord(ownBody), now: now)
  }

  /// Feeds one input and appends what is to be done.
  public mutating func step(
    _ input: MembershipInput, now: Instant, identity: inout Identity, into effects: inout [MembershipEffect]
  ) {
    switch input {
    case .start: start(now)
    case .tick: tick(now, &identity, &effects)
    case .datagram(let message, let rumours, let source):
      guard isRunning else { return counters.add("notRunning") }
      receive(message, rumours, source, now, &identity, &effects)
    case .members(let messages, let sender): receive(messages, from: sender, now, &identity, &effects)
    case .digest(let digest, let sender): receive(digest, from: sender, now, &identity, &effects)
    case .memberRequest(let request, let sender): receive(request, from: sender, now, &identity, &effects)
    case .linkUp(let peer, let address, let isOutbound): linkUp(peer, address, isOutbound, now, &identity, &effects)
    case .linkDown(let peer): linkDown(peer, now, &identity, &effects)
    case .interfaces(let addresses): interfacesChanged(addresses, now, &identity, &effects)
    case .height(let height): ownHeight = height
    case .updateRecord(let record):
      if record.addresses != ownBody.addresses { isAddressLearned = false }
      ownBody = record
      renewOwnRecord(now, &identity, &effects)
    case .ping(let target, let request): ping(target, request, now, &identity, &effects)
    case .leave: leave(now, &identity, &effects)
    }
    guard entries.detailCount > settings.detailedMembers else { return }
    let links = links
    entries.pack(now: now, unixMicroseconds: identity.wallClock.unixMicroseconds(at: now)) { links.contains($0) }
  }

  /// When `.tick` is wanted next; nil when nothing waits.
  public var nextWake: Instant? { deadlines.next }

  /// Every member but this node, in the order of their ids.
  public var members: [MemberView] { entries.map { view($0.key, $0.value) } }

  /// The member with an id; nil when it is not known.
  public func member(_ id: NodeID) -> MemberView? { entries[id].map { view(id, $0) } }

  /// How many members are in a state, this node not counted.
  public func count(of state: MemberState) -> Int { stateCounts[Int(state.rawValue)] }

  /// How many nodes are alive, this node counted.
  public var aliveCount: Int { count(of: .alive) + 1 }

  /// N: the nodes alive or suspect, this node counted.
  public var activeCount: Int { count(of: .alive) + count(of: .suspect) + 1 }

  private func view(_ id: NodeID, _ entry: MemberEntry) -> MemberView {
    let link = links[id]
    let linked = link.map { ReportedAddress(address: $0.address, reporter: nil, at: $0.since) }
    return MemberView(
      id: id, name: entry.body.name, address: entry.address ?? entry.body.addresses.first, state: entry.state,
      rtt: entry.roundTrip?.smoothed, roles: entry.body.roles, height: entry.height, incarnation: entry.incarnation,
      record: entry.body, firstSeen: entry.account.firstSeen, lastSeen: entry.lastSeen, isUnseen: entry.isUnseen,
      since: entry.since,
      accusations: entry.accusations.map {
        AccusationView(accuser: $0.key, incarnation: entry.incarnation, since: $0.value.since)
      },
      refutations: entry.account.refutations,
      reportedAddresses: [entry.account.source, linked, entry.account.seesThisNode].compactMap { $0 },
      clockOffset: entry.account.clockOffset, isLinked: link != nil)
  }

  private mutating func start(_ now: Instant) {
    guard !isRunning else { return }
    isRunning = true
    deadlines.set(.round, at: now + generator.span(upTo: settings.probeInterval))
    deadlines.set(.exchange, at: now + jittered(settings.exchangeInterval))
    deadlines.set(.connect, at: now)
    deadlines.set(.renewal, at: now + settings.recordLifetime / 2)
    deadlines.set(.heal, at: now + jittered(healInterval))
  }

  private mutating func tick(_ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]) {
    guard isRunning else { return }
    if let due = deadlines.next, now - due > settings.lateTick { forgiveSilence(late: now - due, now) }
    while let event = deadlines.popDue(now) {
      switch event {
      case .round: probeRound(now, &identity, &effects)
      case .exchange: exchangeRound(now, &identity, &effects)
      case .connect: connectRound(now, &identity, &effects)
      case .heal: healRound(now, &identity, &effects)
      case .renewal, .refutation: renewOwnRecord(now, &identity, &effects)
      case .probe(let number): probeTimedOut(number, now, &identity, &effects)
      case .suspicion(let accused): suspicionTimedOut(accused, now, &identity, &effects)
      case .retry(let peer): retry(peer, now, &identity, &effects)
      }
    }
  }

  private mutating func leave(_ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]) {
    guard isRunning else { return }
    let farewell = identity.seal(.leave, now: now)
    sendNews(farewell, except: id, &effects)
    addRumour(farewell, about: id, by: id)
    for peer in sampleRing(Rumours.maximumCount, where: { $1.isActive }) {
      startProbe(peer, .errand, now, &identity, &effects)
    }
    isRunning = false
    deadlines.removeAll()
    probes.removeAll()
    relays.removeAll()
  }

  static func expiry(_ settings: MembershipSettings, _ identity: Identity, _ now: Instant) -> UInt64 {
    let lifetime = UInt64(max(0, settings.recordLifetime.count))
    return (identity.wallClock.unixMicroseconds(at: now) &+ lifetime) / 1_000_000
  }

  /// A span that varies by the settings' jitter either way.
  mutating func jittered(_ span: Microseconds) -> Microseconds {
    let spread = span * settings.jitterPercent / 100
    return span - spread + generator.span(upTo: spread * 2)
  }

  mutating func setHealth(_ change: Int64) {
    healthScore = min(settings.maximumHealthScore, max(0, healthScore + change))
  }

  mutating func addRumour(_ message: Verified<Message>, about: NodeID, by: NodeID) {
    let isRecordOfOther = message.envelope.kind == .nodeRecord && about != id
    let subject = RumourQueue.Subject(about: about, by: by)
    if rumours.add(message.envelope, subject: subject, isRecordOfOther: isRecordOfOther) {
      counters.add("rumourDropped")
    }
  }

  /// Moves a member to a state: the counts, the timers and the round of probes follow.
  mutating func setState(
    _ id: NodeID, _ entry: inout MemberEntry, to state: MemberState, _ now: Instant,
    _ effects: inout [MembershipEffect]
  ) {
    guard state != entry.state else { return }
    let old = entry.state
    let wasActive = entry.isActive
    stateCounts[Int(old.rawValue)] -= 1
    stateCounts[Int(state.rawValue)] += 1
    entry.state = state
    entry.since = now
    if state != .suspect { deadlines.set(.suspicion(id), at: nil) }
    entry.suspicionOver = false
    if state == .down {
      entry.retryDelay = settings.minimumRetry
      // It may have begun anew and know nobody: whoever tries it says who it is.
      entry.knowsOwn = 0
      deadlines.set(.retry(id), at: now + jittered(entry.retryDelay))
    } else {
      deadlines.set(.retry(id), at: nil)
    }
    if entry.isActive, !wasActive { joinRing(id, &entry) }
    updateDigest(id, &entry)
    counters.add(
      "became\(state == .alive ? "Alive" : state == .suspect ? "Suspect" : state == .down ? "Down" : "Left")")
    effects.append(.changed(id, from: old, to: state))
    let change =
      state == .down
      ? splitWatch.wentDown(id, active: activeCount, now) : old == .down ? splitWatch.cameBack(id) : nil
    switch change {
    case .split(let members): effects.append(.split(members: members))
    case .healed(let members): effects.append(.healed(members: members))
    case nil: break
    }
  }

  /// The most members held.
  var memberLimit: Int { min(settings.maximumMembers, MembershipSettings.memberBound) }

  /// Puts a member at a random place in what is left of the round, once in a round: who comes and goes all the time
  /// would else keep the round from ending, and the others from being probed.
  mutating func joinRing(_ id: NodeID, _ entry: inout MemberEntry) {
    guard entry.round != entries.round else { return }
    if ring.count >= MembershipMachine.ringFactor * memberLimit { beginRound() }
    // Its place is needed before its entry is complete.
    if !entries.contains(id) { entries[id] = entry }
    guard let number = entries.number(of: id) else { return }
    entry.round = entries.round
    ring.append(number)
    let start = min(ringIndex, ring.count - 1)
    let place = start + generator.index(below: ring.count - start)
    ring.swapAt(place, ring.count - 1)
  }

  /// All active members, in a new order.
  mutating func beginRound() {
    ring = entries.beginRound()
    generator.shuffle(&ring)
    ringIndex = 0
  }
}
