import Primitives
import Testing
import Wire

@testable import Ledger

/// Random streams of every action, sensible and senseless, in random blocks.
@Suite struct PropertyTests {
  private static let numbers: [UInt64] = [0, 1, 999, 1_000, 100_000, 1 << 40, UInt64(Int64.max), .max - 1, .max]

  private func pick<Element>(_ array: [Element], _ random: inout SeededGenerator) -> Element? {
    array.isEmpty ? nil : array[random.index(below: array.count)]
  }

  private func randomTerms(_ chain: Chain, _ random: inout SeededGenerator) -> JobTerms {
    let isWild = random.index(below: 5) == 0
    func number(_ sane: UInt64, _ random: inout SeededGenerator) -> UInt64 {
      isWild && random.index(below: 3) == 0 ? pick(Self.numbers, &random) ?? 0 : sane
    }
    return chain.terms {
      $0.resources.cpuMilli = UInt32(random.index(below: 3_000))
      $0.resources.memoryBytes = number(gib, &random)
      $0.resources.diskBytes = number(gib, &random)
      $0.gpuCount = UInt8(random.index(below: 3))
      $0.gpuMemoryBytes = number(4 * gib, &random)
      $0.mayRunOnSubmitter = random.index(below: 2) == 0
      $0.replication = isWild ? UInt8(random.index(below: 3)) : 1
      $0.retries = UInt8(random.index(below: isWild ? 256 : 4))
      $0.maximumPricePerSecondMicrocredits = number(UInt64(random.index(below: 3_000)), &random)
      $0.wallLimitMilliseconds = number(1 + UInt64(random.index(below: 60_000)), &random)
      $0.startDeadlineMilliseconds = number(chain.time + UInt64(random.index(below: 90_000)), &random)
    }
  }

  private func randomOffer(_ chain: Chain, _ random: inout SeededGenerator) -> OfferTerms {
    var offer = chain.offer(
      cpu: UInt32(random.index(below: 8_000)),
      gpus: (0..<random.index(below: 4)).map { _ in
        GPUOffer(vendor: "v", model: "m", memoryBytes: UInt64(random.index(below: 16)) * gib)
      }, price: UInt64(random.index(below: 3_000)), jobs: UInt16(random.index(below: 6)),
      until: chain.time + UInt64(random.index(below: 300_000)))
    if random.index(below: 8) == 0 {
      offer.prices.memoryGiBSecondMicrocredits = pick(Self.numbers, &random) ?? 0
      offer.resources.memoryBytes = pick(Self.numbers, &random) ?? 0
    }
    return offer
  }

  /// A result is a function of its lease, so that a later reveal fits its commitment.
  private func results(of leases: [LeaseRecord], _ chain: Chain) -> [LeaseResult] {
    let exits: [ExitStatus] = [.exited(code: 0), .signalled(signal: 9), .wallLimit, .memoryLimit, .startFailed, .lost]
    return leases.map { lease in
      let dice = lease.id.value.prefix
      return chain.result(lease.id, exit: exits[Int(dice % 6)], wall: Self.numbers[Int(dice / 6 % 9)])
    }
  }

  private func commitment(_ result: LeaseResult, _ author: NodeID, _ chain: Chain) -> LeaseCommitment {
    result.commitment(networkID: chain.genesis.networkID, provider: author)
  }

