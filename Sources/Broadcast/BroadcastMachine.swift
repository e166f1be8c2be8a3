import Primitives
import Wire

/// Spreads messages to everyone, once: an eager mesh with lazy repair (after gossipsub; not one eager parent as in
/// Plumtree, since a malicious parent would delay all below it).
///
/// 1. A message seen for the first time goes at once to the mesh (rule 8): never back to who is known to have it, not to who
///    said that it does not want it, nor over a link that takes no more. Whether it is of any use the caller has found out
///    before: what is of none goes no further than the first honest node, and is nobody's merit.
/// 2. In each of some heartbeats its id is announced to a few peers not known to have it. Who misses it asks.
/// 3. What was announced is asked of one announcer; when it does not come in time, of the next. Who promises, heartbeat
///    after heartbeat, and brings nothing at all leaves the mesh.
/// 4. A new link is told the ids of all that is kept, a part in each heartbeat; one that took no more for a while, of all
///    that it was not sent.
/// 5. An id is remembered only once its message's signatures held: only verified messages enter here.
/// 6. Misconduct that any part of this node finds costs points (`ConductBook`), floods and broken promises once a
///    heartbeat. Points fade, and outlive the link. At the bottom nothing more is taken from a peer, and the caller is told
///    to close its link and to let it in no more for a while, unless its link is to be kept. Where it was not closed, the
///    peer is heard again at half of the bottom.
/// 7. What this node announces, asks and does not want in one of its heartbeats is at most half of what a peer takes in one
///    of its own, since two of ours may fall into one of theirs. What is too much is not taken, and only several times as much is a
///    flood: heartbeats differ between nodes, and may come late.
/// 8. The mesh is every link while there are few. With more, it is some of them: those that both sides want, no fewer and
///    no more than the settings say, some of them dialled by this node. A graft takes in, a prune takes out, and whom it
///    takes out does not graft for a while.
public struct BroadcastMachine: Sendable {
  /// The most links; more are ignored.
  public static let maximumLinks = 4_096

  struct Peer: Sendable {
    var isInMesh = false
    var isOutbound = false
    /// True for one that has cost too much (rule 6): nothing is taken from it.
    var isMuted = false
    /// When this node took it out of the mesh, or did not take it in, and until when it may not graft.
    var pruned: (at: Instant, until: Instant)?
    /// Until when it wants no graft.
    var refusedUntil: Instant?
    /// The place in the store from which on it was not sent what is new, since its link takes no more; nil when it does.
    var congestedFrom: UInt64?
    /// What it does not want, each id until a time.
    var unwanted: BoundedMap<Digest, Instant>
    /// What it said of its mesh and of what it does not want, and what it was told of the latter, in about a heartbeat.
    var control = Pace()
    var notWantedTold = Pace()
    /// Ids announced and requested by it and asked of it in this heartbeat, and what it was sent for its requests.
    var announced = 0
    var requested = 0
    var asked = 0
    var answeredBytes = 0
    /// Up to where it has used up what is answered (`hasAnswerLeft`), in answers since the first message that was kept.
    var answersUsed: UInt64 = 0
    /// Whether it broke a promise in this heartbeat, and in how many it did since it last brought anything.
    var hasBrokenPromise = false
    var brokenInARow = 0
    /// Which part of the store it was told of at the beginning (rule 4); nil when all of it.
    var catchUp: (next: UInt64, end: UInt64)?

    /// Until when neither side takes the other into its mesh.
    var backoffUntil: Instant? { [pruned?.until, refusedUntil].compactMap { $0 }.max() }
  }

  /// The knobs.
  public let settings: BroadcastSettings
  /// What was refused, dropped or decided, by name.
  public internal(set) var counters = Counters()

  var links = Table<NodeID, Peer>()
  var conduct: ConductBook
  /// Whose links stay whatever they do.
  var kept = OrderedSet<NodeID>()
  var seen: BoundedMap<Digest, Instant>
  var store = MessageStore()
  var wants = Wants()
  /// The ids that heartbeats still announce.
  var fresh = OrderedSet<Digest>()
  var generator: SeededGenerator
  var nodes = 0
  var heartbeatAt: Instant?
  /// The time of the last input.
  var clock = Instant.zero
  /// Whether the mesh may have to change, and when it may have to without an input.
  var isMeshStale = false
  var meshAt: Instant?
  var isLeaving = false
  var opportunisticAt = Instant.zero
  var outbox = Table<NodeID, [Envelope]>()
  var notWanted = Table<NodeID, [Digest]>()
  var requests = Table<NodeID, [Digest]>()

