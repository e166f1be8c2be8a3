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
/// 1. What one peer sends of one sort goes through one lane, and so keeps its order.
/// 2. The votes and the blocks of validators have lanes of their own each, so that no stranger is ahead of them, and so
///    have datagrams, by which nodes know of each other: those of members apart from those of strangers. Gossip is verified
///    on threads that yield their processor to every other: a transaction can wait, and agreement cannot. What tables of
///    members say comes by the same channel as gossip, and does not wait with it: who cannot refute in time is down.
/// 3. What a peer sends counts as waiting until the core has handled it, by its bytes and `overheadBytes`. Until then its
///    link is told of none of it, and so the peer sends no more on a channel than its window: it is not read, rather than
///    dropped. Its share is more than its windows together; what is beyond that all the same, or beyond the share of all
///    peers, is dropped and counted, as a lossy network would. The votes and the blocks of validators have shares of
///    their own, so that nobody else takes their room.
/// 4. In a full lane only those lose what they send of whom much waits: a peer that fills it keeps nobody else out.
/// 5. What still waits of a peer comes to nothing once its link was closed for its conduct. Where a link ended otherwise it
///    is worked off: a farewell comes last.
final class InboundPipeline: Sendable {
  /// The most that wait in a lane other than those of validators' votes and blocks.
  static let maximumWaiting = 4_096
  /// Rule 4: what waits of one peer and of one sort is taken up to this number, however full its lane. Links are bounded, so
  /// what waits in a lane is, too.
  static let maximumOfFullLane = 128
  /// The most datagrams of strangers that wait: about as many as are verified while a probe waits for its answer.
  static let maximumStrangers = 256
  /// The most datagrams that wait until further ones need a cookie: about as many as are verified in 10 ms.
  static let loadedDatagrams = 128
  /// Bytes of what a peer's table of members says that may wait: what it answers to a digest, and again.
  static let maximumMembersBytes = 8 * 1_024 * 1_024
  /// Bytes of a validator's votes that may wait.
  static let maximumVoteBytes = 6 * 1_024 * 1_024
  /// Bytes of a validator's blocks, or of all else of any peer, that may wait.
  static let maximumPeerBytes = 64 * 1_024 * 1_024
  /// Bytes of all validators' blocks, or of all else of all peers, that may wait.
  static let maximumBytes = 512 * 1_024 * 1_024
  /// What a frame that waits costs besides its bytes.
  static let overheadBytes = 512

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

  /// Rule 2. The channel says what a frame may hold; who sent it, whether that can wait.
  private enum Sort: Int {
    case votes, blocks, datagrams, strangers, members, other, gossip

    init(_ channel: LinkChannel, _ bytes: [UInt8], isValidator: Bool) {
      switch channel {
      case .consensus: self = isValidator ? .votes : .other
      case .sync: self = isValidator ? .blocks : .other
      case .services: self = .other
      case .broadcast: self = LinkMessage.isOfMembers(bytes) ? .members : .gossip
      }
    }

    var isDatagram: Bool { self == .datagrams || self == .strangers }

    /// How many may wait in a lane. A validator's votes and blocks are never dropped for that: rule 3 bounds them.
    var maximumWaiting: Int {
      switch self {
      case .votes, .blocks: .max
      case .strangers: InboundPipeline.maximumStrangers
      case .datagrams, .members, .other, .gossip: InboundPipeline.maximumWaiting
      }
    }
  }

  /// Rules 3, 4 and 5.
  private struct Waiting {
    private struct Sender: Hashable {
      var peer: NodeID
      var sort: Sort
    }
    private struct Share {
      let maximumPeerBytes: Int
      var peers: [NodeID: Int] = [:]
      var bytes = 0
    }
    private var votes = Share(maximumPeerBytes: InboundPipeline.maximumVoteBytes)
    private var blocks = Share(maximumPeerBytes: InboundPipeline.maximumPeerBytes)
    private var members = Share(maximumPeerBytes: InboundPipeline.maximumMembersBytes)
    private var rest = Share(maximumPeerBytes: InboundPipeline.maximumPeerBytes)
    private var frames: [Sender: Int] = [:]
    /// Rule 5: of these something waits.
    private var closed: Set<NodeID> = []

    private static func share(of sort: Sort) -> WritableKeyPath<Waiting, Share> {
      switch sort {
      case .votes: \.votes
      case .blocks: \.blocks
      case .members: \.members
      case .datagrams, .strangers, .other, .gossip: \.rest
      }
    }