  private func randomAction(
    _ chain: Chain, _ state: LedgerReader, of author: NodeID, _ random: inout SeededGenerator
  ) -> TransactionAction {
    let anyone = pick(chain.members, &random) ?? author
    let held = state.leases(of: author)
    let jobs = state.jobs.map(\.id)
    let lease = (random.index(below: 8) == 0 ? state.leases(of: anyone) : held).randomLease(&random)
    // Mostly providers do what is next, else few jobs would ever get as far as a result.
    if let lease, lease.provider == author, random.index(below: 10) < 7 {
      switch lease.state {
      case .offered: return .acceptLease(lease: lease.id)
      case .active: return .commitResults(results(of: [lease], chain).map { commitment($0, author, chain) })
      default: return .revealResults(results(of: [lease], chain))
      }
    }
    switch random.index(below: 21) {
    case 0:
      let to = random.index(below: 6) == 0 ? NodeID(number(random.next(below: 20), 9)) : anyone
      let amount = random.index(below: 2) == 0 ? pick(Self.numbers, &random) ?? 0 : random.next(below: 1_000_000)
      return .transfer(to: to, amountMicrocredits: amount)
    case 1, 2: return .offer(randomOffer(chain, &random))
    case 3: return random.index(below: 4) == 0 ? .withdraw : .renew
    case 4, 5, 6: return .submitJob(randomTerms(chain, &random))
    case 7: return .cancelJob(job: pick(jobs, &random) ?? .zero)
    case 8, 9: return .renew
    case 10, 11: return .acceptLease(lease: lease?.id ?? .zero)
    case 12: return .declineLease(lease: lease?.id ?? .zero, reason: "no")
    case 13, 14, 15, 16:
      let results = results(of: held, chain)
      if random.index(below: 2) == 0 { return .revealResults(results) }
      return .commitResults(results.map { commitment($0, author, chain) })
    case 17: return .attest(provider: anyone, liveness: random.index(below: 5) < 3 ? .up : .down)
    default: return randomValidatorAction(chain, state, of: author, &random)
    }
  }

  private func randomValidatorAction(
    _ chain: Chain, _ state: LedgerReader, of author: NodeID, _ random: inout SeededGenerator
  ) -> TransactionAction {
    let anyone = pick(chain.members, &random) ?? chain.members[0]
    switch random.index(below: 12) {
    case 10, 11:
      let beacon = HashChain(of: author, length: [3, 20, 200][random.index(below: 3)])
      return .registerBeacon(tip: beacon.tip, length: beacon.length)
    case 0, 1, 2:
      let amount = random.index(below: 3) == 0 ? pick(Self.numbers, &random) ?? 0 : random.next(below: 2_000_000)
      return .stake(amountMicrocredits: amount)
    case 3, 4: return .unstake
    case 5, 6:
      // Few keys, so that they collide, some of them other nodes'.
      let key = random.index(below: 3) == 0 ? anyone : NodeID(number(random.next(below: 8), 40))
      return .rotateKey(VoteKey(key: key, proof: .zero))
    default:
      let epoch = state.epoch - min(state.epoch, random.next(below: 4)) + random.next(below: 2)
      let voter = UInt16(random.index(below: 5))
      let accused = state.epochRecord(epoch)?.validators
      let key = accused.flatMap { Int(voter) < $0.count ? $0[Int(voter)].key : nil } ?? anyone
      let signer = Signer(id: key, networkID: chain.genesis.networkID) { _ in .zero }
      let votes = ([1, 2] as [UInt64]).map { salt in
        signer.vote(
          .finalize(epoch: epoch, view: 4, parentView: 3, blockID: Digest(number(salt))), as: voter
        ).value
      }
      guard let evidence = Evidence(key: key, votes[0], votes[1]) else { return .unstake }
      return .evidence(evidence)
    }
  }

  private func transactions(
    _ chain: inout Chain, on parent: Digest, count: Int, _ random: inout SeededGenerator
  ) throws -> [Verified<Message>] {
    let state = try #require(chain.ledger.state(at: parent))
    var nonces = Table<NodeID, UInt64>()
    var messages: [Verified<Message>] = []
    for _ in 0..<count {
      guard let author = pick(chain.members, &random) else { continue }
      let nonce = nonces[author] ?? state.account(author).nonce
      let fee = 100 + random.next(below: 50)
      let message = chain.message(author, randomAction(chain, state, of: author, &random), nonce: nonce, fee: fee)
      nonces[author] = nonce + 1
      messages.append(message)
    }
    return messages
  }

  private func parameters(_ seed: UInt64) -> (inout ChainParameters) -> Void {
    {
      $0.retentionMilliseconds = seed % 3 == 0 ? 0 : 40_000
      $0.maximumAssignmentsPerBlock = seed % 2 == 0 ? 2 : 500
      $0.offerBondMicrocredits = seed % 4 == 0 ? 0 : 1_000_000
      $0.jobStakeMicrocredits = seed % 5 == 0 ? 0 : 10_000
      $0.epochBlocks = 4 + seed % 5
      $0.evidenceAgeEpochs = 1 + seed % 3
      $0.minimumStakeMicrocredits = seed % 4 == 3 ? 0 : 500_000
      $0.slashPartsPerMillion = [0, 1, 333_333, 1_000_000][Int(seed % 4)]
    }
  }

