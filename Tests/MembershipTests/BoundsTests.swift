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
      for place in machine.occupancy { #expect(!place.isExceeded, "\(place)") }
    }

    mutating func say(_ body: MessageBody, by author: inout Identity) {
      feed(.members([author.seal(body, now: now)], from: author.id))
    }

    func count(_ name: String) -> Int? { machine.occupancy.first { $0.name == name }?.count }
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

  @Test func aCrowdThatComesAndGoesFillsNothingBeyondItsBound() {
    var settings = MembershipSettings.lan
    settings.maximumMembers = 8
    var stage = Stage(settings)
    var generator = SeededGenerator(seed: 4)
    var crowd = (1...40).map { StandIn.identity($0) }
    var most = Table<String, Int>()
    for _ in 0..<4_000 {
      stage.now = stage.now + .milliseconds(5) + generator.span(upTo: .milliseconds(100))
      let number = generator.index(below: crowd.count)
      let known = stage.machine.members
      switch generator.index(below: 8) {
      case 0: stage.say(.leave, by: &crowd[number])
      case 1: stage.feed(.tick)
      case 2: stage.feed(.linkUp(crowd[number].id, address(number + 1), isOutbound: false))
      case 3: stage.feed(.linkDown(crowd[number].id))
      case 4:
        guard let target = known.first(where: { _ in generator.chance(partsPerMillion: 300_000) }) else { break }
        stage.say(.accusation(Accusation(accused: target.id, incarnation: target.incarnation)), by: &crowd[number])
      case 5:
        guard let target = known.last else { break }
        let request = PingRequest(receiver: stage.identity.id, number: UInt64(number), target: target.id)
        let sealed = crowd[number].seal(.pingRequest(request), now: stage.now)
        stage.feed(.datagram(sealed, rumours: [], from: address(number + 1)))
      default:
        var own = record(number + 1)
        own.expiresUnixSeconds =
          stage.identity.wallClock.unixMicroseconds(at: stage.now) / 1_000_000 + generator.next(below: 30)
        stage.say(.nodeRecord(own), by: &crowd[number])
      }
      for place in stage.machine.occupancy { most[place.name] = max(most[place.name] ?? 0, place.count) }
    }
    // The crowd reached what it was after: the bounds were at work.
    #expect(most["members"] == 8)
    for name in ["accusationsOfOne", "sequencesOfOne", "links", "probes", "relays", "deadlines", "rumours"] {
      #expect((most[name] ?? 0) > 0, "\(name)")
    }
    #expect((most["ring"] ?? 0) > 8)
  }
}
