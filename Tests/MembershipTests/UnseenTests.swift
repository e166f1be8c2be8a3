import Primitives
import Testing
import Wire

@testable import Membership

private func place(_ text: String) -> PeerAddress { PeerAddress(text: text)! }

/// Members of whom others told and nothing was heard: ghosts, as long as they say nothing.
@Suite struct UnseenTests {
  private func ghost(_ number: Int, at address: PeerAddress, _ bench: inout Bench) {
    var identity = StandIn.identity(1_000 + number)
    var body = record(0, addresses: [address])
    body.expiresUnixSeconds = lasting
    _ = bench.feed(.members([identity.seal(.nodeRecord(body), now: bench.now)], from: bench.others[0].id))
  }

  @Test func onePrefixHasFewAndAllTogetherAreBounded() {
    var settings = MembershipSettings.quiet
    settings.maximumUnseen = 300
    var bench = Bench(2, settings: settings)
    #expect(bench.machine.unseen.count == 0)
    for number in 0..<200 { ghost(number, at: place("203.0.113.\(number + 1):7447"), &bench) }
    #expect(bench.machine.unseen.count == 64)
    #expect(bench.counted("unseenRefused") == 135 && bench.counted("unseenDisplaced") == 1)
    // Private ranges are not counted by prefix.
    for number in 200..<300 { ghost(number, at: place("10.0.0.\(number - 199):7447"), &bench) }
    #expect(bench.machine.unseen.count == 164)
    for number in 300..<600 { ghost(number, at: place("198.51.\(number % 100).\(number / 100):7447"), &bench) }
    #expect(bench.machine.unseen.count == 300 && bench.machine.members.count == 302)
    for place in bench.machine.occupancy { #expect(!place.isExceeded, "\(place)") }
    // Who comes itself is let in, though there is no room for one more ghost.
    bench.others.append(StandIn.identity(3))
    _ = bench.introduce(3)
    #expect(bench.state(3) == .alive && bench.machine.member(bench.others[2].id)?.isUnseen == false)
  }

  private func answer(_ member: inout Identity, from source: PeerAddress, _ bench: inout Bench) {
    bench.now = bench.now + .milliseconds(1)
    var effects: [MembershipEffect] = []
    bench.machine.startProbe(member.id, .errand, bench.now, &bench.identity, &effects)
    for (message, _) in sent(effects) {
      guard case .ping(let ping) = message.body else { continue }
      let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
      _ = bench.feed(.datagram(member.seal(.ack(ack), now: bench.now), rumours: [], from: source))
    }
  }

  @Test func strangersThatIntroduceThemselvesByDatagramAreGhostsToo() {
    var bench = Bench(1, settings: .quiet)
    for number in 0..<200 {
      var stranger = StandIn.identity(2_000 + number)
      var body = record(0, addresses: [place("203.0.113.\(number + 1):7447")])
      body.expiresUnixSeconds = lasting
      let own = stranger.seal(.nodeRecord(body), now: bench.now)
      let ping = Ping(
        receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0), rumours: [own.envelope])
      let source = place("192.0.\(number % 3).\(number + 1):7447")
      _ = bench.feed(.datagram(stranger.seal(.ping(ping), now: bench.now), rumours: [own], from: source))
    }
    #expect(bench.machine.unseen.count == 64 && bench.machine.members.count == 65)
    #expect(bench.counted("unseenRefused") == 135 && bench.counted("unseenDisplaced") == 1)
  }

  @Test func oneRealPrefixDoesNotFillTheTableEither() {
    var settings = MembershipSettings.quiet
    settings.maximumSeenPerPrefix = 10
    var bench = Bench(1, settings: settings)
    for number in 0..<40 {
      var member = StandIn.identity(1_000 + number)
      ghost(number, at: place("198.51.\(number).1:7447"), &bench)
      answer(&member, from: place("203.0.113.\(number + 1):7447"), &bench)
    }
    #expect(bench.machine.unseen.count == 30)
    // One that is gone leaves its place.
    bench.machine.forget(StandIn.identity(1_000).id)
    var last = StandIn.identity(1_039)
    answer(&last, from: place("203.0.113.40:7447"), &bench)
    #expect(bench.machine.unseen.count == 29 && bench.machine.member(last.id)?.isUnseen == false)
  }

