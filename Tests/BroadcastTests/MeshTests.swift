import Primitives
import Testing
import Wire

@testable import Broadcast

@Suite struct MeshTests {
  private let settings = BroadcastSettings()
  private let peers = (0..<40).map { StandIn.identity($0).id }

  /// A machine with so many links, those dialled first; what it said is forgotten.
  private func machine(_ count: Int, dialled: Int = 0) -> BroadcastMachine {
    var machine = BroadcastMachine(settings: settings, seed: 1)
    for (number, peer) in peers.prefix(count).enumerated() {
      var effects: [BroadcastEffect] = []
      machine.step(.linkUp(peer, isOutbound: number < dialled), now: .zero, into: &effects)
    }
    return machine
  }

  private func step(_ machine: inout BroadcastMachine, _ input: BroadcastInput, at seconds: Int64 = 0)
    -> [GossipMessage]
  {
    var effects: [BroadcastEffect] = []
    machine.step(input, now: Instant.zero + .seconds(seconds), into: &effects)
    return effects.compactMap { if case .send(let message, _) = $0 { message } else { nil } }
  }

  private func mesh(_ machine: BroadcastMachine) -> [NodeID] { machine.peers.filter(\.isInMesh).map(\.id) }

  @Test func fewLinksAreAllInTheMeshAndMoreAreNot() {
    var machine = machine(6)
    #expect(mesh(machine).count == 6 && machine.counters["graftSent"] == 6)
    for peer in peers[6..<20] { #expect(step(&machine, .linkUp(peer, isOutbound: false)).isEmpty) }
    #expect(mesh(machine) == peers.prefix(6).sorted())
    // Only a mesh of fewer than the lowest degree is filled up, to the degree.
    for peer in peers.prefix(2) { #expect(step(&machine, .linkDown(peer)).isEmpty) }
    #expect(step(&machine, .linkDown(peers[2])) == [.graft, .graft, .graft])
    #expect(mesh(machine).count == settings.degree && machine.nextWake == nil)
  }

  @Test func aGraftIsTakenUpToTheHighestDegreeAndThenAnsweredByAPrune() {
    var machine = machine(30, dialled: 2)
    let others = machine.peers.filter { !$0.isInMesh && $0.backoffUntil == nil }.map(\.id)
    var answers: [GossipMessage] = []
    for peer in others { answers += step(&machine, .graft(from: peer)) }
    #expect(mesh(machine).count == settings.maximumDegree)
    #expect(answers.count == 30 - settings.maximumDegree)
    #expect(answers.allSatisfy { $0 == .prune(reason: .full, backoffSeconds: 60) })
    // Who is in already is not answered.
    #expect(mesh(machine).allSatisfy { step(&machine, .graft(from: $0)).isEmpty })
    #expect(step(&machine, .graft(from: peers[39])).isEmpty)
  }

  /// A look at the mesh costs a look at every link: who is charged all the time must not make this node do nothing else.
  @Test func onlyWhatPutsAPeerOutOfTheMeshMakesItBeLookedAt() throws {
    var machine = machine(30)
    func charge(_ peer: NodeID, _ misconduct: Misconduct) -> Bool {
      var effects: [BroadcastEffect] = []
      machine.charge(peer, misconduct, .zero, &effects)
      defer { machine.isMeshStale = false }
      return machine.isMeshStale
    }
    let outside = try #require(machine.peers.first { !$0.isInMesh }?.id)
    let inside = mesh(machine)
    // Not linked: charged to the bottom, banned, and charged on.
    for _ in 0..<12 { #expect(!charge(peers[39], .badRecord)) }
    for _ in 0..<12 { #expect(!charge(outside, .badRecord)) }
    #expect(!charge(inside[0], .brokenPromise))
    #expect(charge(inside[0], .badRecord))
    // Whose link stays is not heard, is in no mesh, and may be charged as often as it likes.
    var effects: [BroadcastEffect] = []
    machine.step(.keep([inside[1]]), now: .zero, into: &effects)
    #expect((0..<12).filter { _ in charge(inside[1], .badFrame) } == [0, 1])
    #expect(!mesh(machine).contains(inside[1]))
  }

  /// Whoever dials a node can't be all that it hears.
  @Test func twoOfTheMeshAreDialledByThisNode() {
    var inbound = machine(30)
    for peer in peers.prefix(30) { _ = step(&inbound, .graft(from: peer)) }
    #expect(mesh(inbound).count == settings.maximumDegree - settings.outboundDegree)
    _ = step(&inbound, .linkUp(peers[30], isOutbound: true))
    _ = step(&inbound, .linkUp(peers[31], isOutbound: true))
    _ = step(&inbound, .linkUp(peers[32], isOutbound: true))
    #expect(mesh(inbound).count == settings.maximumDegree)
    #expect(inbound.peers.filter { $0.isInMesh && $0.isOutbound }.count == 2)
    // One of them wants in: it gets in, and the mesh is cut to its degree, the dialled stay.
    let third = (30...32).map { peers[$0] }.filter { !mesh(inbound).contains($0) }
    _ = step(&inbound, .graft(from: third[0]))
    #expect(mesh(inbound).count == settings.degree)
    #expect(inbound.peers.filter { $0.isInMesh && $0.isOutbound }.count >= 2)
  }

  @Test func theBestStayWhenTheMeshIsCut() {
    var machine = machine(30, dialled: 30)
    let best = mesh(machine).prefix(3)
    for (number, peer) in best.enumerated() {
      _ = step(&machine, .received([StandIn.message(UInt64(number))], from: peer))
    }
    let others = machine.peers.filter { !$0.isInMesh && $0.backoffUntil == nil }.map(\.id)
    for peer in others.prefix(settings.maximumDegree - settings.degree) { _ = step(&machine, .graft(from: peer)) }
    #expect(mesh(machine).count == settings.maximumDegree)
    #expect(step(&machine, .graft(from: others[10])).count == settings.maximumDegree + 1 - settings.degree)
    #expect(mesh(machine).count == settings.degree)
    #expect(best.allSatisfy { mesh(machine).contains($0) })
  }

  @Test func whoGraftsTooSoonIsChargedAndWhoseGraftWasOnItsWayIsNot() {
    var machine = machine(30, dialled: 2)
    for peer in peers.prefix(30) { _ = step(&machine, .graft(from: peer)) }
    let refused = peers.prefix(30).first { peer in machine.peers.contains { $0.id == peer && $0.backoffUntil != nil } }!
    func score() -> Int64 { machine.peers.first { $0.id == refused }!.score }
    #expect(step(&machine, .graft(from: refused), at: 1) == [.prune(reason: .graftTooSoon, backoffSeconds: 59)])
    #expect(score() == 0)
    #expect(step(&machine, .graft(from: refused), at: 2) == [.prune(reason: .graftTooSoon, backoffSeconds: 58)])
    #expect(score() == -10)
    #expect(machine.conduct(of: refused)?.costs.map(\.misconduct) == [.graftTooSoon])
    // Who waits as long as it was told is never charged.
    #expect(step(&machine, .graft(from: refused), at: 60) == [.prune(reason: .full, backoffSeconds: 60)])
    #expect(machine.conduct(of: refused)?.costs.first?.count == 1)
    // Who does it all the time is closed.
    var closed = false
    for _ in 0..<20 {
      var effects: [BroadcastEffect] = []
      machine.step(.graft(from: refused), now: Instant.zero + .seconds(70), into: &effects)
      if effects.contains(where: { if case .close(refused, .graftTooSoon, _, _) = $0 { true } else { false } }) {
        closed = true
      }
    }
    #expect(closed)
  }

  /// Grafts, prunes and what is not wanted cost a node little each, and nobody has many to send.
  @Test func floodsOfWordsOnTheMeshAreIgnoredAndEndInAClosedLink() {
    let floods: [BroadcastInput] = [
      .graft(from: peers[0]), .prune(backoffSeconds: 0, from: peers[0]),
      .unwanted((0..<16).map { Digest(hashing: [$0]) }, from: peers[0]),
    ]
    for flood in floods {
      var machine = machine(4)
      var effects: [BroadcastEffect] = []
      func send(_ count: Int, at beat: Int64) {
        let now = Instant.zero + settings.smallHeartbeat * beat
        for _ in 0..<count { machine.step(flood, now: now, into: &effects) }
      }
      for beat in 0..<40 as Range<Int64> { send(64, at: beat) }
      #expect(machine.counters["controlIgnored"] == 0 && machine.conduct(of: peers[0]) == nil)
      for beat in 40..<80 as Range<Int64> { send(256, at: beat) }
      #expect(machine.counters["controlIgnored"] == 40 * 192 && machine.conduct(of: peers[0]) == nil)
      for beat in 80..<91 as Range<Int64> { send(257, at: beat) }
      #expect(machine.conduct(of: peers[0])?.costs.last?.misconduct == .floodControl)
      let isClosed = effects.contains { if case .close(peers[0], _, _, 60) = $0 { true } else { false } }
      #expect(isClosed)
    }
  }

  @Test func whoIsPrunedWaitsAsLongAsItIsTold() {
    var machine = machine(4)
    #expect(step(&machine, .prune(backoffSeconds: 7, from: peers[0])).isEmpty)
    #expect(mesh(machine).count == 3)
    // Not even a prune without a backoff is answered at once.
    #expect(step(&machine, .prune(backoffSeconds: 0, from: peers[1])).isEmpty)
    #expect(machine.nextWake == Instant.zero + .seconds(1))
    #expect(step(&machine, .tick, at: 1) == [.graft] && mesh(machine).count == 3)
    #expect(machine.nextWake == Instant.zero + .seconds(7))
    #expect(step(&machine, .tick, at: 7) == [.graft] && mesh(machine).count == 4)
    // Its own graft is welcome earlier.
    _ = step(&machine, .prune(backoffSeconds: 3_600, from: peers[0]), at: 8)
    #expect(step(&machine, .graft(from: peers[0]), at: 9).isEmpty && mesh(machine).count == 4)
  }

  @Test func aLowScoreLeavesTheMeshAndComesBackWhenItHasFaded() {
    var machine = machine(4)
    _ = step(&machine, .misconduct(peers[0], .invalidMessage))
    #expect(mesh(machine).count == 4)
    #expect(step(&machine, .misconduct(peers[0], .brokenPromise)) == [.prune(reason: .score, backoffSeconds: 60)])
    #expect(mesh(machine).count == 3)
    // Nothing is pushed to it, but it is heard.
    #expect(step(&machine, .publish(StandIn.message(1))).count == 3)
    #expect(machine.hears(peers[0]))
    for second in 1..<60 { _ = step(&machine, .tick, at: Int64(second)) }
    #expect(mesh(machine).count == 3)
    _ = step(&machine, .tick, at: 60)
    #expect(mesh(machine).count == 4)
    _ = step(&machine, .misconduct(peers[1], .graftTooSoon), at: 60)
    _ = step(&machine, .prune(backoffSeconds: 60, from: peers[1]), at: 60)
    #expect(step(&machine, .graft(from: peers[1]), at: 60) == [.prune(reason: .score, backoffSeconds: 60)])
  }

  /// What is promised and not brought costs little, since loss and load do it to the honest; who brings nothing at all leaves
  /// the mesh. Its link stays.
  @Test func whoOnlyPromisesLeavesTheMeshAndWhoIsLateStays() throws {
    for isLate in [false, true] {
      var machine = machine(4)
      let (honest, promiser) = (peers[0], peers[1])
      for beat in 0..<40 as Range<Int64> {
        let message = StandIn.message(UInt64(beat))
        var effects: [BroadcastEffect] = []
        func at(_ milliseconds: Int64) -> Instant { Instant.zero + .milliseconds(beat * 600 + milliseconds) }
        machine.step(.announced([message.value.id], from: promiser), now: at(0), into: &effects)
        machine.step(.tick, now: at(500), into: &effects)
        let relayer = isLate && beat % 8 == 7 ? promiser : honest
        machine.step(.received([message], from: relayer), now: at(550), into: &effects)
        let closed = effects.contains { if case .close = $0 { true } else { false } }
        #expect(!closed)
      }
      let conduct = try #require(machine.conduct(of: promiser))
      #expect(conduct.costs.map(\.misconduct) == [.brokenPromise] && conduct.costs[0].count == 40)
      #expect(mesh(machine).contains(promiser) == isLate && mesh(machine).contains(honest))
      #expect(machine.counters["promiserPruned"] == (isLate ? 0 : 1) && machine.hears(promiser))
    }
  }

  /// Peers that bring nothing would be the mesh for ever.
  @Test func aSilentMeshTakesInThoseThatBringSomething() {
    var machine = machine(20)
    let silent = mesh(machine)
    let good = peers.prefix(20).filter { !silent.contains($0) }.prefix(5)
    for (number, peer) in good.enumerated() {
      for copy in 0..<40 { _ = step(&machine, .received([StandIn.message(UInt64(number * 100 + copy))], from: peer)) }
    }
    _ = step(&machine, .tick, at: 1)
    #expect(mesh(machine).count == silent.count + settings.opportunisticGrafts)
    #expect(mesh(machine).filter(good.contains).count == settings.opportunisticGrafts)
    // Not more often than that, and not where half of the mesh brings something.
    _ = step(&machine, .tick, at: 2)
    #expect(mesh(machine).count == silent.count + settings.opportunisticGrafts)
  }

  @Test func whoStopsSaysSo() {
    var machine = machine(4)
    #expect(
      step(&machine, .leave) == [GossipMessage](repeating: .prune(reason: .leaving, backoffSeconds: 60), count: 4))
    #expect(step(&machine, .linkUp(peers[5], isOutbound: true)).isEmpty)
    #expect(step(&machine, .graft(from: peers[5])) == [.prune(reason: .leaving, backoffSeconds: 60)])
    #expect(mesh(machine).isEmpty && machine.nextWake == nil)
  }

  @Test func theOtherEndOfALinkThatWasReplacedMayGraftAtOnce() {
    var machine = machine(30, dialled: 2)
    for peer in peers.prefix(30) { _ = step(&machine, .graft(from: peer)) }
    let refused = machine.peers.first { $0.backoffUntil != nil }!.id
    _ = step(&machine, .linkUp(refused, isOutbound: false), at: 5)
    #expect(step(&machine, .graft(from: refused), at: 5) == [.prune(reason: .full, backoffSeconds: 60)])
    #expect(machine.conduct(of: refused) == nil)
    // It may have begun anew, and would not know that it is in the mesh.
    let taken = mesh(machine)[0]
    #expect(step(&machine, .linkUp(taken, isOutbound: true), at: 6) == [.graft])
  }
}
