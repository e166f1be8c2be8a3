import Consensus
import Ledger
import Primitives
import Wire

// What the core does about sync: routes its messages, serves peers, and installs a state.

extension NodeCore {
  /// Takes a message that belongs to sync; false for any other.
  mutating func takeSyncMessage(
    _ message: Verified<ConsensusMessage>, from peer: NodeID, now: Instant, into effects: inout [CoreEffect]
  ) -> Bool {
    guard admitServing(message.value, to: peer, now: now, into: &effects) else { return true }
    switch message.value {
    case .epochs:
      sync(now: now, into: &effects) { $0.take(message.epochLinks, from: peer, height: $1, now: now, into: &$2) }
    case .snapshot(let chunk):
      sync(now: now, into: &effects) { $0.take(chunk, from: peer, height: $1, now: now, into: &$2) }
    case .epochRequest(let epoch):
      effects.append(.serveEpochs(fromEpoch: epoch, to: peer))
    case .snapshotRequest(let height, let key):
      effects.append(.serveSnapshot(height: height, covering: key, to: peer))
    default:
      // Rule 1 of StateSync.swift: known sets may be far ahead of the chain here, when links came and no state did.
      if let epoch = message.value.epoch, epoch > nextValidators.epoch {
        sync(now: now, into: &effects) { $0.peerIsAhead(peer, height: $1, now: now, into: &$2) }
        // Consensus would fetch the chain at once, which would overtake the state before it is asked for.
        if sync.isAtWork { return true }
      }
      return false
    }
    return true
  }

  /// False for a request that is not to be served; true for anything else.
  private mutating func admitServing(
    _ message: ConsensusMessage, to peer: NodeID, now: Instant, into effects: inout [CoreEffect]
  ) -> Bool {
    var cost: Int64 = 1
    let kind: ServingLimits.Kind
    switch message {
    case .epochRequest, .snapshotRequest: kind = .states
    case .chainRequest: kind = .chain
    case .blockRequest(let ids):
      kind = .blocks
      cost = Int64(max(1, ids.count))
    case .certificateRequest: kind = .certificates
    case .relayRequest: kind = .relays
    default: return true
    }
    switch servingLimits.admit(peer, kind, cost: cost, now: now) {
    case .served: return true
    case .tooOften: break
    case .flood: step(broadcast: .misconduct(peer, .requestFlood), now: now, into: &effects)
    }
    counters.add("servingTooOften")
    return false
  }

  /// False for a question about members of a peer that floods with them.
  mutating func admitMemberQuestion(
    _ kind: ServingLimits.Kind = .members, of peer: NodeID, now: Instant, into effects: inout [CoreEffect]
  ) -> Bool {
    guard servingLimits.admit(peer, kind, now: now) == .flood else { return true }
    charge(peer, .requestFlood, now: now, into: &effects)
    counters.add("memberQuestionFlood")
    return false
  }

  /// Asks sync, with the actions that follow.
  mutating func sync(
    now: Instant, into effects: inout [CoreEffect],
    _ body: (inout StateSync, _ height: UInt64, inout [SyncAction]) -> Void
  ) {
    guard !consensus.isHalted else { return }
    var actions: [SyncAction] = []
    body(&sync, ledger.finalHeight, &actions)
    perform(actions, now: now, into: &effects)
  }

  private mutating func perform(_ actions: [SyncAction], now: Instant, into effects: inout [CoreEffect]) {
    for action in actions {
      switch action {
      case .ask(let message, let peer): effects.append(.send(.consensus(message), to: peer, after: 0))
      case .learned(let links, let set):
        effects.append(.epochLinks(links))
        announce(set, into: &effects)
      case .install(let assembly, let target): install(assembly, target, now: now, into: &effects)
      case .useChain(let peers):
        for peer in peers { step(consensus: .laterEpoch(peer), now: now, into: &effects) }
      case .distrust(let peer):
        step(broadcast: .misconduct(peer, .invalidMessage), now: now, into: &effects)
      }
    }
  }

  /// Tells of a set, and again of those in use, so that a shell that keeps few keeps these.
  mutating func announce(_ set: ValidatorSet, into effects: inout [CoreEffect]) {
    let inUse = [validators, nextValidators]
    if !inUse.contains(set) { effects.append(.validators(set)) }
    effects += inUse.map { .validators($0) }
  }

  /// Rule 5 of StateSync.swift: goes on from a fetched state, in the epoch that follows it.
  private mutating func install(
    _ assembly: SnapshotAssembly, _ target: SyncTarget, now: Instant, into effects: inout [CoreEffect]
  ) {
    let link = target.link
    guard target.height > ledger.finalHeight,
      let finalization = try? trusting.verify(link.finalization, validators: target.signers),
      let installed = LedgerMachine(genesis: genesis, snapshot: assembly, header: link.header),
      let state = installed.state(at: installed.finalID)
    else {
      sync.installed(target, isSuccessful: false)
      return
    }
    ledger = installed
    sync.installed(target, isSuccessful: true)
    effects.append(
      .installed(
        SnapshotInstall(
          link: link, finalization: finalization, snapshot: state.snapshot(), validators: link.nextSet)))
    // What became of what was under way is not known: nothing of it is signed again, lest it be paid twice.
    for entry in outbox.settled(below: state.account(id).nonce) {
      counters.add("ownTransactionFateUnknown")
      outbox.judged(entry.purpose, isRefused: false, at: now)
    }
    step(broadcast: .forget(dropHopeless(of: mempool.accounts)), now: now, into: &effects)
    step(membership: .height(ledger.finalHeight), now: now, into: &effects)
    beginEpoch(at: .beginning(after: link.header), boundary: finalization, now: now, into: &effects)
    step(consensus: .start(links: links.members), now: now, into: &effects)
    needsHousekeeping = true
  }
}

extension ConsensusMessage {
  /// The epoch that the sender shows to have come to; nil for what shows none.
  fileprivate var epoch: UInt64? {
    switch self {
    case .vote(let vote), .proposal(_, let vote): vote.subject.epoch
    case .certificate(let certificate), .chain(_, let certificate): certificate.subject.epoch
    default: nil
    }
  }
}
