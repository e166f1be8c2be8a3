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
      own.expiresUnixSeconds = lasting
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

  @Test func manyThatAskForProbesLeaveRoomForTheOwn() {
    var settings = MembershipSettings.lan
    settings.probeInterval = .seconds(1_000)
    var bench = Bench(60, settings: settings)
    for asker in 2...60 {
      for number in 0..<4 {
        let request = PingRequest(receiver: bench.identity.id, number: UInt64(number), target: bench.others[0].id)
        _ = bench.datagram(asker, .pingRequest(request))
      }
    }
    #expect(bench.machine.probes.count == MembershipMachine.maximumRelays)
    #expect(bench.counted("relayDropped") == UInt64(59 * 4 - MembershipMachine.maximumRelays))
    for place in bench.machine.occupancy { #expect(!place.isExceeded, "\(place)") }
  }

  /// A piece of news rides on so many messages and no more: whoever asks most must not have them all.
  @Test func whoPingsWithoutEndDoesNotUseUpTheNews() throws {
    var settings = MembershipSettings.lan
    settings.probeInterval = .seconds(10)
    settings.confirmers = 0
    var bench = Bench(12, settings: settings)
    // What came with the members is told by now.
    while bench.machine.rumours.count > 0 {
      _ = bench.machine.rumours.take(count: 8, bytes: 960, receiver: bench.identity.id, limit: 1)
    }
    let own = bench.machine.ownRecord.sequence
    for number in 3...4 { _ = bench.machine.entries.modify(bench.others[number - 1].id) { $0.knowsOwn = own } }
    _ = bench.accuse(1, by: 2)
    func brings(_ effects: [MembershipEffect]) -> Bool {
      sent(effects).contains { (message, _) in
        guard case .ack(let ack) = message.body else { return false }
        return ack.rumours.contains { $0.author == bench.others[1].id && $0.kind == .accusation }
      }
    }
    var told = 0
    for _ in 0..<50 {
      bench.now = bench.now + .milliseconds(10)
      if brings(bench.ping(3)) { told += 1 }
    }
    #expect(told == 1)
    bench.now = bench.now + .milliseconds(10)
    let fourth = bench.ping(4)
    #expect(brings(fourth))
    bench.now = bench.now + .seconds(10)
    let later = bench.ping(3)
    #expect(brings(later))
    // Nor does who has others pinged.
    let request = PingRequest(receiver: bench.identity.id, number: 7, target: bench.others[4].id)
    let relayed = sent(bench.datagram(3, .pingRequest(request))).compactMap { (message, _) -> Ping? in
      if case .ping(let ping) = message.body { ping } else { nil }
    }
    #expect(relayed.count == 1 && relayed[0].rumours.allSatisfy { $0.author == bench.identity.id })
  }
}
