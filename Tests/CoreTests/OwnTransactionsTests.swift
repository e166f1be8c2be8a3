import Core
import Ledger
import Primitives
import Testing
import Wire

/// What becomes of a transaction whose nonce another one of the account takes: one that it signed before a restart, say,
/// and that the others still have.
@Suite struct OwnTransactionsTests {
  /// A validator, and a node of which that one holds a transaction that the node itself does not know of.
  private static func cluster(balance: UInt64 = Cluster.opening) throws -> (cluster: Cluster, target: NodeID) {
    var cluster = try Cluster(2, validators: 1, balances: [1: balance])
    cluster.start()
    let target = try Cluster.key(9).id
    tell(&cluster, target, nonce: 0, 5_000)
    return (cluster, target)
  }

  /// The validator hears of a transfer that the other node has signed and forgotten.
  private static func tell(_ cluster: inout Cluster, _ target: NodeID, nonce: UInt64, _ amountMicrocredits: UInt64) {
    let message = cluster.members[1].signer.seal(
      .transaction(
        Transaction(
          nonce: nonce, feeMicrocredits: 100, expiresMilliseconds: cluster.genesis.createdMilliseconds + 3_600_000,
          action: .transfer(to: target, amountMicrocredits: amountMicrocredits))),
      sequence: nonce + 1)
    cluster.step(0, .gossip([message], from: cluster.id(1)))
  }

  @Test func anIntentIsSignedAnewAndTheNewIdTold() throws {
    var (cluster, target) = try Self.cluster()
    let told = try cluster.submit(.transfer(to: target, amountMicrocredits: 60_000), from: 1)
    #expect(cluster.members[1].core.underWay.members == [told])
    #expect(
      cluster.run(for: .seconds(60)) {
        $0.members[1].core.finalState.account(target).balanceMicrocredits == 65_000
      })
    let next = try #require(cluster.members[1].signedAnew[told])
    let included = cluster.members[1].committed.flatMap(\.blocks).flatMap { $0.value.transactions.map(\.id) }
    #expect(included.contains(next) && !included.contains(told))
    #expect(cluster.members[1].core.underWay.isEmpty)
  }

  /// The cancel is heard by the validator before it makes a block of what it has, or is lost as the job is.
  @Test(arguments: [true, false]) func aJobThatWasCancelledIsNotSignedAnew(isIncluded: Bool) throws {
    var (cluster, target) = try Self.cluster()
    let told = try cluster.submit(.submitJob(cluster.job()), from: 1)
    let cancel = try cluster.submit(.cancelJob(job: told), from: 1)
    if !isIncluded { Self.tell(&cluster, target, nonce: 1, 1) }
    #expect(
      cluster.run(for: .seconds(60)) {
        $0.members[1].core.finalState.account(target).balanceMicrocredits == (isIncluded ? 5_000 : 5_001)
          && $0.members[1].core.underWay.isEmpty
      })
    let included = cluster.members[1].committed.flatMap(\.blocks).flatMap { $0.value.transactions.map(\.id) }
    #expect(included.contains(cancel) == isIncluded)
    cluster.run(for: .seconds(60))
    #expect(cluster.members[1].signedAnew[told] == nil)
    #expect(cluster.members[1].core.finalState.jobs.contains { _ in true } == false)
    #expect(cluster.members[1].core.refusals[told] == NodeCore.cancelledReason)
  }

  @Test func aCancelledJobThatExpiresLeavesNoNonceUnused() throws {
    var cluster = try Cluster(2, validators: 1)
    cluster.start()
    let target = try Cluster.key(9).id
    // What the node says of transactions is lost until they have expired.
    cluster.tamper = { from, _, message in
      if from == 1, case .gossip = message { nil } else { message }
    }
    let told = try cluster.submit(.submitJob(cluster.job()), from: 1)
    _ = try cluster.submit(.cancelJob(job: told), from: 1)
    cluster.run(for: .seconds(700))
    #expect(cluster.members[1].core.refusals[told] == NodeCore.cancelledReason)
    cluster.tamper = { $2 }
    _ = try cluster.submit(.transfer(to: target, amountMicrocredits: 60_000), from: 1)
    #expect(
      cluster.run(for: .seconds(120)) { $0.members[1].core.finalState.account(target).balanceMicrocredits == 60_000 })
    #expect(cluster.members[1].core.finalState.jobs.contains { _ in true } == false)
  }

  @Test func whatCannotBePaidAnyMoreIsRefusedUnderTheToldId() throws {
    var (cluster, target) = try Self.cluster(balance: 5_150)
    let told = try cluster.submit(.transfer(to: target, amountMicrocredits: 1), from: 1)
    #expect(cluster.run(for: .seconds(60)) { $0.members[1].core.refusals[told] != nil })
    #expect(cluster.members[1].signedAnew.isEmpty && cluster.members[1].core.underWay.isEmpty)
  }
}
