import Primitives

/// A value whose signatures were checked. Only the `Verifier` and the node's own `Signer` make one.
public struct Verified<Value: Sendable>: Sendable {
  /// The value.
  public let value: Value

  init(_ value: Value) { self.value = value }
}

extension Verified: Equatable where Value: Equatable {}

/// Why something signed was refused.
public enum VerificationError: Error, Equatable, Sendable {
  /// The bytes do not decode.
  case malformed(WireError)
  /// It belongs to another network.
  case wrongNetwork
  /// A signature does not fit.
  case badSignature
  /// The voter is not among the epoch's validators.
  case notAValidator
  /// The validators of the epoch are not known here.
  case unknownEpoch(UInt64)
  /// A certificate has fewer signatures than a quorum.
  case noQuorum

  /// The name under which a refusal is counted.
  public var counter: String {
    switch self {
    case .malformed(let error): error.counter
    case .wrongNetwork: "wrongNetwork"
    case .badSignature: "badSignature"
    case .notAValidator: "notAValidator"
    case .unknownEpoch: "unknownEpoch"
    case .noQuorum: "noQuorum"
    }
  }
}

/// Remembers messages of this network whose signatures fit, by their ids: an id is the hash of every byte of the
/// envelope, the signature included, so that what is known by it need not be checked again. Closures, so that a shell may
/// share one bounded memory between threads.
public struct VerifiedMessages: Sendable {
  /// True when the message with this id was checked and found sound.
  public let contains: @Sendable (Digest) -> Bool
  /// Notes that it was.
  public let insert: @Sendable (Digest) -> Void

  /// A memory.
  public init(contains: @escaping @Sendable (Digest) -> Bool, insert: @escaping @Sendable (Digest) -> Void) {
    self.contains = contains
    self.insert = insert
  }
}

/// Checks signatures before anything reaches the core. It knows no signature scheme: the shell gives a closure.
public struct Verifier: Sendable {
  /// The network that everything must be bound to.
  public let networkID: Digest
  /// True when the signature is the node's over the bytes.
  public let check: @Sendable (Signature, [UInt8], NodeID) -> Bool

  private let tag: NetworkTag
  private let known: VerifiedMessages?

  /// A verifier for one network; it asks `known`, if there is one, before it checks a message.
  public init(
    networkID: Digest, known: VerifiedMessages? = nil,
    check: @escaping @Sendable (Signature, [UInt8], NodeID) -> Bool
  ) {
    self.networkID = networkID
    self.check = check
    self.known = known
    tag = NetworkTag(networkID)
  }

  /// Decodes and checks an envelope.
  public func open(_ bytes: [UInt8]) throws(VerificationError) -> Verified<Message> {
    do { return try verify(Envelope(decoding: bytes)) } catch let error as WireError {
      throw .malformed(error)
    } catch let error as VerificationError {
      throw error
    } catch {
      throw .badSignature
    }
  }

  /// Decodes the body of an envelope and checks its network and signature.
  public func verify(_ envelope: Envelope) throws(VerificationError) -> Verified<Message> {
    guard envelope.network == tag else { throw .wrongNetwork }
    let message: Message
    do { message = try Message(envelope) } catch { throw .malformed(error) }
    return try verify(message)
  }

  /// Checks the network and signature of a decoded message.
  public func verify(_ message: Message) throws(VerificationError) -> Verified<Message> {
    guard message.envelope.network == tag else { throw .wrongNetwork }
    let known = message.body.comesAgain ? known : nil
    if let known, known.contains(message.id) { return Verified(message) }
    guard check(message.envelope.signature, message.envelope.statement, message.author) else { throw .badSignature }
    if case .transaction(let transaction) = message.body {
      try verifyInner(transaction.action, author: message.author)
    }
    known?.insert(message.id)
    return Verified(message)
  }

  /// Checks a vote against the validators of its epoch.
  public func verify(_ vote: Vote, validators: ValidatorSet) throws(VerificationError) -> Verified<Vote> {
    guard vote.subject.epoch == validators.epoch, let key = validators.key(vote.voter) else {
      throw .notAValidator
    }
    guard check(vote.signature, vote.subject.statement(networkID: networkID), key) else { throw .badSignature }
    return Verified(vote)
  }

  /// Checks a certificate: a quorum of distinct validators, each signature.
  public func verify(
    _ certificate: Certificate, validators: ValidatorSet
  ) throws(VerificationError) -> Verified<Certificate> {
    guard certificate.subject.epoch == validators.epoch else { throw .notAValidator }
    guard certificate.signers.count >= validators.quorum, certificate.signers.count == certificate.signatures.count
    else { throw .noQuorum }
    let statement = certificate.subject.statement(networkID: networkID)
    for (signer, signature) in zip(certificate.signers, certificate.signatures) {
      guard let key = validators.key(signer) else { throw .notAValidator }
      guard check(signature, statement, key) else { throw .badSignature }
    }
    return Verified(certificate)
  }