  @Test func noRecordIsGoodForYears() {
    var bench = Bench(0, settings: .quiet)
    _ = bench.introduce(1, expires: lasting + 1)
    #expect(bench.state(1) == nil && bench.counted("recordTooLasting") == 1)
    _ = bench.introduce(1, expires: lasting)
    #expect(bench.state(1) == .alive)
  }

  @Test func aFullTableForgetsWhoIsGoneAndNotLinked() {
    var settings = MembershipSettings.quiet
    settings.maximumMembers = 4
    var bench = Bench(4, settings: settings)
    func leave(_ number: Int) {
      bench.now = bench.now + .seconds(2)
      _ = bench.feed(.members([bench.seal(number, .leave)], from: bench.others[number - 1].id))
    }
    _ = bench.feed(.linkUp(bench.others[0].id, address(1), isOutbound: true))
    for number in [1, 3, 2] { leave(number) }
    for number in 5...7 { bench.others.append(StandIn.identity(number)) }
    _ = bench.introduce(5)
    #expect(bench.state(5) == .alive && bench.state(3) == nil && bench.state(2) == .left && bench.state(1) == .left)
    // Not with every newcomer: it costs a look at all.
    _ = bench.introduce(6)
    #expect(bench.state(6) == nil && bench.counted("memberRefused") == 1)
    bench.now = bench.now + .seconds(2)
    _ = bench.introduce(6)
    #expect(bench.state(6) == .alive && bench.state(2) == nil)
    bench.now = bench.now + .seconds(2)
    _ = bench.introduce(7)
    #expect(bench.state(7) == nil && bench.machine.members.count == 4)
  }

  @Test func whoIsHeardMakesRoom() {
    var bench = Bench(1, settings: .quiet)
    // Nobody makes room otherwise.
    bench.machine.lastDisplaced = bench.now + .seconds(60)
    for number in 0..<64 { ghost(number, at: place("203.0.113.\(number + 1):7447"), &bench) }
    ghost(64, at: place("203.0.113.100:7447"), &bench)
    #expect(bench.machine.unseen.count == 64)
    var first = StandIn.identity(1_000)
    #expect(bench.machine.member(first.id)?.isUnseen == true)
    bench.now = bench.now + .seconds(1)
    // What it sends shows nothing: sources can be made up. That it answers does.
    let here = place("203.0.113.1:7447")
    let ping = Ping(receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0), rumours: [])
    _ = bench.feed(.datagram(first.seal(.ping(ping), now: bench.now), rumours: [], from: here))
    #expect(bench.machine.member(first.id)?.isUnseen == true && bench.machine.unseen.count == 64)
    answer(&first, from: here, &bench)
    #expect(bench.machine.member(first.id)?.isUnseen == false && bench.machine.unseen.count == 63)
    ghost(64, at: place("203.0.113.100:7447"), &bench)
    #expect(bench.machine.unseen.count == 64)
    // A link is as good as a word.
    _ = bench.feed(.linkUp(StandIn.identity(1_001).id, place("203.0.113.2:7447"), isOutbound: true))
    #expect(bench.machine.unseen.count == 63)
  }

  @Test func ghostsDoNotGatherInAFullPrefixByMoving() {
    var bench = Bench(1, settings: .quiet)
    for number in 0..<64 { ghost(number, at: place("203.0.113.\(number + 1):7447"), &bench) }
    ghost(64, at: place("198.51.100.1:7447"), &bench)
    bench.now = bench.now + .seconds(1)
    ghost(64, at: place("203.0.113.200:7447"), &bench)
    #expect(bench.counted("unseenRefused") == 1 && bench.machine.unseen.count == 65)
    ghost(64, at: place("198.51.101.1:7447"), &bench)
    #expect(
      bench.machine.member(StandIn.identity(1_064).id)?.record.addresses == [place("198.51.101.1:7447")])
    // The old prefix is free of it.
    for number in 100..<164 { ghost(number, at: place("198.51.100.\(number):7447"), &bench) }
    #expect(bench.machine.unseen.count == 129 && bench.counted("unseenRefused") == 1)
  }

  @Test func ghostsGoDownAndAreForgotten() {
    var network = VirtualNetwork(4, seed: 31)
    network.joinAll()
    network.run(for: .seconds(10))
    let records = (0..<10).map { number in
      var identity = StandIn.identity(1_000 + number)
      var body = record(0, addresses: [place("10.9.9.\(number + 1):7447")])
      body.expiresUnixSeconds = lasting
      return identity.seal(.nodeRecord(body), now: network.now)
    }
    network.step(1, .members(records, from: network.id(2)))
    network.run(for: .seconds(20))
    #expect(network.hosts.allSatisfy { $0.machine.members.count > 8 })
    network.run(for: .seconds(1_200))
    for host in network.hosts {
      #expect(host.machine.members.count == 3 && host.machine.unseen.count == 0)
      #expect(host.machine.count(of: .down) == 0 && host.machine.count(of: .alive) == 3)
    }
  }
}

