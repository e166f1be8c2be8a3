/// Where a validator stands between the epochs: what is changed in one holds from the second after it.
package enum ValidatorState: String, Codable, Sendable, CaseIterable {
  /// A member of the epoch, and of the next ones.
  case active
  /// Not yet a member: `changesInEpoch` is its first.
  case joining
  /// No member from `changesInEpoch` on; until then it votes. Without that it is none any more, and its stake is kept.
  case leaving
  /// It contradicted itself: part of its stake is burnt, and it is no member from `changesInEpoch` on, or any more.
  case jailed
}

/// One row of `linnet chain validators`.
package struct ValidatorAnswer: Codable, Sendable, Equatable {
  /// The validator's node id.
  package var id: String
  /// Its name where membership knows it.
  package var name: String?
  /// The key that its votes verify under in this epoch, or in its first one.
  package var key: String
  /// What it has at stake.
  package var stakeMicrocredits: UInt64
  /// The epoch since which it is a member, or from which it will be; nil where it is not kept any more.
  package var sinceEpoch: UInt64?
  /// Where it stands.
  package var state: ValidatorState
  /// The epoch in which its membership or its key changes; nil when nothing is to change.
  package var changesInEpoch: UInt64?
  /// The epoch at whose end the stake returns, of one that left or was put out.
  package var stakeReturnsAfterEpoch: UInt64?
  /// What membership believes of it; nil for one never heard of, `alive` for the node itself.
  package var liveness: PeerState?

  /// Every field.
  package init(
    id: String, name: String? = nil, key: String, stakeMicrocredits: UInt64, sinceEpoch: UInt64? = nil,
    state: ValidatorState, changesInEpoch: UInt64? = nil, stakeReturnsAfterEpoch: UInt64? = nil,
    liveness: PeerState? = nil
  ) {
    self.id = id
    self.name = name
    self.key = key
    self.stakeMicrocredits = stakeMicrocredits
    self.sinceEpoch = sinceEpoch
    self.state = state
    self.changesInEpoch = changesInEpoch
    self.stakeReturnsAfterEpoch = stakeReturnsAfterEpoch
    self.liveness = liveness
  }
}

/// `linnet chain validators`: the members of the epoch, those to come, and those that were put out.
package struct ValidatorsAnswer: Codable, Sendable, Equatable {
  /// The epoch that the next block belongs to.
  package var epoch: UInt64
  /// In the order of ids.
  package var validators: [ValidatorAnswer]

  /// Every field.
  package init(epoch: UInt64, validators: [ValidatorAnswer]) {
    self.epoch = epoch
    self.validators = validators
  }
}

/// Whether the node votes.
package enum VotingState: String, Codable, Sendable, CaseIterable {
  /// It votes in this epoch.
  case voting
  /// It is a validator of this epoch and does not vote, for the reason given.
  case abstaining
  /// It is no validator of this epoch.
  case following
}

/// Whether the node votes, and if it does not, why and for how long.
package struct VotingAnswer: Codable, Sendable, Equatable {
  /// Whether it votes.
  package var state: VotingState
  /// Why it abstains.
  package var reason: String?
  /// It abstains until the first epoch that begins after this; nil when it does not, or when time alone ends nothing.
  package var until: WallTime?

  /// Every field.
  package init(state: VotingState, reason: String? = nil, until: WallTime? = nil) {
    self.state = state
    self.reason = reason
    self.until = until
  }
}