  /// Checks every signature inside a consensus message.
  public func verify(
    _ message: ConsensusMessage, validators: KnownValidators
  ) throws(VerificationError) -> Verified<ConsensusMessage> {
    switch message {
    case .vote(let vote): _ = try verify(vote, validators: set(vote.subject, validators))
    case .certificate(let certificate): _ = try verify(certificate, validators: set(certificate.subject, validators))
    case .proposal(let block, let vote):
      _ = try verify(vote, validators: set(vote.subject, validators))
      try verify(block)
    case .blocks(let blocks):
      for block in blocks { try verify(block) }
    case .certificates(let certificates):
      for certificate in certificates {
        _ = try verify(certificate, validators: set(certificate.subject, validators))
      }
    case .chain(let blocks, let finalization):
      _ = try verify(finalization, validators: set(finalization.subject, validators))
      for block in blocks { try verify(block) }
    case .epochs(let links): _ = try verify(links, from: validators.latest())
    case .blockRequest, .certificateRequest, .chainRequest, .epochRequest, .snapshotRequest, .relayRequest: break
    // Proven by the state root of a header, which whoever asked for it knows.
    case .snapshot: break
    }
    return Verified(message)
  }

  /// Checks a chain of epoch links against the validators known at its beginning, and returns those at its end. Links
  /// of epochs before `known` are passed over.
  public func verify(_ links: [EpochLink], from known: ValidatorSet) throws(VerificationError) -> ValidatorSet {
    var set = known
    for link in links where link.header.epoch >= set.epoch {
      _ = try verify(link.finalization, validators: set.inEpoch(link.header.epoch))
      set = link.nextSet
    }
    return set
  }

  private func set(_ subject: VoteSubject, _ validators: KnownValidators) throws(VerificationError) -> ValidatorSet {
    guard let set = validators.set(subject.epoch) else { throw .unknownEpoch(subject.epoch) }
    return set
  }

  /// Checks the signatures that an action carries besides the envelope's.
  private func verifyInner(_ action: TransactionAction, author: NodeID) throws(VerificationError) {
    switch action {
    case .evidence(let evidence):
      for vote in [evidence.first, evidence.second] {
        guard check(vote.signature, vote.subject.statement(networkID: networkID), evidence.key) else {
          throw .badSignature
        }
      }
    case .rotateKey(let new):
      let statement = VoteKey.statement(networkID: networkID, node: author, key: new.key)
      guard check(new.proof, statement, new.key) else { throw .badSignature }
    default: break
    }
  }

  private func verify(_ block: Block) throws(VerificationError) {
    for transaction in block.transactions { _ = try verify(transaction) }
  }
}

extension MessageBody {
  /// True for what comes again: a transaction by gossip from several peers, in a proposal, in blocks that were asked for;
  /// a record, an accusation or a farewell as a rumour from most members and in each exchange. Probes come once.
  fileprivate var comesAgain: Bool {
    switch self {
    case .transaction, .nodeRecord, .accusation, .leave: true
    case .nodeList, .ping, .ack, .nack, .pingRequest: false
    }
  }
}

// What is inside a verified value is verified: these take it out without checking again.

extension Verified where Value == ConsensusMessage {
  /// The vote of a `vote` or `proposal`.
  public var vote: Verified<Vote>? {
    switch value {
    case .vote(let vote), .proposal(_, let vote): Verified<Vote>(vote)
    default: nil
    }
  }

  /// The certificates of a `certificate`, `certificates` or `chain`.
  public var certificates: [Verified<Certificate>] {
    switch value {
    case .certificate(let certificate): [Verified<Certificate>(certificate)]
    case .certificates(let certificates): certificates.map { Verified<Certificate>($0) }
    case .chain(_, let finalization): [Verified<Certificate>(finalization)]
    default: []
    }
  }

  /// The blocks of a `proposal`, `blocks` or `chain`: the signatures of their transactions were checked.
  public var blocks: [Verified<Block>] {
    switch value {
    case .proposal(let block, _): [Verified<Block>(block)]
    case .blocks(let blocks), .chain(let blocks, _): blocks.map { Verified<Block>($0) }
    default: []
    }
  }
}

extension Verified where Value == Block {
  /// The block's transactions.
  public var transactions: [Verified<Message>] { value.transactions.map { Verified<Message>($0) } }

  /// A block of verified transactions; nil when the header's `transactionsRoot` does not fit them.
  public init?(header: BlockHeader, transactions: [Verified<Message>]) {
    guard let block = Block(header: header, transactions: transactions.map(\.value)) else { return nil }
    self.init(block)
  }
}

extension Verified where Value == Certificate {
  /// The votes it was made of.
  public var votes: [Verified<Vote>] { value.votes.map { Verified<Vote>($0) } }
}

extension Verified where Value == ConsensusMessage {
  /// The links of an `epochs`.
  public var epochLinks: [EpochLink] {
    if case .epochs(let links) = value { return links }
    return []
  }
}
