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

  static let verifier = Verifier(networkID: networkID) { _, _, _ in true }
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
  var envelopes = 0
  var closed: [(by: Int, peer: Int)] = []
  /// Hosts that answer no request.
  var liars = OrderedSet<Int>()

  init(_ count: Int, seed: UInt64, settings: BroadcastSettings = BroadcastSettings()) {
    generator = SeededGenerator(seed: seed)
    ids = (0..<count).map { StandIn.identity($0).id }
    links = Array(repeating: OrderedSet(), count: count)
    delivered = Array(repeating: [], count: count)
    wakes = Array(repeating: nil, count: count)
    for _ in 0..<count { machines.append(BroadcastMachine(settings: settings, seed: generator.next())) }
  }

  mutating func link(_ one: Int, _ other: Int) {
    guard one != other, links[one].insert(other) else { return }
    links[other].insert(one)
    step(one, .linkUp(ids[other], isOutbound: true))
    step(other, .linkUp(ids[one], isOutbound: false))
  }

  mutating func step(_ number: Int, _ input: BroadcastInput) {
    var effects: [BroadcastEffect] = []
    machines[number].step(input, now: now, into: &effects)
    for place in machines[number].occupancy { #expect(!place.isExceeded, "\(place)") }
    for effect in effects {
      switch effect {
      case .deliver(let message): delivered[number].append(message.value.id)
      case .close(let peer): closed.append((number, ids.firstIndex(of: peer)!))
      case .send(let message, let peer):
        let target = ids.firstIndex(of: peer)!
        if case .publish(let list) = message {
          envelopes += list.count
          if liars.contains(number) { continue }
        }
        if generator.chance(partsPerMillion: lossPartsPerMillion) { continue }
        order += 1
        let delay = Microseconds.milliseconds(5) + generator.span(upTo: .milliseconds(20))
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
        step(target, .received(list.compactMap { try? StandIn.verifier.verify($0) }, from: ids[from]))
      case .gossip(.announce(let list), let from, let target): step(target, .announced(list, from: ids[from]))
      case .gossip(.request(let list), let from, let target): step(target, .requested(list, from: ids[from]))
      // No machine says these yet.
      case .gossip(.graft, _, _), .gossip(.prune, _, _), .gossip(.unwanted, _, _): preconditionFailure("not heard yet")
      }
    }
    now = end
  }
}
