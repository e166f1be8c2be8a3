import Broadcast
import Ledger
import Primitives
import Testing
import Wire

@testable import Core

/// What peers spread: what is of no use goes no further, is nobody's merit, and is charged when it is far too much.
@Suite struct GossipTests {
  private func transfer(_ signer: Signer, _ nonce: UInt64, amount: UInt64 = 1, expires: UInt64) -> Verified<Message> {
    signer.seal(
      .transaction(
        Transaction(
          nonce: nonce, feeMicrocredits: 100, expiresMilliseconds: expires,
          action: .transfer(to: signer.id, amountMicrocredits: amount))), sequence: nonce + 1)
  }

  /// One validator with two links; what it sends is counted by whom it goes to.
  private func cluster() throws -> Cluster {
    var cluster = try Cluster(3, validators: 1, balances: [1: 1_000_000])
    cluster.start()
    return cluster
  }

  private func expires(_ cluster: Cluster) -> UInt64 { cluster.genesis.createdMilliseconds + 3_600_000 }

  /// What node 0 pushes on after it has got these from a peer.
  private func pushed(_ messages: [Verified<Message>], from peer: NodeID, in cluster: inout Cluster) -> Int {
    var effects: [CoreEffect] = []
    cluster.members[0].core.step(.gossip(messages, from: peer), now: cluster.now, into: &effects)
    return effects.reduce(0) {
      if case .send(.gossip(.publish(let list)), _, _) = $1 { $0 + list.count } else { $0 }
    }
  }

