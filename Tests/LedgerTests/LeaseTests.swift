import Primitives
import Testing
import Wire

@testable import Ledger

@Suite struct LeaseTests {
  private func withProvider() throws -> Chain {
    var chain = try Chain()
    try chain.run(chain.members[4], .offer(chain.offer()))
    return chain
  }

  @Test func everyStepIsTheProvidersAndInOrder() throws {
    var chain = try withProvider()
    let (provider, other) = (chain.members[4], chain.members[6])
    let (job, lease) = try chain.assigned(chain.members[5])
    let result = chain.result(lease.id)
    let commitment = result.commitment(networkID: chain.genesis.networkID, provider: provider)
    let nowhere = Digest(number(4))
    #expect(try chain.run(other, .acceptLease(lease: lease.id)) == .notTheProvider)
    #expect(try chain.run(other, .acceptLease(lease: nowhere)) == .unknownLease)
    #expect(try chain.run(other, .declineLease(lease: lease.id, reason: "")) == .notTheProvider)
    #expect(try chain.run(other, .commitResults([commitment])) == .notTheProvider)
    #expect(try chain.run(provider, .commitResults([])) == .unknownLease)
    #expect(try chain.run(provider, .commitResults([commitment])) == .wrongLeaseState)
    #expect(try chain.run(provider, .revealResults([result])) == .wrongLeaseState)
    #expect(try chain.run(provider, .renew) == .noLeases)
    #expect(try chain.run(provider, .acceptLease(lease: lease.id)) == nil)
    #expect(try chain.run(provider, .acceptLease(lease: lease.id)) == .wrongLeaseState)
    #expect(try chain.run(provider, .renew) == nil)
    #expect(try chain.run(provider, .commitResults([commitment])) == nil)
    #expect(try chain.run(provider, .declineLease(lease: lease.id, reason: "")) == .wrongLeaseState)
    #expect(try chain.run(provider, .commitResults([commitment])) == .wrongLeaseState)
    var lie = result
    lie.exit = .exited(code: 1)
    #expect(try chain.run(provider, .revealResults([lie])) == .wrongCommitment)
    #expect(try chain.run(other, .revealResults([result])) == .notTheProvider)
    // What can be done of a batch is done.
    #expect(try chain.run(provider, .revealResults([lie, result])) == nil)
    #expect(try chain.run(provider, .revealResults([result])) == .wrongLeaseState)
    #expect(try chain.state.job(job)?.state == .settled)
  }

  @Test func acceptingNeedsTheStake() throws {
    var chain = try withProvider()
    let provider = chain.members[4]
    let (_, lease) = try chain.assigned(chain.members[5])
    let rest = try chain.state.account(provider).balanceMicrocredits - 100 - 10_000
    try chain.run(provider, .transfer(to: chain.members[5], amountMicrocredits: rest))
    #expect(try chain.run(provider, .acceptLease(lease: lease.id)) == .insufficientBalance)
    try chain.run(chain.members[5], .transfer(to: provider, amountMicrocredits: 10_000))
    #expect(try chain.run(provider, .acceptLease(lease: lease.id)) == nil)
  }

  @Test func decliningCostsAnAttemptOnlyOnceAccepted() throws {
    var chain = try withProvider()
    try chain.run(chain.members[3], .offer(chain.offer()))
    try chain.run(chain.members[2], .offer(chain.offer()))
    let (job, first) = try chain.assigned(chain.members[5])
    #expect(try chain.run(first.provider, .declineLease(lease: first.id, reason: "too warm")) == nil)
    #expect(try chain.state.lease(first.id)?.reason == "too warm")
    #expect(try chain.state.job(job)?.failedAttempts == 0)
    try chain.block()
    let second = try #require(try chain.state.job(job)?.liveLease)
    #expect(second.provider != first.provider)
    try chain.run(second.provider, .acceptLease(lease: second.id))
    #expect(try chain.run(second.provider, .declineLease(lease: second.id, reason: "disk died")) == nil)
    #expect(try chain.state.job(job)?.failedAttempts == 1)
    #expect(try chain.state.bonded(by: second.provider) == 1_000_000)
    try chain.block()
    let third = try #require(try chain.state.job(job)?.liveLease)
    #expect(Set([first, second, third].map(\.provider)).count == 3)
    // All were tried: strictly no second lease to one of them.
    try chain.run(third.provider, .declineLease(lease: third.id, reason: ""))
    try chain.block()
    #expect(try chain.state.job(job)?.state == .pending)
    #expect(try chain.state.fitness(for: job).allSatisfy { $0.unfit == [.triedBefore] })
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
  }