/// What people are shown of a member.
@Suite struct MemberViewTests {
  @Test func accusationsAndRefutationsAreOnRecord() throws {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    settings.probeInterval = .seconds(1_000)
    var bench = Bench(3, settings: settings)
    let accused = bench.others[0].id
    let incarnation = try #require(bench.machine.member(accused)?.incarnation)
    for _ in 1...10 {
      bench.now = bench.now + .seconds(1)
      let effects = bench.accuse(1, by: 2) + bench.accuse(1, by: 3)
      let heard = effects.count { if case .accused(accused, _, _) = $0 { true } else { false } }
      #expect(heard == 2)
      let view = try #require(bench.machine.member(accused))
      let accusers = OrderedSet(view.accusations.map(\.accuser))
      #expect(accusers == OrderedSet([bench.others[1].id, bench.others[2].id]))
      #expect(view.accusations.allSatisfy { $0.incarnation == view.incarnation && $0.since == bench.now })
      bench.now = bench.now + .seconds(1)
      let refuted = bench.introduce(1)
      #expect(refuted.contains { if case .refuted(accused, _, accusers.members) = $0 { true } else { false } })
    }
    let view = try #require(bench.machine.member(accused))
    #expect(view.accusations.isEmpty && view.refutations.count == MemberAccount.maximumRefutations)
    #expect(view.refutations.last?.incarnation == view.incarnation && view.incarnation > incarnation)
    #expect(view.refutations.last?.at == bench.now && view.refutations.last?.accusers.count == 2)
    #expect(view.firstSeen == .zero)
  }

  @Test func whereItWasSeenAndWhereItSeesThisNode() throws {
    var bench = Bench(2)
    let member = bench.others[0].id
    #expect(bench.machine.member(member)?.reportedAddresses == [])
    bench.now = bench.now + .seconds(1)
    _ = bench.ping(1)
    let link = place("127.0.0.2:50000")
    _ = bench.feed(.linkUp(member, link, isOutbound: false))
    let view = try #require(bench.machine.member(member))
    #expect(
      view.reportedAddresses == [
        ReportedAddress(address: address(1), reporter: nil, at: bench.now),
        ReportedAddress(address: link, reporter: nil, at: bench.now),
        ReportedAddress(address: address(0), reporter: member, at: bench.now),
      ])
    #expect(view.via == [] && view.isLinked)
  }

  @Test func thisNodeSaysWhoAccusesItAndThatItRefuted() {
    var bench = Bench(3)
    let own = bench.identity.id
    bench.now = bench.now + .seconds(2)
    let word = Accusation(accused: own, incarnation: bench.machine.ownRecord.sequence)
    let effects = bench.feed(.members([bench.seal(2, .accusation(word))], from: bench.others[1].id))
    let accuser = bench.others[1].id
    #expect(effects.contains { if case .accused(own, accuser, word.incarnation) = $0 { true } else { false } })
    #expect(effects.contains { if case .refuted(own, _, [accuser]) = $0 { true } else { false } })
    #expect(bench.machine.ownAccusers.isEmpty)
  }

  @Test func whoIsReachedIsWorthAnEntryInTheAddressBook() {
    var bench = Bench(2)
    let member = bench.others[0].id
    func met(_ effects: [MembershipEffect]) -> [[PeerAddress]] {
      effects.compactMap { if case .met(member, let addresses) = $0 { addresses } else { nil } }
    }
    // Who dials this node has shown nothing of where it can be reached.
    #expect(met(bench.feed(.linkUp(member, place("127.0.0.2:50000"), isOutbound: false))).isEmpty)
    #expect(met(bench.feed(.linkUp(member, address(1), isOutbound: true))) == [[address(1)]])
    func answer(_ bench: inout Bench, from source: PeerAddress) -> [MembershipEffect] {
      var effects: [MembershipEffect] = []
      bench.now = bench.now + .milliseconds(50)
      bench.machine.startProbe(member, .errand, bench.now, &bench.identity, &effects)
      guard case .ping(let ping)? = sent(effects).first?.message.body else { return [] }
      let ack = Ack(receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
      return bench.feed(.datagram(bench.seal(1, .ack(ack)), rumours: [], from: source))
    }
    let first = met(answer(&bench, from: address(1)))
    let again = met(answer(&bench, from: address(1)))
    #expect(first == [[address(1)]] && again.isEmpty)
    let elsewhere = place("127.0.0.9:7447")
    let moved = met(answer(&bench, from: elsewhere))
    #expect(moved == [[elsewhere, address(1)]])
  }
}