  /// A machine without links.
  public init(settings: BroadcastSettings, seed: UInt64) {
    self.settings = settings
    seen = BoundedMap(capacity: settings.maximumSeen)
    conduct = ConductBook(settings: settings.conduct)
    generator = SeededGenerator(seed: seed)
  }

  /// Feeds one input and appends what is to be done.
  public mutating func step(_ input: BroadcastInput, now: Instant, into effects: inout [BroadcastEffect]) {
    switch input {
    case .publish(let message): accept(message, from: nil, now)
    case .received(let messages, let relayer):
      guard isOpen(relayer) else { break }
      if !messages.isEmpty { _ = links.modify(relayer) { $0.brokenInARow = 0 } }
      for message in messages { accept(message, from: relayer, now) }
    case .refused(let ids, let relayer):
      guard isOpen(relayer) else { break }
      for id in ids { refuse(id, now) }
    case .renewed(let message, let relayer):
      guard isOpen(relayer), !store.contains(message.value.id) else { break }
      counters.add("renewed")
      spread(message, from: relayer, now)
    case .misconduct(let peer, let misconduct): charge(peer, misconduct, now, &effects)
    case .announced(let ids, let announcer): announced(ids, announcer, now, &effects)
    case .requested(let ids, let asker): requested(ids, asker, now, &effects)
    case .unwanted(let ids, let peer):
      if takesControl(max(1, ids.count), from: peer, now, &effects) { unwanted(ids, by: peer, now) }
    case .graft(let peer):
      if takesControl(BroadcastMachine.costOfGraft, from: peer, now, &effects) { grafted(by: peer, now, &effects) }
    case .prune(let backoffSeconds, let peer):
      if takesControl(BroadcastMachine.costOfGraft, from: peer, now, &effects) { pruned(by: peer, backoffSeconds, now) }
    case .congested(let peer, let isCongested): congested(peer, isCongested, &effects)
    case .linkUp(let peer, let isOutbound): linkUp(peer, isOutbound, now, &effects)
    case .linkDown(let peer): linkDown(peer, now)
    case .keep(let peers): keep(peers, now, &effects)
    case .forget(let ids): for id in ids { forget(id, now) }
    case .nodes(let count): nodes = count
    case .leave: leaveMesh(now, &effects)
    case .tick: tick(now, &effects)
    }
    clock = now
    keepMesh(now, &effects)
    flush(now, &effects)
    trim(now)
    schedule(now)
  }

  /// When `.tick` is wanted next; nil when nothing waits.
  public var nextWake: Instant? {
    let expiry = [
      heartbeatAt, meshAt, wants.next, store.oldestSince.map { $0 + settings.storedLifetime },
      seen.oldest.map { $0.value + settings.seenLifetime },
    ]
    return expiry.compactMap { $0 }.min()
  }

  /// The linked nodes in the order of their ids, with their scores.
  public var peers: [BroadcastPeer] {
    links.map { id, peer in
      BroadcastPeer(
        id: id, isInMesh: peer.isInMesh, isOutbound: peer.isOutbound, isMuted: peer.isMuted,
        isCongested: peer.congestedFrom != nil, backoffUntil: peer.backoffUntil.flatMap { $0 > clock ? $0 : nil },
        score: score(of: id, clock))
    }
  }

  /// How many messages are kept to answer requests.
  public var storedCount: Int { store.count }
  /// How many ids are remembered.
  public var seenCount: Int { seen.count }
  /// How many announced messages are waited for.
  public var wantedCount: Int { wants.count }

  /// True for a linked node from which messages are taken.
  public func hears(_ peer: NodeID) -> Bool { isOpen(peer) }

  func isOpen(_ peer: NodeID) -> Bool { links[peer].map { !$0.isMuted } ?? false }

  /// Rule 1.
  private mutating func accept(_ message: Verified<Message>, from relayer: NodeID?, _ now: Instant) {
    let id = message.value.id
    wants.remove(id)
    if hasSeen(id) {
      if let relayer {
        counters.add("duplicate")
        store.addHolder(relayer, of: id)
      }
      return
    }
    seen.insert(now, forKey: id)
    spread(message, from: relayer, now)
    if let relayer {
      conduct.credit(relayer, heartbeat: interval, now: now)
      counters.add("delivered")
    } else {
      counters.add("published")
    }
  }

