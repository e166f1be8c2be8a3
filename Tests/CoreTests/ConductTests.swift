import Broadcast
import Membership
import Primitives
import Testing
import Wire

@testable import Core

/// What misconduct leads to, whichever part finds it.
@Suite struct ConductTests {
  /// A validator, and two nodes that are none; all three are up and linked.
  private func cluster() throws -> Cluster {
    var cluster = try Cluster(3, validators: 1)
    cluster.start()
    return cluster
  }

  @Test func whatEveryPartFindsIsChargedInOnePlace() throws {
    var cluster = try cluster()
    let peer = cluster.id(1)
    let bytes: [[UInt8]] = [
      [0xff], LinkMessage.members([cluster.members[1].signer.seal(.leave, sequence: 1).value.envelope]).encoded,
    ]
    var bad = bytes[1]
    bad[bad.count - 5] ^= 1
    for frame in [bytes[0], bad] {
      for input in cluster.members[0].inbound.frame(frame, from: peer).inputs { cluster.step(0, input) }
    }
    cluster.step(0, .graft(from: peer))
    cluster.step(0, .misconduct(peer, .serviceFlood))
    let conduct = try #require(cluster.members[0].core.conduct(of: peer))
    #expect(conduct.costs.map(\.misconduct) == [.badFrame, .badRecord, .serviceFlood])
    #expect(conduct.costs.map(\.points) == [50, 20, 15] && conduct.score == -85)
    #expect(cluster.members[0].core.conduct(of: cluster.id(2))?.costs.isEmpty ?? true)
    #expect(cluster.members[0].closed.isEmpty)
    cluster.step(0, .misconduct(peer, .badRecord))
    #expect(cluster.members[0].closed.map(\.peer) == [peer] && cluster.members[0].closed[0].banSeconds == 60)
    #expect(cluster.members[0].events.contains(.closedForMisconduct(peer, score: -100, banSeconds: 60)))
  }

