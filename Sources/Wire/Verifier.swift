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
  /// The epoch's validators are not known, or the voter is not among them.
  case notAValidator
  /// A certificate has fewer signatures than a quorum.
  case noQuorum

  /// The name under which a refusal is counted.
  public var counter: String {
    switch self {
    case .malformed(let error): error.counter
    case .wrongNetwork: "wrongNetwork"
    case .badSignature: "badSignature"
    case .notAValidator: "notAValidator"
    case .noQuorum: "noQuorum"
    }
  }
}

/// Checks signatures before anything reaches the core. It knows no signature scheme: the shell gives a closure.
public struct Verifier: Sendable {
  /// The network that everything must be bound to.
  public let networkID: Digest
  /// True when the signature is the node's over the bytes.
  public let check: @Sendable (Signature, [UInt8], NodeID) -> Bool

  private let tag: NetworkTag

  /// A verifier for one network.
  public init(networkID: Digest, check: @escaping @Sendable (Signature, [UInt8], NodeID) -> Bool) {
    self.networkID = networkID
    self.check = check
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
    guard check(message.envelope.signature, message.envelope.statement, message.author) else { throw .badSignature }
    return Verified(message)
  }

  /// Checks a vote against the validators of its epoch.
  public func verify(_ vote: Vote, validators: ValidatorSet) throws(VerificationError) -> Verified<Vote> {
    guard vote.subject.epoch == validators.epoch, let voter = validators.member(vote.voter) else {
      throw .notAValidator
    }
    guard check(vote.signature, vote.subject.statement(networkID: networkID), voter) else { throw .badSignature }
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
      guard let voter = validators.member(signer) else { throw .notAValidator }
      guard check(signature, statement, voter) else { throw .badSignature }
    }
    return Verified(certificate)
  }

  /// Checks every signature inside a consensus message.
  public func verify(
    _ message: ConsensusMessage, validators: ValidatorSet
  ) throws(VerificationError) -> Verified<ConsensusMessage> {
    switch message {
    case .vote(let vote): _ = try verify(vote, validators: validators)
    case .certificate(let certificate): _ = try verify(certificate, validators: validators)
    case .proposal(let block, let vote):
      _ = try verify(vote, validators: validators)
      try verify(block)
    case .blocks(let blocks):
      for block in blocks { try verify(block) }
    case .certificates(let certificates):
      for certificate in certificates { _ = try verify(certificate, validators: validators) }
    case .chain(let blocks, let finalization):
      _ = try verify(finalization, validators: validators)
      for block in blocks { try verify(block) }
    case .blockRequest, .certificateRequest, .chainRequest: break
    }
    return Verified(message)
  }

  private func verify(_ block: Block) throws(VerificationError) {
    for transaction in block.transactions { _ = try verify(transaction) }
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
