// How a node that is far behind gets to the present without executing every block.
//
// 1. It begins when a peer speaks in an epoch that is two or more later than the node's own, whether its validators are
//    known here or not. (Anything nearer is a matter of the chain of blocks alone.)
// 2. Links: some peers, in turn, are asked for the links of the epochs from the latest known set on. Only links whose
//    certificates verify reach this place, so a peer can withhold, never mislead; the latest link of any peer counts.
//    A turn ends when the peer has no more, stays silent, or has had its time: then it comes again after the others.
// 3. Decide: a boundary that is more than `distance` blocks ahead is worth its state; otherwise, and whenever no peer
//    serves the state, the chain is fetched by blocks.
// 4. Snapshot: chunks are asked for of several peers at once, each proven under the state root of the link's header. A
//    peer whose chunk is not proven is not asked again; one that stays silent is asked less and then not at all.
// 5. A state is installed whole and only when it is ahead of what is here: never backwards.
// 6. After a round that led nowhere the next waits, twice as long each time.

import Ledger
import Primitives
import Wire

/// What the sync wants done.
enum SyncAction: Sendable {
  /// Ask a peer.
  case ask(ConsensusMessage, NodeID)
  /// Links were verified: the set of a later epoch is known.
  case learned([EpochLink], ValidatorSet)
  /// A state is whole.
  case install(SnapshotAssembly, SyncTarget)
  /// Nothing to fetch but blocks: of these peers first.
  case useChain([NodeID])
  /// A peer sent what no honest one does.
  case distrust(NodeID)
}

/// A boundary whose state may be fetched.
struct SyncTarget: Sendable {
  let link: EpochLink
  /// The validators that finalized it.
  let signers: ValidatorSet
  /// No peer served it.
  var hasFailed = false

  var height: UInt64 { link.header.height }
}

/// Fetching the state of a far later epoch; see the rules above. Pure: time and messages in, requests out.
public struct StateSync: Sendable {
  /// The most peers remembered as being ahead.
  public static let maximumAhead = 64
  /// The most peers asked for links in one round.
  public static let maximumLinkPeers = 8
  /// The answers without news that end the asking for links.
  static let linkAnswersNeeded = 3
  /// How long a peer has to answer a request for links.
  static let linkTimeout = Microseconds.seconds(3)
  /// How long a peer's turn lasts when others wait for theirs, whatever it answers.
  static let linkTurn = Microseconds.seconds(15)
  /// The boundaries kept: the latest and the one that was the latest before, should nobody serve the newest yet.
  static let maximumTargets = 2
  /// The pause after a round that led to the chain, doubled by each that follows on a state that nobody served.
  static let firstPause = Microseconds.seconds(10)
  /// The longest pause.
  static let longestPause = Microseconds.seconds(640)

  enum Phase: Sendable {
    case resting(until: Instant)
    case linking(LinkRound)
    case fetching(SnapshotFetch)
  }

  /// A round of asking for links.
  struct LinkRound: Sendable {
    var asked: NodeID?
    var deadline: Instant
    /// When the turn of who is asked is over, if others wait.
    var turnEnds: Instant
    var toAsk: [NodeID]
    /// Who answered without news; no more than were to be asked.
    var answered: [NodeID] = []
  }

  private let distance: UInt64
  private(set) var phase: Phase
  /// The validators of the latest epoch known.
  private(set) var known: ValidatorSet
  private var targets: [SyncTarget] = []
  private(set) var ahead = OrderedSet<NodeID>()
  private var links = OrderedSet<NodeID>()
  private var pause = StateSync.firstPause
  private var generator: SeededGenerator
  /// What was refused or given up, by name.
  public private(set) var counters = Counters()

  init(known: ValidatorSet, distance: UInt64, seed: UInt64) {
    self.known = known
    self.distance = distance
    phase = .resting(until: .zero)
    generator = SeededGenerator(seed: seed)
  }

  /// What the sync is doing, for `status`: nil when it rests, else for how many entries of which height.
  public var progress: (height: UInt64, entries: Int)? {
    if case .fetching(let fetch) = phase { return (fetch.target.height, fetch.assembly.entryCount) }
    return nil
  }

