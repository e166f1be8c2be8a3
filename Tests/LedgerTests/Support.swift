import Primitives
import Testing
import Wire

@testable import Ledger

/// Swift Testing has one of its own.
typealias ExitStatus = Wire.ExitStatus

func number(_ value: UInt64, _ salt: UInt8 = 0) -> Bytes32 {
  Digest(hashing: [salt] + withUnsafeBytes(of: value.littleEndian) { Array($0) }).value
}

let gib: UInt64 = 1 << 30

/// A leader's hash chain, as its owner has it.
struct HashChain {
  let seed: Digest
  let length: UInt64

  init(seed: Digest, length: UInt64) {
    self.seed = seed
    self.length = length
  }

  /// The one chain of a length that a node has, unless a test gives it another.
  init(of node: NodeID, length: UInt64) { self.init(seed: Digest(hashing: node.bytes), length: length) }

  func hashed(_ times: UInt64) -> Digest { (0..<times).reduce(seed) { element, _ in BeaconHash.step(element) } }
  var tip: Digest { hashed(length) }
  func element(_ index: UInt64) -> Digest? { index < length ? hashed(length - 1 - index) : nil }
}

/// A chain of blocks on one ledger, with the ledger's invariants checked after every block.
struct Chain {
  static let start: UInt64 = 1_000_000
  static let opening: UInt64 = 100_000_000

  let genesis: Genesis
  let members: [NodeID]
  var ledger: LedgerMachine
  var tip: Digest
  var time = Chain.start
  var view: UInt64 = 0
  var leaderTurn = 0
  var sequence: UInt64 = 0
  var events: [LedgerEvent] = []
  var lastReport: ExecutionReport?
  /// The hash chains that leaders reveal from.
  var beacons = Table<NodeID, HashChain>()
  /// Blocks in order, with their leaders, for another instance to execute.
  var history: [(block: Verified<Block>, leader: NodeID)] = []

  /// `count` funded accounts, the first `validators` of which validate.
  init(
    count: Int = 8, validators: Int = 4, opening: UInt64 = Chain.opening,
    change: (inout ChainParameters) -> Void = { _ in }
  ) throws {
    let members = (0..<count).map { NodeID(number(UInt64($0))) }.sorted()
    var parameters = ChainParameters()
    // What validators have at stake is a matter of its own tests.
    parameters.minimumStakeMicrocredits = 0
    change(&parameters)
    genesis = try Genesis(
      name: "test", createdMilliseconds: Chain.start, parameters: parameters,
      validators: Array(members.prefix(validators)),
      balances: members.map { Genesis.Balance(account: $0, amountMicrocredits: opening) })
    self.members = members
    ledger = LedgerMachine(genesis: genesis)
    tip = genesis.networkID
  }

