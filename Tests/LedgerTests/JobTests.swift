import Primitives
import Testing
import Wire

@testable import Ledger

@Suite struct JobTests {
  @Test func aJobRunsSettlesAndIsForgotten() throws {
    var chain = try Chain()
    let (submitter, provider) = (chain.members[5], chain.members[4])
    #expect(try chain.run(provider, .offer(chain.offer())) == nil)
    #expect(try chain.state.bonded(by: provider) == 1_000_000)
    let id = try chain.submit(submitter, chain.terms())
    // (1 + 1 retry) · 2,000 · 10 s, and the deposit.
    #expect(try chain.state.escrow(of: submitter) == 41_000)
    #expect(try chain.state.job(id)?.state == .pending)
    #expect(chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
    try chain.block()
    let lease = try #require(try chain.state.job(id)?.liveLease)
    #expect(lease.provider == provider && lease.pricePerSecondMicrocredits == 1_000 && lease.state == .offered)
    #expect(try chain.state.leases(of: provider) == [lease])
    #expect(chain.events.contains(.leaseOffered(lease: lease.id, job: id, provider: provider)))
    #expect(try chain.run(provider, .acceptLease(lease: lease.id)) == nil)
    #expect(try chain.state.bonded(by: provider) == 1_010_000)
    #expect(try chain.state.job(id)?.state == .running)
    let before = try chain.state.account(provider).balanceMicrocredits
    #expect(try chain.finish(lease, chain.result(lease.id, exit: .exited(code: 3))) == nil)
    let job = try #require(try chain.state.job(id))
    // 1.5 s at 1,000; two fees; the stake is back.
    #expect(try chain.state.account(provider).balanceMicrocredits == before + 1_500 - 200 + 10_000)
    #expect(job.state == .settled && job.paidMicrocredits == 1_500 && job.exit == .exited(code: 3))
    #expect(job.outputRoot == Digest(number(9)) && job.escrowMicrocredits == 0)
    #expect(job.leases.map(\.state) == [.paid] && job.settledInBlock == chain.ledger.finalHeight)
    #expect(job.assignedInBlock == 3 && job.submittedInBlock == 2)
    #expect(try chain.state.account(submitter).balanceMicrocredits == Chain.opening - 100 - 1_500)
    #expect(try chain.state.leases(of: provider).isEmpty)
    while try chain.state.ledgerTimeMilliseconds < chain.genesis.parameters.retentionMilliseconds + Chain.start {
      try chain.block(after: 10_000, isThorough: false)
    }
    try chain.block(after: 10_000)
    #expect(try chain.state.job(id) == nil)
    #expect(try chain.state.lease(lease.id) == nil)
  }

  @Test func submissionsThatCannotBeServedAreRefused() throws {
    var chain = try Chain()
    let author = chain.members[5]
    let cases: [(TransactionRefusal, (inout JobTerms) -> Void)] = [
      (.replicationUnsupported, { $0.replication = 0 }), (.replicationUnsupported, { $0.replication = 3 }),
      (.tooManyRetries, { $0.retries = 17 }), (.tooManyRetries, { $0.retries = .max }),
      (.badWallLimit, { $0.wallLimitMilliseconds = 0 }), (.badWallLimit, { $0.wallLimitMilliseconds = .max }),
      (.startDeadlinePassed, { $0.startDeadlineMilliseconds = Chain.start }),
      (.priceOverflow, { $0.maximumPricePerSecondMicrocredits = .max }),
      (.insufficientBalance, { $0.maximumPricePerSecondMicrocredits = 5_000_000 }),
    ]
    for (refusal, change) in cases {
      #expect(try chain.run(author, .submitJob(chain.terms(change))) == refusal)
    }
    #expect(try Array(chain.state.jobs).isEmpty)
    #expect(Set(TransactionRefusal.allCases.map(\.message)).count == TransactionRefusal.allCases.count)
  }