  @Test func whoIsBannedIsNeitherDialledNorLetInUntilTheBanIsOver() throws {
    var cluster = try cluster()
    let peer = cluster.id(1)
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.membership.member($0.id(1)) != nil })
    for _ in 0..<2 { cluster.step(0, .misconduct(peer, .badFrame)) }
    let closedAt = cluster.now
    cluster.step(0, .linkDown(peer))
    cluster.step(1, .linkDown(cluster.id(0)))
    cluster.run(for: .seconds(10))
    cluster.step(0, .linkUp(peer, cluster.members[1].address, isOutbound: false))
    #expect(!cluster.members[0].core.links.contains(peer))
    #expect(cluster.members[0].closed.map(\.banSeconds) == [60, 50])
    #expect(cluster.members[0].core.counters["linkBanned"] == 1)
    cluster.run(for: .seconds(49))
    #expect(!cluster.members[0].dials.contains { $0.to == peer && $0.at > closedAt })
    #expect(cluster.members[0].core.counters["dialBanned"] > 0)
    cluster.run(for: .seconds(30))
    #expect(cluster.members[0].dials.contains { $0.to == peer && $0.at >= closedAt + .seconds(60) })
    cluster.step(0, .linkUp(peer, cluster.members[1].address, isOutbound: false))
    #expect(cluster.members[0].core.links.contains(peer))
    // What it did is not forgotten.
    let conduct = try #require(cluster.members[0].core.conduct(of: peer))
    #expect(conduct.score == 0 && conduct.closings.map(\.banSeconds) == [60])
    for _ in 0..<2 { cluster.step(0, .misconduct(peer, .badFrame)) }
    #expect(cluster.members[0].closed.last.map { $0.banSeconds } == 120)
  }

  /// Nobody is closed by a validator that it is to agree with, now or in the next epoch.
  @Test func whoBecomesAValidatorIsLetInAtOnce() throws {
    var cluster = try cluster()
    let peer = cluster.id(1)
    for _ in 0..<2 { cluster.step(0, .misconduct(peer, .badFrame)) }
    #expect(cluster.members[0].core.broadcast.banSeconds(of: peer, now: cluster.now) == 60)
    let core = cluster.members[0].core
    cluster.members[0].core.nextValidators = try #require(
      ValidatorSet(epoch: 1, members: [core.id, peer].sorted()))
    var effects: [CoreEffect] = []
    cluster.members[0].core.keepValidators(now: cluster.now, into: &effects)
    let lifted = effects.contains { if case .close(peer, _, banSeconds: 0) = $0 { true } else { false } }
    #expect(lifted)
    #expect(cluster.members[0].core.broadcast.banSeconds(of: peer, now: cluster.now) == 0)
    cluster.step(0, .linkDown(peer))
    cluster.step(0, .linkUp(peer, cluster.members[1].address, isOutbound: false))
    for _ in 0..<2 { cluster.step(0, .misconduct(peer, .badFrame)) }
    #expect(cluster.members[0].closed.count == 1 && cluster.members[0].core.links.contains(peer))
  }

  /// Honest nodes that are busy for minutes find nothing to charge each other for.
  @Test func honestNodesFindNoMisconduct() throws {
    var cluster = try Cluster(5, validators: 4)
    cluster.start()
    for round in 0..<60 {
      for number in 0..<5 {
        _ = try cluster.submit(.transfer(to: cluster.id((number + 1) % 5), amountMicrocredits: 1), from: number)
      }
      if round % 20 == 10 {
        cluster.stop(4)
        cluster.run(for: .seconds(1))
        cluster.start([4])
      }
      cluster.run(for: .seconds(1))
    }
    for member in cluster.members {
      let found = member.core.allCounters.all.map(\.name).filter { $0.contains("misconduct") }
      #expect(found.isEmpty && member.closed.isEmpty, "\(found)")
      let isAllMesh = member.core.broadcast.peers.allSatisfy { $0.isInMesh }
      #expect(isAllMesh)
    }
    #expect(cluster.members[0].core.conduct(of: cluster.id(1)).map { $0.firsts > 0 } == true)
  }

  @Test func whoLeavesTellsItsMesh() throws {
    var cluster = try cluster()
    cluster.step(1, .leave)
    cluster.run(for: .milliseconds(100))
    #expect(cluster.members[0].core.broadcast.peers.first { $0.id == cluster.id(1) }?.isInMesh == false)
  }

  /// A node that was cut off accuses whom it did not hear, and they refute all at once: that costs it nothing. Who never
  /// stops is cut.
  @Test func aBurstOfRefutedAccusationsIsFreeAndAStormIsNot() throws {
    var cluster = try cluster()
    let liar = cluster.id(1)
    var effects: [CoreEffect] = []
    func refute(_ count: Int) {
      for _ in 0..<count {
        cluster.members[0].core.charge(accusers: [cluster.id(0), liar], now: cluster.now, into: &effects)
      }
    }
    // As many as there are members besides, since each may have been accused once.
    let free = 30 + cluster.members[0].core.membership.activeCount
    refute(free)
    #expect(cluster.members[0].core.conduct(of: liar)?.costs.isEmpty ?? true)
    refute(1)
    #expect(cluster.members[0].core.conduct(of: liar)?.costs.map(\.count) == [1])
    // Twelve in a minute are free for ever, more than who probes once in nine seconds makes.
    for _ in 0..<40 {
      cluster.now = cluster.now + NodeCore.refutedAccusations.interval
      refute(1)
    }
    #expect(cluster.members[0].core.conduct(of: liar)?.costs.map(\.count) == [1])
    // One in each second is as fast as one node refutes.
    effects = []
    var beats = 0
    while !effects.contains(where: { if case .close(liar, _, 60) = $0 { true } else { false } }), beats < 100 {
      cluster.now = cluster.now + .seconds(1)
      refute(1)
      beats += 1
    }
    #expect(beats < 30)
    #expect(cluster.members[0].core.conduct(of: cluster.id(0)) == nil)
  }

  /// A member that accuses all others again and again, by whatever incarnation they have come to.
  @Test(arguments: [4, 12]) func whoAccusesEverybodyIsCutInASmallNetworkToo(count: Int) throws {
    var cluster = try Cluster(count, validators: 1)
    cluster.start()
    let isTogether = cluster.run(for: .seconds(20)) {
      $0.members.allSatisfy { $0.core.membership.count(of: .alive) == count - 1 }
    }
    #expect(isTogether)
    let liar = count - 1
    var sequence: UInt64 = 1 << 60
    var rounds = 0
    while !(0..<liar).allSatisfy({ cluster.hasClosed(liar, at: $0) }), rounds < 200 {
      rounds += 1
      let accusations = (0..<liar).map { accused in
        sequence += 1
        return cluster.members[liar].signer.seal(
          .accusation(
            Accusation(
              accused: cluster.id(accused),
              incarnation: cluster.members[accused].core.membership.ownRecord.value.sequence)),
          sequence: sequence)
      }
      for honest in 0..<liar where !cluster.hasClosed(liar, at: honest) {
        cluster.step(honest, .members(accusations, from: cluster.id(liar)))
      }
      cluster.run(for: .milliseconds(300))
    }
    #expect(rounds < 200, "not by all within a minute")
    for honest in 0..<liar {
      #expect(cluster.members[honest].closed.allSatisfy { $0.peer == cluster.id(liar) })
      #expect(cluster.members[honest].core.membership.count(of: .down) == 0)
    }
  }

  /// Somebody signs records of a node that answers nobody, each time that it is accused.
  @Test func whoRefutesAndNeverAnswersGetsNobodyCharged() throws {
    var cluster = try Cluster(5, validators: 1)
    let honest = Array(0..<4)
    cluster.start(honest)
    cluster.run(for: .seconds(5))
    let absent = cluster.members[4].signer
    var body = cluster.members[4].core.membership.ownRecord.value.body
    if case .nodeRecord(var record) = body {
      record.expiresUnixSeconds = UInt64(Cluster.wallOffset.count / 1_000_000) + 86_400
      body = .nodeRecord(record)
    }
    var told = 0
    for round in 1...100 {
      let incarnation = UInt64(1) << 60 + UInt64(round)
      let refutation = absent.seal(body, sequence: incarnation)
      let accusation = cluster.members[1].signer.seal(
        .accusation(Accusation(accused: absent.id, incarnation: incarnation)), sequence: incarnation)
      for number in honest where number != 3 { cluster.step(number, .members([refutation], from: cluster.id(3))) }
      for number in honest where number > 1 || number == 0 {
        cluster.step(number, .members([accusation], from: cluster.id(1)))
      }
      cluster.run(for: .milliseconds(300))
      told = cluster.members[0].events.count { if case .refuted(absent.id, _, _) = $0 { true } else { false } }
    }
    #expect(told > 90)
    for one in honest {
      #expect(cluster.members[one].closed.isEmpty)
      for other in honest { #expect(cluster.members[one].core.conduct(of: cluster.id(other))?.costs.isEmpty ?? true) }
    }
  }

  /// What a peer asks for of the members is little work where it is refused, and not for nothing.
  @Test func whoFloodsWithQuestionsForMembersIsCut() throws {
    var cluster = try cluster()
    let request = try #require(MemberRequest(count: MemberDigest.maximumBuckets, buckets: [0]))
    func ask(_ count: Int, _ peer: NodeID) {
      for _ in 0..<count { cluster.step(0, .memberRequest(request, from: peer)) }
    }
    // A link that comes and goes for a minute.
    for _ in 0..<200 {
      ask(1, cluster.id(2))
      cluster.run(for: .milliseconds(300))
    }
    #expect(cluster.members[0].core.conduct(of: cluster.id(2))?.costs.isEmpty ?? true)
    for _ in 0..<12 {
      ask(100, cluster.id(1))
      cluster.run(for: .milliseconds(300))
    }
    #expect(cluster.members[0].core.conduct(of: cluster.id(1))?.costs.map(\.misconduct) == [.requestFlood])
    #expect(cluster.members[0].closed.map(\.peer) == [cluster.id(1)])
  }

  /// An empty list of records asks for the own record, in two bytes.
  @Test func whoFloodsWithQuestionsForTheOwnRecordIsCut() throws {
    var cluster = try cluster()
    func ask(_ count: Int, _ peer: NodeID) {
      for _ in 0..<count { cluster.step(0, .members([], from: peer)) }
    }
    // As many as one that relays for others, and finds this node silent, comes to.
    for _ in 0..<20 {
      ask(64, cluster.id(2))
      cluster.run(for: .milliseconds(300))
    }
    #expect(cluster.members[0].core.conduct(of: cluster.id(2))?.costs.isEmpty ?? true)
    for _ in 0..<12 {
      ask(1_500, cluster.id(1))
      cluster.run(for: .milliseconds(300))
    }
    #expect(cluster.members[0].core.conduct(of: cluster.id(1))?.costs.map(\.misconduct) == [.requestFlood])
    #expect(cluster.members[0].closed.map(\.peer) == [cluster.id(1)])
  }

  /// The link of a validator stays, whatever it costs, for as long as it is one.
  @Test func whoIsNotHeardAndNoValidatorAnyMoreIsClosed() throws {
    var cluster = try cluster()
    let peer = cluster.id(1)
    var effects: [CoreEffect] = []
    cluster.members[0].core.nextValidators = try #require(
      ValidatorSet(epoch: 1, members: [cluster.id(0), peer].sorted()))
    cluster.members[0].core.keepValidators(now: cluster.now, into: &effects)
    for _ in 0..<2 { cluster.step(0, .misconduct(peer, .badFrame)) }
    #expect(cluster.members[0].closed.isEmpty && !cluster.members[0].core.broadcast.hears(peer))
    #expect(cluster.members[0].core.broadcast.bans(now: cluster.now).isEmpty)
    effects = []
    cluster.members[0].core.nextValidators = try #require(ValidatorSet(epoch: 2, members: [cluster.id(0)]))
    for _ in 0..<2 { cluster.members[0].core.keepValidators(now: cluster.now, into: &effects) }
    let closes = effects.count { if case .close(peer, _, banSeconds: 60) = $0 { true } else { false } }
    #expect(closes == 1)
    #expect(cluster.members[0].core.broadcast.bans(now: cluster.now).map(\.peer) == [peer])
    // A stranger's ban is told as well.
    let stranger = NodeID(Digest(hashing: [9]).value)
    for _ in 0..<2 { cluster.step(0, .misconduct(stranger, .badFrame)) }
    #expect(cluster.members[0].core.broadcast.bans(now: cluster.now).map(\.peer) == [peer, stranger].sorted())
  }

  @Test func aNewAddressOfOnesOwnIsTold() throws {
    var cluster = try cluster()
    guard case .nodeRecord(let record) = cluster.members[0].core.membership.ownRecord.value.body
    else { return #expect(Bool(false)) }
    let address = try #require(PeerAddress(text: "10.1.2.3:7447"))
    cluster.step(0, .interfaces([address]))
    #expect(cluster.members[0].events.contains(.addressChanged(from: record.addresses, to: [address])))
  }

  /// What a beacon or the address book tells is dialled where it is of use.
  @Test func whoIsFoundIsDialledWhereThereIsNoLink() throws {
    var cluster = try cluster()
    let (stranger, linked) = (NodeID(Digest(hashing: [9]).value), cluster.id(1))
    let address = try #require(PeerAddress(text: "10.1.2.3:7447"))
    for peer in [stranger, linked, cluster.id(0), nil] { cluster.step(0, .contact(address, peer)) }
    #expect(cluster.members[0].dials.map(\.to).filter { $0 != cluster.id(2) } == [stranger])
    #expect(cluster.members[0].core.counters["contactWithoutID"] == 1)
    for _ in 0..<2 { cluster.step(0, .misconduct(stranger, .badFrame)) }
    cluster.step(0, .contact(address, stranger))
    #expect(cluster.members[0].dials.count { $0.to == stranger } == 1)
  }
}

extension Cluster {
  func hasClosed(_ peer: Int, at number: Int) -> Bool { members[number].closed.contains { $0.peer == id(peer) } }
}