  @Test(arguments: UInt64(0)..<12)
  func randomStreamsConserveCreditsAndEveryJobEnds(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var chain = try Chain(
      count: 7, validators: seed % 3 == 1 ? 1 : 4, opening: 20_000_000, change: parameters(seed))
    var submitted = OrderedSet<Digest>()
    var ended = OrderedSet<Digest>()
    var settled = 0
    var slashed = 0
    var sets = OrderedSet<Digest>()
    var taken: (count: Int, snapshot: StateSnapshot)?
    func note(_ events: [LedgerEvent]) {
      slashed += events.count { if case .validatorSlashed = $0 { true } else { false } }
      for case .jobChanged(let job, let state) in events {
        submitted.insert(job)
        if state.isTerminal {
          let isFirst = ended.insert(job)
          #expect(isFirst, "a job ends once")
        }
        if state == .settled { settled += 1 }
      }
    }
    for _ in 0..<120 {
      let messages = try transactions(&chain, on: chain.tip, count: random.index(below: 12), &random)
      chain.time += random.index(below: 10) == 0 ? random.next(below: 100_000) : random.next(below: 4_000)
      try chain.nextView()
      let leader = chain.nextLeader()
      let draft = try chain.draft(timestampMilliseconds: chain.time + 1, leader: leader)
      let outcome = try chain.build(on: chain.tip, messages, draft, leader: leader)
      chain.time = outcome.block.value.header.timestampMilliseconds
      chain.tip = outcome.block.value.id
      chain.history.append((outcome.block, leader))
      note(chain.ledger.finalize(chain.tip))
      try chain.check()
      sets.insert(outcome.block.value.header.nextValidators)
      if taken == nil || random.index(below: 30) == 0 { taken = (chain.history.count, try chain.state.snapshot()) }
    }
    // Left alone, every job reaches its end.
    var rounds = 0
    while submitted.count > ended.count, rounds < 400 {
      try chain.block(after: 10_000, isThorough: false)
      note(chain.events)
      rounds += 1
    }
    try chain.check()
    #expect(submitted == ended)
    #expect(submitted.count > 40 && settled > 3)
    #expect(slashed > 0 && sets.count > 3)
    // Another instance that only executes, and finalizes late, comes to the same roots.
    var other = LedgerMachine(genesis: chain.genesis)
    for (index, entry) in chain.history.enumerated() {
      let report = try other.execute(entry.block, leader: entry.leader).get()
      #expect(report.stateRoot == entry.block.value.header.stateRoot)
      if index % 7 == 6 {
        let events = other.finalize(entry.block.value.id)
        #expect(!events.isEmpty)
      }
    }
    _ = other.finalize(chain.tip)
    #expect(other.finalStateRoot == chain.ledger.finalStateRoot && other.finalHeight == chain.ledger.finalHeight)
    let end = try #require(other.state(at: chain.tip))
    #expect(end.inconsistencies() == [])
    // A third that begins with a snapshot on the way, too; and what each hands on is the same, byte for byte.
    let (count, snapshot) = try #require(taken)
    let header = chain.history[count - 1].block.value.header
    var assembly = SnapshotAssembly(header: header)
    while let missing = assembly.nextMissing() {
      let refusal = assembly.add(snapshot.chunk(covering: missing, depth: random.index(below: 5)))
      #expect(refusal == nil)
    }
    var third = try #require(LedgerMachine(genesis: chain.genesis, snapshot: assembly, header: header))
    for entry in chain.history[count...] {
      let report = try third.execute(entry.block, leader: entry.leader).get()
      #expect(report.stateRoot == entry.block.value.header.stateRoot)
      _ = third.finalize(entry.block.value.id)
    }
    #expect(third.finalStateRoot == chain.ledger.finalStateRoot)
    let handed = try #require(third.state(at: chain.tip)).snapshot().chunks.map(\.encoded)
    #expect(handed == end.snapshot().chunks.map(\.encoded))
    #expect(handed == (try chain.state.snapshot().chunks.map(\.encoded)))
  }

