import Blobs
import Core
import Ledger
import Logging
import Primitives
import Synchronization
import Transport
import Wire

/// Performs the effects of a node's core on its sockets, disk and executor.
final class NodeShell: CoreShell {
  let endpoint: LateBound<LinkEndpoint>
  let datagrams: LateBound<DatagramEndpoint>
  let runner: LateBound<LeaseRunner>
  let driver: LateBound<CoreDriver>
  let storage: ChainStorage
  let submissions = Submissions()
  let bell = CommitBell()
  let inclusions = Inclusions()
  let logger: Logger
  /// Called once when the node must stop, with the reason.
  let onHalt: @Sendable (NodeError) -> Void

  private let counted = Mutex(Counters())

  init(storage: ChainStorage, logger: Logger, onHalt: @escaping @Sendable (NodeError) -> Void) {
    endpoint = LateBound()
    datagrams = LateBound()
    runner = LateBound()
    driver = LateBound()
    self.storage = storage
    self.logger = logger
    self.onHalt = onHalt
  }

  /// What was refused here.
  var counters: Counters { counted.withLock { $0 } }

  func send(datagram: Verified<Message>, to address: PeerAddress, receiver: NodeID) {
    datagrams.value?.send(datagram.value.envelope.encoded, to: address, receiver: receiver)
  }

  func send(_ message: LinkMessage, to peer: NodeID) {
    endpoint.value?.send(message.encoded, channel: NodeShell.channel(of: message), to: peer)
  }

  /// Votes and certificates have a channel of their own, so that they never wait behind a block.
  static func channel(of message: LinkMessage) -> LinkChannel {
    switch message {
    case .consensus(let consensus): consensus.isUrgent ? .consensus : .sync
    case .gossip, .members: .broadcast
    case .service: .services
    }
  }

  func persist(_ records: [[UInt8]], completion: @escaping @Sendable (Bool) -> Void) {
    storage.persist(records) { [self] isDurable in
      if !isDurable {
        onHalt(
          NodeError(
            .storage, "the journal could not be synced, so no vote can be trusted to outlive a crash",
            suggestion: "check the disk (is it full?) and start the daemon again"))
      }
      completion(isDurable)
    }
  }

  func perform(_ effect: CoreEffect) {
    switch effect {
    case .datagram, .send, .persist: preconditionFailure("the driver performs these itself")
    case .dial(let address, let peer): endpoint.value?.dial(address, expecting: peer)
    case .close(let peer, let reason): endpoint.value?.close(peer, reason: reason)
    case .committed(let blocks, let finalization, let events): commit(blocks, finalization.value, events)
    case .serveChain(let height, let peer): serveChain(from: height, to: peer)
    case .startLease(let order): withRunner { await $0.start(order) }
    case .stopLease(let lease): withRunner { await $0.stop(lease) }
    case .forgetLease(let lease): withRunner { await $0.forget(lease) }
    case .submitted(let request, let submission): submissions.answer(request, submission)
    case .memberChanged(let member, let state):
      logger.info("\(member.short) is \(state)")
      learnSource(of: member)
    case .halt(let reason):
      onHalt(
        NodeError(
          .diverged, reason,
          suggestion: "this is a fault of Linnet or of this host: keep the data directory and report it"))
    }
  }

  /// Peers that are read blocks for: one request of each at a time, so that none can pile up work.
  private let servedPeers = Mutex(Set<NodeID>())

  private func serveChain(from height: UInt64, to peer: NodeID) {
    guard servedPeers.withLock({ $0.insert(peer).inserted }) else {
      return counted.withLock { $0.add("chainRequestTooMany") }
    }
    Task {
      let chain = await storage.chain(from: height)
      _ = servedPeers.withLock { $0.remove(peer) }
      if let chain { send(.consensus(chain), to: peer) }
    }
  }

  /// The sources of datagrams that were learned, by member.
  private let sources = Mutex<[NodeID: PeerAddress]>([:])

  /// Gives the datagrams of a live member an allowance of their own, apart from that of strangers. Only the address
  /// where it answers counts: those that a record claims may be another's.
  func learnSource(of member: NodeID) {
    guard let driver = driver.value else { return }
    Task {
      let address = await driver.read { core, _ -> PeerAddress? in
        guard let view = core.membership.member(member), view.state == .alive || view.state == .suspect,
          view.lastSeen != nil
        else { return nil }
        return view.address
      }
      let before = sources.withLock { sources in
        let before = sources[member]
        sources[member] = address
        return before
      }
      guard before != address else { return }
      if let before { datagrams.value?.forget(before) }
      if let address { datagrams.value?.known(address) }
    }
  }

  private func commit(_ blocks: [Verified<Block>], _ finalization: Certificate, _ events: [LedgerEvent]) {
    storage.commit(blocks, finalization: finalization) { [self] error in
      onHalt(
        NodeError(
          .storage, "a final block could not be kept",
          suggestion: "check the disk (is it full?) and start the daemon again", cause: error))
    }
    inclusions.add(blocks)
    for block in blocks {
      logger.debug(
        "block \(block.value.header.height) is final: \(block.value.transactions.count) transactions",
        metadata: ["view": "\(block.value.header.view)", "id": "\(block.value.id.short)"])
    }
    bell.ring()
    if storage.hasGrown { compactJournal() }
  }

  private func compactJournal() {
    guard let driver = driver.value else { return }
    storage.syncBlocks { [self] height in
      Task {
        await driver.read { [self] core, _ in
          // The core runs nothing else meanwhile, so the checkpoint holds all that was appended. A block that became
          // final since the sync is not on the disk for certain: the next commit tries again.
          guard core.ledger.finalHeight <= height, storage.hasGrown else { return }
          do { try storage.compact(keeping: core.consensus.checkpoint()) } catch {
            logger.critical("the journal can't be compacted: \(error)")
          }
        }
      }
    }
  }

  /// Lease effects keep their order: one task after the other.
  private let leaseWork = AsyncQueue()

  private func withRunner(_ work: @escaping @Sendable (LeaseRunner) async -> Void) {
    guard let runner = runner.value else { return }
    leaseWork.enqueue { await work(runner) }
  }
}

/// A part of the node that is made after those that use it.
final class LateBound<Value: Sendable>: Sendable {
  private let stored = Mutex<Value?>(nil)

  /// The part, once it is there.
  var value: Value? { stored.withLock { $0 } }

  /// Puts the part in its place.
  func bind(_ value: Value) { stored.withLock { $0 = value } }
}

/// Runs asynchronous work in the order in which it was given.
final class AsyncQueue: Sendable {
  private let continuation: AsyncStream<@Sendable () async -> Void>.Continuation
  private let task: Task<Void, Never>

  init() {
    let (stream, continuation) = AsyncStream<@Sendable () async -> Void>.makeStream()
    self.continuation = continuation
    task = Task {
      for await work in stream { await work() }
    }
  }

  deinit { continuation.finish() }

  func enqueue(_ work: @escaping @Sendable () async -> Void) { continuation.yield(work) }
}