  var state: LedgerReader {
    get throws { try #require(ledger.state(at: tip)) }
  }

  func signer(_ id: NodeID) -> Signer {
    Signer(id: id, networkID: genesis.networkID) { _ in Signature.zero }
  }

  mutating func message(
    _ author: NodeID, _ action: TransactionAction, nonce: UInt64, fee: UInt64 = 100, expires: UInt64 = 1 << 50
  ) -> Verified<Message> {
    sequence += 1
    return signer(author).seal(
      .transaction(
        Transaction(nonce: nonce, feeMicrocredits: fee, expiresMilliseconds: expires, action: action)),
      sequence: sequence)
  }

  mutating func next(_ author: NodeID, _ action: TransactionAction, fee: UInt64 = 100) throws -> Verified<Message> {
    message(author, action, nonce: try state.account(author).nonce, fee: fee)
  }

  mutating func nextLeader() -> NodeID {
    defer { leaderTurn += 1 }
    let members = (try? state).flatMap { $0.validatorSet(epoch: $0.epoch) }?.members ?? genesis.validators
    return members[leaderTurn % members.count]
  }

  /// The view of the next block: they begin anew with each epoch.
  mutating func nextView() throws {
    let state = try state
    view = state.height % genesis.parameters.epochBlocks == 0 ? 1 : view + 1
  }

  /// Empty blocks until the next block is the first of an epoch.
  mutating func reach(epoch: UInt64) throws {
    while try state.epoch < epoch { try block(isThorough: false) }
    try check()
  }

  /// The validators of an epoch.
  func members(_ epoch: UInt64) throws -> [NodeID] { try #require(state.validatorSet(epoch: epoch)).members }

  /// The draft of a block in the present view, with the reveal that its leader owes.
  func draft(on parent: Digest? = nil, timestampMilliseconds: UInt64, leader: NodeID) throws -> BlockDraft {
    let parent = parent ?? tip
    let state = try #require(ledger.state(at: parent))
    let beacon = beacons[leader] ?? state.validator(leader)?.beacon.map { HashChain(of: leader, length: $0.length) }
    let index = ledger.beaconIndex(on: parent, view: view, leader: leader)
    return BlockDraft(
      epoch: state.epoch, view: view, parentView: view - 1, timestampMilliseconds: timestampMilliseconds,
      reveal: try index.map { try #require(beacon?.element($0)) } ?? .zero)
  }

  /// Builds a block of the given transactions `after` milliseconds later, makes it final, and checks everything.
  @discardableResult
  mutating func block(
    _ messages: [Verified<Message>] = [], after: UInt64 = 100, leader: NodeID? = nil, isThorough: Bool = true
  ) throws -> ExecutionReport {
    time += after
    try nextView()
    let leader = leader ?? nextLeader()
    let draft = try draft(timestampMilliseconds: time, leader: leader)
    let outcome = try build(on: tip, messages, draft, leader: leader)
    try #require(outcome.block.value.transactions.count == messages.count, "every candidate is included")
    let report = try ledger.execute(outcome.block, leader: leader).get()
    events = ledger.finalize(outcome.block.value.id)
    tip = outcome.block.value.id
    history.append((outcome.block, leader))
    lastReport = report
    if isThorough { try check() }
    return report
  }

  /// Conservation, consistency, and the incremental root against a full rehash.
  func check() throws {
    let state = try state
    #expect(state.auditSum() == genesis.balances.reduce(0) { $0 + $1.amountMicrocredits })
    #expect(state.inconsistencies() == [])
    #expect(state.rehash() == state.stateRoot)
  }

  /// One transaction in a block; its refusal.
  @discardableResult
  mutating func run(_ author: NodeID, _ action: TransactionAction, after: UInt64 = 100) throws -> TransactionRefusal? {
    let message = try next(author, action)
    let report = try block([message], after: after)
    return try #require(report.receipts.first).refusal
  }

  // MARK: - Shorthands

  /// A block built on a known parent. (A mutating call can't stand inside `#require`.)
  mutating func build(
    on parent: Digest, _ messages: [Verified<Message>], _ draft: BlockDraft, leader: NodeID,
    bytes: Int = Block.maximumBytes
  ) throws -> BuildOutcome {
    let outcome = ledger.build(on: parent, candidates: messages, draft: draft, leader: leader, maximumBytes: bytes)
    return try #require(outcome)
  }

  /// Why a block is refused; nil when it is not.
  mutating func refusal(_ block: Verified<Block>) throws -> BlockRefusal? {
    switch ledger.execute(block, leader: members[0]) {
    case .success: nil
    case .failure(let refusal): refusal
    }
  }

  func offer(
    cpu: UInt32 = 4_000, gpus: [GPUOffer] = [], labels: [Label] = [], price: UInt64 = 1_000, jobs: UInt16 = 100,
    until: UInt64 = 1 << 47, isolation: Isolation = .cgroup2
  ) -> OfferTerms {
    OfferTerms(
      resources: Resources(cpuMilli: cpu, memoryBytes: 64 * gib, diskBytes: 1_000 * gib), gpus: gpus, labels: labels,
      drivers: ["native"], isolation: isolation, maximumJobs: jobs,
      prices: Prices(cpuSecondMicrocredits: price, memoryGiBSecondMicrocredits: 0, gpuSecondMicrocredits: 0),
      validUntilMilliseconds: until)
  }

  func terms(_ change: (inout JobTerms) -> Void = { _ in }) -> JobTerms {
    var terms = JobTerms(
      specification: Digest(number(7)), resources: Resources(cpuMilli: 1_000, memoryBytes: gib, diskBytes: gib),
      gpuCount: 0, gpuMemoryBytes: 0, labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: false,
      replication: 1, retries: 1, maximumPricePerSecondMicrocredits: 2_000, wallLimitMilliseconds: 10_000,
      startDeadlineMilliseconds: time + 60_000)
    change(&terms)
    return terms
  }

  func result(
    _ lease: Digest, exit: ExitStatus = .exited(code: 0), wall: UInt64 = 1_500, message: String = ""
  ) -> LeaseResult {
    LeaseResult(
      lease: lease, outputRoot: Digest(number(9)), exit: exit,
      usage: Usage(wallMilliseconds: wall, cpuMicroseconds: 1, peakMemoryBytes: 1), message: message,
      salt: Digest(number(3)))
  }

  /// Submits a job and returns its id.
  mutating func submit(_ author: NodeID, _ terms: JobTerms, fee: UInt64 = 100) throws -> Digest {
    let message = try next(author, .submitJob(terms), fee: fee)
    let report = try block([message])
    #expect(report.receipts.map(\.refusal) == [nil])
    return message.value.id
  }

  /// A job that a provider has been offered: both.
  mutating func assigned(_ author: NodeID, _ terms: JobTerms? = nil) throws -> (job: Digest, lease: LeaseRecord) {
    let job = try submit(author, terms ?? self.terms())
    try block()
    return (job, try #require(try state.job(job)?.liveLease))
  }

  /// A job that runs.
  mutating func running(_ author: NodeID, _ terms: JobTerms? = nil) throws -> (job: Digest, lease: LeaseRecord) {
    let (job, lease) = try assigned(author, terms)
    #expect(try run(lease.provider, .acceptLease(lease: lease.id)) == nil)
    return (job, try #require(try state.job(job)?.liveLease))
  }

  /// Commits to a result, and reveals it.
  @discardableResult
  mutating func finish(_ lease: LeaseRecord, _ result: LeaseResult) throws -> TransactionRefusal? {
    let commitment = result.commitment(networkID: genesis.networkID, provider: lease.provider)
    #expect(try run(lease.provider, .commitResults([commitment])) == nil)
    return try run(lease.provider, .revealResults([result]))
  }
}
