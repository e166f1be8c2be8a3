import Core
import Ledger
import Primitives
import Testing
import Wire

/// What becomes of a transaction whose nonce another one of the account takes: one that it signed before a restart, say,
/// and that the others still have.
@Suite struct OwnTransactionsTests {
  /// A validator, and a node of which that one holds a transaction that the node itself does not know of.
  private static func cluster() throws -> (cluster: Cluster, target: NodeID) {
    var cluster = try Cluster(2, validators: 1)
    cluster.start()
    let target = try Cluster.key(9).id
    let old = cluster.members[1].signer.seal(
      .transaction(
        Transaction(
          nonce: 0, feeMicrocredits: 100, expiresMilliseconds: cluster.genesis.createdMilliseconds + 3_600_000,
          action: .transfer(to: target, amountMicrocredits: 5_000))),
      sequence: 1)
    cluster.step(0, .gossip([old], from: cluster.id(1)))
    return (cluster, target)
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

  @Test func aJobThatWasCancelledIsNotSignedAnew() throws {
    var (cluster, target) = try Self.cluster()
    let told = try cluster.submit(.submitJob(cluster.job()), from: 1)
    _ = try cluster.submit(.cancelJob(job: told), from: 1)
    #expect(
      cluster.run(for: .seconds(60)) {
        $0.members[1].core.finalState.account(target).balanceMicrocredits == 5_000
          && $0.members[1].core.underWay.isEmpty
      })
    cluster.run(for: .seconds(60))
    #expect(cluster.members[1].signedAnew[told] == nil)
    #expect(cluster.members[1].core.finalState.jobs.contains { _ in true } == false)
    #expect(cluster.members[1].core.refusals[told] == "it was cancelled before a block held it")
  }

  @Test func whatCannotBePaidAnyMoreIsRefusedUnderTheToldId() throws {
    var cluster = try Cluster(2, validators: 1, balances: [1: 5_150])
    cluster.start()
    let target = try Cluster.key(9).id
    let old = cluster.members[1].signer.seal(
      .transaction(
        Transaction(
          nonce: 0, feeMicrocredits: 100, expiresMilliseconds: cluster.genesis.createdMilliseconds + 3_600_000,
          action: .transfer(to: target, amountMicrocredits: 5_000))),
      sequence: 1)
    cluster.step(0, .gossip([old], from: cluster.id(1)))
    let told = try cluster.submit(.transfer(to: target, amountMicrocredits: 1), from: 1)
    #expect(cluster.run(for: .seconds(60)) { $0.members[1].core.refusals[told] != nil })
    #expect(cluster.members[1].signedAnew.isEmpty && cluster.members[1].core.underWay.isEmpty)
  }
}
