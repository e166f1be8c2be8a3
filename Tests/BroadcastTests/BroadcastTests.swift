import Primitives
import Testing
import Wire

@testable import Broadcast

@Suite struct BroadcastTests {
  /// Publishes from random hosts; the ids, and by whom.
  private func publish(_ count: Int, in gossip: inout Gossip) -> [(id: Digest, by: Int)] {
    var published: [(id: Digest, by: Int)] = []
    for number in 0..<count {
      let host = gossip.generator.index(below: gossip.machines.count)
      let message = StandIn.message(UInt64(number))
      published.append((message.value.id, host))
      gossip.step(host, .publish(message))
      gossip.run(for: .milliseconds(20))
    }
    return published
  }

  private func expectEachOnceEverywhere(_ published: [(id: Digest, by: Int)], _ gossip: Gossip) {
    for host in gossip.machines.indices {
      let wanted = published.filter { $0.by != host }.map(\.id).sorted()
      #expect(gossip.delivered[host].sorted() == wanted)
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func fourInAFullMeshDespiteLoss(seed: UInt64) {
    var gossip = Gossip(4, seed: seed)
    for one in 0..<4 { for other in one + 1..<4 { gossip.link(one, other) } }
    gossip.lossPartsPerMillion = 100_000
    let published = publish(200, in: &gossip)
    gossip.run(for: .seconds(10))
    expectEachOnceEverywhere(published, gossip)
    #expect(gossip.closed.isEmpty)
  }

  @Test(arguments: [4, 5] as [UInt64]) func fiftyOverARandomGraphDespiteLoss(seed: UInt64) {
    var gossip = Gossip(50, seed: seed)
    for host in 0..<50 {
      gossip.link(host, (host + 1) % 50)
      for _ in 0..<5 { gossip.link(host, gossip.generator.index(below: 50)) }
    }
    gossip.lossPartsPerMillion = 100_000
    let published = publish(40, in: &gossip)
    gossip.run(for: .seconds(15))
    expectEachOnceEverywhere(published, gossip)
    #expect(gossip.closed.isEmpty)
    // Redundancy: no more copies than a full mesh of eight links gives, repair included.
    #expect(gossip.envelopes <= 40 * 50 * 8)
  }

  @Test func repairAloneSufficesWhenTheEagerPushIsLost() {
    var gossip = Gossip(2, seed: 6)
    gossip.link(0, 1)
    gossip.lossPartsPerMillion = 1_000_000
    let message = StandIn.message(1)
    gossip.step(0, .publish(message))
    gossip.lossPartsPerMillion = 0
    gossip.run(for: .seconds(2))
    #expect(gossip.delivered[1] == [message.value.id])
  }

  @Test func aLateJoinerGetsWhatIsPendingAndNotWhatIsForgotten() {
    var gossip = Gossip(3, seed: 7)
    gossip.link(0, 1)
    let published = publish(1_200, in: &gossip)
    gossip.run(for: .seconds(10))
    let forgotten = published.prefix(100).map(\.id)
    for host in 0...1 { gossip.step(host, .forget(forgotten)) }
    gossip.link(2, 0)
    gossip.run(for: .seconds(5))
    let wanted = published.dropFirst(100).filter { $0.by != 2 }.map(\.id).sorted()
    #expect(gossip.delivered[2].sorted() == wanted)
    // A forgotten message that comes again is not delivered again.
    gossip.step(0, .received([StandIn.message(3)], from: gossip.ids[1]))
    #expect(gossip.delivered[0].filter { $0 == StandIn.message(3).value.id }.count <= 1)
    #expect(gossip.machines[0].counters["duplicate"] > 0)
  }

  @Test func anIdleMachineSleeps() {
    var gossip = Gossip(4, seed: 8)
    for one in 0..<4 { for other in one + 1..<4 { gossip.link(one, other) } }
    _ = publish(20, in: &gossip)
    gossip.run(for: .seconds(1_000))
    #expect(gossip.machines.allSatisfy { $0.nextWake == nil && $0.storedCount == 0 && $0.seenCount == 0 })
  }

  @Test func severalNewMessagesTravelTogetherWithinTheBound() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 9)
    let peers = (0..<3).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    effects = []
    machine.step(.received((0..<100).map { StandIn.message($0) }, from: peers[0]), now: .zero, into: &effects)
    let sizes = effects.compactMap { if case .send(.publish(let list), let to) = $0 { (list.count, to) } else { nil } }
    #expect(sizes.map(\.0).sorted() == [36, 36, 64, 64])
    #expect(sizes.allSatisfy { $0.1 != peers[0] })
  }