  @Test func extremesOfTermsNeitherTrapNorRunOver() throws {
    var chain = try Chain(opening: UInt64(Int64.max) / 8)
    var greedy = chain.offer(price: .max)
    greedy.prices = Prices(
      cpuSecondMicrocredits: .max, memoryGiBSecondMicrocredits: .max, gpuSecondMicrocredits: .max)
    greedy.resources = Resources(cpuMilli: .max, memoryBytes: .max, diskBytes: .max)
    #expect(try chain.run(chain.members[4], .offer(greedy)) == nil)
    var wide = chain.offer(price: 0)
    wide.resources = greedy.resources
    wide.validUntilMilliseconds = .max
    #expect(try chain.run(chain.members[5], .offer(wide)) == nil)
    let (_, lease) = try chain.running(
      chain.members[6],
      chain.terms {
        $0.resources = Resources(cpuMilli: .max, memoryBytes: .max, diskBytes: .max)
        $0.startDeadlineMilliseconds = .max
        $0.wallLimitMilliseconds = LedgerBounds.maximumWallLimitMilliseconds
        $0.maximumPricePerSecondMicrocredits = 1_000_000_000
      })
    #expect(lease.provider == chain.members[5])
    let other = try chain.submit(chain.members[6], chain.terms { $0.resources.memoryBytes = 1 })
    try chain.block()
    #expect(try chain.state.job(other)?.state == .pending)
    let fits = try chain.state.fitness(for: other)
    #expect(fits.map(\.unfit) == [[.price], [.cpu, .memory, .disk]])
    #expect(try chain.finish(lease, chain.result(lease.id, wall: .max)) == nil)
    try chain.block()
    #expect(try chain.state.job(other)?.state == .assigned)
    #expect(Pricing.perSecond(greedy.resources, gpuCount: 255, at: greedy.prices) == nil)
    #expect(Pricing.roundedUp(.max, times: .max, over: .max) == .max)
    #expect(Pricing.roundedUp(.max, times: .max, over: .max - 1) == nil)
    #expect(Pricing.roundedUp(1, times: 1, over: 1_000) == 1)
    #expect(Pricing.roundedUp(0, times: .max, over: 1) == 0)
  }

  @Test func theWallLimitBoundsWhatIsPaid() throws {
    var chain = try Chain()
    try chain.run(chain.members[4], .offer(chain.offer(price: 1_999)))
    let (id, lease) = try chain.running(chain.members[5], chain.terms { $0.wallLimitMilliseconds = 10_001 })
    try chain.finish(lease, chain.result(lease.id, exit: .wallLimit, wall: .max))
    let job = try #require(try chain.state.job(id))
    // 10.001 s · 1,999 rounded up.
    #expect(job.paidMicrocredits == 19_992 && job.state == .settled && job.exit == .wallLimit)
  }

  @Test func aFailedAttemptIsRetriedElsewhereAndThenRefunded() throws {
    var chain = try Chain()
    for provider in [2, 3, 4] { try chain.run(chain.members[provider], .offer(chain.offer())) }
    let (id, first) = try chain.running(chain.members[5])
    try chain.finish(first, chain.result(first.id, exit: .startFailed, message: "no input"))
    #expect(try chain.state.job(id)?.state == .pending)
    #expect(try chain.state.job(id)?.leases.map(\.state) == [.revealed])
    try chain.block()
    let second = try #require(try chain.state.job(id)?.liveLease)
    #expect(second.provider != first.provider && second.attempt == 1)
    try chain.run(second.provider, .acceptLease(lease: second.id))
    try chain.finish(second, chain.result(second.id, exit: .lost))
    let job = try #require(try chain.state.job(id))
    #expect(job.state == .refunded && job.paidMicrocredits == 0 && !job.message.isEmpty && job.exit == nil)
    #expect(try chain.state.account(chain.members[5]).balanceMicrocredits == Chain.opening - 100)
  }

  @Test func cancellingPaysForTheTimeSinceAcceptance() throws {
    var chain = try Chain()
    let (submitter, provider) = (chain.members[5], chain.members[4])
    let pending = try chain.submit(submitter, chain.terms())
    #expect(try chain.run(provider, .cancelJob(job: pending)) == .notTheSubmitter)
    #expect(try chain.run(submitter, .cancelJob(job: Digest(number(4)))) == .unknownJob)
    #expect(try chain.run(submitter, .cancelJob(job: pending)) == nil)
    #expect(try chain.run(submitter, .cancelJob(job: pending)) == .jobEnded)
    try chain.run(provider, .offer(chain.offer()))
    let offered = try chain.assigned(submitter)
    #expect(try chain.run(submitter, .cancelJob(job: offered.job)) == nil)
    #expect(try chain.state.lease(offered.lease.id)?.state == .cancelled)
    #expect(try chain.state.job(offered.job)?.paidMicrocredits == 0)
    let active = try chain.running(submitter)
    #expect(try chain.run(submitter, .cancelJob(job: active.job), after: 2_001) == nil)
    #expect(try chain.state.job(active.job)?.paidMicrocredits == 2_001)
    #expect(try chain.state.job(active.job)?.state == .cancelled)
    let committed = try chain.running(submitter)
    let result = chain.result(committed.lease.id)
    try chain.run(
      provider, .commitResults([result.commitment(networkID: chain.genesis.networkID, provider: provider)]))
    #expect(try chain.run(submitter, .cancelJob(job: committed.job)) == .jobCommitted)
    #expect(try chain.run(provider, .revealResults([result])) == nil)
    #expect(try chain.state.bonded(by: provider) == 1_000_000)
  }
}