/// Who came first, in whatever numbers, does not keep out those who come later.
@Suite struct DisplacementTests {
  private func come(_ number: Int, at address: PeerAddress, _ bench: inout Bench) {
    var identity = StandIn.identity(number)
    var body = record(0, addresses: [address])
    body.expiresUnixSeconds = lasting
    _ = bench.feed(.members([identity.seal(.nodeRecord(body), now: bench.now)], from: bench.others[0].id))
  }

  @Test(arguments: [false, true]) func aNewcomerTakesThePlaceOfOneThatIsDoubted(isPublic: Bool) {
    var settings = MembershipSettings.quiet
    settings.maximumUnseen = isPublic ? 300 : 64
    var bench = Bench(1, settings: settings)
    let prefix = isPublic ? "203.0.113" : "10.0.0"
    for number in 0..<64 { come(1_000 + number, at: place("\(prefix).\(number + 1):7447"), &bench) }
    if isPublic { for number in 0..<64 { come(1_200 + number, at: place("198.51.100.\(number + 1):7447"), &bench) } }
    let others = bench.machine.unseen.count
    var effects: [MembershipEffect] = []
    for number in 0..<32 {
      bench.machine.accuse(StandIn.identity(1_000 + number).id, bench.now, &bench.identity, &effects)
      // The probe that tells it so is over.
      _ = bench.machine.entries.modify(StandIn.identity(1_000 + number).id) { $0.probe = nil }
    }
    for number in 0..<16 {
      bench.now = bench.now + .milliseconds(100)
      come(2_000 + number, at: place("\(prefix).\(number + 100):7447"), &bench)
      #expect(bench.machine.member(StandIn.identity(2_000 + number).id)?.isUnseen == true)
      // Not as often as somebody likes.
      come(3_000, at: place("\(prefix).99:7447"), &bench)
      #expect(bench.machine.member(StandIn.identity(3_000).id) == nil && bench.machine.unseen.count == others)
    }
    #expect(bench.counted("unseenDisplaced") == 16 && bench.counted("unseenRefused") == 16)
    let doubted = (0..<32).count { bench.machine.member(StandIn.identity(1_000 + $0).id) != nil }
    #expect(doubted == 16)
    // When nobody is doubted, one goes all the same.
    for number in 0..<32 { bench.machine.forget(StandIn.identity(1_000 + number).id) }
    for number in 0..<16 { come(1_000 + number, at: place("\(prefix).\(number + 1):7447"), &bench) }
    bench.now = bench.now + .milliseconds(100)
    come(3_000, at: place("\(prefix).99:7447"), &bench)
    #expect(bench.machine.member(StandIn.identity(3_000).id) != nil && bench.machine.unseen.count == others)
  }

  @Test func manyThatAreDownAreForgottenInTimeToo() {
    var settings = MembershipSettings.quiet
    settings.unseenRetry = .seconds(60)
    var bench = Bench(1, settings: settings)
    for number in 0..<200 { come(1_000 + number, at: place("10.0.0.\(number + 1):7447"), &bench) }
    var effects: [MembershipEffect] = []
    for number in 0..<200 {
      let member = StandIn.identity(1_000 + number).id
      guard var entry = bench.machine.entries[member] else { return #expect(Bool(false)) }
      bench.machine.setState(member, &entry, to: .down, bench.now, &effects)
      // As after many tries, when each is tried every fifty seconds.
      entry.retryDelay = .seconds(40)
      bench.machine.entries[member] = entry
    }
    _ = bench.run(until: bench.now + .seconds(61))
    #expect(bench.machine.unseen.count == 0 && bench.machine.members.count == 1)
  }
}
