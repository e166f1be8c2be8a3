import Core
import Dispatch
import Primitives
import Synchronization
import Transport
import Wire

/// Decodes and verifies what comes in, off the core's loop. Nothing unverified reaches the core; what is refused is
/// counted, and its relayer is named to the core.
///
/// One lane for each worker: what one peer sends on one channel keeps its order, and a large block does not hold up
/// votes, which come on another channel.
final class InboundPipeline: Sendable {
  /// The most messages that wait in a lane. Over it, datagrams and gossip are dropped and counted; consensus is not,
  /// since its senders are few and known.
  private static let maximumWaiting = 4_096

  /// Where verified input goes.
  private let post: @Sendable (CoreInput) -> Void
  private let service: @Sendable (ServiceMessage, NodeID) -> Void
  private let verifier: Verifier
  private let validators: ValidatorSet
  private let lanes: [DispatchQueue]
  private let waiting: [Atomic<Int>]
  private let counted = Mutex(Counters())

  init(
    verifier: Verifier, validators: ValidatorSet, workers: Int, post: @escaping @Sendable (CoreInput) -> Void,
    service: @escaping @Sendable (ServiceMessage, NodeID) -> Void
  ) {
    self.verifier = verifier
    self.validators = validators
    self.post = post
    self.service = service
    lanes = (0..<max(1, workers)).map { DispatchQueue(label: "linnet.verify.\($0)") }
    waiting = lanes.map { _ in Atomic(0) }
  }

  /// What was refused.
  var counters: Counters { counted.withLock { $0 } }

  /// Takes a datagram's payload.
  func datagram(_ bytes: [UInt8], from source: PeerAddress) {
    run(lane: lane(source.ip), mayDrop: true) { [self] in
      let message: Verified<Message>
      do { message = try verifier.open(bytes) } catch { return count("datagram.\(error.counter)") }
      guard let carried = message.value.body.rumours else { return count("datagram.notAProbe") }
      var rumours: [Verified<Message>] = []
      for rumour in carried {
        do { rumours.append(try verifier.verify(rumour)) } catch { count("rumour.\(error.counter)") }
      }
      post(.datagram(message, rumours: rumours, from: source))
    }
  }

  /// Takes a frame of a link.
  func frame(_ bytes: [UInt8], channel: LinkChannel, from peer: NodeID) {
    let isConsensus = channel == .consensus || channel == .sync
    run(lane: lane(peer.bytes + [channel.rawValue]), mayDrop: !isConsensus) { [self] in
      let message: LinkMessage
      do { message = try LinkMessage(decoding: bytes) } catch {
        count("frame.\(error.counter)")
        return post(.invalidGossip(from: peer))
      }
      receive(message, from: peer)
    }
  }

  private func receive(_ message: LinkMessage, from peer: NodeID) {
    switch message {
    case .consensus(let consensus):
      do { post(.consensus(try verifier.verify(consensus, validators: validators), from: peer)) } catch {
        count("consensus.\(error.counter)")
        post(.invalidGossip(from: peer))
      }
    case .gossip(.publish(let envelopes)):
      let verified = verify(envelopes, kinds: [.transaction], counter: "gossip", from: peer)
      if !verified.isEmpty { post(.gossip(verified, from: peer)) }
    case .gossip(.announce(let ids)): post(.announced(ids, from: peer))
    case .gossip(.request(let ids)): post(.requested(ids, from: peer))
    case .members(let records):
      let verified = verify(
        records, kinds: [.nodeRecord, .accusation, .leave], counter: "members", from: peer)
      post(.members(verified, from: peer))
    case .service(let request): service(request, peer)
    }
  }

  private func verify(
    _ envelopes: [Envelope], kinds: [EnvelopeKind], counter: String, from peer: NodeID
  ) -> [Verified<Message>] {
    var verified: [Verified<Message>] = []
    for envelope in envelopes {
      guard kinds.contains(envelope.kind) else {
        count("\(counter).wrongKind")
        post(.invalidGossip(from: peer))
        continue
      }
      do { verified.append(try verifier.verify(envelope)) } catch {
        count("\(counter).\(error.counter)")
        post(.invalidGossip(from: peer))
      }
    }
    return verified
  }

  private func lane(_ key: [UInt8]) -> Int {
    // FNV-1a: any spread will do.
    let hash = key.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return Int(hash % UInt64(lanes.count))
  }

  private func run(lane: Int, mayDrop: Bool, _ work: @escaping @Sendable () -> Void) {
    let depth = waiting[lane].wrappingAdd(1, ordering: .relaxed).newValue
    if mayDrop, depth > InboundPipeline.maximumWaiting {
      waiting[lane].wrappingSubtract(1, ordering: .relaxed)
      return count("verifyQueueFull")
    }
    lanes[lane].async { [self] in
      work()
      waiting[lane].wrappingSubtract(1, ordering: .relaxed)
    }
  }

  private func count(_ name: String) { counted.withLock { $0.add(name) } }
}

extension MessageBody {
  /// The rumours that ride on a probe message; nil for what is no probe message.
  fileprivate var rumours: [Envelope]? {
    switch self {
    case .ping(let ping): ping.rumours
    case .ack(let ack): ack.rumours
    case .nack, .pingRequest: []
    case .nodeRecord, .accusation, .leave, .transaction: nil
    }
  }
}
