import Ledger
import Primitives
import Testing
import Wire

@testable import Core

@Suite struct BeaconTests {
  @Test func aChainsElementsHashDownToItsTip() throws {
    let signer = try Cluster(1).signer(0)
    for length in [1, 2, 3, 17, 64, 100] as [UInt64] {
      let chain = RevealChain(signer: signer, length: length)
      var reached = chain.tip
      for index in 0..<length {
        let element = try #require(chain.element(index))
        #expect(BeaconHash.step(element) == reached)
        reached = element
      }
      #expect(chain.element(length) == nil)
      #expect(chain.element(.max) == nil)
    }
    #expect(RevealChain(signer: signer, length: 9).tip == RevealChain(signer: signer, length: 9).tip)
    #expect(RevealChain(signer: signer, length: 9).element(0) != RevealChain(signer: signer, length: 10).element(1))
  }

  @Test func validatorsRegisterRevealAndRegisterAgain() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters()) { $0.beaconLength = 6 }
    cluster.start()
    #expect(
      cluster.run(for: .seconds(200)) { cluster in
        cluster.members.indices.allSatisfy { cluster.epoch($0) >= 9 }
      })
    #expect(cluster.isConsistent)
    let blocks = cluster.members[0].committed.flatMap(\.blocks).map(\.value)
    let registered = blocks.flatMap(\.transactions).compactMap { message -> NodeID? in
      guard case .transaction(let transaction) = message.body, case .registerBeacon = transaction.action else {
        return nil
      }
      return message.author
    }
    for number in cluster.members.indices {
      // A chain of 6 to 11 elements does not last for nine epochs of two turns.
      #expect(registered.count { $0 == cluster.id(number) } > 1)
      #expect(cluster.members[number].core.counters["beaconUnknown"] == 0)
      #expect(cluster.members[number].core.refusals.count == 0)
    }
    let reveals = blocks.dropFirst(4).map(\.header.reveal).filter { $0 != .zero }
    #expect(reveals.count > blocks.count * 3 / 4, "\(reveals.count) of \(blocks.count)")
    #expect(Set(reveals).count == reveals.count)
  }

  @Test func aRestartedLeaderRevealsFromTheChainThatIsRegistered() throws {
    var cluster = try Cluster(1, parameters: Cluster.parameters()) { $0.beaconLength = 1_000 }
    cluster.start()
    let me = cluster.id(0)
    #expect(cluster.run(for: .seconds(30)) { $0.members[0].core.finalState.validator(me)?.beacon != nil })
    try cluster.restart(0)
    cluster.start([0])
    let height = cluster.members[0].core.ledger.finalHeight
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight > height + 12 })
    let reveals = cluster.members[0].committed.flatMap(\.blocks).suffix(10).map(\.value.header.reveal)
    #expect(reveals.allSatisfy { $0 != .zero })
    #expect(cluster.members[0].halts.isEmpty)
  }
}

@Suite struct EvidenceTests {
  /// Two finalizes of one view, as a second instance with a member's key would sign them.
  private static func contradiction(_ cluster: Cluster, by number: Int) throws -> [Vote] {
    let core = cluster.members[number].core
    let voter = try #require(core.validators.index(of: cluster.id(number)))
    let view = core.consensus.view + 1
    return [1, 2].map { salt in
      cluster.members[number].signer.vote(
        .notarize(epoch: core.validators.epoch, view: view, parentView: 0, blockID: Digest(hashing: [salt])), as: voter
      ).value
    }
  }

  @Test func whoContradictsItselfIsJailedByOneTransaction() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters(epochBlocks: 16))
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight >= 2 })
    let offender = cluster.id(3)
    cluster.stop(3)
    for vote in try Self.contradiction(cluster, by: 3) {
      for number in 0..<3 {
        let frame = LinkMessage.consensus(.vote(vote)).encoded
        for input in cluster.members[number].inbound.frame(frame, from: offender).inputs { cluster.step(number, input) }
      }
    }
    #expect(
      cluster.run(for: .seconds(60)) { cluster in
        (0..<3).allSatisfy { cluster.members[$0].core.finalState.validator(offender)?.isJailed == true }
      })
    cluster.run(for: .seconds(40))
    let evidence = cluster.members[0].committed.flatMap(\.blocks).flatMap(\.value.transactions).filter { message in
      guard case .transaction(let transaction) = message.body, case .evidence = transaction.action else { return false }
      return true
    }
    #expect(evidence.count == 1)
    for number in 0..<3 {
      #expect(cluster.members[number].core.occupancy.first { $0.name == "evidence" }?.count == 0)
    }
    let slashed = cluster.members[0].committed.flatMap(\.events).contains { event in
      if case .validatorSlashed(let node, _, let amount) = event { node == offender && amount > 0 } else { false }
    }
    #expect(slashed)
    #expect(cluster.isConsistent)
    // Two epochs on it is no validator any more.
    #expect(cluster.run(for: .seconds(200)) { $0.members[0].core.validators.index(of: offender) == nil })
  }

  @Test func theNextInTurnSubmitsWhenTheFirstDoesNot() throws {
    // Who would be first can't pay the fee.
    let stake = ChainParameters().minimumStakeMicrocredits
    let ids = try (0..<4).map { try Cluster.key($0).id }
    let order = ids.indices.sorted { ids[$0] < ids[$1] }
    let offender = order[3]
    var cluster = try Cluster(4, balances: [order[0]: stake], parameters: Cluster.parameters(epochBlocks: 32))
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight >= 2 })
    cluster.stop(offender)
    for vote in try Self.contradiction(cluster, by: offender) {
      for number in 0..<4 where number != offender {
        let frame = LinkMessage.consensus(.vote(vote)).encoded
        for input in cluster.members[number].inbound.frame(frame, from: ids[offender]).inputs {
          cluster.step(number, input)
        }
      }
    }
    #expect(
      cluster.run(for: .seconds(60)) {
        $0.members[order[1]].core.finalState.validator(ids[offender])?.isJailed == true
      })
    let authors = cluster.members[order[1]].committed.flatMap(\.blocks).flatMap(\.value.transactions).map(\.author)
    #expect(authors == [ids[order[1]]])
  }
}
