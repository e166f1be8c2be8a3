import Consensus
import Ledger
import Primitives
import Wire

// One consensus machine lives for one epoch; here the next is made.

extension NodeCore {
  /// The committee of an epoch and whether this node votes in it.
  struct Committee: Sendable {
    var validators: ValidatorSet
    var next: ValidatorSet
    var standing: VotingStanding
    /// Of the key that the validators name for this node; the node's own when there is none.
    var signer: Signer
  }

  /// Looks up the validators of an epoch in the state at its beginning or later.
  ///
  /// - Parameters:
  ///   - journalEpoch: the latest epoch that the recovered journal speaks of, or in which it begins. Those before it are
  ///     over and their votes may be forgotten: a node that finds itself there, since final blocks of its disk were
  ///     damaged, signs nothing.
  ///   - beginMilliseconds: the timestamp of the last block before the epoch; nil for the epoch that the node starts in.
  static func committee(
    ofEpoch epoch: UInt64, state: LedgerReader, node: Signer, keys: [Signer], journalEpoch: UInt64,
    abstainUntil: UInt64?, beginMilliseconds: UInt64?
  ) -> Committee {
    guard let set = state.validatorSet(epoch: epoch), let next = state.validatorSet(epoch: epoch &+ 1) else {
      preconditionFailure("a state knows the validators of its own epoch and of the next")
    }
    var committee = Committee(validators: set, next: next, standing: .voting, signer: node)
    guard let key = set.index(of: node.id).flatMap({ set.key($0) }) else {
      committee.standing = .notAValidator
      return committee
    }
    guard let signer = keys.first(where: { $0.id == key }) else {
      committee.standing = .keyMissing(key)
      return committee
    }
    committee.signer = signer
    if let abstainUntil, beginMilliseconds.map({ $0 <= abstainUntil }) ?? true {
      committee.standing = .abstaining(untilMilliseconds: abstainUntil)
    }
    if epoch < journalEpoch, committee.standing == .voting {
      committee.standing = .abstaining(untilMilliseconds: beginMilliseconds ?? 0)
    }
    return committee
  }

  /// Goes from the epoch that has ended into the next.
  mutating func endEpoch(boundary: Verified<Certificate>, now: Instant, into effects: inout [CoreEffect]) {
    guard let block = lastCommitted, block.value.id == boundary.value.subject.blockID else {
      preconditionFailure("an epoch ends with the commit of its last block")
    }
    let snapshot = finalState.snapshot()
    let began = block.value.header.epoch &+ 1
    effects.append(
      .epochBegan(epoch: began, boundary: block, finalization: boundary, snapshot: snapshot, next: nextValidators))
    beginEpoch(at: .beginning(after: block.value.header), boundary: boundary, now: now, into: &effects)
  }

  /// Makes the machine of the epoch that begins at `tip`. It is to be started by the caller.
  mutating func beginEpoch(
    at tip: FinalTip, boundary: Verified<Certificate>, now: Instant, into effects: inout [CoreEffect]
  ) {
    let committee = NodeCore.committee(
      ofEpoch: tip.epoch, state: finalState, node: identity.signer, keys: voteSigners,
      journalEpoch: journalEpoch, abstainUntil: settings.abstainUntilMilliseconds,
      beginMilliseconds: tip.epoch == startEpoch ? nil : tip.timestampMilliseconds)
    validators = committee.validators
    nextValidators = committee.next
    votingStanding = committee.standing
    pastCounters.merge(consensus.counters)
    consensus = SimplexMachine(
      settings: ConsensusSettings(genesis.parameters, bounds: settings.consensusBounds), validators: validators,
      signer: committee.signer, node: id, verifier: trusting, tip: tip, boundary: boundary,
      records: laterRecords.filter { $0.epoch == tip.epoch },
      mayVote: committee.standing == .voting, wallClock: identity.wallClock, seed: generator.next(),
      firstPersist: consensus.persistSequence)
    laterRecords.removeAll { $0.epoch <= tip.epoch }
    work = WorkWatch()
    lastCommitted = nil
    keepValidators(now: now, into: &effects)
    sync.note(known: nextValidators)
    announce(sync.known, into: &effects)
  }

  /// The vote keys that own transactions under way name: each is signed anew for as long as it takes.
  public var voteKeysUnderWay: [NodeID] {
    outbox.pending.values.compactMap { entry in
      if case .rotateKey(let new) = entry.action { new.key } else { nil }
    }
  }

  /// The journal's records that replace all earlier ones: what the machine of this epoch needs, and what was recovered
  /// of later ones. The caller must have the final blocks in a durable store before it drops the old records.
  public func checkpoint() -> [ConsensusRecord] { consensus.checkpoint() + laterRecords }
}
