import CLinux
import Core
import Dispatch
import NIOCore
import Primitives
import Synchronization
import Transport
import Wire

/// Runs `Inbound` off the core's loop: nothing unverified reaches the core, and verifying never holds it up.
///
/// 1. What one peer sends on one channel goes through one lane, and so keeps its order.
/// 2. Votes, certificates and blocks have lanes apart from gossip's, and those of gossip are threads that yield their
///    processor to every other: to verify a transaction can wait, and agreement cannot.
/// 3. What a peer sends counts as waiting until the core has handled it, by its bytes and `overheadBytes`. Beyond its
///    share, or all peers' together, it is dropped and counted, as a lossy network would. Votes have a share of their own,
///    so that no block and no stranger takes their room.
final class InboundPipeline: Sendable {
  /// The most datagrams, and frames of gossip and of services, that wait in a lane.
  private static let maximumWaiting = 4_096
  /// Bytes of one peer's frames that may wait, those of the consensus channel apart.
  static let maximumPeerBytes = 64 * 1_024 * 1_024
  /// Bytes of one peer's frames of the consensus channel that may wait.
  static let maximumUrgentPeerBytes = 1_024 * 1_024
  /// Bytes of all peers' frames that may wait, those of the consensus channel apart.
  static let maximumBytes = 512 * 1_024 * 1_024
  /// What a frame that waits costs besides its bytes.
  static let overheadBytes = 512

  /// What `Inbound` calls a datagram that is not signed by whom it names.
  private static let badSignature = "datagram.badSignature"

  private final class Lane: Sendable {
    enum Runner: Sendable {
      case queue(DispatchQueue)
      case loop(any EventLoop)
    }
    let runner: Runner
    let waiting = Atomic(0)

    init(_ runner: Runner) { self.runner = runner }

    func run(_ work: @escaping @Sendable () -> Void) {
      switch runner {
      case .queue(let queue): queue.async(execute: work)
      case .loop(let loop): loop.execute(work)
      }
    }
  }

  /// Rule 3.
  private struct Waiting {
    var urgent: [NodeID: Int] = [:]
    var other: [NodeID: Int] = [:]
    var otherBytes = 0

    mutating func take(_ cost: Int, of peer: NodeID, isUrgent: Bool) -> Bool {
      if isUrgent {
        let sum = urgent[peer, default: 0] + cost
        guard sum <= maximumUrgentPeerBytes else { return false }
        urgent[peer] = sum
        return true
      }
      let sum = other[peer, default: 0] + cost
      guard sum <= maximumPeerBytes, otherBytes + cost <= maximumBytes else { return false }
      other[peer] = sum
      otherBytes += cost
      return true
    }

    mutating func release(_ cost: Int, of peer: NodeID, isUrgent: Bool) {
      let left = (isUrgent ? urgent[peer] : other[peer]).map { $0 - cost }
      let rest = left.flatMap { $0 > 0 ? $0 : nil }
      if isUrgent {
        urgent[peer] = rest
      } else {
        other[peer] = rest
        otherBytes -= cost
      }
    }
  }

  private let inbound: Inbound
  private let urgent: [Lane]
  private let ordinary: [Lane]
  private let background: [Lane]
  private let post: @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void
  private let service: @Sendable (ServiceMessage, NodeID) -> Void
  private let penalise: @Sendable (PeerAddress) -> Void
  private let waiting = Mutex(Waiting())
  private let counted = Mutex(Counters())

  /// - Parameters:
  ///   - workers: how many lanes of each sort; one for each processor.
  ///   - background: the threads on which gossip is verified, none of which does anything else.
  ///   - post: takes what is verified to the core, and calls back when the core has handled it.
  ///   - service: takes messages of services.
  ///   - penalise: told of the source of a datagram that is not signed by whom it names.
  init(
    _ inbound: Inbound, workers: Int, background: [any EventLoop],
    post: @escaping @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void,
    service: @escaping @Sendable (ServiceMessage, NodeID) -> Void,
    penalise: @escaping @Sendable (PeerAddress) -> Void = { _ in }
  ) {
    self.inbound = inbound
    self.post = post
    self.service = service
    self.penalise = penalise
    let workers = max(1, workers)
    urgent = (0..<workers).map { Lane(.queue(DispatchQueue(label: "linnet.consensus.\($0)"))) }
    ordinary = (0..<workers).map { Lane(.queue(DispatchQueue(label: "linnet.verify.\($0)"))) }
    self.background = background.map { Lane(.loop($0)) }
    // A kernel that refuses leaves the priority as it is, and nothing else changes.
    for loop in background { loop.execute { _ = linnet_yield_to_others() } }
  }

  /// What was refused.
  var counters: Counters { counted.withLock { $0 } }

  /// Takes a datagram's payload.
  func datagram(_ bytes: [UInt8], from source: PeerAddress) {
    run(lane(ordinary, source.ip), mayDrop: true) { [self] done in
      let received = inbound.datagram(bytes, from: source)
      if received.refused.contains(InboundPipeline.badSignature) { penalise(source) }
      deliver(received, from: nil, done)
    }
  }

  /// Takes a frame of a link.
  func frame(_ bytes: [UInt8], channel: LinkChannel, from peer: NodeID) {
    let isUrgent = channel == .consensus
    let cost = bytes.count + InboundPipeline.overheadBytes
    guard waiting.withLock({ $0.take(cost, of: peer, isUrgent: isUrgent) }) else {
      return counted.withLock { $0.add("verifyPeerTooFast") }
    }
    let lanes =
      switch channel {
      case .consensus, .sync: urgent
      case .broadcast: background
      case .services: ordinary
      }
    let release: @Sendable () -> Void = { [self] in
      waiting.withLock { $0.release(cost, of: peer, isUrgent: isUrgent) }
    }
    let isConsensus = channel == .consensus || channel == .sync
    let isQueued = run(lane(lanes, peer.bytes + [channel.rawValue]), mayDrop: !isConsensus) { [self] done in
      deliver(inbound.frame(bytes, from: peer), from: peer) {
        release()
        done()
      }
    }
    if !isQueued { release() }
  }

  private func deliver(_ received: Received, from peer: NodeID?, _ done: @escaping @Sendable () -> Void) {
    if !received.refused.isEmpty {
      counted.withLock { counters in
        for name in received.refused { counters.add(name) }
      }
    }
    if let message = received.service, let peer { service(message, peer) }
    if received.inputs.isEmpty { done() } else { post(received.inputs, done) }
  }

  private func lane(_ lanes: [Lane], _ key: [UInt8]) -> Lane {
    // FNV-1a: any spread will do.
    let hash = key.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return lanes[Int(hash % UInt64(lanes.count))]
  }

  @discardableResult
  private func run(
    _ lane: Lane, mayDrop: Bool, _ work: @escaping @Sendable (_ done: @escaping @Sendable () -> Void) -> Void
  ) -> Bool {
    let depth = lane.waiting.wrappingAdd(1, ordering: .relaxed).newValue
    if mayDrop, depth > InboundPipeline.maximumWaiting {
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
      counted.withLock { $0.add("verifyQueueFull") }
      return false
    }
    lane.run {
      work { lane.waiting.wrappingSubtract(1, ordering: .relaxed) }
    }
    return true
  }
}