  @Test func ofTwoLinksWithOnePeerTheLastSaysWhoDialled() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 12)
    let peer = StandIn.identity(0).id
    var effects: [BroadcastEffect] = []
    for isOutbound in [true, false, false, true] {
      machine.step(.linkUp(peer, isOutbound: isOutbound), now: .zero, into: &effects)
      #expect(machine.peers.map(\.isOutbound) == [isOutbound])
    }
  }

  @Test func anInvalidRelayerIsClosedAndItsScoreOutlivesTheLink() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 10)
    let peer = StandIn.identity(0).id
    var effects: [BroadcastEffect] = []
    machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects)
    for _ in 0..<4 { machine.step(.misconduct(peer, .invalidMessage), now: .zero, into: &effects) }
    // At first it only leaves the mesh.
    #expect(effects.count == 2 && machine.peers[0].score == -80)
    guard case .send(.prune(reason: .score, backoffSeconds: 60), peer)? = effects.last else {
      return #expect(Bool(false))
    }
    effects = []
    machine.step(.misconduct(peer, .invalidMessage), now: .zero, into: &effects)
    guard case .close(peer, .invalidMessage, score: -100, banSeconds: 60)? = effects.first else {
      return #expect(Bool(false))
    }
    machine.step(.received([StandIn.message(1)], from: peer), now: .zero, into: &effects)
    #expect(effects.count == 1)
    machine.step(.linkDown(peer), now: .zero, into: &effects)
    machine.step(.linkUp(peer, isOutbound: true), now: Instant.zero + .milliseconds(900), into: &effects)
    #expect(machine.peers[0].score < -60 && machine.peers[0].score > -100)
    machine.step(.linkDown(peer), now: Instant.zero + .milliseconds(900), into: &effects)
    machine.step(.linkUp(peer, isOutbound: true), now: Instant.zero + .seconds(60), into: &effects)
    #expect(machine.peers[0].score == 0)
  }

  @Test func anotherAnnouncerIsAskedWhenTheFirstDoesNotSend() {
    var gossip = Gossip(3, seed: 11)
    gossip.link(0, 2)
    gossip.link(1, 2)
    gossip.liars.insert(0)
    let message = StandIn.message(1)
    gossip.lossPartsPerMillion = 1_000_000
    gossip.step(0, .publish(message))
    gossip.step(1, .publish(message))
    gossip.lossPartsPerMillion = 0
    gossip.step(2, .announced([message.value.id], from: gossip.ids[0]))
    gossip.step(2, .announced([message.value.id], from: gossip.ids[1]))
    gossip.run(for: .milliseconds(600))
    #expect(gossip.delivered[2] == [message.value.id])
    #expect(gossip.machines[2].counters["requestTimedOut"] == 1)
    let scores = gossip.machines[2].peers
    #expect(scores.first { $0.id == gossip.ids[0] }!.score < 0)
  }

  /// Those who promise what there is not, as much as may be asked of each, do not keep others from bringing what there is.
  @Test func inventedIdsDoNotSwitchOffRepair() {
    let settings = BroadcastSettings()
    var machine = BroadcastMachine(settings: settings, seed: 19)
    let liars = (0..<10).map { StandIn.identity($0).id }
    let honest = StandIn.identity(20).id
    var effects: [BroadcastEffect] = []
    for peer in liars + [honest] { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    func invented(_ name: String) -> [Digest] { (0..<512).map { Digest(hashing: Array("\(name) \($0)".utf8)) } }
    for round in 0..<5 as Range<Int64> {
      let now = Instant.zero + settings.requestTimeout * round
      machine.step(.tick, now: now, into: &effects)
      for (number, liar) in liars.enumerated() {
        machine.step(.announced(invented("\(round) \(number)"), from: liar), now: now, into: &effects)
      }
      #expect(machine.wantedCount == settings.maximumWanted)
      effects = []
      let ids = (0..<300).map { StandIn.message(UInt64(round) * 300 + $0).value.id }
      machine.step(.announced(ids, from: honest), now: now, into: &effects)
      let asked = effects.flatMap { if case .send(.request(let ids), honest) = $0 { ids } else { [Digest]() } }
      #expect(asked == ids && machine.wantedCount == settings.maximumWanted)
      for place in machine.occupancy { #expect(!place.isExceeded, "\(place)") }
      // The liars take nothing back from who is asked for less than they are.
      machine.step(.announced(invented("more \(round)"), from: liars[0]), now: now, into: &effects)
      #expect(machine.wants.count(asked: honest) == 300)
      for number in 0..<300 as Range<UInt64> {
        machine.step(.received([StandIn.message(UInt64(round) * 300 + number)], from: honest), now: now, into: &effects)
      }
      #expect(machine.wants.count(asked: honest) == 0)
    }
    #expect(machine.conduct(of: honest)?.costs.isEmpty == true)
  }

  /// Within what is asked for without a flood: 4,096 in a heartbeat would else be answered for ever.
  @Test func theSameMessagesAreNotAnsweredForEver() {
    var settings = BroadcastSettings()
    settings.maximumStored = 1_000
    var machine = BroadcastMachine(settings: settings, seed: 20)
    let (hostile, honest) = (StandIn.identity(0).id, StandIn.identity(1).id)
    var effects: [BroadcastEffect] = []
    for peer in [hostile, honest] { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    var now = Instant.zero
    func answered(_ ids: [Digest], _ peer: NodeID) -> Int {
      effects = []
      machine.step(.requested(ids, from: peer), now: now, into: &effects)
      return effects.reduce(0) { if case .send(.publish(let list), peer) = $1 { $0 + list.count } else { $0 } }
    }
    for number in 0..<1_200 as Range<UInt64> {
      machine.step(.publish(StandIn.message(number)), now: now, into: &effects)
    }
    let first = (1_000..<1_100 as Range<UInt64>).map { StandIn.message($0).value.id }
    var total = 0
    for _ in 0..<200 {
      now = now + .milliseconds(75)
      machine.step(.tick, now: now, into: &effects)
      total += answered(first, hostile)
    }
    #expect(total == settings.answersOfOneMessage * settings.maximumStored)
    #expect(machine.conduct(of: hostile) == nil)
    // What is new is answered, and others are not concerned.
    machine.step(.publish(StandIn.message(20_000)), now: now, into: &effects)
    #expect(answered([StandIn.message(20_000).value.id], hostile) == 1)
    #expect(answered(first, hostile) == settings.answersOfOneMessage - 1)
    #expect(answered(first, honest) == first.count)
  }

  @Test func floodsAreBoundedAndEndInAClosedLink() {
    var settings = BroadcastSettings()
    settings.maximumStored = 100
    settings.maximumSeen = 200
    var machine = BroadcastMachine(settings: settings, seed: 12)
    let peers = (0..<3).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    for number in 0..<1_000 as Range<UInt64> {
      machine.step(.received([StandIn.message(number)], from: peers[0]), now: .zero, into: &effects)
    }
    #expect(machine.storedCount == 100 && machine.seenCount == 200)
    #expect(machine.counters["storedDropped"] == 900)
    for place in machine.occupancy { #expect(!place.isExceeded, "\(place)") }
    let full = machine.occupancy.filter { ["stored", "seen", "fresh"].contains($0.name) }
    #expect(full.map(\.count) == [200, 100, 100])
    effects = []
    var number: UInt64 = 0
    func ids(_ count: Int) -> [Digest] {
      (0..<count).map { _ in
        number += 1
        return Digest(hashing: Array("\(number)".utf8))
      }
    }
    func isClosed(_ peer: NodeID) -> Bool {
      effects.contains { if case .close(peer, _, _, _) = $0 { true } else { false } }
    }
    for _ in 0..<40 { machine.step(.announced(ids(512), from: peers[1]), now: .zero, into: &effects) }
    #expect(machine.wantedCount <= settings.maximumWantedPerPeer)
    // A burst is not enough.
    #expect(!isClosed(peers[1]) && machine.counters["flood"] == 8)
    let known = (950..<1_000 as Range<UInt64>).map { StandIn.message($0).value.id }
    var now = Instant.zero
    for _ in 0..<11 {
      effects = []
      for _ in 0..<400 { machine.step(.requested(known, from: peers[2]), now: now, into: &effects) }
      let answered = effects.reduce(0) { if case .send(.publish(let list), _) = $1 { $0 + list.count } else { $0 } }
      #expect(answered <= settings.maximumRequestedPerHeartbeat)
      guard !isClosed(peers[2]) else { break }
      now = now + settings.smallHeartbeat
      machine.step(.tick, now: now, into: &effects)
    }
    #expect(isClosed(peers[2]))
  }

  /// All that a busy node spreads is lost at first: its repair stays within what an honest peer may do.
  @Test func repairOfALotIsNoFlood() {
    var gossip = Gossip(2, seed: 14)
    gossip.link(0, 1)
    gossip.lossPartsPerMillion = 1_000_000
    for number in 0..<6_000 as Range<UInt64> { gossip.step(0, .publish(StandIn.message(number))) }
    gossip.lossPartsPerMillion = 0
    gossip.run(for: .seconds(20))
    #expect(gossip.delivered[1].count == 6_000)
    for machine in gossip.machines { #expect(machine.counters["flood"] == 0) }
    #expect(gossip.closed.isEmpty)
  }

  @Test func whatHasJustGoneOutIsNotAnnouncedYet() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 15)
    var effects: [BroadcastEffect] = []
    machine.step(.linkUp(StandIn.identity(0).id, isOutbound: true), now: .zero, into: &effects)
    func announced(at milliseconds: Int64) -> Int {
      effects = []
      machine.step(.tick, now: Instant.zero + .milliseconds(milliseconds), into: &effects)
      return effects.reduce(0) { if case .send(.announce(let ids), _) = $1 { $0 + ids.count } else { $0 } }
    }
    machine.step(.publish(StandIn.message(1)), now: .zero, into: &effects)
    machine.step(.publish(StandIn.message(2)), now: Instant.zero + .milliseconds(299), into: &effects)
    #expect(announced(at: 300) == 1)
    #expect(announced(at: 600) == 2)
  }

  @Test func whoseLinkIsNotClosedIsHeardAgain() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 16)
    let peer = StandIn.identity(0).id
    var effects: [BroadcastEffect] = []
    machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects)
    for _ in 0..<5 { machine.step(.misconduct(peer, .invalidMessage), now: .zero, into: &effects) }
    #expect(machine.peers[0].score == -100 && !machine.peers[0].isInMesh)
    var now = Instant.zero
    for heartbeat in 1...7 {
      now = now + .milliseconds(300)
      effects = []
      machine.step(.tick, now: now, into: &effects)
      machine.step(.received([StandIn.message(UInt64(heartbeat))], from: peer), now: now, into: &effects)
      #expect(machine.storedCount == (heartbeat < 7 ? 0 : 1), "\(heartbeat)")
    }
    #expect(machine.hears(peer) && !machine.peers[0].isInMesh)
    // It is told of what it missed.
    effects = []
    machine.step(.publish(StandIn.message(100)), now: now, into: &effects)
    for _ in 0..<5 { machine.step(.misconduct(peer, .invalidMessage), now: now, into: &effects) }
    machine.step(.publish(StandIn.message(101)), now: now, into: &effects)
    for _ in 1...12 {
      now = now + .milliseconds(300)
      machine.step(.tick, now: now, into: &effects)
    }
    let missed = StandIn.message(101).value.id
    #expect(effects.contains { if case .send(.announce(let ids), _) = $0 { ids.contains(missed) } else { false } })
    // It is sent what is new again when its points have faded and the prune is over.
    for _ in 1...200 {
      now = now + .milliseconds(300)
      machine.step(.tick, now: now, into: &effects)
    }
    #expect(machine.peers[0].isInMesh && machine.peers[0].score == 0)
  }

  @Test func whatWasForgottenAndIsNeededAfterAllGoesOnOnce() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 17)
    let peers = (0..<3).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    let message = StandIn.message(1)
    machine.step(.received([message], from: peers[0]), now: .zero, into: &effects)
    machine.step(.forget([message.value.id]), now: .zero, into: &effects)
    effects = []
    for _ in 0..<2 { machine.step(.renewed(message, from: peers[0]), now: .zero, into: &effects) }
    let to = effects.compactMap { if case .send(.publish, let to) = $0 { to } else { nil } }
    #expect(to.sorted() == peers[1...].sorted() && effects.count == 2)
    #expect(machine.storedCount == 1 && machine.counters["renewed"] == 1)
  }

  @Test func whatIsOfNoUseIsRememberedAndGoesNoFurther() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 18)
    let peers = (0..<3).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    let id = StandIn.message(1).value.id
    machine.step(.announced([id], from: peers[0]), now: .zero, into: &effects)
    effects = []
    machine.step(.refused([id], from: peers[0]), now: .zero, into: &effects)
    machine.step(.announced([id], from: peers[1]), now: .zero, into: &effects)
    for beat in 1...4 { machine.step(.tick, now: Instant.zero + .milliseconds(300 * Int64(beat)), into: &effects) }
    #expect(effects.isEmpty && machine.wantedCount == 0 && machine.storedCount == 0 && machine.hasSeen(id))
    #expect(machine.peers.allSatisfy { $0.score == 0 })
  }

  /// A block brought it before it came by itself.
  @Test func whatIsForgottenBeforeItHasComeIsNotAskedForAnyMore() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 21)
    let peers = (0..<2).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    let message = StandIn.message(1)
    machine.step(.forget([message.value.id]), now: .zero, into: &effects)
    effects = []
    machine.step(.announced([message.value.id], from: peers[0]), now: .zero, into: &effects)
    machine.step(.received([message], from: peers[1]), now: .zero, into: &effects)
    #expect(effects.isEmpty && machine.storedCount == 0 && machine.wantedCount == 0)
  }

  @Test func requestsForUnknownIdsAndFromStrangersAreIgnored() {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 13)
    let peers = (0..<2).map { StandIn.identity($0).id }
    var effects: [BroadcastEffect] = []
    machine.step(.linkUp(peers[0], isOutbound: true), now: .zero, into: &effects)
    effects = []
    machine.step(.requested([.zero], from: peers[0]), now: .zero, into: &effects)
    machine.step(.announced([.zero], from: peers[1]), now: .zero, into: &effects)
    machine.step(.received([StandIn.message(1)], from: peers[1]), now: .zero, into: &effects)
    machine.step(.misconduct(peers[1], .invalidMessage), now: .zero, into: &effects)
    #expect(effects.isEmpty && machine.wantedCount == 0)
    #expect(machine.counters["requestUnknown"] == 1)
  }
}
