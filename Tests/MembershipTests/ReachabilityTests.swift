import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// Where a node is reached: interfaces, what others see, and NAT.
@Suite struct ReachabilityTests {
  private let mapped = place("203.0.113.77:40000")

  /// Hosts in public prefixes of their own, and the last behind a NAT.
  private func network(_ count: Int, seed: UInt64) -> VirtualNetwork {
    var network = VirtualNetwork(count, seed: seed) { number in
      number == count - 1 ? place("192.168.1.2:7447") : place("198.51.\(number).1:7447")
    }
    network.nat[count - 1] = mapped
    for number in 0..<count { network.step(number, .interfaces([network.place(number)])) }
    network.joinAll()
    return network
  }

  private func ownBody(_ machine: MembershipMachine) -> NodeRecord? {
    if case .nodeRecord(let body) = machine.ownRecord.value.body { body } else { nil }
  }

  @Test(arguments: zip([4, 10], [1, 2] as [UInt64])) func aNodeBehindANATIsAMember(count: Int, seed: UInt64) {
    var network = network(count, seed: seed)
    network.run(for: .seconds(120))
    let hidden = count - 1
    let machine = network.hosts[hidden].machine
    #expect(machine.isBehindNAT)
    #expect(ownBody(machine)?.addresses == [mapped, network.place(hidden)])
    let via = ownBody(machine)?.via ?? []
    #expect(via.count == min(3, count - 1) && !via.contains(network.id(hidden)))
    // For five minutes nobody takes it for dead, though most can't reach it by a ping of their own.
    network.run(for: .seconds(300))
    #expect(network.changes(to: .down).isEmpty)
    let allSeeAll = network.allSeeAll
    #expect(allSeeAll)
    for number in 0..<hidden { #expect(!network.hosts[number].machine.isBehindNAT) }
    network.kill(hidden, closesLinks: false)
    for peer in network.hosts[hidden].links.members { network.unlink(peer, hidden) }
    network.run(for: .seconds(60))
    let isKnown = network.everyone(sees: .down, of: hidden)
    #expect(isKnown)
  }

  @Test func viaFollowsTheLinks() {
    var network = network(10, seed: 3)
    network.run(for: .seconds(60))
    let before = ownBody(network.hosts[9].machine)?.via ?? []
    let gone = network.number(before[0])!
    network.kill(gone)
    network.run(for: .seconds(10))
    let after = ownBody(network.hosts[9].machine)?.via ?? []
    #expect(before.count == 3 && after.count == 3 && !after.contains(network.id(gone)))
    #expect(Array(OrderedSet(after)) == after)
    network.run(for: .seconds(60))
    #expect(network.changes(to: .down).allSatisfy { $0.target == gone })
  }

  @Test func aRecordThatNamesItsOwnNodeAsTheWayToItIsRefused() {
    var bench = Bench(2)
    bench.now = bench.now + .seconds(1)
    var body = record(1)
    body.expiresUnixSeconds = lasting
    body.via = [bench.others[0].id]
    let before = bench.machine.member(bench.others[0].id)?.incarnation
    _ = bench.feed(.members([bench.seal(1, .nodeRecord(body))], from: bench.others[0].id))
    #expect(bench.machine.member(bench.others[0].id)?.incarnation == before)
    #expect(bench.counted("recordViaItself") == 1)
  }

  @Test func whoCannotBeDialledIsNeitherDialledNorPingedUnheard() {
    var settings = MembershipSettings.lan
    settings.fullMeshBelow = 100
    // Its own rounds of probes stay out of the way, here and below: nobody answers them.
    settings.probeInterval = .seconds(1_000)
    var bench = Bench(4, settings: settings)
    _ = bench.run(until: bench.now + .seconds(1))
    let hidden = bench.others[0].id
    var body = record(1)
    body.expiresUnixSeconds = lasting
    body.via = [bench.others[1].id]
    _ = bench.feed(.members([bench.seal(1, .nodeRecord(body))], from: bench.others[2].id))
    func verdict(_ bench: inout Bench) -> [MembershipEffect] {
      var effects: [MembershipEffect] = []
      bench.machine.startProbe(hidden, .verdict, bench.now, &bench.identity, &effects)
      return effects
    }
    let unheard = sent(verdict(&bench))
    #expect(!unheard.isEmpty)
    for (message, _) in unheard {
      guard case .pingRequest(let request) = message.body else { return #expect(Bool(false)) }
      #expect(request.target == hidden)
    }
    // Through whom it is linked, first of all.
    #expect(unheard.contains { $0.to == address(2) })
    let effects = bench.run(until: bench.now + .seconds(30))
    let dialled = effects.contains { if case .dial(_, hidden) = $0 { true } else { false } }
    #expect(!dialled)
    // A ping of its own shows where it is reached for a while. Its new record spares it word of accusations.
    let source = place("203.0.113.9:999")
    _ = bench.feed(.members([bench.seal(1, .nodeRecord(body))], from: bench.others[2].id))
    while bench.machine.entries[hidden]?.probe != nil { _ = bench.run(until: bench.now + .milliseconds(100)) }
    let ping = Ping(receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0), rumours: [])
    _ = bench.feed(.datagram(bench.seal(1, .ping(ping)), rumours: [], from: source))
    while bench.machine.entries[hidden]?.probe != nil { _ = bench.run(until: bench.now + .milliseconds(100)) }
    #expect(sent(verdict(&bench)).map(\.to) == [source])
  }

  @Test func aHelperAsksAMemberBehindANATOverItsLink() {
    var bench = Bench(3)
    _ = bench.run(until: bench.now + .seconds(1))
    let hidden = bench.others[0].id
    var body = record(1)
    body.expiresUnixSeconds = lasting
    body.via = [bench.identity.id]
    let own = bench.seal(1, .nodeRecord(body))
    _ = bench.feed(.members([own], from: hidden))
    _ = bench.feed(.linkUp(hidden, place("203.0.113.9:999"), isOutbound: false))
    func ask(_ bench: inout Bench, _ number: UInt64) -> [MembershipEffect] {
      bench.datagram(
        2, .pingRequest(PingRequest(receiver: bench.identity.id, number: number, target: hidden)))
    }
    let asked = ask(&bench, 7)
    #expect(sent(asked).isEmpty && exchanges(asked).map(\.words) == [[]] && exchanges(asked)[0].to == hidden)
    let answered = sent(bench.feed(.members([own], from: hidden)))
    guard case .ack(let ack)? = answered.first?.message.body else { return #expect(Bool(false)) }
    #expect(ack.number == 7 && answered[0].to == address(2))
    // Silence there is a nack.
    _ = ask(&bench, 8)
    let silent = sent(bench.run(until: bench.now + .milliseconds(500)))
    let nacked = silent.contains {
      if case .nack(let nack) = $0.message.body { nack.number == 8 && $0.to == address(2) } else { false }
    }
    #expect(nacked && bench.machine.relays.isEmpty)
  }

  @Test func interfacesThatChangeMakeANewRecordAtOnce() {
    var bench = Bench(3)
    let private4 = place("10.0.0.5:7447")
    let public4 = place("203.0.113.5:7447")
    _ = bench.feed(.interfaces([place("127.0.0.1:7447"), private4]))
    #expect(ownBody(bench.machine)?.addresses == [private4])
    _ = bench.feed(.interfaces([private4, public4]))
    #expect(ownBody(bench.machine)?.addresses == [public4, private4])
    let sequence = bench.machine.ownRecord.sequence
    _ = bench.feed(.interfaces([private4, public4]))
    #expect(bench.machine.ownRecord.sequence == sequence)
    // Many interfaces do not make a longer record than there may be.
    _ = bench.feed(.interfaces((1...200).map { place("10.0.0.\($0):7447") }))
    #expect(ownBody(bench.machine)?.addresses.count == NodeRecord.maximumAddresses)
    #expect(bench.machine.interfaces?.count == MembershipMachine.maximumInterfaces)
    var settings = MembershipSettings.lan
    settings.hasFixedAddresses = true
    var fixed = Bench(3, settings: settings)
    _ = fixed.feed(.interfaces([public4]))
    #expect(ownBody(fixed.machine)?.addresses == [address(0)])
  }

  @Test func whoSaysThatItMovedIsSoughtThereThoughItsOldLinkStands() {
    var bench = Bench(2)
    let member = bench.others[0].id
    _ = bench.feed(.linkUp(member, address(1), isOutbound: true))
    #expect(bench.machine.member(member)?.address == address(1))
    bench.now = bench.now + .seconds(1)
    let there = place("127.0.9.9:7447")
    _ = bench.introduce(1, addresses: [there])
    #expect(bench.machine.member(member)?.address == there)
  }

  /// Members report addresses, each from a prefix of its own.
  private func report(_ places: [PeerAddress], to bench: inout Bench) {
    for (index, seen) in places.enumerated() {
      bench.now = bench.now + .milliseconds(1)
      let reporter = bench.others[index].id
      guard let source = bench.machine.entries[reporter]?.verified else { continue }
      bench.machine.consider(seen, by: reporter, from: source, bench.now)
    }
    _ = bench.run(until: bench.now + .seconds(6))
  }

  private func reached(_ count: Int, interfaces: [PeerAddress]) -> Bench {
    var settings = MembershipSettings.lan
    settings.probeInterval = .seconds(1_000)
    var bench = Bench(0, settings: settings)
    bench.others = (1...count).map { StandIn.identity($0) }
    for number in 1...count { _ = bench.introduce(number, addresses: [place("198.51.\(number).1:7447")]) }
    _ = bench.feed(.interfaces(interfaces))
    return bench
  }

  @Test func liarsThatAreFewerThanTheOthersMoveNobody() {
    let here = place("203.0.113.5:7447")
    let lie = place("203.0.113.66:7447")
    var bench = reached(7, interfaces: [here])
    report([lie, lie, lie, here, here, here, here], to: &bench)
    #expect(!bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [here])
    // As many as the others decide nothing either; one alone never does.
    report([lie, lie, lie, here, here, here], to: &bench)
    #expect(!bench.machine.isBehindNAT)
    var lonely = reached(7, interfaces: [here])
    report([lie], to: &lonely)
    #expect(!lonely.machine.isBehindNAT)
    // Fifty identities of one prefix are one voice.
    var crowd = reached(50, interfaces: [here])
    for number in 1...50 {
      crowd.now = crowd.now + .milliseconds(1)
      _ = crowd.introduce(number, addresses: [place("198.51.100.\(number):7447")])
    }
    report([PeerAddress](repeating: lie, count: 50), to: &crowd)
    #expect(!crowd.machine.isBehindNAT && crowd.machine.observed.count == 1)
    report([lie, lie], to: &bench)
    // With the truth forgotten after a while, what is seen lately counts.
    bench.now = bench.now + .seconds(700)
    report([lie, lie], to: &bench)
    #expect(bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [lie, here])
  }

  @Test func anotherPortForEachStillIsOneAddress() {
    let inside = place("192.168.1.2:7447")
    var bench = reached(5, interfaces: [inside])
    report((0..<5).map { place("203.0.113.5:\(1_000 + $0)") }, to: &bench)
    #expect(bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [place("203.0.113.5:7447"), inside])
    report([1, 2, 9, 9, 9].map { place("203.0.113.5:\($0)") }, to: &bench)
    #expect(ownBody(bench.machine)?.addresses == [place("203.0.113.5:9"), inside])
  }

  @Test func whoIsDialledIsNotBehindANAT() {
    let inside = place("192.168.1.2:7447")
    var bench = reached(5, interfaces: [inside])
    let seen = [PeerAddress](repeating: mapped, count: 5)
    _ = bench.feed(.linkUp(bench.others[0].id, place("198.51.1.1:7447"), isOutbound: true))
    report(seen, to: &bench)
    #expect(bench.machine.isBehindNAT && ownBody(bench.machine)?.via == [bench.others[0].id])
    _ = bench.feed(.linkUp(bench.others[1].id, place("198.51.2.1:7447"), isOutbound: false))
    report(seen, to: &bench)
    // It is reached where the others see it, by a NAT that maps one to one or a port that is forwarded, not where it is.
    #expect(!bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [mapped, inside])
    #expect(ownBody(bench.machine)?.via == [])
    // As long as the link stands, whenever it came up.
    bench.now = bench.now + .seconds(2 * 3_600)
    report(seen, to: &bench)
    #expect(!bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [mapped, inside])
    _ = bench.feed(.linkDown(bench.others[1].id))
    bench.now = bench.now + .seconds(10)
    report(seen, to: &bench)
    #expect(bench.machine.isBehindNAT)
  }

  @Test func anotherInterfaceIsNoMove() {
    let inside = place("172.31.0.2:7447")
    var bench = reached(5, interfaces: [inside])
    let seen = [PeerAddress](repeating: mapped, count: 5)
    _ = bench.feed(.linkUp(bench.others[1].id, place("198.51.2.1:7447"), isOutbound: false))
    report(seen, to: &bench)
    _ = bench.feed(.linkDown(bench.others[1].id))
    // A bridge of containers comes up and goes.
    let bridge = place("172.17.0.1:7447")
    _ = bench.feed(.interfaces([inside, bridge]))
    #expect(!bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [mapped, inside, bridge])
    _ = bench.feed(.interfaces([inside]))
    #expect(!bench.machine.isBehindNAT && ownBody(bench.machine)?.addresses == [mapped, inside])
    // Another network is.
    let elsewhere = place("192.168.7.2:7447")
    _ = bench.feed(.interfaces([elsewhere]))
    #expect(ownBody(bench.machine)?.addresses == [elsewhere] && bench.machine.observations.isEmpty)
  }

  @Test func pingsSayToWhereTheyAreSent() {
    var bench = Bench(2)
    let seen = place("203.0.113.5:7447")
    for number in 1...2 {
      let ping = Ping(receiver: bench.identity.id, number: 1 << 60, height: 0, observed: seen, rumours: [])
      _ = bench.datagram(number, .ping(ping))
    }
    #expect(bench.machine.observations.map(\.address) == [seen, seen])
    let useless = Ping(
      receiver: bench.identity.id, number: 1 << 60, height: 0, observed: place("0.0.0.0:1"), rumours: [])
    bench.now = bench.now + .milliseconds(1)
    _ = bench.datagram(1, .ping(useless))
    #expect(bench.counted("observedUnusable") == 1)
  }
}
