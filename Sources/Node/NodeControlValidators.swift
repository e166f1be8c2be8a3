import Control
import Core
import Ledger
import Membership
import Primitives
import Sodium
import Wire

// The committee, and this node's place in it.

extension NodeControl {
  func validators() async throws -> ValidatorsAnswer {
    await node.driver.read { core, _ in
      let state = core.finalState
      return ValidatorsAnswer(
        epoch: state.epoch,
        validators: state.validatorNodes.compactMap { NodeControl.validator($0, state: state, core: core) })
    }
  }

  /// A node as a validator; nil for one that is none.
  static func validator(_ id: NodeID, state: LedgerReader, core: NodeCore) -> ValidatorAnswer? {
    let facts = state.validatorFacts(id)
    guard let standing = ValidatorStanding(facts), let key = facts.key ?? facts.nextKey ?? facts.laterKey else {
      return nil
    }
    let member = core.membership.member(id)
    return ValidatorAnswer(
      id: "\(id)", name: id == core.id ? core.ownName : member?.name, key: "\(key)",
      stakeMicrocredits: state.validator(id)?.stakeMicrocredits ?? 0, sinceEpoch: state.memberSince(id),
      state: standing.state, changesInEpoch: standing.changesInEpoch,
      stakeReturnsAfterEpoch: state.validator(id)?.returnEpoch,
      liveness: id == core.id ? .alive : member.map { peerState($0.state) })
  }

  func ownValidator() async throws -> OwnValidatorAnswer {
    let held = node.shell.voteKeys.all.map { "\($0.id)" }
    let voting = await voting()
    return await node.driver.read { core, _ in
      let state = core.finalState
      let facts = state.validatorFacts(core.id)
      let standing = ValidatorStanding(facts)
      let later = facts.laterKey ?? facts.nextKey
      return OwnValidatorAnswer(
        id: "\(core.id)", epoch: state.epoch, state: standing?.state,
        stakeMicrocredits: state.validator(core.id)?.stakeMicrocredits ?? 0,
        minimumStakeMicrocredits: state.parameters.minimumStakeMicrocredits,
        sinceEpoch: standing == nil ? nil : state.memberSince(core.id), changesInEpoch: standing?.changesInEpoch,
        stakeReturnsAfterEpoch: state.validator(core.id)?.returnEpoch, key: facts.key.map { "\($0)" },
        nextKey: later == facts.key ? nil : later.map { "\($0)" }, heldKeys: held, voting: voting)
    }
  }

  /// Whether the node votes, and why not.
  func voting() async -> VotingAnswer {
    NodeControl.voting(
      await node.driver.read { core, _ in core.votingStanding }, abstains: node.abstains)
  }

  /// What there is to say of a node's votes.
  ///
  /// - Parameter abstains: why votes may be lost, as the storage found.
  static func voting(_ standing: VotingStanding, abstains: String?) -> VotingAnswer {
    switch standing {
    case .voting: VotingAnswer(state: .voting)
    case .notAValidator: VotingAnswer(state: .following)
    case .keyMissing(let key):
      VotingAnswer(state: .abstaining, reason: "the secret of its vote key \(key) is not in vote-keys")
    case .abstaining(let until):
      VotingAnswer(
        state: .abstaining, reason: abstains ?? "votes of an earlier run may be lost",
        until: wallTime(milliseconds: until))
    }
  }

  func joinValidators(_ request: StakeRequest) async throws -> ValidatorChangeAnswer {
    let (staked, least) = await node.driver.read { core, _ in
      let state = core.finalState
      return (state.validator(core.id)?.stakeMicrocredits ?? 0, state.parameters.minimumStakeMicrocredits)
    }
    let lacking = least > staked ? least - staked : 0
    guard let amount = request.amountMicrocredits ?? (lacking > 0 ? lacking : nil) else {
      throw ControlError.conflict(
        code: "stakeEnough",
        "the node has \(Quantity.credits(staked)) credits at stake, and \(Quantity.credits(least)) are enough",
        suggestion: "add more with --stake, which also takes a leave back; linnet validator status")
    }
    return try await change(.stake(amountMicrocredits: amount))
  }

  func leaveValidators() async throws -> ValidatorChangeAnswer {
    try await requireStake()
    return try await change(.unstake)
  }

  func rotateVoteKey() async throws -> ValidatorChangeAnswer {
    try await requireStake()
    let key: SigningKey
    do { key = try node.shell.voteKeys.make() } catch {
      throw ControlError.conflict(code: "keyNotMade", error.message, suggestion: error.suggestion)
    }
    // The core has the key before the ledger can name it.
    let networkID = node.genesis.networkID
    node.driver.post(.voteSigners(node.shell.voteKeys.signers(networkID: networkID)))
    let signer = Signer(id: key.id, networkID: networkID) { key.sign($0) }
    var answer = try await change(.rotateKey(signer.voteKey(of: node.id)))
    answer.key = "\(key.id)"
    return answer
  }

  private func requireStake() async throws {
    guard await node.driver.read({ core, _ in core.finalState.validator(core.id) != nil }) else {
      throw ControlError.conflict(
        code: "notStaked", "the node has nothing at stake: it is no validator",
        suggestion: "linnet validator join makes it one")
    }
  }

  private func change(_ action: TransactionAction) async throws -> ValidatorChangeAnswer {
    let answer = try await finalAnswer(to: try await submit(action))
    let blocks = node.genesis.parameters.epochBlocks
    let from = answer.refusal == nil ? answer.inBlock.map { ($0 - 1) / blocks + 2 } : nil
    return ValidatorChangeAnswer(
      id: answer.id, inBlock: answer.inBlock, refusal: answer.refusal, holdsFromEpoch: from)
  }

  /// What membership believes, in the words of the control API.
  static func peerState(_ state: MemberState) -> PeerState {
    switch state {
    case .alive: .alive
    case .suspect: .suspect
    case .down: .down
    case .left: .left
    }
  }
}

extension NodeCore {
  /// The name in the node's own record.
  var ownName: String? {
    guard case .nodeRecord(let record) = membership.ownRecord.value.body else { return nil }
    return record.name
  }
}
