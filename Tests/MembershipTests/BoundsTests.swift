import Primitives
import Testing
import Wire

@testable import Membership

/// Members and strangers that do all they can to fill a machine, or to keep it from its work.
@Suite struct BoundsTests {
  /// A machine, and members whose part the test plays.
  private struct Stage {
    var identity = StandIn.identity(0)
    var machine: MembershipMachine
    var now = Instant.zero
    var sent: [(message: Message, to: PeerAddress)] = []

    init(_ settings: MembershipSettings) {
      machine = MembershipMachine(settings: settings, ownRecord: record(0), identity: &identity, now: now, seed: 3)
      feed(.start)
    }

    mutating func feed(_ input: MembershipInput) {
      var effects: [MembershipEffect] = []
      machine.step(input, now: now, identity: &identity, into: &effects)
      for case .send(let message, let to, _) in effects { sent.append((message.value, to)) }
    }

    mutating func say(_ body: MessageBody, by author: inout Identity) {
      feed(.members([author.seal(body, now: now)], from: author.id))
    }

  }

  @Test func whoComesAndGoesAllTheTimeKeepsNoOtherFromBeingProbed() {
    var stage = Stage(.lan)
    var others = (1...4).map { StandIn.identity($0) }
    var probes = [0, 0, 0, 0]
    func join(_ number: Int) {
      var own = record(number + 1)
      own.expiresUnixSeconds = .max
      stage.say(.nodeRecord(own), by: &others[number])
    }
    for number in 0..<4 { join(number) }
    let end = stage.now + .seconds(80)
    while stage.now < end {
      stage.now = stage.now + .milliseconds(20)
      // Two leave and come back many times a second.
      for number in 2...3 {
        stage.say(.leave, by: &others[number])
        join(number)
      }
      stage.sent = []
      stage.feed(.tick)
      for (message, to) in stage.sent {
        guard case .ping(let ping) = message.body, let number = (1...4).first(where: { address($0) == to }) else {
          continue
        }
        probes[number - 1] += 1
        let ack = Ack(receiver: stage.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
        stage.feed(.datagram(others[number - 1].seal(.ack(ack), now: stage.now), rumours: [], from: to))
      }
    }
    // Four members in turn, one each second.
    #expect(probes.allSatisfy { (16...24).contains($0) }, "\(probes)")
  }
}