  @Test func whatNoBlockCanHoldGoesNoFurtherAndIsNobodysMerit() throws {
    var cluster = try cluster()
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.ledger.finalHeight > 0 })
    let peer = cluster.id(1)
    let time = expires(cluster)
    let poor = try cluster.signer(40)
    let rich = cluster.members[1].signer
    let worthless = [
      transfer(poor, 0, expires: time), transfer(rich, 0, expires: 1), transfer(rich, 0, expires: .max),
    ]
    #expect(pushed(worthless, from: peer, in: &cluster) == 0)
    #expect(cluster.members[0].core.broadcast.storedCount == 0 && cluster.members[0].core.mempool.count == 0)
    #expect(cluster.members[0].core.conduct(of: peer).map(\.firsts) ?? 0 == 0)
    // It is remembered, and so not asked for.
    #expect(worthless.allSatisfy { cluster.members[0].core.broadcast.hasSeen($0.value.id) })
    cluster.step(0, .announced(worthless.map(\.value.id), from: cluster.id(2)))
    #expect(cluster.members[0].core.broadcast.wantedCount == 0)
    // What the pool takes goes to the other link, twice in one message or not.
    let good = transfer(rich, 0, expires: time)
    #expect(pushed([good, good], from: peer, in: &cluster) == 1)
    #expect(cluster.members[0].core.conduct(of: peer)?.firsts == 1)
    // Another of the same nonce does not.
    #expect(pushed([transfer(rich, 0, amount: 2, expires: time)], from: peer, in: &cluster) == 0)
    #expect(cluster.members[0].core.conduct(of: peer)?.costs.isEmpty == true)
  }

  @Test func whatIsRefusedNowAndTakenLaterGoesOn() throws {
    var cluster = try cluster()
    let (peer, time) = (cluster.id(1), expires(cluster))
    let rich = cluster.members[1].signer
    let ahead = (1...300).map { transfer(rich, UInt64($0), expires: time) }
    #expect(pushed(ahead, from: peer, in: &cluster) == Mempool.maximumGappedPerAccount)
    #expect(pushed([transfer(rich, 0, expires: time)], from: peer, in: &cluster) == 1)
    let late = Array(ahead[Mempool.maximumGappedPerAccount...])
    #expect(pushed(late, from: peer, in: &cluster) == late.count)
    #expect(pushed(late, from: peer, in: &cluster) == 0)
  }

  /// As much as honest nodes come to, in a burst or for ever, costs nothing; what is far beyond closes the link.
  @Test func onlyAFloodOfWhatIsWorthlessIsCharged() throws {
    var cluster = try cluster()
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.ledger.finalHeight > 0 })
    let (honest, hostile) = (cluster.id(1), cluster.id(2))
    let poor = try cluster.signer(40)
    let message = transfer(poor, 0, expires: expires(cluster))
    func send(_ count: Int, from peer: NodeID) {
      cluster.step(0, .gossip([Verified<Message>](repeating: message, count: count), from: peer))
    }
    send(20_000, from: honest)
    for _ in 0..<60 {
      cluster.run(for: .seconds(1))
      send(410, from: honest)
    }
    #expect(cluster.members[0].core.conduct(of: honest)?.costs.isEmpty ?? true)
    send(32_768, from: hostile)
    #expect(cluster.members[0].core.conduct(of: hostile)?.costs.isEmpty ?? true)
    for _ in 0..<12 {
      send(1_000, from: hostile)
      cluster.run(for: .milliseconds(300))
    }
    let costs = try #require(cluster.members[0].core.conduct(of: hostile)).costs
    #expect(costs.map(\.misconduct) == [.worthlessFlood])
    #expect(cluster.members[0].closed.map(\.peer) == [hostile])
  }

  /// Somebody gives each node others of the same nonces, and as many as the account can pay for: both have passed on what
  /// their own pools took.
  @Test func whatAnotherPoolMayHaveTakenIsNotCharged() throws {
    var cluster = try cluster()
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.ledger.finalHeight > 0 })
    let (peer, time) = (cluster.id(1), expires(cluster))
    let rich = cluster.members[1].signer
    // Behind a missing nonce, so that no block takes them; the fees of these leave nothing.
    let here = (1...2).map { number in
      rich.seal(
        .transaction(
          Transaction(
            nonce: UInt64(number), feeMicrocredits: 500_000, expiresMilliseconds: time,
            action: .transfer(to: peer, amountMicrocredits: 1))), sequence: UInt64(number))
    }
    #expect(pushed(here, from: cluster.id(2), in: &cluster) == 2)
    let taken = transfer(rich, 1, expires: time)
    let unpaid = transfer(rich, 3, expires: time)
    for conflict in [taken, unpaid] {
      for _ in 0..<12 {
        cluster.step(0, .gossip([Verified<Message>](repeating: conflict, count: 8_192), from: peer))
        cluster.run(for: .milliseconds(300))
      }
    }
    let counters = cluster.members[0].core.counters
    #expect(counters["mempoolNonceTaken"] == 12 * 8_192 && counters["mempoolUnaffordable"] == 12 * 8_192)
    #expect(cluster.members[0].core.conduct(of: peer)?.costs.isEmpty ?? true)
    #expect(cluster.members[0].closed.isEmpty && cluster.members[0].core.broadcast.hasSeen(taken.value.id))
  }

  /// Nonces and balances that this node does not know of yet are in everybody's messages.
  @Test func aNodeThatIsBehindChargesNobody() throws {
    var cluster = try Cluster(3, validators: 2)
    cluster.start([0, 2])
    // Without the other validator there is no block, so that its state grows old.
    cluster.run(for: .seconds(30))
    let message = transfer(try cluster.signer(40), 0, expires: expires(cluster))
    for _ in 0..<24 {
      cluster.step(0, .gossip([Verified<Message>](repeating: message, count: 2_048), from: cluster.id(2)))
      cluster.run(for: .milliseconds(300))
    }
    #expect(cluster.members[0].core.counters["transactionStale"] == 24 * 2_048)
    #expect(cluster.members[0].core.conduct(of: cluster.id(2))?.costs.isEmpty ?? true)
    #expect(cluster.members[0].closed.isEmpty)
  }
}
