import Primitives
import Wire

/// Spreads messages to everyone, once: an eager mesh with lazy repair (after gossipsub; not one eager parent as in
/// Plumtree, since a malicious parent would delay all below it).
///
/// 1. A message seen for the first time is delivered and goes at once to the mesh: every link while there are few,
///    else a random few of them; never back to who is known to have it.
/// 2. In each of some heartbeats its id is announced to a few peers not known to have it. Who misses it asks.
/// 3. What was announced is asked of one announcer; when it does not come in time, of the next.
/// 4. A new link is told the ids of all that is kept, a part in each heartbeat.
/// 5. An id is remembered only once its message's signatures held: only verified messages enter here.
/// 6. Invalid messages, floods and broken promises cost a peer's score, the latter two once a heartbeat; at the bottom
///    nothing more is taken from it, and the caller is told to close its link. Scores fade, and outlive the link; where it
///    was not closed, the peer is heard again at half of the bottom.
/// 7. What this node announces and asks in one of its heartbeats is at most half of what a peer takes in one of its own,
///    since two of ours may fall into one of theirs. What is too much is not taken, and only several times as much is a
///    flood: heartbeats differ between nodes, and may come late.
public struct BroadcastMachine: Sendable {
  /// The most links; more are ignored.
  public static let maximumLinks = 4_096
  /// The most bad scores remembered of nodes that are not linked any more.
  public static let maximumGrudges = 1_024

  struct Peer: Sendable {
    /// Thousandths of a point, so that fading does not stop at small scores.
    var score: Int64 = 0
    var isEager = false
    var isOutbound = false
    /// True once the caller was told to close its link: nothing is taken from it.
    var isClosing = false
    /// Ids announced and requested by it and asked of it in this heartbeat, what it was sent for its requests, and whether it
    /// flooded or broke a promise.
    var announced = 0
    var requested = 0
    var asked = 0
    var answeredBytes = 0
    var hasFlooded = false
    var hasBrokenPromise = false
    /// Which part of the store it was told of at the beginning (rule 4); nil when all of it.
    var catchUp: (next: UInt64, end: UInt64)?
  }

  /// The knobs.
  public let settings: BroadcastSettings
  /// What was refused, dropped or decided, by name.
  public internal(set) var counters = Counters()

  var links = Table<NodeID, Peer>()
  var grudges = BoundedMap<NodeID, (score: Int64, at: Instant)>(capacity: BroadcastMachine.maximumGrudges)
  var seen: BoundedMap<Digest, Instant>
  var store = MessageStore()
  var wants = Wants()
  /// The ids that heartbeats still announce.
  var fresh = OrderedSet<Digest>()
  var generator: SeededGenerator
  var nodes = 0
  var heartbeatAt: Instant?
  var outbox = Table<NodeID, [Envelope]>()
  var requests = Table<NodeID, [Digest]>()

  /// A machine without links.
  public init(settings: BroadcastSettings, seed: UInt64) {
    self.settings = settings
    seen = BoundedMap(capacity: settings.maximumSeen)
    generator = SeededGenerator(seed: seed)
  }

  /// Feeds one input and appends what is to be done.
  public mutating func step(_ input: BroadcastInput, now: Instant, into effects: inout [BroadcastEffect]) {
    switch input {
    case .publish(let message): accept(message, from: nil, now, &effects)
    case .received(let messages, let relayer):
      guard isOpen(relayer) else { break }
      for message in messages { accept(message, from: relayer, now, &effects) }
    case .renewed(let message, let relayer):
      guard isOpen(relayer), !store.contains(message.value.id) else { break }
      counters.add("renewed")
      spread(message, from: relayer, now)
    case .invalid(let relayer):
      counters.add("invalid")
      charge(relayer, settings.invalidCost, &effects)
    case .announced(let ids, let announcer): announced(ids, announcer, now, &effects)
    case .requested(let ids, let asker): requested(ids, asker, &effects)
    case .linkUp(let peer, let isOutbound): linkUp(peer, isOutbound, now, &effects)
    case .linkDown(let peer): linkDown(peer, now)
    case .forget(let ids): for id in ids { forget(id, now) }
    case .nodes(let count): nodes = count
    case .tick: tick(now, &effects)
    }
    flush(&effects)
    trim(now)
    schedule(now)
  }

  /// When `.tick` is wanted next; nil when nothing waits.
  public var nextWake: Instant? {
    let expiry = [
      heartbeatAt, wants.next, store.oldestSince.map { $0 + settings.storedLifetime },
      seen.oldest.map { $0.value + settings.seenLifetime },
    ]
    return expiry.compactMap { $0 }.min()
  }

