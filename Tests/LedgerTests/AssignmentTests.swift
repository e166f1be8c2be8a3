import Primitives
import Testing
import Wire

@testable import Ledger

@Suite struct AssignmentTests {
  @Test func theDrawIsMadeLaterAndByAnotherLeader() throws {
    var chain = try Chain()
    try chain.run(chain.members[4], .offer(chain.offer()))
    let leader = chain.members[0]
    let message = try chain.next(chain.members[5], .submitJob(chain.terms()))
    try chain.block([message], leader: leader)
    try chain.block(leader: leader)
    #expect(try chain.state.job(message.value.id)?.state == .pending)
    #expect(chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
    try chain.block(leader: chain.members[1])
    #expect(try chain.state.job(message.value.id)?.state == .assigned)
  }

  @Test func aSingleValidatorDrawsInALaterBlock() throws {
    var chain = try Chain(validators: 1)
    try chain.run(chain.members[4], .offer(chain.offer()))
    let job = try chain.submit(chain.members[5], chain.terms())
    #expect(try chain.state.job(job)?.state == .pending)
    try chain.block()
    let lease = try #require(try chain.state.job(job)?.liveLease)
    try chain.run(lease.provider, .declineLease(lease: lease.id, reason: ""))
    try chain.run(chain.members[3], .offer(chain.offer()))
    #expect(try chain.state.job(job)?.liveLease?.provider == chain.members[3])
  }

  @Test func everyPredicateHasItsReason() throws {
    let cases: [(Unfit, (inout OfferTerms) -> Void, (inout JobTerms) -> Void)] = [
      (.driver, { $0.drivers = ["oci"] }, { _ in }),
      (.isolation, { $0.isolation = .rlimit }, { $0.isolation = .cgroup1 }),
      (.labels, { $0.labels = [Label(key: "a", value: "1")] }, { $0.labels = [Label(key: "a", value: "2")] }),
      (.price, { $0.prices.cpuSecondMicrocredits = 2_001 }, { _ in }),
      (.cpu, { $0.resources.cpuMilli = 999 }, { _ in }),
      (.memory, { $0.resources.memoryBytes = gib - 1 }, { _ in }),
      (.disk, { $0.resources.diskBytes = gib - 1 }, { _ in }),
      (.gpus, { _ in }, { $0.gpuCount = 1 }),
      (
        .gpus, { $0.gpus = [GPUOffer(vendor: "amd", model: "m", memoryBytes: gib)] },
        {
          $0.gpuCount = 1
          $0.gpuMemoryBytes = 2 * gib
        }
      ),
    ]
    for (unfit, changeOffer, changeJob) in cases {
      var chain = try Chain()
      var offer = chain.offer()
      changeOffer(&offer)
      try chain.run(chain.members[4], .offer(offer))
      let job = try chain.submit(chain.members[5], chain.terms(changeJob))
      try chain.block()
      #expect(try chain.state.job(job)?.state == .pending)
      #expect(try chain.state.fitness(for: job).map(\.unfit) == [[unfit]])
    }
    var chain = try Chain()
    try chain.run(chain.members[4], .offer(chain.offer(jobs: 1, until: Chain.start + 5_000)))
    let own = try chain.submit(chain.members[4], chain.terms())
    try chain.block()
    #expect(try chain.state.fitness(for: own).map(\.unfit) == [[.submittersOwn]])
    let allowed = try chain.assigned(chain.members[4], chain.terms { $0.mayRunOnSubmitter = true })
    #expect(allowed.lease.provider == chain.members[4])
    let second = try chain.submit(chain.members[5], chain.terms())
    try chain.block()
    #expect(try chain.state.fitness(for: second).map(\.unfit) == [[.jobSlots]])
    try chain.block(after: 6_000)
    #expect(try chain.state.fitness(for: second).map(\.unfit) == [[.offerExpired, .jobSlots]])
  }