  /// When `tick` has something to do.
  var nextWake: Instant? {
    switch phase {
    case .resting: nil
    case .linking(let round): round.deadline
    case .fetching(let fetch): fetch.nextWake
    }
  }

  // MARK: What happens

  /// A later set is known by other means: the chain went on.
  mutating func note(known set: ValidatorSet) {
    if set.epoch > known.epoch { known = set }
  }

  mutating func linkUp(_ peer: NodeID) { links.insert(peer) }

  mutating func linkDown(_ peer: NodeID, height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    links.remove(peer)
    ahead.remove(peer)
    fail(peer, height: height, now: now, into: &actions)
  }

  /// Rule 1.
  mutating func peerIsAhead(_ peer: NodeID, height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    noteAhead(peer)
    guard case .resting(let until) = phase else { return }
    guard now >= until else {
      actions.append(.useChain([peer]))
      return
    }
    for index in targets.indices { targets[index].hasFailed = false }
    var others = links.members.filter { $0 != peer }
    generator.shuffle(&others)
    let likely = others.filter { ahead.contains($0) } + others.filter { !ahead.contains($0) }
    let peers = ([peer] + likely).filter { links.contains($0) }
    phase = .linking(
      LinkRound(
        asked: nil, deadline: now, turnEnds: now, toAsk: Array(peers.prefix(StateSync.maximumLinkPeers).reversed())))
    askNext(height: height, now: now, into: &actions)
  }

  /// What a peer sent was refused before it came here: it counts as no answer.
  mutating func fail(_ peer: NodeID, height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    switch phase {
    case .resting: break
    case .linking(let round): if round.asked == peer { askNext(height: height, now: now, into: &actions) }
    case .fetching(var fetch):
      fetch.lose(peer)
      go(on: fetch, height: height, now: now, into: &actions)
    }
  }

  /// True from the first sign of a later epoch until it is decided how to get there, and then while a state comes.
  var isAtWork: Bool {
    if case .resting = phase { return false }
    return true
  }

  mutating func tick(height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    switch phase {
    case .resting: break
    case .linking(let round):
      guard now >= round.deadline else { return }
      if round.asked != nil { counters.add("linksTimedOut") }
      askNext(height: height, now: now, into: &actions)
    case .fetching(let fetch): go(on: fetch, height: height, now: now, into: &actions)
    }
  }

  private mutating func noteAhead(_ peer: NodeID) {
    if ahead.count < StateSync.maximumAhead { ahead.insert(peer) }
  }

  // MARK: Links

  private mutating func askNext(height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    guard case .linking(var round) = phase else { return }
    while let peer = round.toAsk.popLast() {
      guard links.contains(peer), round.answered.count < StateSync.linkAnswersNeeded else { continue }
      round.turnEnds = now + StateSync.linkTurn
      ask(peer, &round, now: now, into: &actions)
      return
    }
    decide(answering: round.answered, height: height, now: now, into: &actions)
  }

  private mutating func ask(
    _ peer: NodeID, _ round: inout LinkRound, now: Instant, into actions: inout [SyncAction]
  ) {
    round.asked = peer
    round.deadline = now + StateSync.linkTimeout
    phase = .linking(round)
    actions.append(.ask(.epochRequest(fromEpoch: known.epoch), peer))
  }

  /// Takes links. Those before the known set were passed over by the verifier, too; from there on each was verified: the
  /// verifier's set is never later than this one.
  mutating func take(
    _ answer: [EpochLink], from peer: NodeID, height: UInt64, now: Instant, into actions: inout [SyncAction]
  ) {
    guard case .linking(var round) = phase, round.asked == peer else {
      counters.add("linksUnasked")
      return
    }
    let news = answer.filter { $0.header.epoch >= known.epoch }
    for link in news {
      targets.insert(SyncTarget(link: link, signers: known.inEpoch(link.header.epoch)), at: 0)
      if targets.count > StateSync.maximumTargets { targets.removeLast() }
      known = link.nextSet
    }
    if news.isEmpty {
      round.answered.append(peer)
      phase = .linking(round)
      askNext(height: height, now: now, into: &actions)
      return
    }
    noteAhead(peer)
    actions.append(.learned(news, known))
    // There may be more: each answer proves later epochs, so this comes to an end.
    if now >= round.turnEnds, !round.toAsk.isEmpty {
      counters.add("linksTurnOver")
      round.toAsk.insert(peer, at: 0)
      phase = .linking(round)
      askNext(height: height, now: now, into: &actions)
      return
    }
    ask(peer, &round, now: now, into: &actions)
  }