  /// The linked nodes in the order of their ids, with their scores.
  public var peers: [BroadcastPeer] {
    links.map { id, peer in
      BroadcastPeer(id: id, isEager: peer.isEager, isOutbound: peer.isOutbound, score: peer.score / 1_000)
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

  func isOpen(_ peer: NodeID) -> Bool { links[peer].map { !$0.isClosing } ?? false }

  /// Rule 1.
  private mutating func accept(
    _ message: Verified<Message>, from relayer: NodeID?, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
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
      _ = links.modify(relayer) { $0.score = min(settings.maximumScore * 1_000, $0.score + 1_000) }
      effects.append(.deliver(message))
      counters.add("delivered")
    } else {
      counters.add("published")
    }
  }

  /// Keeps a message, and sends it to the mesh.
  private mutating func spread(_ message: Verified<Message>, from relayer: NodeID?, _ now: Instant) {
    let id = message.value.id
    store.insert(message, announcements: settings.announcedHeartbeats, now: now)
    fresh.insert(id)
    if let relayer { store.addHolder(relayer, of: id) }
    for (peer, state) in links where state.isEager && !state.isClosing && peer != relayer {
      outbox[peer, default: []].append(message.value.envelope)
    }
  }

  /// True for what has come before, as far as that is remembered: it is not delivered again.
  public func hasSeen(_ id: Digest) -> Bool { store.contains(id) || seen.contains(id) }

  private mutating func forget(_ id: Digest, _ now: Instant) {
    guard store.remove(id) else { return }
    fresh.remove(id)
    // Others may still hold and announce it: remembered anew from now.
    seen.removeValue(forKey: id)
    seen.insert(now, forKey: id)
  }

  private mutating func linkUp(
    _ peer: NodeID, _ isOutbound: Bool, _ now: Instant, _ effects: inout [BroadcastEffect]
  ) {
    // Of two links dialled at once one stays: it may be the other.
    guard links.modify(peer, { $0.isOutbound = isOutbound }) == nil else { return }
    guard links.count < BroadcastMachine.maximumLinks else { return counters.add("linkIgnored") }
    var state = Peer(isOutbound: isOutbound)
    if let grudge = grudges.removeValue(forKey: peer) {
      state.score = grudge.score
      var rest = min(1_000, (now - grudge.at).count / max(1, interval.count))
      while rest > 0, state.score < 0 {
        BroadcastMachine.fade(&state)
        rest -= 1
      }
    }
    if store.count > 0 { state.catchUp = (0, store.newestOrder) }
    links[peer] = state
    chooseMesh()
    catchUp(peer, &effects)
  }

  private mutating func linkDown(_ peer: NodeID, _ now: Instant) {
    guard let state = links.removeValue(forKey: peer) else { return }
    if state.score < 0 { grudges.insert((state.score, now), forKey: peer) }
    for id in wants.ids(asked: peer) {
      guard let want = wants.remove(id) else { continue }
      askNext(id, want.others, now)
    }
    chooseMesh()
  }

  /// Every link while there are few; else those chosen stay and random others join them up to the degree.
  mutating func chooseMesh() {
    let open = links.filter { !$0.value.isClosing }
    var eager = OrderedSet<NodeID>()
    if open.count <= settings.fullMeshLinks {
      eager = OrderedSet(open.map(\.key))
    } else {
      let chosen = generator.sample(open.filter { $0.value.isEager }.map(\.key), count: settings.degree)
      let rest = open.map(\.key).filter { !chosen.contains($0) }
      eager = OrderedSet(chosen + generator.sample(rest, count: settings.degree - chosen.count))
    }
    for (peer, state) in links where state.isEager != eager.contains(peer) {
      _ = links.modify(peer) { $0.isEager.toggle() }
    }
  }

  /// Rule 6.
  mutating func charge(_ peer: NodeID, _ points: Int64, _ effects: inout [BroadcastEffect]) {
    guard isOpen(peer) else { return }
    let score = links.modify(peer) { state in
      state.score -= points * 1_000
      return state.score
    }
    guard let score, score <= settings.closingScore * 1_000 else { return }
    _ = links.modify(peer) { $0.isClosing = true }
    counters.add("closed")
    effects.append(.close(peer))
    chooseMesh()
  }

  /// A tenth of the score is gone with each heartbeat.
  static func fade(_ state: inout Peer) { state.score -= state.score / 10 }

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
  private mutating func flush(_ effects: inout [BroadcastEffect]) {
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