  @Test func theSmallestGPUsThatDoAreTakenOnceEach() throws {
    var chain = try Chain()
    let gpus = [32, 8, 16].map { GPUOffer(vendor: "nvidia", model: "m", memoryBytes: $0 * gib) }
    try chain.run(chain.members[4], .offer(chain.offer(gpus: gpus)))
    func gpu(_ memory: UInt64) -> JobTerms {
      chain.terms {
        $0.gpuCount = 1
        $0.gpuMemoryBytes = memory * gib
      }
    }
    #expect(try chain.assigned(chain.members[5], gpu(10)).lease.gpus == 0b100)
    #expect(try chain.assigned(chain.members[5], gpu(10)).lease.gpus == 0b001)
    let third = try chain.submit(chain.members[5], gpu(10))
    try chain.block()
    #expect(try chain.state.job(third)?.state == .pending)
    #expect(try chain.assigned(chain.members[5], gpu(1)).lease.gpus == 0b010)
  }

  @Test func aHundredJobsSpreadOverEqualProviders() throws {
    var chain = try Chain(opening: 1_000_000_000)
    for provider in 0..<5 { try chain.run(chain.members[provider], .offer(chain.offer(cpu: 64_000))) }
    var messages: [Verified<Message>] = []
    for index in 0..<100 {
      let author = chain.members[5 + index % 3]
      messages.append(chain.message(author, .submitJob(chain.terms()), nonce: UInt64(index / 3)))
    }
    try chain.block(messages)
    try chain.block()
    let counts = try chain.members.prefix(5).map { try chain.state.leases(of: $0).count }
    #expect(counts == [20, 20, 20, 20, 20])
    // Equal loads are drawn: another history gives another spread of the same jobs over the providers.
    let order = chain.events.compactMap { if case .leaseOffered(_, _, let provider) = $0 { provider } else { nil } }
    #expect(order.count == 100 && order != order.sorted())
  }

  @Test func theCheapestBandGoesFirstAndFeesBeforeAge() throws {
    var chain = try Chain()
    try chain.run(chain.members[2], .offer(chain.offer(cpu: 1_000, price: 1_000)))
    try chain.run(chain.members[3], .offer(chain.offer(cpu: 1_000, price: 1_251)))
    let first = try chain.next(chain.members[5], .submitJob(chain.terms()))
    let rich = try chain.next(chain.members[6], .submitJob(chain.terms()), fee: 200)
    let last = try chain.next(chain.members[7], .submitJob(chain.terms()))
    try chain.block([first, rich, last])
    try chain.block()
    #expect(try chain.state.job(rich.value.id)?.liveLease?.provider == chain.members[2])
    #expect(try chain.state.job(first.value.id)?.liveLease?.provider == chain.members[3])
    #expect(try chain.state.job(last.value.id)?.state == .pending)
    // A place that becomes free goes to who waits, in the same block.
    try chain.run(chain.members[6], .cancelJob(job: rich.value.id))
    #expect(try chain.state.job(last.value.id)?.liveLease?.provider == chain.members[2])
  }

  @Test func theBoundOfABlockOnlyDelays() throws {
    var chain = try Chain { $0.maximumAssignmentsPerBlock = 3 }
    try chain.run(chain.members[4], .offer(chain.offer(cpu: 64_000)))
    let messages = (0..<8).map { chain.message(chain.members[5], .submitJob(chain.terms()), nonce: $0) }
    try chain.block(messages)
    for held in [3, 6, 8] {
      #expect(chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
      try chain.block()
      #expect(try chain.state.leases(of: chain.members[4]).count == held)
    }
    // Stuck jobs that an offer frees are walked over several blocks too.
    let more = (8..<16).map { nonce in
      chain.message(chain.members[5], .submitJob(chain.terms { $0.driver = "oci" }), nonce: nonce)
    }
    try chain.block(more)
    try chain.block()
    try chain.block()
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
    var offer = chain.offer(cpu: 64_000)
    offer.drivers = ["native", "oci"]
    try chain.run(chain.members[4], .offer(offer))
    for held in [11, 14, 16] {
      #expect(try chain.state.leases(of: chain.members[4]).count == held)
      try chain.block()
    }
    #expect(!chain.ledger.hasDueWork(on: chain.tip, unixMilliseconds: chain.time))
  }
}
