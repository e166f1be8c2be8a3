import Broadcast
import Consensus
import Ledger
import Membership
import Primitives
import Wire

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
  public internal(set) var refusals = BoundedMap<Digest, String>(capacity: 16_384)
  /// The validators of the current epoch.
  public internal(set) var validators: ValidatorSet
  /// The validators of the next epoch.
  public internal(set) var nextValidators: ValidatorSet
  /// Whether this node votes in the current epoch.
  public internal(set) var votingStanding: VotingStanding
  /// Fetches a state when this node is far behind.
  public internal(set) var sync: StateSync

  /// The most links used; further ones are not, and are counted.
  public static let maximumLinks = 4_096

  let settings: CoreSettings
  /// What is the node's own, from its journal, or was verified before, is not verified again.
  let trusting: Verifier
  /// The epoch that the node was in when it started.
  let startEpoch: UInt64
  /// The latest epoch that the recovered journal speaks of, or the one in which it begins.
  let journalEpoch: UInt64
  var voteSigners: [Signer]
  var generator: SeededGenerator
  /// The journal's records of epochs that the node has not come to yet.
  var laterRecords: [ConsensusRecord]
  /// The last block of the last commit of this epoch.
  var lastCommitted: Verified<Block>?
  /// What consensus counted in earlier epochs.
  var pastCounters = Counters()
  var evidenceKeeper = EvidenceKeeper()
  var reveals = RevealChains()
  var servingLimits = ServingLimits()
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
  var validatorLinks = ValidatorLinks()
  var refutedAccusations = NodeCore.refutedAccusations
  var worthlessGossip = NodeCore.worthlessGossip

  /// A node that goes on from what its disk holds. Nothing happens before `.start`.
  ///
  /// - Parameter voteSigners: the keys that it can sign votes with; nil for its own alone. In each epoch the one is used
  ///   that the epoch's validators name for it.
  public init(
    genesis: Genesis, signer: Signer, voteSigners: [Signer]? = nil, wallClock: WallClock, settings: CoreSettings,
    record: NodeRecord, recovery: CoreRecovery, seed: UInt64, now: Instant
  ) {
    self.genesis = genesis
    self.settings = settings
    var generator = SeededGenerator(seed: seed)
    ledger = recovery.ledger
    let trusting = Verifier(networkID: genesis.networkID) { _, _, _ in true }
    self.trusting = trusting
    self.voteSigners = voteSigners ?? [signer]
    guard let state = recovery.ledger.state(at: recovery.ledger.finalID) else {
      preconditionFailure("the ledger always has its final state")
    }
    let epoch = state.epoch
    startEpoch = epoch
    journalEpoch = max(recovery.journalEpoch, recovery.records.map(\.epoch).max() ?? 0)
    let committee = NodeCore.committee(
      ofEpoch: epoch, state: state, node: signer, keys: self.voteSigners,
      journalEpoch: journalEpoch, abstainUntil: settings.abstainUntilMilliseconds, beginMilliseconds: nil)
    validators = committee.validators
    nextValidators = committee.next
    votingStanding = committee.standing
    var identity = Identity(signer: signer, wallClock: wallClock, sequenceFloor: recovery.sequenceFloor)
    var ownRecord = record
    ownRecord.roles = NodeCore.roles(
      of: signer.id, validators: committee.validators, next: committee.next, wish: nil, before: record.roles)
    membership = MembershipMachine(
      settings: settings.membership, ownRecord: ownRecord, identity: &identity, now: now, seed: generator.next())
    self.identity = identity
    broadcast = BroadcastMachine(settings: settings.broadcast, seed: generator.next())
    consensus = SimplexMachine(
      settings: ConsensusSettings(genesis.parameters, bounds: settings.consensusBounds),
      validators: committee.validators, signer: committee.signer, node: signer.id, verifier: trusting,
      tip: recovery.tip, boundary: recovery.boundary,
      records: recovery.records.filter { $0.epoch == epoch }, mayVote: committee.standing == .voting,
      wallClock: wallClock, seed: generator.next())
    laterRecords = recovery.records.filter { $0.epoch > epoch }
    sync = StateSync(known: committee.next, distance: settings.snapshotDistance, seed: generator.next())
    self.generator = generator
  }

  /// This node's id.
  public var id: NodeID { identity.id }

  /// When `.tick` is due next, as of the last input. Stored, because a core is large: a shell that holds one in an object
  /// would copy it whole to compute a property.
  public private(set) var nextWake = Instant.distantFuture

  /// Handles one input and appends what follows from it.
  public mutating func step(_ input: CoreInput, now: Instant, into effects: inout [CoreEffect]) {
    switch input {
    case .start:
      startedAt = now
      step(membership: .start, now: now, into: &effects)
      keepValidators(now: now, into: &effects)
      effects += [.validators(validators), .validators(nextValidators)]
      step(consensus: .start(links: links.members), now: now, into: &effects)
      needsHousekeeping = true
    case .tick:
      step(membership: .tick, now: now, into: &effects)
      step(broadcast: .tick, now: now, into: &effects)
      step(consensus: .tick, now: now, into: &effects)
      sync(now: now, into: &effects) { $0.tick(height: $1, now: now, into: &$2) }
    case .wallClock(let clock):
      identity.wallClock = clock
      step(consensus: .wallClock(clock), now: now, into: &effects)
    case .datagram(let message, let rumours, let source):
      step(membership: .datagram(message, rumours: rumours, from: source), now: now, into: &effects)
    case .linkUp(let peer, let address, let isOutbound): linkUp(peer, address, isOutbound, now: now, into: &effects)
    case .linkDown(let peer):
      links.remove(peer)
      step(membership: .linkDown(peer), now: now, into: &effects)
      step(broadcast: .linkDown(peer), now: now, into: &effects)
      step(consensus: .linkDown(peer), now: now, into: &effects)
      sync(now: now, into: &effects) { $0.linkDown(peer, height: $1, now: now, into: &$2) }
    case .consensus(let message, let peer):
      if takeSyncMessage(message, from: peer, now: now, into: &effects) { break }
      step(consensus: .message(message, from: peer), now: now, into: &effects)
    case .laterEpoch(let peer):
      sync(now: now, into: &effects) { $0.peerIsAhead(peer, height: $1, now: now, into: &$2) }
    case .gossip(let messages, let peer): gossip(messages, from: peer, now: now, into: &effects)
    case .announced(let ids, let peer):
      step(broadcast: .announced(ids, from: peer), now: now, into: &effects)
    case .requested(let ids, let peer):
      step(broadcast: .requested(ids, from: peer), now: now, into: &effects)
    case .members(let records, let peer):
      guard !records.isEmpty || admitMemberQuestion(.ownRecord, of: peer, now: now, into: &effects) else { break }
      step(membership: .members(records, from: peer), now: now, into: &effects)
    case .graft(let peer): step(broadcast: .graft(from: peer), now: now, into: &effects)
    case .prune(_, let backoffSeconds, let peer):
      step(broadcast: .prune(backoffSeconds: backoffSeconds, from: peer), now: now, into: &effects)
    case .unwanted(let ids, let peer):
      step(broadcast: .unwanted(ids, from: peer), now: now, into: &effects)
    case .congested(let peer, let isCongested):
      step(broadcast: .congested(peer, isCongested), now: now, into: &effects)
    case .misconduct(let peer, let misconduct): charge(peer, misconduct, now: now, into: &effects)
    case .digest(let digest, let peer):
      guard admitMemberQuestion(of: peer, now: now, into: &effects) else { break }
      step(membership: .digest(digest, from: peer), now: now, into: &effects)
    case .memberRequest(let request, let peer):
      guard admitMemberQuestion(of: peer, now: now, into: &effects) else { break }
      step(membership: .memberRequest(request, from: peer), now: now, into: &effects)
    case .interfaces(let addresses): step(membership: .interfaces(addresses), now: now, into: &effects)
    case .contact(let address, let peer): contact(address, peer, now: now, into: &effects)
    case .dialFailed: counters.add("dialFailed")
    case .persisted(let sequence):
      step(consensus: .persisted(upTo: sequence), now: now, into: &effects)
    case .submit(let action, let request):
      let submission = submit(action, for: .request(request), now: now, into: &effects)
      effects.append(.submitted(request: request, submission))
    case .spread(let message): spread(message, now: now, into: &effects)
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
    case .voteSigners(let signers): voteSigners = signers
    case .ping(let target, let request):
      step(membership: .ping(target, request: request), now: now, into: &effects)
    case .leave:
      step(membership: .leave, now: now, into: &effects)
      step(broadcast: .leave, now: now, into: &effects)
    }
    settle(now: now, into: &effects)
    nextWake = earliestWake
  }

  private var earliestWake: Instant {
    guard startedAt != nil else { return .distantFuture }
    var next = nextHousekeeping
    for wake in [membership.nextWake, broadcast.nextWake, consensus.nextWake, sync.nextWake, work.nextDue] {
      if let wake { next = min(next, wake) }
    }
    return next
  }

  /// Looks after what the input has left to do, until nothing is left.
  private mutating func settle(now: Instant, into effects: inout [CoreEffect]) {
    guard startedAt != nil else { return }
    if now >= nextHousekeeping { needsHousekeeping = true }
    if needsHousekeeping {
      needsHousekeeping = false
      nextHousekeeping = now + settings.housekeepingInterval
      keepOwnRecord(now: now, into: &effects)
      keepOffer(now: now, into: &effects)
      keepLeases(now: now, into: &effects)
      keepAttestations(now: now, into: &effects)
      keepBeacon(now: now, into: &effects)
      keepEvidence(now: now, into: &effects)
      keepValidatorLinks(now: now, into: &effects)
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
      case .digest(let digest, let peer): effects.append(.send(.memberDigest(digest), to: peer, after: 0))
      case .memberRequest(let request, let peer):
        effects.append(.send(.memberRequest(request), to: peer, after: 0))
      case .dial(let address, let peer): dial(address, peer, now: now, into: &effects)
      case .changed(let member, let before, let state):
        let accusers = membership.member(member)?.accusations.map(\.accuser) ?? []
        effects.append(.memberChanged(member, from: before, to: state, accusers: accusers))
        step(broadcast: .nodes(membership.activeCount), now: now, into: &effects)
        needsHousekeeping = true
        if before == .down, validators.index(of: member) != nil || nextValidators.index(of: member) != nil {
          validatorLinks.hurry(at: now)
        }
      case .learned: break
      case .pinged(let request, let outcome): effects.append(.pinged(request: request, outcome))
      case .met(let member, let addresses): effects.append(.met(member, addresses))
      case .accused(let member, let accuser, let incarnation):
        effects.append(.network(.accused(member, by: accuser, incarnation: incarnation)))
      case .refuted(let member, let incarnation, let accusers):
        effects.append(.network(.refuted(member, incarnation: incarnation, accusers: accusers)))
      case .blamed(let accusers): charge(accusers: accusers, now: now, into: &effects)
      case .addressLearned(let address, let reporters):
        effects.append(.network(.addressLearned(address, reporters: reporters)))
      case .addressChanged(let old, let new): effects.append(.network(.addressChanged(from: old, to: new)))
      case .split(let members): effects.append(.network(.split(members: members)))
      case .healed(let members): effects.append(.network(.healed(members: members)))
      case .nat(let isBehind, let via): effects.append(.network(.nat(isBehind: isBehind, via: via)))
      }
    }
  }

  mutating func step(broadcast input: BroadcastInput, now: Instant, into effects: inout [CoreEffect]) {
    var results: [BroadcastEffect] = []
    broadcast.step(input, now: now, into: &results)
    for result in results {
      switch result {
      case .send(let message, let peer): effects.append(.send(.gossip(message), to: peer, after: 0))
      case .close(let peer, let misconduct, let score, let banSeconds):
        effects.append(.close(peer, reason: "misconduct, at last \(misconduct)", banSeconds: banSeconds))
        effects.append(.network(.closedForMisconduct(peer, score: score, banSeconds: banSeconds)))
      case .muted(let peer, _, let score):
        // Its gossip is not heard for a while; agreement needs its link.
        counters.add("validatorNotHeard")
        effects.append(.network(.closedForMisconduct(peer, score: score, banSeconds: 0)))
      }
    }
  }

  /// Feeds consensus, and performs at once what it asks of the ledger.
  mutating func step(consensus first: ConsensusInput, now: Instant, into effects: inout [CoreEffect]) {
    var inputs = [first]
    var next = 0
    inputs: while next < inputs.count {
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
        case .epochEnded(let boundary):
          endEpoch(boundary: boundary, now: now, into: &effects)
          // What was still to be said to the machine that has ended concerns nobody.
          inputs = [.start(links: links.members)]
          next = 0
          continue inputs
        case .evidence(let evidence): take(evidence, now: now)
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
    case .validators(let others):
      for peer in validators.members where peer != id && links.contains(peer) && !others.contains(peer) { append(peer) }
    case .everyone(let others): for peer in links where !others.contains(peer) { append(peer) }
    }
  }

  private mutating func build(_ request: BuildRequest, now: Instant) -> Verified<Block>? {
    let timestamp = max(request.minimumTimestampMilliseconds, identity.wallClock.unixMilliseconds(at: now))
    let draft = BlockDraft(
      epoch: request.epoch, view: request.view, parentView: request.parentView, timestampMilliseconds: timestamp,
      reveal: reveal(for: request))
    guard let state = ledger.state(at: request.parentID),
      let outcome = ledger.build(
        on: request.parentID,
        candidates: mempool.candidates(limit: Block.maximumTransactions) { state.account($0).nonce }, draft: draft,
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
      }
    }
    for event in events {
      if case .transactionRefused(let id, let author, let reason) = event, author == self.id {
        refusals.insert(reason, forKey: id)
      }
    }
    // Nothing but its own transactions takes from an account's balance.
    let dropped = dropHopeless(of: authors.members)
    lastCommitted = blocks.last
    step(broadcast: .forget(included.members + dropped), now: now, into: &effects)
    step(membership: .height(ledger.finalHeight), now: now, into: &effects)
    effects.append(.committed(blocks, finalization: finalization, events: events))
    settleOutbox(included: included, now: now, into: &effects)
    needsHousekeeping = true
  }

  /// What was refused or dropped by every part.
  public var allCounters: Counters {
    var all = counters
    for (prefix, part) in [
      ("membership", membership.counters), ("broadcast", broadcast.counters), ("consensus", pastCounters),
      ("consensus", consensus.counters), ("sync", sync.counters),
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
