import Core
import Ledger
import Primitives
import Sodium
import Testing
import Wire

@Suite struct NodeCoreTests {
  @Test func aLoneValidatorMakesBlocksOnceItsVotesAreDurable() throws {
    var cluster = try Cluster(1)
    cluster.slowDisks = [0]
    cluster.start()
    cluster.run(for: .seconds(8))
    #expect(!cluster.members[0].persisted.isEmpty)
    #expect(cluster.members[0].committed.isEmpty)
    // The same node with a disk that answers.
    cluster.slowDisks = []
    cluster.step(0, .persisted(upTo: UInt64(cluster.members[0].persisted.count)))
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.ledger.finalHeight > 1 })
    #expect(cluster.members[0].halts.isEmpty)
  }

  @Test func aTransferMovesCredits() throws {
    var cluster = try Cluster(1)
    cluster.start()
    let other = try Cluster.key(9).id
    let id = try cluster.submit(.transfer(to: other, amountMicrocredits: 5_000))
    let isDone = cluster.run(for: .seconds(10)) {
      $0.members[0].core.finalState.account(other).balanceMicrocredits == 5_000
    }
    #expect(isDone)
    let fee = cluster.genesis.parameters.minimumFeeMicrocredits
    let account = cluster.members[0].core.finalState.account(cluster.id(0))
    let stake = cluster.genesis.parameters.minimumStakeMicrocredits
    #expect(account.balanceMicrocredits == Cluster.opening - stake - 5_000 - fee)
    #expect(account.nonce == 1)
    let blocks = cluster.members[0].committed.flatMap(\.blocks)
    #expect(blocks.contains { $0.value.transactions.contains { $0.id == id } })
    #expect(cluster.members[0].core.mempool.count == 0)
  }

  @Test func aTransferOfMoreThanThereIsIsRefusedByTheLedgerWithAReason() throws {
    var cluster = try Cluster(1)
    cluster.start()
    let id = try cluster.submit(.transfer(to: try Cluster.key(9).id, amountMicrocredits: Cluster.opening * 2))
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.refusals[id] != nil })
  }

  @Test func aTransactionOfAnotherAccountIsSpreadAndMayBeGivenAgain() throws {
    var cluster = try Cluster(4)
    cluster.start()
    let key = try Cluster.key(9)
    let other = Signer(id: key.id, networkID: cluster.genesis.networkID) { key.sign($0) }
    let fee = cluster.genesis.parameters.minimumFeeMicrocredits
    _ = try cluster.submit(.transfer(to: other.id, amountMicrocredits: 5_000 + fee))
    #expect(
      cluster.run(for: .seconds(10)) {
        $0.members[1].core.finalState.account(other.id).balanceMicrocredits == 5_000 + fee
      })
    let claim = other.seal(
      .transaction(
        Transaction(
          nonce: 0, feeMicrocredits: fee,
          expiresMilliseconds: cluster.members[1].core.finalState.ledgerTimeMilliseconds + 600_000,
          action: .transfer(to: cluster.id(1), amountMicrocredits: 5_000))), sequence: 1)
    let before = cluster.members[1].core.finalState.account(cluster.id(1)).balanceMicrocredits
    // What is given again goes out again: the first may have met no link.
    for _ in 0..<2 { cluster.step(1, .spread(claim)) }
    let isDone = cluster.run(for: .seconds(10)) {
      $0.members[1].core.finalState.account(other.id).balanceMicrocredits == 0
    }
    #expect(isDone)
    #expect(cluster.members[1].core.finalState.account(cluster.id(1)).balanceMicrocredits == before + 5_000)
    // Once it is done it goes nowhere.
    cluster.step(1, .spread(claim))
    #expect(cluster.members[1].core.mempool.count == 0)
  }

  @Test func withoutABalanceNothingIsSigned() throws {
    // A validator of the genesis has its stake locked from the start.
    var cluster = try Cluster(1, balances: [0: ChainParameters().minimumStakeMicrocredits + 99])
    cluster.start()
    cluster.step(0, .submit(.transfer(to: try Cluster.key(9).id, amountMicrocredits: 1), request: 4))
    guard case .refused(let reason)? = cluster.members[0].submissions[4] else {
      Issue.record("it was signed")
      return
    }
    #expect(reason.contains("99 microcredits"))
    #expect(cluster.members[0].core.mempool.count == 0)
  }

  @Test func whatOthersCouldNotDecodeIsNotSigned() throws {
    var cluster = try Cluster(1)
    cluster.start()
    var terms = cluster.job()
    terms.driver = String(repeating: "d", count: 100)
    cluster.step(0, .submit(.submitJob(terms), request: 1))
    guard case .refused? = cluster.members[0].submissions[1] else {
      Issue.record("it was signed")
      return
    }
    #expect(cluster.members[0].core.mempool.count == 0)
  }

  @Test func theOfferIsSentRenewedAndWithdrawn() throws {
    var cluster = try Cluster(1)
    cluster.start()
    cluster.step(0, .offer(Cluster.offer()))
    let me = cluster.id(0)
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.offer(of: me) != nil })
    let first = try #require(cluster.members[0].core.finalState.offer(of: me))
    #expect(
      cluster.run(for: .seconds(700)) {
        ($0.members[0].core.finalState.offer(of: me)?.validUntilMilliseconds ?? 0) > first.validUntilMilliseconds
      })
    cluster.step(0, .offer(nil))
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.offer(of: me) == nil })
  }

  @Test func whatTheLedgerRefusesIsNotPaidForAgainAndAgain() throws {
    var cluster = try Cluster(1)
    cluster.start()
    // The ledger takes no offer of no jobs.
    var terms = Cluster.offer()
    terms.maximumJobs = 0
    cluster.step(0, .offer(terms))
    cluster.run(for: .seconds(60))
    let nonce = cluster.members[0].core.finalState.account(cluster.id(0)).nonce
    let isRefused = cluster.members[0].core.finalState.offer(of: cluster.id(0)) == nil
    #expect(isRefused && nonce > 1 && nonce < 12, "\(nonce) transactions")
  }

  @Test func aRestartDoesNotWithdrawTheOffer() throws {
    var cluster = try Cluster(1)
    cluster.start()
    cluster.step(0, .offer(Cluster.offer()))
    let me = cluster.id(0)
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.offer(of: me) != nil })
    let nonce = cluster.members[0].core.finalState.account(me).nonce
    try cluster.restart(0)
    cluster.step(0, .start)
    cluster.run(for: .seconds(5))
    #expect(cluster.members[0].core.mempool.count == 0)
    cluster.step(0, .offer(Cluster.offer()))
    cluster.run(for: .seconds(20))
    #expect(cluster.members[0].core.finalState.offer(of: me) != nil)
    #expect(cluster.members[0].core.finalState.account(me).nonce == nonce)
  }
}

