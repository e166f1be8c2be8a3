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
  /// The most messages that wait in a lane. Over it, datagrams and gossip are dropped and counted; consensus is not,
  /// since its senders are few and known, and a link's reader stops when its sender is too fast.
  private static let maximumWaiting = 4_096

  private final class Lane: Sendable {
    let queue: DispatchQueue
    let waiting = Atomic(0)

    init(_ number: Int) { queue = DispatchQueue(label: "linnet.verify.\(number)") }
  }

  private let inbound: Inbound
  private let lanes: [Lane]
  private let post: @Sendable (CoreInput) -> Void
  private let service: @Sendable (ServiceMessage, NodeID) -> Void
  private let counted = Mutex(Counters())

  /// - Parameters:
  ///   - post: takes what is verified to the core.
  ///   - service: takes messages of services.
  init(
    _ inbound: Inbound, workers: Int, post: @escaping @Sendable (CoreInput) -> Void,
    service: @escaping @Sendable (ServiceMessage, NodeID) -> Void
  ) {
    self.inbound = inbound
    self.post = post
    self.service = service
    lanes = (0..<max(1, workers)).map { Lane($0) }
  }

  /// What was refused.
  var counters: Counters { counted.withLock { $0 } }

  /// Takes a datagram's payload.
  func datagram(_ bytes: [UInt8], from source: PeerAddress) {
    run(lane(source.ip), mayDrop: true) { [self] in
      deliver(inbound.datagram(bytes, from: source), from: nil)
    }
  }

  /// Takes a frame of a link.
  func frame(_ bytes: [UInt8], channel: LinkChannel, from peer: NodeID) {
    let isConsensus = channel == .consensus || channel == .sync
    run(lane(peer.bytes + [channel.rawValue]), mayDrop: !isConsensus) { [self] in
      deliver(inbound.frame(bytes, from: peer), from: peer)
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

  private func run(_ lane: Lane, mayDrop: Bool, _ work: @escaping @Sendable () -> Void) {
    let depth = lane.waiting.wrappingAdd(1, ordering: .relaxed).newValue
    if mayDrop, depth > InboundPipeline.maximumWaiting {
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
      counted.withLock { $0.add("verifyQueueFull") }
      return
    }
    lane.queue.async {
      work()
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
    }
  }
}
