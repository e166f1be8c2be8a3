import Core
import Dispatch
import Primitives
import Synchronization
import Transport
import Wire

/// Runs `Inbound` off the core's loop: nothing unverified reaches the core, and verifying never holds it up.
///
/// One lane for each worker: what one peer sends on one channel keeps its order, and a large block does not hold up
/// votes, which come on another channel.
final class InboundPipeline: Sendable {
  /// The most datagrams and frames of gossip that wait in a lane; over it they are dropped and counted. Consensus is
  /// not held up by them.
  private static let maximumWaiting = 4_096
  /// The most bytes of frames of one peer that wait, whatever they are: anyone who has a link can send, and verifying
  /// is slower than reading. Over it frames are dropped and counted, as a lossy network would.
  static let maximumPeerBytes = 64 * 1_024 * 1_024

  /// What `Inbound` calls a datagram that is not signed by whom it names.
  private static let badSignature = "datagram.badSignature"

  private final class Lane: Sendable {
    let queue: DispatchQueue
    let waiting = Atomic(0)

    init(_ number: Int) { queue = DispatchQueue(label: "linnet.verify.\(number)") }
  }

  private let inbound: Inbound
  private let lanes: [Lane]
  private let post: @Sendable (CoreInput) -> Void
  private let service: @Sendable (ServiceMessage, NodeID) -> Void
  private let penalise: @Sendable (PeerAddress) -> Void
  private let waitingBytes = Mutex<[NodeID: Int]>([:])
  private let counted = Mutex(Counters())

  /// - Parameters:
  ///   - post: takes what is verified to the core.
  ///   - service: takes messages of services.
  ///   - penalise: told of the source of a datagram that is not signed by whom it names.
  init(
    _ inbound: Inbound, workers: Int, post: @escaping @Sendable (CoreInput) -> Void,
    service: @escaping @Sendable (ServiceMessage, NodeID) -> Void,
    penalise: @escaping @Sendable (PeerAddress) -> Void = { _ in }
  ) {
    self.inbound = inbound
    self.post = post
    self.service = service
    self.penalise = penalise
    lanes = (0..<max(1, workers)).map { Lane($0) }
  }

  /// What was refused.
  var counters: Counters { counted.withLock { $0 } }

  /// Takes a datagram's payload.
  func datagram(_ bytes: [UInt8], from source: PeerAddress) {
    run(lane(source.ip), mayDrop: true) { [self] in
      let received = inbound.datagram(bytes, from: source)
      if received.refused.contains(InboundPipeline.badSignature) { penalise(source) }
      deliver(received, from: nil)
    }
  }

  /// Takes a frame of a link.
  func frame(_ bytes: [UInt8], channel: LinkChannel, from peer: NodeID) {
    let isConsensus = channel == .consensus || channel == .sync
    let isTaken = waitingBytes.withLock { waiting in
      let sum = waiting[peer, default: 0] + bytes.count
      guard sum <= InboundPipeline.maximumPeerBytes else { return false }
      waiting[peer] = sum
      return true
    }
    guard isTaken else { return counted.withLock { $0.add("verifyPeerTooFast") } }
    let isQueued = run(lane(peer.bytes + [channel.rawValue]), mayDrop: !isConsensus) { [self] in
      deliver(inbound.frame(bytes, from: peer), from: peer)
      release(bytes.count, of: peer)
    }
    if !isQueued { release(bytes.count, of: peer) }
  }

  private func release(_ count: Int, of peer: NodeID) {
    waitingBytes.withLock { waiting in
      let left = waiting[peer, default: count] - count
      waiting[peer] = left > 0 ? left : nil
    }
  }

  private func deliver(_ received: Received, from peer: NodeID?) {
    if !received.refused.isEmpty {
      counted.withLock { counters in
        for name in received.refused { counters.add(name) }
      }
    }
    for input in received.inputs { post(input) }
    if let message = received.service, let peer { service(message, peer) }
  }

  private func lane(_ key: [UInt8]) -> Lane {
    // FNV-1a: any spread will do.
    let hash = key.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return lanes[Int(hash % UInt64(lanes.count))]
  }

  @discardableResult
  private func run(_ lane: Lane, mayDrop: Bool, _ work: @escaping @Sendable () -> Void) -> Bool {
    let depth = lane.waiting.wrappingAdd(1, ordering: .relaxed).newValue
    if mayDrop, depth > InboundPipeline.maximumWaiting {
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
      counted.withLock { $0.add("verifyQueueFull") }
      return false
    }
    lane.queue.async {
      work()
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
    }
    return true
  }
}