/// `linnet validator status`: the node's own standing.
package struct OwnValidatorAnswer: Codable, Sendable, Equatable {
  /// The node's id.
  package var id: String
  /// The epoch that the next block belongs to.
  package var epoch: UInt64
  /// Where it stands; nil for a node that is no validator and asked for nothing.
  package var state: ValidatorState?
  /// What it has at stake.
  package var stakeMicrocredits: UInt64
  /// The least stake of a validator.
  package var minimumStakeMicrocredits: UInt64
  /// The epoch since which it is a member, or from which it will be.
  package var sinceEpoch: UInt64?
  /// The epoch in which its membership or its key changes.
  package var changesInEpoch: UInt64?
  /// The epoch at whose end the stake returns, of one that left or was put out.
  package var stakeReturnsAfterEpoch: UInt64?
  /// The key of its votes in this epoch; nil for no member.
  package var key: String?
  /// The key that the ledger has for the epochs to come, where it is another.
  package var nextKey: String?
  /// The vote keys that the node holds, its own among them.
  package var heldKeys: [String]
  /// Whether it votes.
  package var voting: VotingAnswer

  /// Every field.
  package init(
    id: String, epoch: UInt64, state: ValidatorState?, stakeMicrocredits: UInt64, minimumStakeMicrocredits: UInt64,
    sinceEpoch: UInt64? = nil, changesInEpoch: UInt64? = nil, stakeReturnsAfterEpoch: UInt64? = nil,
    key: String? = nil, nextKey: String? = nil, heldKeys: [String], voting: VotingAnswer
  ) {
    self.id = id
    self.epoch = epoch
    self.state = state
    self.stakeMicrocredits = stakeMicrocredits
    self.minimumStakeMicrocredits = minimumStakeMicrocredits
    self.sinceEpoch = sinceEpoch
    self.changesInEpoch = changesInEpoch
    self.stakeReturnsAfterEpoch = stakeReturnsAfterEpoch
    self.key = key
    self.nextKey = nextKey
    self.heldKeys = heldKeys
    self.voting = voting
  }
}

/// `linnet validator join`: locks credits as the node's stake.
package struct StakeRequest: Codable, Sendable, Equatable {
  /// How much is added to what is at stake; nil for what lacks to the least stake.
  package var amountMicrocredits: UInt64?

  /// Every field.
  package init(amountMicrocredits: UInt64? = nil) {
    self.amountMicrocredits = amountMicrocredits
  }
}

/// What `linnet validator join`, `leave` and `rotate` asked of the ledger.
package struct ValidatorChangeAnswer: Codable, Sendable, Equatable {
  /// The transaction's id.
  package var id: String
  /// The height of the final block that holds it; nil while none does.
  package var inBlock: UInt64?
  /// Why the ledger refused it; nil when it did what it says, or while it is not final.
  package var refusal: String?
  /// The first epoch in which it holds; nil while it is not final.
  package var holdsFromEpoch: UInt64?
  /// The new key, of `rotate`.
  package var key: String?

  /// Every field.
  package init(
    id: String, inBlock: UInt64? = nil, refusal: String? = nil, holdsFromEpoch: UInt64? = nil, key: String? = nil
  ) {
    self.id = id
    self.inBlock = inBlock
    self.refusal = refusal
    self.holdsFromEpoch = holdsFromEpoch
    self.key = key
  }
}

/// One time that a validator was put out for two votes that contradict each other.
package struct SlashAnswer: Codable, Sendable, Equatable {
  /// `conflicting-notarize`, `conflicting-finalize` or `nullify-and-finalize`.
  package var kind: String
  /// The epoch of the two votes.
  package var epoch: UInt64
  /// The view of the two votes.
  package var view: UInt64
  /// The height of the block that holds the evidence.
  package var inBlock: UInt64
  /// The node that put it there.
  package var reporter: String
  /// What of the stake was burnt.
  package var burntMicrocredits: UInt64?
  /// The time of that block.
  package var at: WallTime?

  /// Every field.
  package init(
    kind: String, epoch: UInt64, view: UInt64, inBlock: UInt64, reporter: String, burntMicrocredits: UInt64? = nil,
    at: WallTime? = nil
  ) {
    self.kind = kind
    self.epoch = epoch
    self.view = view
    self.inBlock = inBlock
    self.reporter = reporter
    self.burntMicrocredits = burntMicrocredits
    self.at = at
  }
}