    /// How many frames of this sort wait of the peer then; nil when it has no room.
    mutating func take(_ cost: Int, of peer: NodeID, _ sort: Sort) -> Int? {
      let path = Waiting.share(of: sort)
      let sum = self[keyPath: path].peers[peer, default: 0] + cost
      guard sum <= self[keyPath: path].maximumPeerBytes,
        self[keyPath: path].bytes + cost <= InboundPipeline.maximumBytes
      else { return nil }
      self[keyPath: path].peers[peer] = sum
      self[keyPath: path].bytes += cost
      let count = frames[Sender(peer: peer, sort: sort), default: 0] + 1
      frames[Sender(peer: peer, sort: sort)] = count
      return count
    }

    mutating func release(_ cost: Int, of peer: NodeID, _ sort: Sort) {
      let path = Waiting.share(of: sort)
      let left = self[keyPath: path].peers[peer, default: 0] - cost
      self[keyPath: path].peers[peer] = left > 0 ? left : nil
      self[keyPath: path].bytes -= cost
      let sender = Sender(peer: peer, sort: sort)
      let count = frames[sender, default: 0] - 1
      frames[sender] = count > 0 ? count : nil
      if !closed.isEmpty, !holds(peer) { closed.remove(peer) }
    }

    private func holds(_ peer: NodeID) -> Bool {
      [votes, blocks, members, rest].contains { $0.peers[peer] != nil }
    }

    mutating func close(_ peer: NodeID) { if holds(peer) { closed.insert(peer) } }

    func isClosed(_ peer: NodeID) -> Bool { closed.contains(peer) }
  }

  private let inbound: Inbound
  /// By the raw value of their sort.
  private let lanes: [[Lane]]
  private let isValidator: @Sendable (NodeID) -> Bool
  private let post: @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void
  private let service: @Sendable (ServiceMessage, NodeID, @escaping @Sendable () -> Void) -> Void
  private let consumed: @Sendable (Int, LinkChannel, NodeID) -> Void
  private let judged: @Sendable (ReceivedDatagram, _ isSound: Bool) -> Void
  private let answered: @Sendable (NodeID, PeerAddress) -> Void
  private let waiting = Mutex(Waiting())
  private let datagramsWaiting = Atomic(0)
  private let counted = Mutex(Counters())
  private let isStopped = Atomic(false)

  /// - Parameters:
  ///   - workers: how many lanes of each sort; one for each processor.
  ///   - background: the threads on which gossip is verified, none of which does anything else.
  ///   - isValidator: whether a node is a validator of this epoch or of the next.
  ///   - post: takes what is verified to the core, and calls back when the core has handled it.
  ///   - service: takes messages of services, and calls back when one has been dealt with.
  ///   - judged: told of each datagram whether it makes sense and is signed by whom it names.
  ///   - answered: told who sent an answer to a probe, and from where, when the core has handled it.
  ///   - consumed: told of each frame, by its bytes, once it has been dealt with or dropped.
  init(
    _ inbound: Inbound, workers: Int, background: [any EventLoop],
    isValidator: @escaping @Sendable (NodeID) -> Bool,
    post: @escaping @Sendable ([CoreInput], @escaping @Sendable () -> Void) -> Void,
    service: @escaping @Sendable (ServiceMessage, NodeID, @escaping @Sendable () -> Void) -> Void,
    judged: @escaping @Sendable (ReceivedDatagram, _ isSound: Bool) -> Void = { _, _ in },
    answered: @escaping @Sendable (NodeID, PeerAddress) -> Void = { _, _ in },
    consumed: @escaping @Sendable (Int, LinkChannel, NodeID) -> Void = { _, _, _ in }
  ) {
    self.inbound = inbound
    self.post = post
    self.service = service
    self.judged = judged
    self.answered = answered
    self.consumed = consumed
    self.isValidator = isValidator
    let workers = max(1, workers)
    let sorts = [
      ("votes", workers), ("blocks", workers), ("datagrams", workers), ("strangers", 1), ("members", workers),
      ("other", workers),
    ]
    let queues = sorts.map { name, count in
      (0..<count).map { Lane(.queue(DispatchQueue(label: "linnet.\(name).\($0)"))) }
    }
    lanes = queues + [background.map { Lane(.loop($0)) }]
    // A kernel that refuses leaves the priority as it is, and nothing else changes.
    for loop in background { loop.execute { _ = linnet_yield_to_others() } }
  }

  /// What was refused.
  var counters: Counters { counted.withLock { $0 } }