  @Test(arguments: UInt64(100)..<106)
  func branchesDoNotTouchEachOther(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var chain = try Chain(count: 7, opening: 5_000_000, change: parameters(seed))
    for _ in 0..<25 {
      let fork = chain.tip
      let forkRoot = chain.ledger.finalStateRoot
      let reader = try chain.state
      var tips: [Digest] = []
      for branch in 0..<2 {
        var parent = fork
        for depth in 0..<(1 + random.index(below: 3)) {
          let messages = try transactions(&chain, on: parent, count: random.index(below: 8), &random)
          chain.view += 1
          let leader = chain.nextLeader()
          let draft = try chain.draft(
            on: parent, timestampMilliseconds: chain.time + 1_000 * UInt64(depth + 1) + UInt64(branch), leader: leader)
          let outcome = try chain.build(on: parent, messages, draft, leader: leader)
          parent = outcome.block.value.id
          let state = try #require(chain.ledger.state(at: parent))
          #expect(state.inconsistencies() == [])
          #expect(state.rehash() == outcome.block.value.header.stateRoot)
        }
        tips.append(parent)
      }
      #expect(chain.ledger.finalStateRoot == forkRoot)
      let winner = tips[random.index(below: 2)]
      let expected = try #require(chain.ledger.state(at: winner)).stateRoot
      let events = chain.ledger.finalize(winner)
      #expect(!events.isEmpty)
      chain.tip = winner
      chain.time = try chain.state.chain.timestampMilliseconds
      #expect(chain.ledger.finalStateRoot == expected)
      #expect(tips.filter { $0 != winner }.allSatisfy { chain.ledger.state(at: $0) == nil })
      let again = chain.ledger.finalize(winner)
      #expect(again.isEmpty)
      // A reader keeps seeing what it saw.
      #expect(reader.rehash() == forkRoot)
      try chain.check()
    }
  }

  @Test func recordsReadBackAsTheyWereWritten() throws {
    var random = SeededGenerator(seed: 5)
    var chain = try Chain(count: 7, opening: 5_000_000, change: parameters(1))
    for _ in 0..<60 {
      let messages = try transactions(&chain, on: chain.tip, count: 6, &random)
      try chain.nextView()
      let leader = chain.nextLeader()
      let draft = try chain.draft(timestampMilliseconds: chain.time + 900, leader: leader)
      let outcome = try chain.build(on: chain.tip, messages, draft, leader: leader)
      chain.tip = outcome.block.value.id
      chain.time = outcome.block.value.header.timestampMilliseconds
      _ = chain.ledger.finalize(chain.tip)
    }
    let state = try chain.state
    for (_, record) in state.validators { #expect(try ValidatorRecord(decoding: record.encoded) == record) }
    for (_, record) in state.view.epochs.entries() { #expect(try EpochRecord(decoding: record.encoded) == record) }
    var count = 0
    for (_, record) in state.jobs {
      #expect(try JobRecord(decoding: record.encoded) == record)
      count += record.leases.count
    }
    for (_, record) in state.accounts { #expect(try AccountRecord(decoding: record.encoded) == record) }
    for id in state.providerIDs {
      let record = try #require(state.provider(id))
      #expect(try ProviderRecord(decoding: record.encoded) == record)
    }
    #expect(try ChainRecord(decoding: state.chain.encoded) == state.chain)
    #expect(count > 0)
  }

  @Test func overlaysStayWithinTheirBound() throws {
    var chain = try Chain()
    let fork = chain.tip
    for view in 1...UInt64(LedgerBounds.maximumOverlays) + 10 {
      let draft = BlockDraft(epoch: 0, view: view, parentView: 0, timestampMilliseconds: chain.time + view)
      let built = try chain.build(on: fork, [], draft, leader: chain.members[0])
      if view == 1 {
        chain.tip = built.block.value.id
      }
    }
    // The first made room for a later one; it could be executed again.
    #expect(chain.ledger.state(at: chain.tip) == nil)
  }
}

extension [LeaseRecord] {
  fileprivate func randomLease(_ random: inout SeededGenerator) -> LeaseRecord? {
    isEmpty ? nil : self[random.index(below: count)]
  }
}
