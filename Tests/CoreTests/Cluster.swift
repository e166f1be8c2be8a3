import Consensus
import Core
import Ledger
import Membership
import Primitives
import Sodium
import Synchronization
import Testing
import Wire

/// The sets that one member's inbound verifies by.
final class SharedBook: Sendable {
  let book: Mutex<ValidatorBook>
  let asked = Mutex(AskedBlocks())

  init(_ genesis: Genesis) { book = Mutex(ValidatorBook(genesis: genesis)) }

  func insert(_ set: ValidatorSet) { book.withLock { $0.insert(set) } }

  var known: KnownValidators {
    KnownValidators(set: { epoch in self.book.withLock { $0[epoch] } }, latest: { self.book.withLock { $0.latest } })
  }
}

/// A few cores under virtual time: every send arrives after a millisecond, every persist is answered at once, real
/// signatures all the way.
struct Cluster {
  enum Delivery {
    case input(CoreInput)
    case datagram([UInt8], from: PeerAddress)
    case frame([UInt8], from: NodeID)
  }

  typealias Commit = (blocks: [Verified<Block>], finalization: Verified<Certificate>, events: [LedgerEvent])

  struct Member {
    let signer: Signer
    let address: PeerAddress
    let book: SharedBook
    let inbound: Inbound
    var core: NodeCore
    var voteSigners: [Signer]
    var isUp = false
    var committed: [Commit] = []
    var persisted: [ConsensusRecord] = []
    var submissions: [UInt64: Submission] = [:]
    var signedAnew: [Digest: Digest] = [:]
    var orders: [LeaseOrder] = []
    var stopped: [Digest] = []
    var forgotten: [Digest] = []
    var halts: [String] = []
    var dials: [(at: Instant, to: NodeID)] = []
    var closed: [(peer: NodeID, banSeconds: UInt32)] = []
    var events: [NetworkEvent] = []
    var changes: [(member: NodeID, from: MemberState?, to: MemberState, accusers: [NodeID])] = []
    var refused: [String] = []
    /// The state after the last block of each epoch, by height; the latest two are served.
    var snapshots: [UInt64: StateSnapshot] = [:]
    var links: [EpochLink] = []
    var begun: [UInt64] = []
    var installs: [SnapshotInstall] = []
    var settings: CoreSettings
    /// What was asked of this member and answered.
    var servedChunks = 0
    var servedLinks = 0
  }

  static let delay = Microseconds.milliseconds(1)
  static let opening: UInt64 = 1_000_000_000
  static let wallOffset = Microseconds.seconds(1_800_000_000)

  let genesis: Genesis
  let verifier: Verifier
  var members: [Member] = []
  var now = Instant.zero + .seconds(1)
  fileprivate var queue: [(at: Instant, order: UInt64, to: Int, delivery: Delivery)] = []
  private var order: UInt64 = 0
  /// Persists of these members are not answered.
  var slowDisks: [Int] = []
  /// What becomes of a message on its way: nil loses it.
  var tamper: (_ from: Int, _ to: Int, LinkMessage) -> LinkMessage? = { $2 }

  static func key(_ number: Int) throws -> SigningKey {
    try SigningKey(seed: [UInt8](repeating: UInt8(number + 1), count: 32))
  }

  func signer(_ number: Int) throws -> Signer { try Cluster.signer(number, genesis.networkID) }

  private static func signer(_ number: Int, _ networkID: Digest) throws -> Signer {
    let key = try Cluster.key(number)
    return Signer(id: key.id, networkID: networkID) { key.sign($0) }
  }

  /// Parameters of short epochs at a quick pace.
  static func parameters(epochBlocks: UInt64 = 8) -> ChainParameters {
    var parameters = ChainParameters()
    parameters.epochBlocks = epochBlocks
    parameters.blockIntervalIdleMilliseconds = 500
    return parameters
  }

  /// - Parameters:
  ///   - count: how many nodes.
  ///   - validators: how many of them, from the first on, are the genesis' validators; all by default.
  ///   - balances: by the number of the node; `opening` where there is none.
  init(
    _ count: Int, validators: Int? = nil, balances: [Int: UInt64] = [:],
    parameters: ChainParameters = ChainParameters(), settings adjust: (inout CoreSettings) -> Void = { _ in }
  ) throws {
    let ids = try (0..<count).map { try Cluster.key($0).id }
    genesis = try Genesis(
      name: "cluster", createdMilliseconds: UInt64(Cluster.wallOffset.count / 1_000), parameters: parameters,
      validators: Array(ids.prefix(validators ?? count)),
      balances: ids.enumerated().map {
        Genesis.Balance(account: $1, amountMicrocredits: balances[$0] ?? Cluster.opening)
      })
    verifier = Verifier(networkID: genesis.networkID) { Sodium.verify($0, of: $1, by: $2) }
    var settings = CoreSettings(membership: .loopback)
    settings.beaconLength = 0
    adjust(&settings)
    for number in 0..<count {
      let signer = try signer(number)
      let address = try #require(PeerAddress(ip: [127, 0, 0, UInt8(number + 1)], port: 7_000))
      let book = SharedBook(genesis)
      let inbound = Inbound(verifier: verifier, validators: book.known) { message, peer in
        book.asked.withLock { $0.worth(message, from: peer) }
      }
      members.append(
        Member(
          signer: signer, address: address, book: book, inbound: inbound,
          core: core(
            signer, [signer], address, settings: settings, recovery: .fresh(genesis), seed: UInt64(number)),
          voteSigners: [signer], settings: settings))
    }
  }

