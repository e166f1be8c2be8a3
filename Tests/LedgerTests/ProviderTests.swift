import Primitives
import Testing
import Wire

@testable import Ledger

@Suite struct ProviderTests {
  @Test func offersAreRefusedWithReasons() throws {
    var chain = try Chain()
    let provider = chain.members[4]
    #expect(try chain.run(provider, .withdraw) == .noOffer)
    #expect(try chain.run(provider, .offer(chain.offer(until: Chain.start))) == .offerExpired)
    #expect(try chain.run(provider, .offer(chain.offer(jobs: 0))) == .offerWithoutJobs)
    let rest = try chain.state.account(provider).balanceMicrocredits - 100 - 5_000
    try chain.run(provider, .transfer(to: chain.members[5], amountMicrocredits: rest))
    #expect(try chain.run(provider, .offer(chain.offer())) == .insufficientBalance)
    #expect(try chain.state.providerIDs.isEmpty)
  }

  @Test func anUpdateLeavesRunningLeasesAlone() throws {
    var chain = try Chain()
    let provider = chain.members[4]
    let gpu = GPUOffer(vendor: "nvidia", model: "x", memoryBytes: 8 * gib)
    try chain.run(provider, .offer(chain.offer(gpus: [gpu, gpu])))
    let (job, lease) = try chain.running(chain.members[5], chain.terms { $0.gpuCount = 1 })
    #expect(lease.gpus == 1)
    #expect(try chain.run(provider, .offer(chain.offer(cpu: 500, gpus: [], price: 1_000_000, jobs: 1))) == nil)
    #expect(try chain.state.lease(lease.id) == lease)
    #expect(try chain.state.bonded(by: provider) == 1_010_000)
    #expect(try chain.run(provider, .withdraw) == nil)
    #expect(try chain.state.offer(of: provider) == nil)
    #expect(try chain.state.fitness(for: job).map(\.unfit) == [[.withdrawn]])
    #expect(try chain.finish(lease, chain.result(lease.id)) == nil)
    #expect(try chain.state.job(job)?.paidMicrocredits == 1_500)
  }

  @Test func theBondReturnsAfterTheRetention() throws {
    var chain = try Chain { $0.retentionMilliseconds = 20_000 }
    let provider = chain.members[4]
    try chain.run(provider, .offer(chain.offer()))
    try chain.run(provider, .withdraw)
    #expect(try chain.run(provider, .withdraw) == .noOffer)
    try chain.block(after: 10_000)
    // Offered anew: the bond stays and is not taken twice.
    try chain.run(provider, .offer(chain.offer()))
    for _ in 0..<3 { try chain.block(after: 10_000) }
    #expect(try chain.state.bonded(by: provider) == 1_000_000)
    let (_, lease) = try chain.running(chain.members[5], chain.terms { $0.wallLimitMilliseconds = 600_000 })
    try chain.run(provider, .withdraw)
    for _ in 0..<3 { try chain.run(provider, .renew, after: 10_000) }
    // Not before the last lease has ended.
    #expect(try chain.state.bonded(by: provider) == 1_010_000)
    try chain.finish(lease, chain.result(lease.id))
    for _ in 0..<3 { try chain.block(after: 10_000) }
    #expect(try chain.state.bonded(by: provider) == 0)
    #expect(try chain.state.providerIDs.isEmpty)
  }

  @Test func aQuorumTakesAProviderDownAndUpAgain() throws {
    var chain = try Chain()
    let (provider, validators) = (chain.members[5], chain.genesis.validators)
    func down(_ id: NodeID) -> TransactionAction { .attest(provider: id, liveness: .down) }
    func up(_ id: NodeID) -> TransactionAction { .attest(provider: id, liveness: .up) }
    #expect(try chain.run(validators[0], down(provider)) == .notAProvider)
    try chain.run(provider, .offer(chain.offer()))
    try chain.run(validators[0], .offer(chain.offer(price: 1_900)))
    let offered = try chain.assigned(chain.members[6])
    let active = try chain.running(chain.members[6])
    #expect(offered.lease.provider == provider && active.lease.provider == provider)
    #expect(try chain.run(chain.members[6], down(provider)) == .notAValidator)
    #expect(try chain.run(validators[0], down(validators[0])) == .selfAttestation)
    #expect(try chain.run(validators[0], up(provider)) == .nothingToAttest)
    #expect(try chain.run(validators[0], down(provider)) == nil)
    #expect(try chain.run(validators[0], down(provider)) == .nothingToAttest)
    #expect(try chain.run(validators[0], up(provider)) == nil)
    #expect(try chain.run(validators[0], down(provider)) == nil)
    #expect(try chain.run(validators[1], down(provider)) == nil)
    #expect(try !chain.state.isDown(provider))
    #expect(try chain.run(validators[2], down(provider)) == nil)
    #expect(chain.events.contains(.attested(provider: provider, isDown: true)))
    #expect(try chain.state.isDown(provider))
    for lease in [offered.lease, active.lease] { #expect(try chain.state.lease(lease.id)?.state == .timedOut) }
    #expect(try chain.state.job(active.job)?.failedAttempts == 1)
    #expect(try chain.state.job(offered.job)?.failedAttempts == 0)
    try chain.block()
    #expect(try chain.state.job(active.job)?.liveLease?.provider == validators[0])
    let waiting = try chain.submit(
      chain.members[6], chain.terms { $0.maximumPricePerSecondMicrocredits = 1_000 })
    try chain.block()
    #expect(try chain.state.fitness(for: waiting).first { $0.provider == provider }?.unfit == [.attestedDown])
    // One who never said down counts for up; one who says down again does not.
    #expect(try chain.run(validators[3], up(provider)) == nil)
    #expect(try chain.run(validators[0], up(provider)) == nil)
    #expect(try chain.run(validators[0], down(provider)) == nil)
    #expect(try chain.run(validators[1], up(provider)) == nil)
    #expect(try chain.state.isDown(provider))
    #expect(try chain.run(validators[2], up(provider)) == nil)
    #expect(try !chain.state.isDown(provider))
    #expect(try chain.state.attestation(of: provider, by: validators[0]) == nil)
    #expect(try chain.state.job(waiting)?.liveLease?.provider == provider)
  }
}
