/// `linnet account show`.
package struct AccountAnswer: Codable, Sendable, Equatable {
  /// The account's id in text form.
  package var id: String
  /// What it can spend.
  package var balanceMicrocredits: UInt64
  /// The nonce of its next transaction.
  package var nonce: UInt64
  /// What its running jobs have locked.
  package var escrowMicrocredits: UInt64
  /// What its offer, the leases it accepted and its stake have locked.
  package var bondedMicrocredits: UInt64
  /// The part of it that is at stake as a validator.
  package var stakeMicrocredits: UInt64

  /// Every field.
  package init(
    id: String, balanceMicrocredits: UInt64, nonce: UInt64, escrowMicrocredits: UInt64, bondedMicrocredits: UInt64,
    stakeMicrocredits: UInt64
  ) {
    self.id = id
    self.balanceMicrocredits = balanceMicrocredits
    self.nonce = nonce
    self.escrowMicrocredits = escrowMicrocredits
    self.bondedMicrocredits = bondedMicrocredits
    self.stakeMicrocredits = stakeMicrocredits
  }
}

/// Asks the node to pay from its own account.
package struct TransferRequest: Codable, Sendable, Equatable {
  /// The account that receives, in text form.
  package var to: String
  /// How much, at least 1.
  package var amountMicrocredits: UInt64

  /// Every field.
  package init(to: String, amountMicrocredits: UInt64) {
    self.to = to
    self.amountMicrocredits = amountMicrocredits
  }
}

/// A transaction that the node has signed and put into its mempool.
package struct TransactionAnswer: Codable, Sendable, Equatable {
  /// The transaction's id.
  package var id: String
  /// The height of the final block that holds it; nil while none does.
  package var inBlock: UInt64?
  /// Why the ledger refused it (its fee was burnt); nil when it did what it says, or while it is not final.
  package var refusal: String?

  /// Every field.
  package init(id: String, inBlock: UInt64? = nil, refusal: String? = nil) {
    self.id = id
    self.inBlock = inBlock
    self.refusal = refusal
  }
}

/// `linnet chain status`.
package struct ChainStatusAnswer: Codable, Sendable, Equatable {
  /// The height of the last final block.
  package var height: UInt64
  /// The consensus view that the node is in.
  package var view: UInt64
  /// The epoch that the next block belongs to.
  package var epoch: UInt64
  /// The blocks of an epoch.
  package var epochBlocks: UInt64
  /// The height of the epoch's last block.
  package var epochEndHeight: UInt64
  /// How many blocks of the epoch are still to come, its last included.
  package var blocksToEpochEnd: UInt64
  /// The state root after the last final block.
  package var stateRoot: String
  /// When this node saw that block become final; nil before the first.
  package var finalizedAt: WallTime?
  /// The ids of the validators in force.
  package var validators: [String]

  /// Every field.
  package init(
    height: UInt64, view: UInt64, epoch: UInt64, epochBlocks: UInt64, epochEndHeight: UInt64, blocksToEpochEnd: UInt64,
    stateRoot: String, finalizedAt: WallTime?, validators: [String]
  ) {
    self.height = height
    self.view = view
    self.epoch = epoch
    self.epochBlocks = epochBlocks
    self.epochEndHeight = epochEndHeight
    self.blocksToEpochEnd = blocksToEpochEnd
    self.stateRoot = stateRoot
    self.finalizedAt = finalizedAt
    self.validators = validators
  }
}

/// The header of a block.
package struct BlockHeaderAnswer: Codable, Sendable, Equatable {
  /// The block's hash.
  package var id: String
  /// How many blocks are below it.
  package var height: UInt64
  /// The view that it was proposed in.
  package var view: UInt64
  /// The epoch of the validator set that certified it.
  package var epoch: UInt64
  /// The hash of the block below it.
  package var parent: String
  /// The id of the leader that proposed it first; nil when the validators of its epoch are not kept any more.
  package var proposer: String?
  /// The ledger's time in this block.
  package var timestamp: WallTime
  /// The state root after it.
  package var stateRoot: String

  /// Every field.
  package init(
    id: String, height: UInt64, view: UInt64, epoch: UInt64, parent: String, proposer: String?, timestamp: WallTime,
    stateRoot: String
  ) {
    self.id = id
    self.height = height
    self.view = view
    self.epoch = epoch
    self.parent = parent
    self.proposer = proposer
    self.timestamp = timestamp
    self.stateRoot = stateRoot
  }
}

/// One transaction of a block.
package struct BlockTransactionAnswer: Codable, Sendable, Equatable {
  /// The transaction's id.
  package var id: String
  /// What it is, such as `transfer` or `submitJob`.
  package var kind: String
  /// The account that signed it.
  package var from: String
  /// The account's nonce.
  package var nonce: UInt64
  /// The fee that it burnt.
  package var feeMicrocredits: UInt64
  /// One line for a person, such as "25 credits to 5KQ…".
  package var summary: String
  /// Why the ledger refused it; nil when it did what it says.
  package var refusal: String?

  /// Every field.
  package init(
    id: String, kind: String, from: String, nonce: UInt64, feeMicrocredits: UInt64, summary: String,
    refusal: String? = nil
  ) {
    self.id = id
    self.kind = kind
    self.from = from
    self.nonce = nonce
    self.feeMicrocredits = feeMicrocredits
    self.summary = summary
    self.refusal = refusal
  }
}

/// Who made a block final.
package struct CertificateAnswer: Codable, Sendable, Equatable {
  /// What was voted: `finalize`.
  package var kind: String
  /// The view of the votes: that of the block, or of a later one that made both final.
  package var view: UInt64
  /// The validators that signed.
  package var signers: [String]

  /// Every field.
  package init(kind: String, view: UInt64, signers: [String]) {
    self.kind = kind
    self.view = view
    self.signers = signers
  }
}

/// `linnet chain block N`.
package struct BlockAnswer: Codable, Sendable, Equatable {
  /// The header.
  package var header: BlockHeaderAnswer
  /// The transactions in their order.
  package var transactions: [BlockTransactionAnswer]
  /// What made it final; nil when this node has kept no certificate of it, nor of the blocks soon after it.
  package var certificate: CertificateAnswer?

  /// Every field.
  package init(
    header: BlockHeaderAnswer, transactions: [BlockTransactionAnswer], certificate: CertificateAnswer?
  ) {
    self.header = header
    self.transactions = transactions
    self.certificate = certificate
  }
}