@Suite struct LeaseTests {
  private static func leased() throws -> (cluster: Cluster, job: Digest, order: LeaseOrder) {
    var cluster = try Cluster(1)
    cluster.start()
    cluster.step(0, .offer(Cluster.offer()))
    let me = cluster.id(0)
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.offer(of: me) != nil })
    let job = try cluster.submit(.submitJob(cluster.job()))
    #expect(cluster.run(for: .seconds(20)) { !$0.members[0].orders.isEmpty })
    return (cluster, job, try #require(cluster.members[0].orders.first))
  }

  @Test func aLeaseIsAcceptedRunCommittedRevealedAndPaid() throws {
    var (cluster, job, order) = try Self.leased()
    #expect(order.job == job && order.submitter == cluster.id(0) && order.attempt == 0)
    #expect(order.terms.specification == cluster.job().specification)
    #expect(cluster.members[0].core.finalState.lease(order.lease)?.state == .active)
    cluster.run(for: .seconds(2))
    cluster.step(0, .leaseFinished(Cluster.outcome(order.lease)))
    // A second outcome of the same lease changes nothing.
    cluster.step(0, .leaseFinished(Cluster.outcome(order.lease, exit: .lost)))
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.finalState.lease(order.lease)?.state == .paid })
    let record = try #require(cluster.members[0].core.finalState.job(job))
    #expect(record.state == .settled)
    #expect(record.exit == .exited(code: 0))
    #expect(record.outputRoot == Digest(hashing: [7]))
    #expect(cluster.run(for: .seconds(5)) { $0.members[0].forgotten == [order.lease] })
    #expect(cluster.members[0].orders.count == 1)
  }

  @Test func aLeaseIsRenewedWhileItRuns() throws {
    var (cluster, _, order) = try Self.leased()
    cluster.run(for: .seconds(50))
    #expect(cluster.members[0].core.finalState.lease(order.lease)?.state == .active)
    #expect(cluster.members[0].stopped.isEmpty)
  }

  @Test func aCancelledJobIsStopped() throws {
    var (cluster, job, order) = try Self.leased()
    _ = try cluster.submit(.cancelJob(job: job))
    #expect(cluster.run(for: .seconds(10)) { !$0.members[0].stopped.isEmpty })
    #expect(cluster.members[0].stopped == [order.lease])
    #expect(cluster.members[0].forgotten == [order.lease])
    #expect(cluster.members[0].core.finalState.job(job)?.state == .cancelled)
    // An outcome that comes late is forgotten, too.
    cluster.step(0, .leaseFinished(Cluster.outcome(order.lease)))
    cluster.run(for: .seconds(3))
    #expect(cluster.members[0].forgotten == [order.lease, order.lease])
  }

  @Test func aLeaseThatCannotBeTakenIsDeclined() throws {
    var (cluster, job, order) = try Self.leased()
    cluster.step(0, .leaseRefused(order.lease, reason: "no room"))
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.finalState.lease(order.lease)?.state == .declined })
    #expect(cluster.members[0].core.finalState.job(job)?.leases.first?.reason == "no room")
  }

  @Test func afterARestartTheSameLeaseGoesOn() throws {
    var (cluster, job, order) = try Self.leased()
    try cluster.restart(0)
    cluster.step(0, .leaseRunning(order.lease))
    cluster.step(0, .start)
    cluster.run(for: .seconds(3))
    // The job runs: it is neither started again nor stopped.
    #expect(cluster.members[0].orders.isEmpty && cluster.members[0].stopped.isEmpty)
    try cluster.restart(0)
    cluster.step(0, .leaseFinished(Cluster.outcome(order.lease)))
    cluster.step(0, .start)
    #expect(cluster.run(for: .seconds(30)) { $0.members[0].core.finalState.job(job)?.state == .settled })
    #expect(cluster.members[0].orders.isEmpty)
  }

  @Test func aJobOfAnothersLeaseIsStoppedAfterARestart() throws {
    var (cluster, job, order) = try Self.leased()
    _ = try cluster.submit(.cancelJob(job: job))
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.job(job)?.state == .cancelled })
    try cluster.restart(0)
    cluster.step(0, .leaseRunning(order.lease))
    cluster.step(0, .start)
    #expect(cluster.run(for: .seconds(5)) { $0.members[0].stopped == [order.lease] })
    // Of a lease that no block has told of yet nothing is stopped.
    let unknown = Digest(hashing: [42])
    try cluster.restart(0)
    cluster.step(0, .leaseRunning(unknown))
    cluster.step(0, .start)
    cluster.run(for: .seconds(5))
    #expect(cluster.members[0].stopped.isEmpty)
    #expect(cluster.run(for: .seconds(700)) { $0.members[0].stopped == [unknown] })
  }
}

