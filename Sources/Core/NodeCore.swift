import Broadcast
import Consensus
import Ledger
import Membership
import Primitives
import Wire

/// How a node behaves beyond what its network's genesis says.
public struct CoreSettings: Sendable {
  /// How members are probed.
  public var membership: MembershipSettings
  /// How messages are spread.
  public var broadcast: BroadcastSettings
  /// False when the journal is lost or damaged: the node follows, but signs no vote.
  public var mayVote = true
  /// How long an own offer is valid; it is renewed at half of that.
  public var offerValidity = Microseconds.seconds(1_200)
  /// How long an own transaction is valid.
  public var transactionValidity = Microseconds.seconds(600)
  /// Own transactions that are not final after this long are sent to all links again.
  public var resendInterval = Microseconds.seconds(5)
  /// How often the node looks after its leases, its offer and its transactions when nothing else calls for it.
  public var housekeepingInterval = Microseconds.seconds(1)

  /// Settings with the defaults of a membership profile.
  public init(membership: MembershipSettings, broadcast: BroadcastSettings = BroadcastSettings()) {
    self.membership = membership
    self.broadcast = broadcast
  }
}

/// What a node finds on its disk when it starts.
public struct CoreRecovery: Sendable {
  /// The ledger at the last final block.
  public var ledger: LedgerMachine
  /// The last final block.
  public var tip: FinalTip
  /// The journal's records, in order.
  public var records: [ConsensusRecord]
  /// No sequence number up to this was left unused.
  public var sequenceFloor: UInt64

  /// A recovery.
  public init(ledger: LedgerMachine, tip: FinalTip, records: [ConsensusRecord], sequenceFloor: UInt64) {
    self.ledger = ledger
    self.tip = tip
    self.records = records
    self.sequenceFloor = sequenceFloor
  }

  /// What a node finds that has never run.
  public static func fresh(_ genesis: Genesis) -> CoreRecovery {
    CoreRecovery(
      ledger: LedgerMachine(genesis: genesis),
      tip: .genesis(networkID: genesis.networkID, createdMilliseconds: genesis.createdMilliseconds), records: [],
      sequenceFloor: 0)
  }
}

/// One node as a pure state machine: inputs and time in, effects out. It composes membership, broadcast,
/// consensus and the ledger, which do not know each other, and holds what belongs to the node itself: the
/// mempool, its own transactions, its offer and its leases.
public struct NodeCore: Sendable {
  /// What the network began with.
  public let genesis: Genesis
  /// Signs.
  public internal(set) var identity: Identity
  /// Who is here, who is alive.
  public internal(set) var membership: MembershipMachine
  /// Spreads transactions.
  public internal(set) var broadcast: BroadcastMachine
  /// Agrees on the next block.
  public internal(set) var consensus: SimplexMachine
  /// The state, final and above.
  public internal(set) var ledger: LedgerMachine
  /// Transactions that wait for a block.
  public internal(set) var mempool = Mempool()
  /// What was refused or dropped here; the machines have counters of their own.
  public internal(set) var counters = Counters()
  /// Why recent own transactions were refused by the ledger, by their ids.
  public internal(set) var refusals = BoundedMap<Digest, String>(capacity: 1_024)

  let settings: CoreSettings
  let validators: ValidatorSet
  var outbox = Outbox()
  /// What the shell wants to offer; nil until it has said so, since a standing offer must outlive a restart.
  var offerWish: OfferWish?
  /// When `.start` came; nothing is looked after before.
  var startedAt: Instant?
  var leases = LeaseKeeper()
  var links = OrderedSet<NodeID>()
  var needsHousekeeping = false
  var nextHousekeeping = Instant.zero
  var work = WorkWatch()

  /// A node that goes on from what its disk holds. Nothing happens before `.start`.
  public init(
    genesis: Genesis, signer: Signer, wallClock: WallClock, settings: CoreSettings, record: NodeRecord,
    recovery: CoreRecovery, seed: UInt64, now: Instant
  ) {
    self.genesis = genesis
    self.settings = settings
    validators = genesis.validatorSet
    var generator = SeededGenerator(seed: seed)
    var identity = Identity(signer: signer, wallClock: wallClock, sequenceFloor: recovery.sequenceFloor)
    membership = MembershipMachine(
      settings: settings.membership, ownRecord: record, identity: &identity, now: now, seed: generator.next())
    self.identity = identity
    broadcast = BroadcastMachine(settings: settings.broadcast, seed: generator.next())
    ledger = recovery.ledger
    // The journal is this node's own: what is in it was verified before it was written, and is checked as it is read.
    let trusting = Verifier(networkID: genesis.networkID) { _, _, _ in true }
    consensus = SimplexMachine(
      settings: ConsensusSettings(genesis.parameters), validators: validators, signer: signer, verifier: trusting,
      tip: recovery.tip, records: recovery.records, mayVote: settings.mayVote,
      wallClock: wallClock, seed: generator.next())
  }