  @Test func leasesNotAcceptedInTimeGoElsewhereForFree() throws {
    var chain = try withProvider()
    try chain.run(chain.members[3], .offer(chain.offer()))
    let (job, lease) = try chain.assigned(chain.members[5])
    let due = chain.time + 10_000
    #expect(chain.ledger.nextDueMilliseconds(on: chain.tip) == due)
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: due - 1))
    #expect(chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: due))
    try chain.block(after: 9_999)
    #expect(try chain.state.lease(lease.id)?.state == .offered)
    try chain.block(after: 1)
    #expect(try chain.state.lease(lease.id)?.state == .timedOut)
    #expect(try chain.state.job(job)?.failedAttempts == 0)
    try chain.block()
    #expect(try chain.state.job(job)?.liveLease?.provider != lease.provider)
  }

  @Test func missedRenewalsTimeOutAllActiveLeases() throws {
    var chain = try withProvider()
    let long = chain.terms {
      $0.wallLimitMilliseconds = 600_000
      $0.retries = 0
    }
    let first = try chain.running(chain.members[5], long)
    let second = try chain.running(chain.members[6], long)
    for _ in 0..<2 { try chain.block(after: 10_000) }
    try chain.block(after: 9_000)
    #expect(try chain.run(chain.members[4], .renew) == nil)
    for _ in 0..<2 { try chain.block(after: 10_000) }
    try chain.block(after: 9_999)
    #expect(try chain.state.lease(first.lease.id)?.state == .active)
    try chain.block(after: 1)
    for (job, lease) in [first, second] {
      #expect(try chain.state.lease(lease.id)?.state == .timedOut)
      #expect(try chain.state.job(job)?.state == .refunded)
    }
    #expect(try chain.state.provider(chain.members[4])?.renewDeadlineMilliseconds == 0)
  }

  @Test func resultsThatDoNotComeTimeOut() throws {
    var chain = try withProvider()
    let late = try chain.running(chain.members[5], chain.terms { $0.retries = 0 })
    // Wall limit 10 s and grace 60 s.
    for _ in 0..<7 { try chain.run(chain.members[4], .renew, after: 9_999) }
    #expect(try chain.state.lease(late.lease.id)?.state == .active)
    try chain.block(after: 7)
    #expect(try chain.state.lease(late.lease.id)?.state == .timedOut)
    #expect(try chain.state.job(late.job)?.state == .refunded)
    let hidden = try chain.running(chain.members[5], chain.terms { $0.retries = 0 })
    let result = chain.result(hidden.lease.id)
    try chain.run(
      chain.members[4],
      .commitResults([result.commitment(networkID: chain.genesis.networkID, provider: chain.members[4])]))
    for _ in 0..<3 { try chain.block(after: 10_000) }
    #expect(try chain.state.lease(hidden.lease.id)?.state == .timedOut)
    #expect(try chain.state.job(hidden.job)?.state == .refunded)
    #expect(try chain.state.bonded(by: chain.members[4]) == 1_000_000)
  }

  @Test func aLongOutageStepsLedgerTimeSoThatARenewalSavesTheLease() throws {
    var chain = try withProvider()
    let (_, lease) = try chain.running(chain.members[5], chain.terms { $0.wallLimitMilliseconds = 600_000 })
    let before = try chain.state.ledgerTimeMilliseconds
    try chain.block(after: 3_600_000)
    #expect(try chain.state.ledgerTimeMilliseconds == before + 10_000)
    // The deadline is past by the clock, but one step of ledger time does not reach it: no hurry.
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
    #expect(try chain.run(chain.members[4], .renew) == nil)
    try chain.block()
    #expect(try chain.state.lease(lease.id)?.state == .active)
  }

  @Test func aJobNobodyTakesExpires() throws {
    var chain = try Chain()
    let job = try chain.submit(chain.members[5], chain.terms())
    try chain.block()
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
    for _ in 0..<5 { try chain.block(after: 10_000) }
    #expect(try chain.state.job(job)?.state == .pending)
    try chain.block(after: 10_000)
    #expect(try chain.state.job(job)?.state == .expired)
    #expect(try chain.state.account(chain.members[5]).balanceMicrocredits == Chain.opening - 100)
  }
}
