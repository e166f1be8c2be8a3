import Consensus
import Core
import Ledger
import Membership
import Primitives
import Sodium
import Testing
import Wire

/// A few cores under virtual time: every send arrives after a millisecond, every persist is answered at once, real
/// signatures all the way.
struct Cluster {
  enum Delivery {
    case input(CoreInput)
    case datagram([UInt8], from: PeerAddress)
    case frame([UInt8], from: NodeID)
  }

  struct Member {
    let signer: Signer
    let address: PeerAddress
    var core: NodeCore
    var committed: [(blocks: [Verified<Block>], finalization: Verified<Certificate>, events: [LedgerEvent])] = []
    var persisted: [ConsensusRecord] = []
    var submissions: [UInt64: Submission] = [:]
    var orders: [LeaseOrder] = []
    var stopped: [Digest] = []
    var forgotten: [Digest] = []
    var halts: [String] = []
    var refused: [String] = []
  }

  static let delay = Microseconds.milliseconds(1)
  static let opening: UInt64 = 1_000_000_000
  static let wallOffset = Microseconds.seconds(1_800_000_000)

  let genesis: Genesis
  let inbound: Inbound
  let verifier: Verifier
  var members: [Member] = []
  var now = Instant.zero + .seconds(1)
  fileprivate var queue: [(at: Instant, order: UInt64, to: Int, delivery: Delivery)] = []
  private var order: UInt64 = 0
  /// Persists of these members are not answered.
  var slowDisks: [Int] = []

  static func key(_ number: Int) throws -> SigningKey {
    try SigningKey(seed: [UInt8](repeating: UInt8(number + 1), count: 32))
  }

  /// - Parameters:
  ///   - count: how many nodes, all validators.
  ///   - balances: by the number of the node; `opening` where there is none.
  init(_ count: Int, balances: [Int: UInt64] = [:]) throws {
    let keys = try (0..<count).map { try Cluster.key($0) }
    let ids = keys.map(\.id)
    genesis = try Genesis(
      name: "cluster", createdMilliseconds: UInt64(Cluster.wallOffset.count / 1_000), parameters: ChainParameters(),
      validators: ids,
      balances: ids.enumerated().map {
        Genesis.Balance(account: $1, amountMicrocredits: balances[$0] ?? Cluster.opening)
      })
    verifier = Verifier(networkID: genesis.networkID) { Sodium.verify($0, of: $1, by: $2) }
    inbound = Inbound(verifier: verifier, validators: genesis.validatorSet)
    for (number, key) in keys.enumerated() {
      let signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
      let address = try #require(PeerAddress(ip: [127, 0, 0, UInt8(number + 1)], port: 7_000))
      members.append(
        Member(
          signer: signer, address: address,
          core: core(signer, address, recovery: .fresh(genesis), seed: UInt64(number))))
    }
  }

  func core(_ signer: Signer, _ address: PeerAddress, recovery: CoreRecovery, seed: UInt64) -> NodeCore {
    NodeCore(
      genesis: genesis, signer: signer, wallClock: WallClock(offset: Cluster.wallOffset),
      settings: CoreSettings(membership: .loopback),
      record: NodeRecord(
        name: "node", addresses: [address], roles: [.validator, .provider], capabilities: .zero, agent: "linnet/test",
        expiresUnixSeconds: 1 << 40),
      recovery: recovery, seed: seed, now: now)
  }

  func id(_ number: Int) -> NodeID { members[number].signer.id }

  /// Starts all, with a link between each two.
  mutating func start() {
    for number in members.indices { step(number, .start) }
    for first in members.indices {
      for second in members.indices where first != second {
        step(first, .linkUp(id(second), members[second].address))
      }
    }
  }

  mutating func step(_ number: Int, _ input: CoreInput) {
    var effects: [CoreEffect] = []
    members[number].core.step(input, now: now, into: &effects)
    var durable: UInt64?
    for effect in effects {
      switch effect {
      case .persist(let sequence, let record):
        members[number].persisted.append(record)
        durable = sequence
      case .send(let message, let peer, _):
        guard let target = members.firstIndex(where: { $0.signer.id == peer }) else { continue }
        enqueue(.frame(message.encoded, from: id(number)), to: target)
      case .datagram(let message, let address, _):
        guard let target = members.firstIndex(where: { $0.address == address }) else { continue }
        enqueue(.datagram(message.value.envelope.encoded, from: members[number].address), to: target)
      case .committed(let blocks, let finalization, let events):
        members[number].committed.append((blocks, finalization, events))
      case .submitted(let request, let submission): members[number].submissions[request] = submission
      case .startLease(let order): members[number].orders.append(order)
      case .stopLease(let lease): members[number].stopped.append(lease)
      case .forgetLease(let lease): members[number].forgotten.append(lease)
      case .halt(let reason): members[number].halts.append(reason)
      case .dial, .close, .serveChain, .memberChanged: break
      }
    }
    if let durable, !slowDisks.contains(number) { enqueue(.input(.persisted(upTo: durable)), to: number) }
  }

