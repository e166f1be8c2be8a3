import Wire

/// Why a transaction was refused although its block is valid: the fee is burnt, the nonce used, nothing else changed.
public enum TransactionRefusal: String, Error, Hashable, Sendable, CaseIterable {
  case zeroAmount
  case insufficientBalance
  case belowEntryDeposit
  case accountsFull
  case offerExpired
  case offerWithoutJobs
  case providersFull
  case noOffer
  case replicationUnsupported
  case tooManyRetries
  case badWallLimit
  case startDeadlinePassed
  case priceOverflow
  case jobsFull
  case unknownJob
  case notTheSubmitter
  case jobCommitted
  case jobEnded
  case noLeases
  case unknownLease
  case notTheProvider
  case wrongLeaseState
  case wrongCommitment
  case notAValidator
  case selfAttestation
  case notAProvider
  case nothingToAttest
  case belowMinimumStake
  case validatorsFull
  case notStaked
  case alreadyLeaving
  case validatorJailed
  case voteKeyInUse
  case voteKeyUnchanged
  case badBeaconLength
  case evidenceTooOld
  case evidenceOfNoValidator
  case evidenceWithoutStake
  case alreadyJailed

  /// For the author: what was wrong and what to do.
  public var message: String {
    switch self {
    case .zeroAmount: "an amount of 0 moves nothing; send at least 1 microcredit"
    case .insufficientBalance: "the balance does not cover what this locks or moves; add credits or ask for less"
    case .belowEntryDeposit: "a transfer that opens an account must be at least the entry deposit; send more"
    case .accountsFull: "the ledger holds as many accounts as it may; pay to one that exists"
    case .offerExpired: "the offer's validity is over already; send it with a later one"
    case .offerWithoutJobs: "the offer takes no jobs at once; set it to at least 1, or withdraw it"
    case .providersFull: "the ledger holds as many offers as it may; try again when one is withdrawn"
    case .noOffer: "there is no offer to withdraw"
    case .replicationUnsupported: "a job runs on exactly one provider today; set its replication to 1"
    case .tooManyRetries: "a job has at most \(LedgerBounds.maximumRetries) retries; ask for fewer"
    case .badWallLimit: "the wall limit must be above 0 and at most 365 days"
    case .startDeadlinePassed: "the start deadline has passed already; submit the job with a later one"
    case .priceOverflow: "price, wall limit and retries make an escrow above 64 bits; lower one of them"
    case .jobsFull: "the ledger holds as many jobs as it may; try again later"
    case .unknownJob: "there is no such job; it may have ended long ago"
    case .notTheSubmitter: "only the account that submitted a job cancels it"
    case .jobCommitted: "a result is committed; the job settles within the reveal window"
    case .jobEnded: "the job has ended"
    case .noLeases: "there is no active lease to renew"
    case .unknownLease: "there is no such lease"
    case .notTheProvider: "the lease is another provider's"
    case .wrongLeaseState: "the lease is past that step, or has ended"
    case .wrongCommitment: "the result is not the one committed to"
    case .notAValidator: "only validators of the epoch attest"
    case .selfAttestation: "a validator attests others, not itself"
    case .notAProvider: "the node makes no offer, so there is nothing to attest"
    case .nothingToAttest: "that was said before, or the provider counts as up anyway"
    case .belowMinimumStake: "a validator's whole stake must be at least the network's least; stake more"
    case .validatorsFull: "the ledger holds as many validators' stakes as it may; try again when one has returned"
    case .notStaked: "the account has no validator's stake; stake first"
    case .alreadyLeaving: "the validator is leaving already; its stake returns by itself"
    case .validatorJailed: "the validator contradicted itself and is jailed until the rest of its stake has returned"
    case .voteKeyInUse: "the key is, or was a moment ago, another validator's; make a new one"
    case .voteKeyUnchanged: "that is the validator's key already; name a new one"
    case .badBeaconLength: "a hash chain has 1 to \(TransactionAction.maximumBeaconLength) elements"
    case .evidenceTooOld: "the votes are of an epoch for which evidence does not count any more"
    case .evidenceOfNoValidator: "no validator of that epoch voted under that number and key"
    case .evidenceWithoutStake: "the validator's stake has returned; there is nothing left to burn"
    case .alreadyJailed: "the validator is jailed already; one piece of evidence is enough"
    }
  }
}