  func core(
    _ signer: Signer, _ voteSigners: [Signer], _ address: PeerAddress, settings: CoreSettings,
    recovery: CoreRecovery, seed: UInt64
  ) -> NodeCore {
    NodeCore(
      genesis: genesis, signer: signer, voteSigners: voteSigners, wallClock: WallClock(offset: Cluster.wallOffset),
      settings: settings,
      record: NodeRecord(
        name: "node", addresses: [address], roles: [.validator, .provider], capabilities: .zero, agent: "linnet/test",
        expiresUnixSeconds: 1 << 40),
      recovery: recovery, seed: seed, now: now)
  }

  func id(_ number: Int) -> NodeID { members[number].signer.id }

  /// Starts these, or all, with a link between each two that are up.
  mutating func start(_ numbers: [Int]? = nil) {
    let starting = numbers ?? Array(members.indices)
    for number in starting {
      members[number].isUp = true
      step(number, .start)
    }
    for first in members.indices where members[first].isUp {
      for second in members.indices where first != second && members[second].isUp {
        guard starting.contains(first) || starting.contains(second) else { continue }
        step(first, .linkUp(id(second), members[second].address, isOutbound: first < second))
      }
    }
  }

  /// Takes a member down: its links end, what is on its way to it is lost.
  mutating func stop(_ number: Int) {
    members[number].isUp = false
    dropDeliveries(to: number)
    for other in members.indices where other != number && members[other].isUp { step(other, .linkDown(id(number))) }
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
      case .send(let message, let peer, _): send(message, from: number, to: peer)
      case .datagram(let message, let address, _):
        guard let target = members.firstIndex(where: { $0.address == address }) else { continue }
        enqueue(.datagram(message.value.envelope.encoded, from: members[number].address), to: target)
      case .committed(let blocks, let finalization, let events):
        members[number].committed.append((blocks, finalization, events))
        members[number].book.asked.withLock { $0.note(final: finalization.value.subject) }
      case .submitted(let request, let submission): members[number].submissions[request] = submission
      case .signedAnew(let id, let next): members[number].signedAnew[id] = next
      case .startLease(let order): members[number].orders.append(order)
      case .stopLease(let lease): members[number].stopped.append(lease)
      case .forgetLease(let lease): members[number].forgotten.append(lease)
      case .halt(let reason): members[number].halts.append(reason)
      case .validators(let set): members[number].book.insert(set)
      case .epochBegan(let epoch, let boundary, let finalization, let snapshot, let next):
        members[number].begun.append(epoch)
        members[number].snapshots[boundary.value.header.height] = snapshot
        guard
          let link = EpochLink(
            header: boundary.value.header, finalization: finalization.value, next: next.validators)
        else {
          Issue.record("the parts of the link of epoch \(epoch) do not fit")
          continue
        }
        members[number].links.append(link)
      case .epochLinks(let links): members[number].links += links
      case .installed(let install):
        members[number].installs.append(install)
        members[number].snapshots[install.link.header.height] = install.snapshot
      case .serveChain(let height, let peer): serveChain(from: height, by: number, to: peer)
      case .serveEpochs(let epoch, let peer): serveEpochs(from: epoch, by: number, to: peer)
      case .serveSnapshot(let height, let key, let peer):
        guard let kept = members[number].snapshots.keys.sorted().suffix(2).first(where: { $0 == height }),
          let snapshot = members[number].snapshots[kept]
        else { continue }
        members[number].servedChunks += 1
        send(.consensus(.snapshot(snapshot.chunk(covering: key))), from: number, to: peer)
      case .dial(_, let peer): members[number].dials.append((now, peer))
      case .close(let peer, _, let banSeconds): members[number].closed.append((peer, banSeconds))
      case .memberChanged(let member, let before, let state, let accusers):
        members[number].changes.append((member, before, state, accusers))
      case .network(let event): members[number].events.append(event)
      case .pinged, .met: break
      }
    }
    if let durable, !slowDisks.contains(number) { enqueue(.input(.persisted(upTo: durable)), to: number) }
  }

  private mutating func send(_ message: LinkMessage, from number: Int, to peer: NodeID) {
    if case .consensus(let question) = message {
      members[number].book.asked.withLock { $0.note(question, to: peer) }
    }
    guard let target = members.firstIndex(where: { $0.signer.id == peer }),
      let message = tamper(number, target, message)
    else { return }
    enqueue(.frame(message.encoded, from: id(number)), to: target)
  }

  private mutating func serveChain(from height: UInt64, by number: Int, to peer: NodeID) {
    var blocks: [Block] = []
    var finalization: Certificate?
    for commit in members[number].committed {
      let wanted = commit.blocks.map(\.value).filter { $0.header.height >= height }
      guard let first = wanted.first else { continue }
      guard blocks.count + wanted.count <= ConsensusMessage.maximumChainBlocks,
        blocks.isEmpty || blocks[0].header.epoch == first.header.epoch
      else { break }
      blocks += wanted
      finalization = commit.finalization.value
    }
    guard let finalization, blocks.first?.header.height == height else { return }
    send(.consensus(.chain(blocks, finalization: finalization)), from: number, to: peer)
  }

  private mutating func serveEpochs(from epoch: UInt64, by number: Int, to peer: NodeID) {
    let known = members[number].links.sorted { $0.header.epoch < $1.header.epoch }
    var links: [EpochLink] = []
    for (index, link) in known.enumerated() where link.header.epoch >= epoch {
      let isNews = index == 0 || known[index - 1].next != link.next || index == known.count - 1
      if isNews, links.last?.header.epoch != link.header.epoch { links.append(link) }
    }
    members[number].servedLinks += 1
    send(.consensus(.epochs(Array(links.prefix(ConsensusMessage.maximumEpochLinks)))), from: number, to: peer)
  }

  private mutating func enqueue(_ delivery: Delivery, to number: Int) {
    guard members[number].isUp else { return }
    queue.append((now + Cluster.delay, order, number, delivery))
    order += 1
  }

  /// Lets time pass until `condition` holds. False when it did not within the time.
  @discardableResult
  mutating func run(for time: Microseconds, until condition: (Cluster) -> Bool = { _ in false }) -> Bool {
    let end = now + time
    while !condition(self) {
      let wake = members.indices.filter { members[$0].isUp }.map { (at: members[$0].core.nextWake, number: $0) }.min {
        $0.at < $1.at
      }
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
    case .datagram(let bytes, let source): received = members[number].inbound.datagram(bytes, from: source)
    case .frame(let bytes, let peer): received = members[number].inbound.frame(bytes, from: peer)
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
  /// A new life of a node from what its disk holds: its state or its final blocks, and its journal. It is not started.
  ///
  /// - Parameter lost: how many of the last commits did not get to the block store.
  mutating func restart(_ number: Int, losingCommits lost: Int = 0) throws {
    stop(number)
    let member = members[number]
    var recovery = CoreRecovery.fresh(genesis)
    if let install = member.installs.last {
      var assembly = SnapshotAssembly(header: install.link.header)
      for chunk in install.snapshot.chunks { #expect(assembly.add(chunk) == nil) }
      recovery = try #require(
        CoreRecovery(genesis: genesis, snapshot: assembly, link: install.link, verifier: verifier))
    }
    let kept = Array(member.committed.dropLast(lost))
    for commit in kept where (commit.blocks.last?.value.header.height ?? 0) > recovery.tip.height {
      #expect(recovery.append(commit.blocks, finalization: commit.finalization) == nil)
    }
    recovery.records = member.persisted
    recovery.sequenceFloor = member.core.identity.sequences.last
    members[number].committed = kept
    members[number].core = core(
      member.signer, member.voteSigners, member.address, settings: member.settings, recovery: recovery,
      seed: UInt64(number) + 100)
    members[number].orders = []
    members[number].stopped = []
    members[number].forgotten = []
    // A shell knows the first two epochs at its start, and hears of others by `.start`.
    members[number].book.book.withLock { $0 = ValidatorBook(genesis: genesis) }
    members[number].book.asked.withLock { $0 = AskedBlocks() }
    members[number].isUp = true
  }

  fileprivate mutating func dropDeliveries(to number: Int) { queue.removeAll { $0.to == number } }

  /// The final blocks of a member by height; a height that differs from an earlier commit of it is reported.
  func chain(_ number: Int) -> [UInt64: Digest] {
    var chain: [UInt64: Digest] = [:]
    for block in members[number].committed.flatMap(\.blocks) {
      let height = block.value.header.height
      #expect(chain[height] == nil || chain[height] == block.value.id, "height \(height) of \(number)")
      chain[height] = block.value.id
    }
    return chain
  }

  /// True when no two members have different blocks at one height, and nothing was halted.
  var isConsistent: Bool {
    var all: [UInt64: Digest] = [:]
    for number in members.indices {
      for (height, id) in chain(number) {
        if let other = all[height], other != id { return false }
        all[height] = id
      }
    }
    return members.allSatisfy(\.halts.isEmpty)
  }

  /// The epoch that a member is in.
  func epoch(_ number: Int) -> UInt64 { members[number].core.validators.epoch }
}
