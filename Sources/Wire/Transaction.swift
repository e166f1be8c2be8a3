import Primitives

/// A change of the ledger, carried by an envelope of kind `transaction`. The author is the account.
public struct Transaction: Hashable, Sendable, WireCodable {
  /// The next number of the author's account, from 0.
  public var nonce: UInt64
  /// Paid and burnt whether the action is refused or not.
  public var feeMicrocredits: UInt64
  /// Ledger time, in milliseconds since 1970, from which on no block may include it.
  public var expiresMilliseconds: UInt64
  /// What it does.
  public var action: TransactionAction

  /// A transaction.
  public init(nonce: UInt64, feeMicrocredits: UInt64, expiresMilliseconds: UInt64, action: TransactionAction) {
    self.nonce = nonce
    self.feeMicrocredits = feeMicrocredits
    self.expiresMilliseconds = expiresMilliseconds
    self.action = action
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(nonce)
    writer.varint(feeMicrocredits)
    writer.uint64(expiresMilliseconds)
    writer.value(action)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    nonce = try reader.varint()
    feeMicrocredits = try reader.varint()
    expiresMilliseconds = try reader.uint64()
    action = try reader.value()
  }
}

/// What a provider found about the node that a validator probed.
public enum Liveness: UInt8, Hashable, Sendable {
  case down = 0
  case up = 1
}

/// The actions of the ledger. Tags are for ever.
public enum TransactionAction: Hashable, Sendable, WireCodable {
  /// The most leases in one commit or reveal.
  public static let maximumLeases = 32
  /// The longest reason of a decline, in bytes.
  public static let maximumReasonBytes = 200
  /// The longest hash chain.
  public static let maximumBeaconLength: UInt64 = 1 << 20

  /// Moves credits.
  case transfer(to: NodeID, amountMicrocredits: UInt64)
  /// Offers work, or changes the offer.
  case offer(OfferTerms)
  /// Ends the offer.
  case withdraw
  /// Asks for a job to be run. The job's id is the id of the envelope.
  case submitJob(JobTerms)
  /// Cancels a job of the author.
  case cancelJob(job: Digest)
  /// Renews all leases of the author.
  case renew
  /// Accepts a lease.
  case acceptLease(lease: Digest)
  /// Refuses a lease; the job is assigned anew.
  case declineLease(lease: Digest, reason: String)
  /// Commits to results by their hashes.
  case commitResults([LeaseCommitment])
  /// Reveals committed results.
  case revealResults([LeaseResult])
  /// A validator's own finding about a provider.
  case attest(provider: NodeID, liveness: Liveness)
  /// Locks credits as a validator's stake; with the least stake the author is a validator two epochs on.
  case stake(amountMicrocredits: UInt64)
  /// The author is no validator any more two epochs on; its stake returns when no evidence can come any more.
  case unstake
  /// The author's votes are signed by this key two epochs on.
  case rotateKey(VoteKey)
  /// The tip of the author's hash chain, `length` hashes above its seed: what it reveals as a leader comes from there.
  case registerBeacon(tip: Digest, length: UInt64)
  /// Proves that a validator signed votes that contradict each other.
  case evidence(Evidence)

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .transfer(let to, let amount):
      writer.uint8(1)
      writer.nodeID(to)
      writer.varint(amount)
    case .offer(let terms):
      writer.uint8(2)
      writer.value(terms)
    case .withdraw: writer.uint8(3)
    case .submitJob(let terms):
      writer.uint8(4)
      writer.value(terms)
    case .cancelJob(let job):
      writer.uint8(5)
      writer.digest(job)
    case .renew: writer.uint8(6)
    case .acceptLease(let lease):
      writer.uint8(7)
      writer.digest(lease)
    case .declineLease(let lease, let reason):
      writer.uint8(8)
      writer.digest(lease)
      writer.string(reason)
    case .commitResults(let commitments):
      writer.uint8(9)
      writer.array(commitments)
    case .revealResults(let results):
      writer.uint8(10)
      writer.array(results)
    case .attest(let provider, let liveness):
      writer.uint8(11)
      writer.nodeID(provider)
      writer.uint8(liveness.rawValue)
    case .stake(let amount):
      writer.uint8(12)
      writer.varint(amount)
    case .unstake: writer.uint8(13)
    case .rotateKey(let key):
      writer.uint8(14)
      writer.value(key)
    case .registerBeacon(let tip, let length):
      writer.uint8(15)
      writer.digest(tip)
      writer.varint(length)
    case .evidence(let evidence):
      writer.uint8(16)
      writer.value(evidence)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .transfer(to: try reader.nodeID(), amountMicrocredits: try reader.varint())
    case 2: self = .offer(try reader.value())
    case 3: self = .withdraw
    case 4: self = .submitJob(try reader.value())
    case 5: self = .cancelJob(job: try reader.digest())
    case 6: self = .renew
    case 7: self = .acceptLease(lease: try reader.digest())
    case 8:
      self = .declineLease(
        lease: try reader.digest(),
        reason: try reader.string(limit: TransactionAction.maximumReasonBytes, what: "reason"))
    case 9:
      self = .commitResults(
        try reader.ascending(limit: TransactionAction.maximumLeases, what: "commitments", by: \.lease) {
          (reader) throws(WireError) in try LeaseCommitment(from: &reader)
        })
    case 10:
      self = .revealResults(
        try reader.ascending(limit: TransactionAction.maximumLeases, what: "results", by: \.lease) {
          (reader) throws(WireError) in try LeaseResult(from: &reader)
        })
    case 11:
      let provider = try reader.nodeID()
      guard let liveness = Liveness(rawValue: try reader.uint8()) else { throw .unknownTag(what: "liveness") }
      self = .attest(provider: provider, liveness: liveness)
    case 12: self = .stake(amountMicrocredits: try reader.varint())
    case 13: self = .unstake
    case 14: self = .rotateKey(try reader.value())
    case 15:
      let tip = try reader.digest()
      let length = try reader.varint()
      guard (1...TransactionAction.maximumBeaconLength).contains(length) else { throw .badValue(what: "beacon length") }
      self = .registerBeacon(tip: tip, length: length)
    case 16: self = .evidence(try reader.value())
    default: throw .unknownTag(what: "transaction action")
    }
  }
}