  /// This node's id.
  public var id: NodeID { identity.id }

  /// When `.tick` is due next.
  public var nextWake: Instant {
    guard startedAt != nil else { return .distantFuture }
    var next = nextHousekeeping
    for wake in [membership.nextWake, broadcast.nextWake, consensus.nextWake, work.nextDue] {
      if let wake { next = min(next, wake) }
    }
    return next
  }

  /// Handles one input and appends what follows from it.
  public mutating func step(_ input: CoreInput, now: Instant, into effects: inout [CoreEffect]) {
    switch input {
    case .start:
      startedAt = now
      step(membership: .start, now: now, into: &effects)
      step(consensus: .start, now: now, into: &effects)
      needsHousekeeping = true
    case .tick:
      step(membership: .tick, now: now, into: &effects)
      step(broadcast: .tick, now: now, into: &effects)
      step(consensus: .tick, now: now, into: &effects)
    case .wallClock(let clock):
      identity.wallClock = clock
      step(consensus: .wallClock(clock), now: now, into: &effects)
    case .datagram(let message, let rumours, let source):
      step(membership: .datagram(message, rumours: rumours, from: source), now: now, into: &effects)
    case .linkUp(let peer, let address):
      links.insert(peer)
      step(membership: .linkUp(peer, address), now: now, into: &effects)
      step(broadcast: .linkUp(peer), now: now, into: &effects)
      step(consensus: .linkUp(peer), now: now, into: &effects)
    case .linkDown(let peer):
      links.remove(peer)
      step(membership: .linkDown(peer), now: now, into: &effects)
      step(broadcast: .linkDown(peer), now: now, into: &effects)
      step(consensus: .linkDown(peer), now: now, into: &effects)
    case .consensus(let message, let peer):
      step(consensus: .message(message, from: peer), now: now, into: &effects)
    case .gossip(let messages, let peer):
      step(broadcast: .received(messages, from: peer), now: now, into: &effects)
    case .announced(let ids, let peer):
      step(broadcast: .announced(ids, from: peer), now: now, into: &effects)
    case .requested(let ids, let peer):
      step(broadcast: .requested(ids, from: peer), now: now, into: &effects)
    case .invalidGossip(let peer):
      step(broadcast: .invalid(from: peer), now: now, into: &effects)
    case .members(let records, let peer):
      step(membership: .members(records, from: peer), now: now, into: &effects)
    case .persisted(let sequence):
      step(consensus: .persisted(upTo: sequence), now: now, into: &effects)
    case .submit(let action, let request):
      let submission = submit(action, for: .request(request), now: now, into: &effects)
      effects.append(.submitted(request: request, submission))
    case .offer(let terms):
      offerWish = terms.map { .terms($0) } ?? .nothing
      needsHousekeeping = true
    case .leaseRunning(let lease):
      _ = leases.start(lease)
      needsHousekeeping = true
    case .leaseRefused(let lease, let reason):
      leases.refuse(lease, reason: reason)
      needsHousekeeping = true
    case .leaseFinished(let outcome):
      leases.finish(outcome)
      needsHousekeeping = true
    case .record(let record):
      step(membership: .updateRecord(record), now: now, into: &effects)
    case .leave:
      step(membership: .leave, now: now, into: &effects)
    }
    settle(now: now, into: &effects)
  }

  /// Looks after what the input has left to do, until nothing is left.
  private mutating func settle(now: Instant, into effects: inout [CoreEffect]) {
    guard startedAt != nil else { return }
    if now >= nextHousekeeping { needsHousekeeping = true }
    if needsHousekeeping {
      needsHousekeeping = false
      nextHousekeeping = now + settings.housekeepingInterval
      keepOffer(now: now, into: &effects)
      keepLeases(now: now, into: &effects)
      keepAttestations(now: now, into: &effects)
      resend(now: now, into: &effects)
    }
    refreshWork(now: now, into: &effects)
  }

  mutating func step(membership input: MembershipInput, now: Instant, into effects: inout [CoreEffect]) {
    var results: [MembershipEffect] = []
    membership.step(input, now: now, identity: &identity, into: &results)
    for result in results {
      switch result {
      case .send(let message, let address, let receiver):
        effects.append(.datagram(message, to: address, receiver: receiver))
      case .exchange(let records, let peer): effects.append(.send(.members(records), to: peer, after: 0))
      case .dial(let address, let peer): effects.append(.dial(address, peer))
      case .changed(let member, _, let state):
        effects.append(.memberChanged(member, state))
        step(broadcast: .nodes(membership.activeCount), now: now, into: &effects)
        needsHousekeeping = true
      case .learned: break
      }
    }
  }