@Suite struct TwoNodesTests {
  @Test func twoNodesAgreeAndRunEachOthersJobs() throws {
    var cluster = try Cluster(2)
    cluster.start()
    for number in 0..<2 { cluster.step(number, .offer(Cluster.offer())) }
    #expect(
      cluster.run(for: .seconds(30)) { cluster in
        cluster.members.allSatisfy { member in
          cluster.members.indices.allSatisfy { member.core.finalState.offer(of: cluster.id($0)) != nil }
        }
      })
    let job = try cluster.submit(.submitJob(cluster.job(mayRunOnSubmitter: false)), from: 0)
    #expect(cluster.run(for: .seconds(30)) { !$0.members[1].orders.isEmpty })
    #expect(cluster.members[0].orders.isEmpty)
    let order = try #require(cluster.members[1].orders.first)
    #expect(order.submitter == cluster.id(0))
    cluster.step(1, .leaseFinished(Cluster.outcome(order.lease, exit: .exited(code: 4))))
    #expect(
      cluster.run(for: .seconds(30)) { cluster in
        cluster.members.allSatisfy { $0.core.finalState.job(job)?.state == .settled }
      })
    #expect(cluster.members[0].core.finalState.job(job)?.exit == .exited(code: 4))
    let roots = cluster.members.map { member in
      member.committed.flatMap(\.blocks).map(\.value.header.stateRoot)
    }
    let shared = min(roots[0].count, roots[1].count)
    #expect(shared > 3)
    #expect(roots[0].prefix(shared) == roots[1].prefix(shared))
    #expect(cluster.members.allSatisfy { $0.refused.isEmpty && $0.halts.isEmpty })
  }
}

@Suite struct StartTests {
  @Test func nothingIsLookedAfterBeforeTheStart() throws {
    var cluster = try Cluster(1)
    #expect(cluster.members[0].core.nextWake == .distantFuture)
    cluster.step(0, .offer(Cluster.offer()))
    cluster.step(0, .leaseFinished(Cluster.outcome(Digest(hashing: [1]))))
    cluster.run(for: .seconds(5))
    #expect(cluster.members[0].core.mempool.count == 0)
    #expect(cluster.members[0].forgotten.isEmpty)
    cluster.start()
    let me = cluster.id(0)
    #expect(cluster.run(for: .seconds(10)) { $0.members[0].core.finalState.offer(of: me) != nil })
  }

  @Test func theOutboxIsBounded() throws {
    var cluster = try Cluster(1)
    cluster.slowDisks = [0]
    cluster.start()
    let target = try Cluster.key(9).id
    var accepted = 0
    for request in 0..<2_060 as Range<UInt64> {
      cluster.step(0, .submit(.transfer(to: target, amountMicrocredits: 1_000), request: request))
      if case .accepted? = cluster.members[0].submissions[request] { accepted += 1 }
    }
    #expect(accepted == Outbox.maximumPending)
    guard case .refused(let reason)? = cluster.members[0].submissions[2_059] else {
      Issue.record("the last was taken")
      return
    }
    #expect(reason.contains("under way"))
  }
}