  private mutating func enqueue(_ delivery: Delivery, to number: Int) {
    queue.append((now + Cluster.delay, order, number, delivery))
    order += 1
  }

  /// Lets time pass until `condition` holds. False when it did not within the time.
  @discardableResult
  mutating func run(for time: Microseconds, until condition: (Cluster) -> Bool = { _ in false }) -> Bool {
    let end = now + time
    while !condition(self) {
      let wake = members.indices.map { (at: members[$0].core.nextWake, number: $0) }.min { $0.at < $1.at }
      let next = queue.min { $0.at == $1.at ? $0.order < $1.order : $0.at < $1.at }
      let at = max(now, min(wake?.at ?? .distantFuture, next?.at ?? .distantFuture))
      guard at <= end else {
        now = end
        return condition(self)
      }
      now = at
      if let next, next.at <= at {
        queue.removeAll { $0.order == next.order }
        deliver(next.delivery, to: next.to)
      } else if let wake {
        step(wake.number, .tick)
        // A wake that stays in the past would hold time up.
        if members[wake.number].core.nextWake <= now { now = now + Microseconds(1) }
      }
    }
    return true
  }

  private mutating func deliver(_ delivery: Delivery, to number: Int) {
    let received: Received
    switch delivery {
    case .input(let input): return step(number, input)
    case .datagram(let bytes, let source): received = inbound.datagram(bytes, from: source)
    case .frame(let bytes, let peer): received = inbound.frame(bytes, from: peer)
    }
    members[number].refused += received.refused
    for input in received.inputs { step(number, input) }
  }

  /// Submits and answers the transaction's id.
  mutating func submit(_ action: TransactionAction, from number: Int = 0) throws -> Digest {
    let request = UInt64(members[number].submissions.count + 1)
    step(number, .submit(action, request: request))
    guard case .accepted(let id)? = members[number].submissions[request] else {
      throw SubmissionRefused(submission: members[number].submissions[request])
    }
    return id
  }

  struct SubmissionRefused: Error { var submission: Submission? }

  static func offer() -> OfferTerms {
    OfferTerms(
      resources: Resources(cpuMilli: 4_000, memoryBytes: 8 << 30, diskBytes: 8 << 30), gpus: [], labels: [],
      drivers: ["native"], isolation: .cgroup1, maximumJobs: 4,
      prices: Prices(cpuSecondMicrocredits: 100, memoryGiBSecondMicrocredits: 0, gpuSecondMicrocredits: 0),
      validUntilMilliseconds: 0)
  }

  func job(_ name: String = "job", mayRunOnSubmitter: Bool = true) -> JobTerms {
    JobTerms(
      specification: Digest(hashing: Array(name.utf8)),
      resources: Resources(cpuMilli: 1_000, memoryBytes: 1 << 28, diskBytes: 1 << 28), gpuCount: 0, gpuMemoryBytes: 0,
      labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: mayRunOnSubmitter, replication: 1,
      retries: 1, maximumPricePerSecondMicrocredits: 10_000, wallLimitMilliseconds: 60_000,
      startDeadlineMilliseconds: UInt64((Cluster.wallOffset + .seconds(3_600)).count / 1_000))
  }

  static func outcome(_ lease: Digest, exit: Wire.ExitStatus = .exited(code: 0)) -> LeaseOutcome {
    LeaseOutcome(
      lease: lease, outputRoot: Digest(hashing: [7]), exit: exit,
      usage: Usage(wallMilliseconds: 2_000, cpuMicroseconds: 1_000_000, peakMemoryBytes: 1 << 20), message: "")
  }
}

extension Cluster {
  /// A new life of a node from what its disk holds: its final blocks and its journal.
  mutating func restart(_ number: Int) throws {
    let member = members[number]
    var recovery = CoreRecovery.fresh(genesis)
    let leaders = LeaderSchedule(validators: genesis.validatorSet, networkID: genesis.networkID)
    for commit in member.committed {
      for block in commit.blocks {
        let header = block.value.header
        let leader = try #require(genesis.validatorSet.member(leaders.leader(of: header.view)))
        _ = try recovery.ledger.execute(block, leader: leader).get()
        _ = recovery.ledger.finalize(block.value.id)
        recovery.tip = FinalTip(
          blockID: block.value.id, height: header.height, view: header.view,
          timestampMilliseconds: header.timestampMilliseconds, epoch: header.epoch,
          finalization: block.value.id == commit.finalization.value.subject.blockID ? commit.finalization : nil)
      }
    }
    recovery.records = member.persisted
    recovery.sequenceFloor = member.core.identity.sequences.last
    dropDeliveries(to: number)
    members[number].core = core(member.signer, member.address, recovery: recovery, seed: UInt64(number) + 100)
    members[number].orders = []
    members[number].stopped = []
    members[number].forgotten = []
  }

  private mutating func dropDeliveries(to number: Int) { queue.removeAll { $0.to == number } }
}