  /// Lets what waits come to nothing. Once this returns nothing is handed on any more.
  func stop() async {
    isStopped.store(true, ordering: .sequentiallyConsistent)
    for lane in lanes.joined() {
      await withCheckedContinuation { continuation in lane.run { continuation.resume() } }
    }
  }

  /// True when so many datagrams wait that who sends one is to show that it can receive, too.
  var isUnderLoad: Bool { datagramsWaiting.load(ordering: .relaxed) > InboundPipeline.loadedDatagrams }

  /// Takes a datagram.
  func datagram(_ datagram: ReceivedDatagram) {
    run(datagram.isPreferred ? .datagrams : .strangers, datagram.source.ip) { [self] done in
      let received = inbound.datagram(datagram.payload, from: datagram.source)
      judged(datagram, !received.inputs.isEmpty)
      deliver(received) { [self] in
        done()
        for case .datagram(let message, _, let source) in received.inputs {
          if case .ack = message.value.body { answered(message.value.author, source) }
        }
      }
    }
  }

  /// Takes the envelope of a beacon, and hands it to `heard` when it is a record that its node has signed.
  func beacon(_ bytes: [UInt8], from source: PeerAddress, heard: @escaping @Sendable (Verified<Message>) -> Void) {
    run(.strangers, source.ip) { [self] done in
      do throws(VerificationError) {
        heard(try inbound.beacon(bytes))
      } catch {
        counted.withLock { $0.add("beacon.\(error.counter)") }
      }
      done()
    }
  }

  /// Takes a frame of a link.
  func frame(_ bytes: [UInt8], channel: LinkChannel, from peer: NodeID) {
    let sort = Sort(channel, bytes, isValidator: isValidator(peer))
    let cost = bytes.count + InboundPipeline.overheadBytes
    guard let count = waiting.withLock({ $0.take(cost, of: peer, sort) }) else {
      counted.withLock { $0.add("verifyPeerTooFast") }
      return consumed(bytes.count, channel, peer)
    }
    let release: @Sendable () -> Void = { [self] in
      waiting.withLock { $0.release(cost, of: peer, sort) }
      consumed(bytes.count, channel, peer)
    }
    let isFew = count <= InboundPipeline.maximumOfFullLane
    let isQueued = run(sort, peer.bytes + [channel.rawValue], isFew: isFew) { [self] done in
      guard waiting.withLock({ !$0.isClosed(peer) }) else {
        counted.withLock { $0.add("verifyAfterBan") }
        release()
        return done()
      }
      let received = inbound.frame(bytes, from: peer)
      guard let message = received.service else {
        return deliver(received) {
          release()
          done()
        }
      }
      service(message, peer, release)
      done()
    }
    if !isQueued { release() }
  }

  /// Rule 5: the link of a peer is closed for its conduct.
  func closed(_ peer: NodeID) { waiting.withLock { $0.close(peer) } }

  private func deliver(_ received: Received, _ done: @escaping @Sendable () -> Void) {
    if !received.refused.isEmpty {
      counted.withLock { counters in
        for name in received.refused { counters.add(name) }
      }
    }
    if received.inputs.isEmpty { done() } else { post(received.inputs, done) }
  }

  /// Rule 1: what has the same key and sort goes through the same lane. False when that is full; rule 4.
  @discardableResult
  private func run(
    _ sort: Sort, _ key: [UInt8], isFew: Bool = false,
    _ work: @escaping @Sendable (_ done: @escaping @Sendable () -> Void) -> Void
  ) -> Bool {
    // FNV-1a: any spread will do.
    let hash = key.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let lanes = lanes[sort.rawValue]
    let lane = lanes[Int(hash % UInt64(lanes.count))]
    let depth = lane.waiting.wrappingAdd(1, ordering: .relaxed).newValue
    if depth > sort.maximumWaiting, !isFew {
      lane.waiting.wrappingSubtract(1, ordering: .relaxed)
      counted.withLock { $0.add("verifyQueueFull") }
      return false
    }
    let weight = sort.isDatagram ? 1 : 0
    datagramsWaiting.wrappingAdd(weight, ordering: .relaxed)
    lane.run { [self] in
      let done: @Sendable () -> Void = { [self] in
        lane.waiting.wrappingSubtract(1, ordering: .relaxed)
        datagramsWaiting.wrappingSubtract(weight, ordering: .relaxed)
      }
      if isStopped.load(ordering: .sequentiallyConsistent) { done() } else { work(done) }
    }
    return true
  }
}