  /// Others may hold and announce it: it is not asked for.
  private mutating func refuse(_ id: Digest, _ now: Instant) {
    counters.add("refused")
    wants.remove(id)
    if !hasSeen(id) { seen.insert(now, forKey: id) }
  }

  /// Keeps a message, and sends it to the mesh.
  private mutating func spread(_ message: Verified<Message>, from relayer: NodeID?, _ now: Instant) {
    let id = message.value.id
    store.insert(message, announcements: settings.announcedHeartbeats, now: now)
    fresh.insert(id)
    if let relayer { store.addHolder(relayer, of: id) }
    let isLarge = Envelope.overheadBytes + message.value.envelope.payload.count > settings.largeMessageBytes
    for (peer, state) in links where state.isInMesh && !state.isMuted && peer != relayer {
      if let until = state.unwanted[id], until > now {
        counters.add("pushUnwanted")
        continue
      }
      // Whoever is about to send the same is told first.
      if isLarge, relayer != nil { notWanted[peer, default: []].append(id) }
      if state.congestedFrom == nil {
        outbox[peer, default: []].append(message.value.envelope)
      } else {
        counters.add("pushCongested")
      }
    }
  }

  /// True for what has come before, as far as that is remembered: it is not spread again.
  public func hasSeen(_ id: Digest) -> Bool { store.contains(id) || seen.contains(id) }

  private mutating func forget(_ id: Digest, _ now: Instant) {
    // What is not needed any more is not waited for either: whoever announced it has forgotten it, too, and broke no promise.
    wants.remove(id)
    if store.remove(id) { fresh.remove(id) }
    // Others may still hold and announce it, also what came in a block before it came by itself: remembered anew from now.
    seen.removeValue(forKey: id)
    seen.insert(now, forKey: id)
  }

  private mutating func linkUp(
    _ peer: NodeID, _ isOutbound: Bool, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    // Of two links dialled at once one stays: it may be the other, and the other end may have begun anew.
    isMeshStale = true
    if let state = links[peer] {
      _ = links.modify(peer) { state in
        state.isOutbound = isOutbound
        state.pruned = nil
      }
      if state.isInMesh { effects.append(.send(.graft, to: peer)) }
      return
    }
    guard links.count < BroadcastMachine.maximumLinks else { return counters.add("linkIgnored") }
    var state = Peer(isOutbound: isOutbound, unwanted: BoundedMap(capacity: settings.maximumUnwanted))
    if store.count > 0 { state.catchUp = (0, store.newestOrder) }
    links[peer] = state
    catchUp(peer, &effects)
  }

  private mutating func linkDown(_ peer: NodeID, _ now: Instant) {
    guard links.removeValue(forKey: peer) != nil else { return }
    for id in wants.ids(asked: peer) {
      guard let want = wants.remove(id) else { continue }
      askNext(id, want.others, now)
    }
    isMeshStale = true
  }

  var interval: Microseconds { nodes < settings.smallBelow ? settings.smallHeartbeat : settings.heartbeat }

  private mutating func trim(_ now: Instant) {
    while let id = store.popBeyond(
      count: settings.maximumStored, bytes: settings.maximumStoredBytes, olderThan: now - settings.storedLifetime)
    {
      fresh.remove(id)
      counters.add("storedDropped")
    }
    while let oldest = seen.oldest, oldest.value <= now - settings.seenLifetime {
      seen.removeValue(forKey: oldest.key)
    }
  }

  /// Sends what this step has gathered, in as few messages as fit.
  private mutating func flush(_ now: Instant, _ effects: inout [BroadcastEffect]) {
    while let (peer, ids) = notWanted.popFirst() {
      let told = ids.prefix(roomToTell(peer, now))
      if told.isEmpty { continue }
      let span = interval
      _ = links.modify(peer) { $0.notWantedTold.add(told.count, within: span, now) }
      for part in parts(Array(told), GossipMessage.maximumIDs) { effects.append(.send(.unwanted(part), to: peer)) }
    }
    while let (peer, envelopes) = outbox.popFirst() {
      for part in parts(envelopes, GossipMessage.maximumEnvelopes) { effects.append(.send(.publish(part), to: peer)) }
    }
    while let (peer, ids) = requests.popFirst() {
      for part in parts(ids, GossipMessage.maximumIDs) { effects.append(.send(.request(part), to: peer)) }
    }
  }

  private func parts<Element>(_ all: [Element], _ size: Int) -> [[Element]] {
    stride(from: 0, to: all.count, by: size).map { Array(all[$0..<min(all.count, $0 + size)]) }
  }
}
