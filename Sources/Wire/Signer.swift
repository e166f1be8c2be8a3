import Primitives

/// A node's voice: its identity and a closure that signs. The daemon gives libsodium, the simulator a cheap
/// deterministic stand-in; the core knows neither.
public struct Signer: Sendable {
  /// The identity that signatures verify under.
  public let id: NodeID
  /// The network that everything signed is bound to.
  public let networkID: Digest
  /// Signs bytes.
  public let sign: @Sendable ([UInt8]) -> Signature

  /// A signer.
  public init(id: NodeID, networkID: Digest, sign: @escaping @Sendable ([UInt8]) -> Signature) {
    self.id = id
    self.networkID = networkID
    self.sign = sign
  }

  /// Signs a message. `sequence` must be above every sequence this identity has used, over all restarts.
  public func seal(_ body: MessageBody, sequence: UInt64) -> Verified<Message> {
    let tag = NetworkTag(networkID)
    let payload = body.payload
    precondition(payload.count <= body.kind.maximumPayloadBytes, "own messages are built within their bounds")
    let unsigned = Envelope.unsignedBytes(
      kind: body.kind, network: tag, author: id, sequence: sequence, payload: payload)
    let signature = sign(Envelope.statement(kind: body.kind, unsigned: unsigned))
    let envelope = Envelope(
      kind: body.kind, network: tag, author: id, sequence: sequence, payload: payload, signature: signature)
    return Verified(Message(envelope: envelope, body: body))
  }

  /// A key for a validator's votes, with its proof; signed by the new key, whose signer this is.
  public func voteKey(of node: NodeID) -> VoteKey {
    VoteKey(key: id, proof: sign(VoteKey.statement(networkID: networkID, node: node, key: id)))
  }

  /// Signs a vote as validator number `voter` of its epoch.
  public func vote(_ subject: VoteSubject, as voter: UInt16) -> Verified<Vote> {
    Verified(Vote(subject: subject, voter: voter, signature: sign(subject.statement(networkID: networkID))))
  }
}