  mutating func step(broadcast input: BroadcastInput, now: Instant, into effects: inout [CoreEffect]) {
    var results: [BroadcastEffect] = []
    broadcast.step(input, now: now, into: &results)
    for result in results {
      switch result {
      case .send(let message, let peer): effects.append(.send(.gossip(message), to: peer, after: 0))
      case .deliver(let message): admit(message)
      case .close(let peer): effects.append(.close(peer, reason: "it relayed too much that was refused"))
      }
    }
  }

  /// Feeds consensus, and performs at once what it asks of the ledger.
  mutating func step(consensus first: ConsensusInput, now: Instant, into effects: inout [CoreEffect]) {
    var inputs = [first]
    var next = 0
    while next < inputs.count {
      var results: [ConsensusEffect] = []
      consensus.step(inputs[next], now: now, into: &results)
      next += 1
      for result in results {
        switch result {
        case .persist(let sequence, let record): effects.append(.persist(sequence: sequence, record))
        case .send(let message, let recipient, let sequence):
          send(message, to: recipient, after: sequence, into: &effects)
        case .build(let request):
          inputs.append(.built(view: request.view, build(request, now: now)))
        case .execute(let block):
          let leader = consensus.leader(of: block.value.header.view)
          switch ledger.execute(block, leader: leader) {
          case .success: inputs.append(.executed(blockID: block.value.id, .valid))
          case .failure(.unknownParent), .failure(.tooManyBranches):
            inputs.append(.executed(blockID: block.value.id, .missingParent))
          case .failure(let refusal):
            counters.add("blockRefused.\(refusal.counter)")
            inputs.append(.executed(blockID: block.value.id, .invalid))
          }
        case .commit(let blocks, let finalization):
          commit(blocks, finalization: finalization, now: now, into: &effects)
        case .serveChain(let height, let peer): effects.append(.serveChain(fromHeight: height, to: peer))
        case .diverged(let block, let reason):
          effects.append(.halt(reason: "block \(block.short) is final but can't be executed here: \(reason)"))
        }
      }
    }
  }

  private func send(
    _ message: ConsensusMessage, to recipient: ConsensusRecipient, after sequence: UInt64,
    into effects: inout [CoreEffect]
  ) {
    func append(_ peer: NodeID) { effects.append(.send(.consensus(message), to: peer, after: sequence)) }
    switch recipient {
    case .node(let peer): append(peer)
    case .validators: for peer in validators.members where peer != id && links.contains(peer) { append(peer) }
    case .everyone: for peer in links { append(peer) }
    }
  }

  private mutating func build(_ request: BuildRequest, now: Instant) -> Verified<Block>? {
    let timestamp = max(request.minimumTimestampMilliseconds, identity.wallClock.unixMilliseconds(at: now))
    let draft = BlockDraft(
      epoch: request.epoch, view: request.view, parentView: request.parentView, timestampMilliseconds: timestamp)
    guard
      let outcome = ledger.build(
        on: request.parentID, candidates: mempool.candidates(limit: Block.maximumTransactions), draft: draft,
        leader: id, maximumBytes: Block.maximumBytes)
    else {
      counters.add("buildOnUnknownParent")
      return nil
    }
    for stale in outcome.stale { mempool.remove(stale) }
    return outcome.block
  }

  private mutating func commit(
    _ blocks: [Verified<Block>], finalization: Verified<Certificate>, now: Instant, into effects: inout [CoreEffect]
  ) {
    var events: [LedgerEvent] = []
    var included = OrderedSet<Digest>()
    var authors = OrderedSet<NodeID>()
    for block in blocks {
      events.append(contentsOf: ledger.finalize(block.value.id))
      for transaction in block.value.transactions {
        included.insert(transaction.id)
        authors.insert(transaction.author)
        mempool.remove(transaction.id)
      }
    }
    for event in events {
      if case .transactionRefused(let id, let author, let reason) = event, author == self.id {
        refusals.insert(reason, forKey: id)
      }
    }
    var stale: [Digest] = []
    let nonces = authors.map { ($0, finalState.account($0).nonce) }
    for (author, nonce) in nonces {
      stale.append(contentsOf: mempool.removeStale(account: author, below: nonce))
    }
    step(broadcast: .forget(included.members + stale), now: now, into: &effects)
    step(membership: .height(ledger.finalHeight), now: now, into: &effects)
    effects.append(.committed(blocks, finalization: finalization, events: events))
    settleOutbox(included: included, now: now, into: &effects)
    needsHousekeeping = true
  }

  /// What was refused or dropped by every part.
  public var allCounters: Counters {
    var all = counters
    for (prefix, part) in [
      ("membership", membership.counters), ("broadcast", broadcast.counters), ("consensus", consensus.counters),
    ] {
      for (name, count) in part.all { all.add("\(prefix).\(name)", count) }
    }
    return all
  }

  /// The ledger at the last final block.
  public var finalState: LedgerReader {
    guard let state = ledger.state(at: ledger.finalID) else {
      preconditionFailure("the ledger always has its final state")
    }
    return state
  }
}