  /// Rule 3.
  private mutating func decide(
    answering peers: [NodeID] = [], height: UInt64, now: Instant, into actions: inout [SyncAction]
  ) {
    let target = targets.first { !$0.hasFailed && $0.height > height && $0.height - height > distance }
    guard let target, !links.isEmpty else {
      rest(now: now)
      actions.append(.useChain(ahead.members.filter { links.contains($0) }))
      return
    }
    let fetch = SnapshotFetch(target: target, answering: peers, now: now, generator: generator.fork())
    go(on: fetch, height: height, now: now, into: &actions)
  }

  private mutating func rest(now: Instant) {
    phase = .resting(until: now + pause)
    if targets.contains(where: \.hasFailed) {
      pause = min(pause * 2, StateSync.longestPause)
    } else {
      pause = StateSync.firstPause
    }
  }

  // MARK: The snapshot

  /// Takes a chunk.
  mutating func take(
    _ chunk: SnapshotChunk, from peer: NodeID, height: UInt64, now: Instant, into actions: inout [SyncAction]
  ) {
    guard case .fetching(var fetch) = phase else {
      counters.add("chunkUnasked")
      return
    }
    // Held once: the assembly must not be copied by each chunk.
    phase = .resting(until: now)
    switch fetch.take(chunk, from: peer, now: now) {
    case .taken: break
    case .refused(let name): counters.add(name)
    case .lied(let name):
      counters.add(name)
      actions.append(.distrust(peer))
    }
    go(on: fetch, height: height, now: now, into: &actions)
  }

  /// Asks for what is missing; ends the fetch when it is whole, when it leads nowhere, and when the chain has overtaken it.
  private mutating func go(on fetch: SnapshotFetch, height: UInt64, now: Instant, into actions: inout [SyncAction]) {
    var fetch = fetch
    guard fetch.target.height > height else {
      counters.add("snapshotOvertaken")
      rest(now: now)
      return
    }
    if fetch.assembly.isWhole {
      phase = .resting(until: now + StateSync.firstPause)
      actions.append(.install(fetch.assembly, fetch.target))
      return
    }
    for (message, peer) in fetch.ask(links, preferring: ahead, now: now) { actions.append(.ask(message, peer)) }
    guard !fetch.isStuck(at: now) else {
      counters.add("snapshotNotServed")
      giveUp(fetch.target.height)
      decide(height: height, now: now, into: &actions)
      return
    }
    phase = .fetching(fetch)
  }

  /// No peer serves the state at this height, or it can't be installed.
  private mutating func giveUp(_ height: UInt64) {
    for index in targets.indices where targets[index].height == height { targets[index].hasFailed = true }
  }

  /// What came of an installation.
  mutating func installed(_ target: SyncTarget, isSuccessful: Bool) {
    if isSuccessful {
      pause = StateSync.firstPause
      targets.removeAll { $0.height <= target.height }
      ahead.removeAll()
    } else {
      counters.add("snapshotNotInstalled")
      giveUp(target.height)
    }
  }

  /// How full every bounded collection is.
  var occupancy: [Occupancy] {
    var all = [Occupancy(name: "syncAhead", count: ahead.count, limit: StateSync.maximumAhead)]
    if case .linking(let round) = phase {
      all.append(Occupancy(name: "syncToAsk", count: round.toAsk.count, limit: StateSync.maximumLinkPeers))
    }
    if case .fetching(let fetch) = phase { all += fetch.occupancy }
    return all
  }
}
