import Primitives
import Testing
import Wire

@testable import Broadcast

/// A cheap deterministic signature scheme, and messages made with it.
enum StandIn {
  static let networkID = Digest(hashing: Array("test network".utf8))

  static func identity(_ number: Int) -> Identity {
    let id = NodeID(Digest(hashing: Array("node \(number)".utf8)).value)
    let signer = Signer(id: id, networkID: networkID) { _ in .zero }
    return Identity(signer: signer, wallClock: WallClock(offset: .zero), sequenceFloor: 0)
  }

  /// Anything verified can be broadcast; an accusation is the shortest with content.
  static func message(_ number: UInt64) -> Verified<Message> {
    var author = identity(1_000)
    return author.seal(
      .accusation(Accusation(accused: author.id, incarnation: number)), now: Instant(microseconds: Int64(number) + 1))
  }

  /// A message of more than a kilobyte.
  static func large(_ number: UInt64) -> Verified<Message> {
    var author = identity(1_000)
    let address = PeerAddress(ip: [10, 0, 0, 1], port: 7_447)!
    let rumours = (0..<8).map { identity(2_000 + $0).sealedLeave }
    return author.seal(
      .ping(Ping(receiver: author.id, number: number, height: 0, observed: address, rumours: rumours)),
      now: Instant(microseconds: Int64(number) + 1))
  }

  static let verifier = Verifier(networkID: networkID) { _, _, _ in true }
}

extension Identity {
  fileprivate var sealedLeave: Envelope {
    var author = self
    return author.seal(.leave, now: .zero).value.envelope
  }
}

/// Machines joined by links that lose whole messages, in virtual time, from one seed.
struct Gossip {
  struct Turn: Comparable {
    var at: Instant
    var order: UInt64
    static func < (left: Turn, right: Turn) -> Bool {
      left.at == right.at ? left.order < right.order : left.at < right.at
    }
  }

  enum Event {
    case gossip(GossipMessage, from: Int, to: Int)
    case tick(Int)
  }

  var machines: [BroadcastMachine] = []
  let ids: [NodeID]
  var links: [OrderedSet<Int>]
  var delivered: [[Digest]]
  var wakes: [Instant?]
  var queue = Table<Turn, Event>()
  var order: UInt64 = 0
  var now = Instant.zero
  var generator: SeededGenerator
  var lossPartsPerMillion: UInt64 = 0
  /// How much longer than five milliseconds a message may be on its way.
  var spread = Microseconds.milliseconds(20)
  var envelopes = 0
  var closed: [(by: Int, peer: Int)] = []
  /// Over how many links each message came to each host, by the number of the host.
  var hops: [[Digest: Int]]
  /// The most links that any host had in its mesh.
  var largestMesh = 0
  /// The grafts, prunes and unwanted ids sent.
  var grafts = 0
  var prunes: [PruneReason: Int] = [:]
  var unwanted = 0
  /// Hosts that answer no request.
  var liars = OrderedSet<Int>()

  init(_ count: Int, seed: UInt64, settings: BroadcastSettings = BroadcastSettings()) {
    generator = SeededGenerator(seed: seed)
    ids = (0..<count).map { StandIn.identity($0).id }
    links = Array(repeating: OrderedSet(), count: count)
    delivered = Array(repeating: [], count: count)
    hops = Array(repeating: [:], count: count)
    wakes = Array(repeating: nil, count: count)
    for _ in 0..<count { machines.append(BroadcastMachine(settings: settings, seed: generator.next())) }
  }

  mutating func link(_ one: Int, _ other: Int) {
    guard one != other, links[one].insert(other) else { return }
    links[other].insert(one)
    step(one, .linkUp(ids[other], isOutbound: true))
    step(other, .linkUp(ids[one], isOutbound: false))
  }

  mutating func unlink(_ one: Int, _ other: Int) {
    links[one].remove(other)
    links[other].remove(one)
    step(one, .linkDown(ids[other]))
    step(other, .linkDown(ids[one]))
  }

  /// How many messages are a host's own.
  func published(by host: Int) -> Int { hops[host].count { $0.value == 0 } }

  mutating func step(_ number: Int, _ input: BroadcastInput) {
    var effects: [BroadcastEffect] = []
    if case .received(let messages, let from) = input, machines[number].hears(from) {
      delivered[number] += messages.map(\.value.id).filter { !machines[number].hasSeen($0) }
    }
    machines[number].step(input, now: now, into: &effects)
    for place in machines[number].occupancy where place.isExceeded { Issue.record("\(place)") }
    if case .publish(let message) = input { hops[number][message.value.id] = 0 }
    largestMesh = max(largestMesh, machines[number].links.reduce(0) { $0 + ($1.value.isInMesh ? 1 : 0) })
    for effect in effects {
      switch effect {
      case .close(let peer, _, _, _), .muted(let peer, _, _): closed.append((number, ids.firstIndex(of: peer)!))
      case .send(let message, let peer):
        let target = ids.firstIndex(of: peer)!
        if case .publish(let list) = message {
          envelopes += list.count
          if liars.contains(number) { continue }
        }
        switch message {
        case .graft: grafts += 1
        case .prune(let reason, _): prunes[reason, default: 0] += 1
        case .unwanted(let list): unwanted += list.count
        case .publish, .announce, .request: break
        }
        if generator.chance(partsPerMillion: lossPartsPerMillion) { continue }
        order += 1
        let delay = Microseconds.milliseconds(5) + generator.span(upTo: spread)
        queue[Turn(at: now + delay, order: order)] = .gossip(message, from: number, to: target)
      }
    }
    if let wake = machines[number].nextWake, wakes[number].map({ wake < $0 || $0 <= now }) ?? true {
      wakes[number] = wake
      order += 1
      queue[Turn(at: max(now, wake), order: order)] = .tick(number)
    }
  }

  mutating func run(for span: Microseconds) {
    let end = now + span
    while let turn = queue.first, turn.key.at <= end {
      queue.removeValue(forKey: turn.key)
      now = turn.key.at
      switch turn.value {
      case .tick(let number):
        guard wakes[number].map({ $0 <= now }) == true else { continue }
        wakes[number] = nil
        step(number, .tick)
      case .gossip(.publish(let list), let from, let target):
        for envelope in list where hops[target][envelope.id] == nil {
          hops[target][envelope.id] = (hops[from][envelope.id] ?? 0) + 1
        }
        step(target, .received(list.compactMap { try? StandIn.verifier.verify($0) }, from: ids[from]))
      case .gossip(.announce(let list), let from, let target): step(target, .announced(list, from: ids[from]))
      case .gossip(.request(let list), let from, let target): step(target, .requested(list, from: ids[from]))
      case .gossip(.graft, let from, let target): step(target, .graft(from: ids[from]))
      case .gossip(.prune(_, let seconds), let from, let target):
        step(target, .prune(backoffSeconds: seconds, from: ids[from]))
      case .gossip(.unwanted(let list), let from, let target): step(target, .unwanted(list, from: ids[from]))
      }
    }
    now = end
  }
}
