import Primitives
import Testing
import Wire

@testable import Broadcast

/// What is not pushed: what a peer does not want, and what its link does not take.
@Suite struct PushTests {
  private let peers = (0..<4).map { StandIn.identity($0).id }

  private func machine() -> BroadcastMachine {
    var machine = BroadcastMachine(settings: BroadcastSettings(), seed: 1)
    var effects: [BroadcastEffect] = []
    for peer in peers { machine.step(.linkUp(peer, isOutbound: true), now: .zero, into: &effects) }
    return machine
  }

  private func step(
    _ machine: inout BroadcastMachine, _ input: BroadcastInput, at milliseconds: Int64 = 0
  ) -> [(message: GossipMessage, to: NodeID)] {
    var effects: [BroadcastEffect] = []
    machine.step(input, now: Instant.zero + .milliseconds(milliseconds), into: &effects)
    return effects.compactMap { if case .send(let message, let peer) = $0 { (message, peer) } else { nil } }
  }

  private func pushed(_ sent: [(message: GossipMessage, to: NodeID)]) -> [NodeID] {
    sent.compactMap { if case .publish = $0.message { $0.to } else { nil } }.sorted()
  }

  @Test func aLargeMessageIsToldOfBeforeItIsSent() {
    var machine = machine()
    let large = StandIn.large(1)
    let sent = step(&machine, .received([large], from: peers[0]))
    #expect(sent.map(\.to) == peers[1...].sorted() + peers[1...].sorted())
    #expect(sent.prefix(3).allSatisfy { $0.message == .unwanted([large.value.id]) })
    #expect(pushed(sent) == peers[1...].sorted())
    // Neither what is small nor what is this node's own.
    for sent in [
      step(&machine, .received([StandIn.message(1)], from: peers[0])), step(&machine, .publish(StandIn.large(2))),
    ] {
      #expect(sent.count == pushed(sent).count && !sent.isEmpty)
    }
  }

  @Test func whatAPeerDoesNotWantIsNotPushedToItForAWhile() {
    var machine = machine()
    let messages = (1...3).map { StandIn.large($0) }
    let ids = messages.map(\.value.id)
    #expect(step(&machine, .unwanted(ids, from: peers[1])).isEmpty)
    #expect(pushed(step(&machine, .received([messages[0]], from: peers[0]))) == peers[2...].sorted())
    #expect(machine.counters["pushUnwanted"] == 1)
    // Until three heartbeats have gone by.
    #expect(pushed(step(&machine, .publish(messages[1]), at: 899)) == [peers[0], peers[2], peers[3]].sorted())
    #expect(pushed(step(&machine, .publish(messages[2]), at: 900)).count == 4)
    for beat in 1...40 { _ = step(&machine, .tick, at: Int64(beat) * 300) }
    #expect(machine.occupancy.first { $0.name == "unwantedByOne" }?.count == 0)
  }

  @Test func whatAPeerDoesNotWantIsBounded() {
    var machine = machine()
    for round in 0..<10 {
      let ids = (0..<512).map { Digest(hashing: Array("\(round) \($0)".utf8)) }
      _ = step(&machine, .unwanted(ids, from: peers[1]))
    }
    #expect(machine.occupancy.first { $0.name == "unwantedByOne" }.map { $0.count == $0.limit } == true)
    _ = step(&machine, .unwanted([.zero], from: StandIn.identity(9).id))
    #expect(machine.peers.count == 4)
  }

  /// A burst of large messages, one at a time: each is told of to be not wanted, as far as honest nodes may.
  @Test func whatIsNotWantedIsToldAtHalfThePaceThatIsTaken() {
    var (sender, receiver) = (machine(), machine())
    var told = 0
    for number in 0..<20_000 as Range<UInt64> {
      // Two thousand in a heartbeat.
      let at = Int64(number * 300 / 2_000)
      let sent = step(&sender, .received([StandIn.large(number)], from: peers[0]), at: at)
      for case (.unwanted(let ids), peers[1]) in sent {
        told += ids.count
        _ = step(&receiver, .unwanted(ids, from: peers[0]), at: at)
      }
    }
    // Half of what is taken, less room for grafts and prunes.
    #expect(told == 10 * 448)
    #expect(receiver.counters["controlIgnored"] == 0 && receiver.conduct(of: peers[0]) == nil)
  }

  @Test func overALinkThatTakesNoMoreNothingIsPushedAndAllIsAnnouncedLater() {
    var machine = machine()
    let slow = peers[2]
    _ = step(&machine, .publish(StandIn.message(1)))
    _ = step(&machine, .congested(slow, true))
    _ = step(&machine, .congested(slow, true))
    #expect(machine.peers.first { $0.id == slow }?.isCongested == true)
    var ids: [Digest] = []
    for number in 2...700 as ClosedRange<UInt64> {
      let message = StandIn.message(number)
      ids.append(message.value.id)
      #expect(!pushed(step(&machine, .publish(message))).contains(slow))
    }
    #expect(machine.counters["pushCongested"] == 699 && machine.counters["congested"] == 1)
    var announced: [Digest] = []
    func note(_ sent: [(message: GossipMessage, to: NodeID)]) {
      for (message, to) in sent where to == slow { if case .announce(let ids) = message { announced += ids } }
    }
    note(step(&machine, .congested(slow, false)))
    #expect(announced == Array(ids.prefix(512)))
    note(step(&machine, .tick, at: 300))
    #expect(ids.allSatisfy(announced.contains))
    #expect(pushed(step(&machine, .publish(StandIn.message(800)), at: 300)).contains(slow))
    // Where nothing was missed, nothing is said.
    _ = step(&machine, .congested(slow, true), at: 301)
    #expect(step(&machine, .congested(slow, false), at: 302).isEmpty)
    #expect(step(&machine, .congested(StandIn.identity(9).id, true), at: 302).isEmpty)
  }
}
