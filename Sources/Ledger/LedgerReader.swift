import Primitives
import Wire

/// Reads the state after a block. It stays what it was while the ledger goes on.
public struct LedgerReader: Sendable {
  let view: StateView
  let tree: MerkleTree

  /// The state root.
  public var stateRoot: Digest { tree.digest }

  /// What the ledger knows of the chain as of this block.
  public var chain: ChainRecord {
    guard let chain = view.chain[SoleKey()] else { preconditionFailure("every state has its chain record") }
    return chain
  }

  /// The height of the block.
  public var height: UInt64 { chain.height }
  /// Ledger time in milliseconds since 1970.
  public var ledgerTimeMilliseconds: UInt64 { chain.ledgerTimeMilliseconds }
  /// Fees burnt since the genesis.
  public var burntMicrocredits: UInt64 { chain.burntMicrocredits }

  /// The chain parameters.
  public var parameters: ChainParameters {
    guard let network = view.network[SoleKey()] else { preconditionFailure("every state has its network record") }
    return network.parameters
  }
  /// The epoch of the next block.
  public var epoch: UInt64 { parameters.epoch(ofHeight: height + 1) }
  /// The randomness that the next block's is mixed from.
  public var beacon: Digest { chain.beacon }

  /// An account; empty for one that was never paid.
  public func account(_ id: NodeID) -> AccountRecord { view.accounts[id] ?? AccountRecord() }
  /// All accounts in the order of ids.
  public var accounts: some Sequence<(id: NodeID, record: AccountRecord)> {
    view.accounts.entries().lazy.map { (id: $0.key, record: $0.value) }
  }
  /// What the jobs of an account that have not ended have locked.
  public func escrow(of id: NodeID) -> UInt64 { account(id).escrowMicrocredits }
  /// What an account's offer and the leases it accepted have locked.
  public func bonded(by id: NodeID) -> UInt64 { account(id).bondedMicrocredits }

  /// A job; nil for one that is unknown or whose retention is over.
  public func job(_ id: Digest) -> JobRecord? { view.jobs[id] }
  /// All jobs in the order of ids.
  public var jobs: some Sequence<(id: Digest, record: JobRecord)> {
    view.jobs.entries().lazy.map { (id: $0.key, record: $0.value) }
  }

  /// A lease, until its job is forgotten.
  public func lease(_ id: Digest) -> LeaseRecord? { view.lease(id).map { $0.job.leases[$0.position] } }
  /// The leases that a provider holds (offered, active or committed), in the order of ids.
  public func leases(of provider: NodeID) -> [LeaseRecord] { view.liveLeases(of: provider).compactMap { lease($0) } }

  /// The providers with a bond, in order.
  public var providerIDs: [NodeID] { view.providers.entries().map(\.key) }
  /// A provider.
  public func provider(_ id: NodeID) -> ProviderRecord? { view.providers[id] }
  /// The offer of a provider, expired or not; nil when it has none or has withdrawn it.
  public func offer(of id: NodeID) -> OfferTerms? { view.providers[id]?.offer }

  /// The validators of an epoch: known from `evidenceAgeEpochs` before the next block's epoch to one after it.
  public func validatorSet(epoch: UInt64) -> ValidatorSet? { view.validatorSet(epoch: epoch) }
  /// The record of an epoch, within the same bounds.
  public func epochRecord(_ epoch: UInt64) -> EpochRecord? { view.epochs[EpochKey(epoch)] }
  /// An account with a validator's stake, whether it is in a set or not.
  public func validator(_ node: NodeID) -> ValidatorRecord? { view.validators[node] }
  /// All accounts with a validator's stake in the order of ids.
  public var validators: some Sequence<(id: NodeID, record: ValidatorRecord)> {
    view.validators.entries().lazy.map { (id: $0.key, record: $0.value) }
  }

  /// What a validator last said of a provider; nil for nothing, which while it counts as up says the same as `up`.
  public func attestation(of provider: NodeID, by validator: NodeID) -> Liveness? {
    view.attestations[AttestationKey(provider: provider, validator: validator)]
  }
  /// True from a quorum's `down` until a quorum's `up`.
  public func isDown(_ provider: NodeID) -> Bool { view.providers[provider]?.isAttestedDown ?? false }

  /// For each provider all reasons why it would not get the job, by the predicates of the assignment; none for those
  /// that would. Empty for an unknown job.
  public func fitness(for job: Digest) -> [(provider: NodeID, unfit: [Unfit])] {
    guard let record = view.jobs[job] else { return [] }
    let need = Matching.Need(job: record, at: ledgerTimeMilliseconds)
    return view.providers.entries().map { ($0.key, Matching.unfits(need, $0.key, $0.value)) }
  }
}
