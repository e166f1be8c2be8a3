import Primitives
import Testing
import Wire

@testable import Membership

@Suite struct MachineTests {
  @Test func aPingIsAnsweredAtItsSourceByNothingLonger() {
    var bench = Bench(3)
    let ping = bench.seal(
      1,
      .ping(
        Ping(
          receiver: bench.identity.id, number: 1 << 60, height: 9, observed: address(0),
          rumours: [bench.machine.ownRecord.value.envelope])
      ))
    let source = PeerAddress(text: "127.0.0.77:999")!
    let answers = sent(bench.feed(.datagram(ping, rumours: [], from: source)))
    #expect(answers.count == 1 && answers[0].to == source)
    #expect(answers[0].message.envelope.encoded.count <= ping.value.envelope.encoded.count)
    guard case .ack(let ack) = answers[0].message.body else { return #expect(Bool(false)) }
    #expect(ack.number == 1 << 60 && ack.observed == source && ack.receiver == bench.others[0].id)
    #expect(bench.machine.member(bench.others[0].id)?.height == 9)
    #expect(bench.machine.member(bench.others[0].id)?.address == address(1))
  }

  @Test func aPingWithoutWordsIsAnsweredByAsMuchAndNoMore() {
    var bench = Bench(1)
    // What it learns of this node's height does not make the answer longer.
    _ = bench.feed(.height(.max))
    let ping = Ping(receiver: bench.identity.id, number: 1, height: 0, observed: address(0), rumours: [])
    let sealed = bench.seal(1, .ping(ping))
    let answers = sent(bench.feed(.datagram(sealed, rumours: [], from: address(1))))
    #expect(answers.map(\.message.envelope.encoded.count) == [sealed.value.envelope.encoded.count])
    guard case .ack(let ack)? = answers.first?.message.body else { return #expect(Bool(false)) }
    #expect(ack.height == .max && ack.observed == address(1) && ack.rumours.isEmpty)
  }

  @Test func aPingShorterThanItsAnswerIsNotAnswered() {
    var bench = Bench(1)
    let short = Ping(receiver: bench.identity.id, number: 1, height: 0, observed: address(0), rumours: [])
    let sealed = bench.seal(1, .ping(short))
    // It says that it was sent to an IPv4 address, and came from an IPv6 one, which the answer would name.
    let source = PeerAddress(text: "[2001:db8::1]:7447")!
    #expect(sent(bench.feed(.datagram(sealed, rumours: [], from: source))).isEmpty)
    #expect(bench.counted("ackTooLong") == 1)
  }

  @Test func aPingNamesTheAddressItIsSentTo() {
    var bench = Bench(3)
    var seen = 0
    for _ in 0..<20 {
      bench.now = bench.machine.nextWake!
      for (message, to) in sent(bench.feed(.tick)) {
        guard case .ping(let ping) = message.body else { continue }
        #expect(ping.observed == to)
        seen += 1
      }
    }
    #expect(seen > 0)
  }

  @Test func replaysOtherReceiversAndStrangersAreRefused() {
    var bench = Bench(2)
    let ping = bench.seal(
      1,
      .ping(
        Ping(
          receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0),
          rumours: [bench.machine.ownRecord.value.envelope])
      ))
    #expect(sent(bench.feed(.datagram(ping, rumours: [], from: address(1)))).count == 1)
    #expect(bench.feed(.datagram(ping, rumours: [], from: address(9))).isEmpty)
    #expect(bench.counted("replayed") == 1)
    let misdirected = Ping(receiver: bench.others[1].id, number: 1, height: 0, observed: address(0), rumours: [])
    #expect(bench.datagram(1, .ping(misdirected)).isEmpty)
    #expect(bench.counted("wrongReceiver") == 1)
    bench.others.append(StandIn.identity(40))
    #expect(bench.ping(3).isEmpty)
    #expect(bench.counted("authorUnknown") == 1)
    #expect(bench.datagram(1, .leave).isEmpty)
    #expect(bench.counted("wrongReceiver") == 2)
  }

  @Test func theReplayWindowTakesEachSequenceOnceInAnyOrder() {
    var window = ReplayWindow()
    let admitted = [10, 5, 7, 10, 5, 8, 11].map { window.admit($0) }
    #expect(admitted == [true, true, true, false, false, true, true])
    for sequence in 100..<200 as Range<UInt64> {
      let isNew = window.admit(sequence)
      #expect(isNew)
    }
    let (belowFloor, again, next) = (window.admit(12), window.admit(199), window.admit(200))
    #expect(!belowFloor && !again && next)
  }

  @Test func onlyItsOwnNewerRecordRevivesANode() {
    var bench = Bench(3)
    let accused = bench.machine.member(bench.others[0].id)!
    let old = bench.seal(1, .nodeRecord(record(1)))
    // An accusation by a known member that names the known incarnation counts; any other does not.
    let wrong = bench.seal(2, .accusation(Accusation(accused: accused.id, incarnation: accused.incarnation + 1)))
    _ = bench.feed(.members([wrong], from: bench.others[1].id))
    #expect(bench.state(1) == .alive)
    #expect(bench.counted("accusationOfUnknownIncarnation") == 1)
    var stranger = StandIn.identity(41)
    let anonymous = stranger.seal(
      .accusation(Accusation(accused: accused.id, incarnation: accused.incarnation)), now: bench.now)
    _ = bench.feed(.members([anonymous], from: bench.others[1].id))
    #expect(bench.state(1) == .alive && bench.counted("accuserUnknown") == 1)
    let right = bench.seal(2, .accusation(Accusation(accused: accused.id, incarnation: accused.incarnation)))
    _ = bench.feed(.members([right], from: bench.others[1].id))
    #expect(bench.state(1) == .suspect)
    #expect(bench.machine.member(accused.id)?.accusations.map(\.accuser) == [bench.others[1].id])
    // Someone else's record says nothing about node 1, whatever it names.
    var copy = record(1)
    copy.expiresUnixSeconds = lasting
    _ = bench.feed(.members([bench.seal(2, .nodeRecord(copy))], from: bench.others[1].id))
    #expect(bench.state(1) == .suspect)
    // Its own expired record neither.
    _ = bench.feed(.members([old], from: bench.others[0].id))
    #expect(bench.state(1) == .suspect && bench.counted("recordExpired") == 1)
    _ = bench.introduce(1)
    #expect(bench.state(1) == .alive && bench.counted("refuted") == 1)
  }

  @Test func anAccusedNodeRefutesInItsAnswerAndNotTooOften() {
    var bench = Bench(3)
    bench.now = bench.now + .seconds(5)
    let first = bench.machine.ownRecord.value.sequence
    func accusation(_ bench: inout Bench) -> Verified<Message> {
      bench.seal(
        1, .accusation(Accusation(accused: bench.identity.id, incarnation: bench.machine.ownRecord.value.sequence)))
    }
    let word = accusation(&bench)
    let filler = bench.machine.ownRecord.value.envelope
    let ping = Ping(
      receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0),
      rumours: [word.value.envelope, filler])
    let answers = sent(bench.datagram(1, .ping(ping), rumours: [word]))
    let second = bench.machine.ownRecord.value.sequence
    #expect(second > first)
    guard case .ack(let ack) = answers[0].message.body else { return #expect(Bool(false)) }
    #expect(ack.rumours.contains { $0 == bench.machine.ownRecord.value.envelope })
    _ = bench.feed(.members([accusation(&bench)], from: bench.others[0].id))
    #expect(bench.machine.ownRecord.value.sequence == second)
    bench.now = bench.now + .seconds(1)
    _ = bench.feed(.tick)
    #expect(bench.machine.ownRecord.value.sequence > second)
  }

  @Test func unusableAddressesAreNeverSentTo() {
    var bench = Bench(0)
    let bad = ["0.0.0.0:7447", "127.0.0.9:0", "255.255.255.255:1", "224.0.0.1:5", "127.0.0.1:7447"].map {
      PeerAddress(text: $0)!
    }
    for (index, address) in bad.enumerated() {
      bench.others.append(StandIn.identity(50 + index))
      _ = bench.introduce(index + 2, addresses: [address])
    }
    #expect(bench.machine.members.count == bad.count)
    for _ in 0..<300 {
      bench.now = bench.machine.nextWake!
      for effect in bench.feed(.tick) {
        if case .send = effect { #expect(Bool(false)) }
        if case .dial = effect { #expect(Bool(false)) }
      }
    }
    #expect(bench.counted("noUsableAddress") > 0)
    // Nor is a request answered whose source cannot be written to.
    let ping = bench.seal(
      2,
      .ping(
        Ping(
          receiver: bench.identity.id, number: 1 << 60, height: 0, observed: address(0),
          rumours: [bench.machine.ownRecord.value.envelope])
      ))
    #expect(sent(bench.feed(.datagram(ping, rumours: [], from: bad[0]))).isEmpty)
  }

  @Test func loopbackOfAnotherMachineIsNotThisMachines() {
    var bench = Bench(1)
    var own = record(0)
    own.addresses = [PeerAddress(text: "203.0.113.5:7447")!]
    _ = bench.feed(.updateRecord(own))
    #expect(!bench.machine.mayBeSentTo(address(1)))
    #expect(bench.machine.mayBeSentTo(PeerAddress(text: "198.51.100.7:1")!))
  }

  @Test func aPingRequestProbesItsTargetAndEndsInAckOrNack() {
    var bench = Bench(3)
    let unknown = PingRequest(receiver: bench.identity.id, number: 7, target: StandIn.identity(45).id)
    #expect(bench.datagram(1, .pingRequest(unknown)).isEmpty)
    #expect(bench.counted("relayTargetUnknown") == 1)
    let request = PingRequest(receiver: bench.identity.id, number: 7, target: bench.others[1].id)
    let pings = sent(bench.datagram(1, .pingRequest(request)))
    #expect(pings.count == 1 && pings[0].to == address(2))
    guard case .ping(let ping) = pings[0].message.body else { return #expect(Bool(false)) }
    let ack = Ack(
      receiver: bench.identity.id, number: ping.number, height: 0, observed: address(0), rumours: [])
    let forwarded = sent(bench.datagram(2, .ack(ack)))
    guard case .ack(let answer) = forwarded[0].message.body else { return #expect(Bool(false)) }
    #expect(answer.number == 7 && answer.receiver == bench.others[0].id && forwarded[0].to == address(1))
    #expect(sent(bench.datagram(1, .pingRequest(request))).count == 1)
    bench.now = bench.now + MembershipSettings.lan.relayTimeout
    let nacks = sent(bench.feed(.tick)).filter { if case .nack = $0.message.body { true } else { false } }
    #expect(nacks.count == 1 && nacks[0].to == address(1))
    // Many requests of one member are not all served.
    for number in 0..<20 {
      _ = bench.datagram(
        1, .pingRequest(PingRequest(receiver: bench.identity.id, number: UInt64(number), target: bench.others[1].id)))
    }
    #expect(bench.counted("relayDropped") == 16)
  }

  @Test func anUnexpectedAckOrNackChangesNothing() {
    var bench = Bench(2)
    let ack = Ack(receiver: bench.identity.id, number: 99, height: 3, observed: address(0), rumours: [])
    #expect(bench.datagram(1, .ack(ack)).isEmpty)
    #expect(bench.machine.member(bench.others[0].id)?.rtt == nil)
    #expect(bench.datagram(1, .nack(Nack(receiver: bench.identity.id, number: 99))).isEmpty)
    #expect(bench.counted("ackUnexpected") == 1 && bench.counted("nackUnexpected") == 1)
  }

  @Test func membersAreBoundedAndExpiredGoneOnesMakeRoom() {
    var settings = MembershipSettings.lan
    settings.maximumMembers = 3
    var bench = Bench(3, settings: settings)
    bench.others.append(StandIn.identity(60))
    _ = bench.introduce(4)
    #expect(bench.machine.members.count == 3 && bench.counted("memberRefused") == 1)
    let soon = bench.identity.wallClock.unixMicroseconds(at: bench.now) / 1_000_000 + 10
    bench.now = bench.now + .milliseconds(1)
    _ = bench.introduce(2, expires: soon)
    _ = bench.feed(.members([bench.seal(2, .leave)], from: bench.others[1].id))
    #expect(bench.state(2) == .left)
    bench.now = bench.now + .seconds(11)
    _ = bench.introduce(4)
    #expect(bench.state(4) == .alive && bench.state(2) == nil && bench.machine.members.count == 3)
  }

  @Test func anEmptyListAsksForTheOwnRecordAndNotTooOften() {
    var bench = Bench(3)
    let peer = bench.others[0].id
    _ = bench.feed(.linkUp(peer, address(1), isOutbound: true))
    #expect(exchanges(bench.feed(.members([], from: peer))).map(\.words) == [[bench.machine.ownRecord.value.envelope]])
    #expect(exchanges(bench.feed(.members([], from: peer))).isEmpty)
    // What is neither record, accusation nor farewell does not enter by this door.
    _ = bench.feed(.members([bench.seal(1, .nack(Nack(receiver: peer, number: 1)))], from: peer))
    #expect(bench.counted("notARumour") == 1)
  }

  @Test func ownRecordOfAnotherProcessIsOutbid() {
    var bench = Bench(1)
    var twin = StandIn.identity(0, floor: 1_800_000_000_000_000)
    let foreign = twin.seal(.nodeRecord(record(0)), now: bench.now)
    _ = bench.feed(.members([foreign], from: bench.others[0].id))
    #expect(bench.machine.ownRecord.value.sequence > foreign.value.sequence)
    #expect(bench.counted("ownKeyElsewhere") == 1)
    var mad = StandIn.identity(0, floor: UInt64.max - 2)
    _ = bench.feed(.members([mad.seal(.nodeRecord(record(0)), now: bench.now)], from: bench.others[0].id))
    #expect(bench.machine.ownRecord.value.sequence < UInt64.max / 2)
  }

  @Test func oneAccuserAPrefixOutsidePrivateRanges() {
    var bench = Bench(6)
    for number in 2...4 {
      bench.now = bench.now + .milliseconds(1)
      _ = bench.introduce(number, addresses: [PeerAddress(text: "203.0.113.\(number):7447")!])
    }
    let accused = bench.machine.member(bench.others[0].id)!
    for number in 2...5 {
      let word = bench.seal(number, .accusation(Accusation(accused: accused.id, incarnation: accused.incarnation)))
      _ = bench.feed(.members([word], from: bench.others[number - 1].id))
    }
    let entry = bench.machine.entries[accused.id]!
    #expect(entry.accusations.count == 4)
    #expect(bench.machine.standing(entry) == 2)
  }

  @Test func aNodeWithoutAnAddressLearnsItFromOthers() {
    var identity = StandIn.identity(0)
    var machine = MembershipMachine(
      settings: .lan, ownRecord: record(0, addresses: []), identity: &identity, now: .zero, seed: 3)
    var effects: [MembershipEffect] = []
    machine.step(.start, now: .zero, identity: &identity, into: &effects)
    var others = (1...3).map { StandIn.identity($0) }
    for index in 0..<3 {
      var body = record(index + 1)
      body.expiresUnixSeconds = lasting
      let message = others[index].seal(.nodeRecord(body), now: .zero)
      machine.step(.members([message], from: others[index].id), now: .zero, identity: &identity, into: &effects)
    }
    let seen = PeerAddress(text: "198.51.100.4:7447")!
    for _ in 0..<20 {
      effects = []
      let now = machine.nextWake!
      machine.step(.tick, now: now, identity: &identity, into: &effects)
      for (message, to) in sent(effects) {
        guard case .ping(let ping) = message.body, let index = others.firstIndex(where: { $0.id == ping.receiver })
        else { continue }
        let ack = Ack(receiver: identity.id, number: ping.number, height: 0, observed: seen, rumours: [])
        let answer = others[index].seal(.ack(ack), now: now)
        machine.step(.datagram(answer, rumours: [], from: to), now: now, identity: &identity, into: &effects)
      }
    }
    guard case .nodeRecord(let own) = machine.ownRecord.value.body else { return #expect(Bool(false)) }
    #expect(own.addresses == [seen])
  }

  @Test func aLateTickBlamesNobody() {
    var bench = Bench(2)
    while bench.machine.probes.isEmpty {
      bench.now = bench.machine.nextWake!
      _ = bench.feed(.tick)
    }
    bench.now = bench.now + .seconds(60)
    let effects = bench.feed(.tick)
    #expect(!effects.contains { if case .changed = $0 { true } else { false } })
    #expect(bench.counted("lateTick") == 1 && bench.counted("probeFailed") == 0)
  }
}
