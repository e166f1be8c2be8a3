import Broadcast
import Primitives
import Wire

/// What became of bytes that came in.
public struct Received: Sendable {
  /// What the core is to be told, in order.
  public var inputs: [CoreInput] = []
  /// What a service of the shell is to be told.
  public var service: ServiceMessage?
  /// The names of what was refused.
  public var refused: [String] = []
}

/// Decodes and verifies what comes in. Both shells use it, so that what the simulator breaks is what ships.
///
/// A transaction's signature is checked once: decoding computes the id, which is the hash of every byte of the envelope,
/// signature included, and the verifier asks its `VerifiedMessages` for that id before it checks anything. A transaction
/// that came by gossip costs its block one look-up, and no hash besides the id's.
public struct Inbound: Sendable {
  private let verifier: Verifier
  private let validators: KnownValidators
  private let worth: @Sendable (ConsensusMessage, NodeID) -> ConsensusMessage?

  /// A decoder for one network.
  ///
  /// - Parameter worth: what of a peer's message is worth its verification (`AskedBlocks`), from any thread; everything by
  ///   default.
  public init(
    verifier: Verifier, validators: KnownValidators,
    worth: @escaping @Sendable (ConsensusMessage, NodeID) -> ConsensusMessage? = { message, _ in message }
  ) {
    self.verifier = verifier
    self.validators = validators
    self.worth = worth
  }

  /// Takes a datagram's payload.
  public func datagram(_ bytes: [UInt8], from source: PeerAddress) -> Received {
    var received = Received()
    let message: Verified<Message>
    do { message = try verifier.open(bytes) } catch {
      received.refused.append("datagram.\(error.counter)")
      return received
    }
    guard let carried = message.value.body.rumours else {
      received.refused.append("datagram.notAProbe")
      return received
    }
    var rumours: [Verified<Message>] = []
    for rumour in carried {
      // Who is honest carries only what it has verified: one that is not costs its carrier the whole datagram, and this
      // node no further verification.
      do { rumours.append(try verifier.verify(rumour)) } catch {
        received.refused.append("rumour.\(error.counter)")
        return received
      }
    }
    received.inputs.append(.datagram(message, rumours: rumours, from: source))
    return received
  }

  /// Takes the envelope of a beacon: a node's own record and nothing else.
  ///
  /// - Throws: why it is refused, which is nobody's fault: who sends a beacon is not known.
  public func beacon(_ bytes: [UInt8]) throws(VerificationError) -> Verified<Message> {
    let envelope: Envelope
    do { envelope = try Envelope(decoding: bytes) } catch { throw .malformed(error) }
    guard envelope.kind == .nodeRecord else { throw .malformed(.badValue(what: "beacon kind")) }
    return try verifier.verify(envelope)
  }

  /// Takes a frame of a link. A peer that sends what is refused is named to the core.
  public func frame(_ bytes: [UInt8], from peer: NodeID) -> Received {
    var received = Received()
    let message: LinkMessage
    do { message = try LinkMessage(decoding: bytes) } catch {
      refuse("frame.\(error.counter)", .badFrame, peer, &received)
      return received
    }
    switch message {
    case .consensus(let said):
      // Nobody's fault: of two who were asked one answers later, and some answer to the life before a restart.
      guard let consensus = worth(said, peer) else {
        received.refused.append("consensus.unasked")
        break
      }
      do {
        received.inputs.append(.consensus(try verifier.verify(consensus, validators: validators), from: peer))
      } catch .unknownEpoch(let epoch) {
        // Nobody's fault: one of the two is behind. The core looks after it when that is this node.
        received.refused.append("consensus.unknownEpoch")
        if epoch > validators.latest().epoch { received.inputs.append(.laterEpoch(from: peer)) }
      } catch {
        refuse("consensus.\(error.counter)", .invalidMessage, peer, &received)
      }
    case .gossip(let gossip) where gossip.isEmpty: refuse("gossip.empty", .badFrame, peer, &received)
    case .gossip(.publish(let envelopes)):
      let verified = verify(envelopes, kinds: [.transaction], counter: "gossip", .invalidMessage, from: peer, &received)
      if !verified.isEmpty { received.inputs.append(.gossip(verified, from: peer)) }
    case .gossip(.announce(let ids)): received.inputs.append(.announced(ids, from: peer))
    case .gossip(.request(let ids)): received.inputs.append(.requested(ids, from: peer))
    case .gossip(.graft): received.inputs.append(.graft(from: peer))
    case .gossip(.prune(let reason, let backoff)):
      received.inputs.append(.prune(reason: reason, backoffSeconds: backoff, from: peer))
    case .gossip(.unwanted(let ids)): received.inputs.append(.unwanted(ids, from: peer))
    case .members(let records):
      let kinds: [EnvelopeKind] = [.nodeRecord, .accusation, .leave]
      let verified = verify(records, kinds: kinds, counter: "members", .badRecord, from: peer, &received)
      // An empty list is a question; what is left of one that was refused is none.
      if received.refused.isEmpty || !verified.isEmpty { received.inputs.append(.members(verified, from: peer)) }
    case .service(let request): received.service = request
    case .memberDigest(let digest): received.inputs.append(.digest(digest, from: peer))
    case .memberRequest(let request): received.inputs.append(.memberRequest(request, from: peer))
    }
    return received
  }

  /// Who is honest hands on only what it has verified: the first that does not hold costs its sender the rest of the frame,
  /// and this node no further verification. What comes before it stands.
  private func verify(
    _ envelopes: [Envelope], kinds: [EnvelopeKind], counter: String, _ misconduct: Misconduct, from peer: NodeID,
    _ received: inout Received
  ) -> [Verified<Message>] {
    var verified: [Verified<Message>] = []
    for envelope in envelopes {
      guard kinds.contains(envelope.kind) else {
        refuse("\(counter).wrongKind", misconduct, peer, &received)
        break
      }
      do { verified.append(try verifier.verify(envelope)) } catch {
        refuse("\(counter).\(error.counter)", misconduct, peer, &received)
        break
      }
    }
    return verified
  }

  private func refuse(_ name: String, _ misconduct: Misconduct, _ peer: NodeID, _ received: inout Received) {
    received.refused.append(name)
    received.inputs.append(.misconduct(peer, misconduct))
  }
}

extension GossipMessage {
  /// True for a list of nothing, which no honest node sends: it would cost its sender three bytes, and nothing else.
  fileprivate var isEmpty: Bool {
    switch self {
    case .publish(let envelopes): envelopes.isEmpty
    case .announce(let ids), .request(let ids), .unwanted(let ids): ids.isEmpty
    case .graft, .prune: false
    }
  }
}

extension MessageBody {
  /// The rumours that ride on a probe message; nil for what is no probe message.
  fileprivate var rumours: [Envelope]? {
    switch self {
    case .ping(let ping): ping.rumours
    case .ack(let ack): ack.rumours
    case .nack, .pingRequest: []
    case .nodeRecord, .accusation, .leave, .nodeList, .transaction: nil
    }
  }
}
