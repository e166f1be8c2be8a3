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
    case .serveChain(let height, let peer):
      Task {
        guard let chain = await storage.chain(from: height) else { return }
        send(.consensus(chain), to: peer)
      }
    case .startLease(let order): withRunner { await $0.start(order) }
    case .stopLease(let lease): withRunner { await $0.stop(lease) }
    case .forgetLease(let lease): withRunner { await $0.forget(lease) }
    case .submitted(let request, let submission): submissions.answer(request, submission)
    case .memberChanged(let member, let state): logger.info("\(member.short) is \(state)")
    case .halt(let reason):
      onHalt(
        NodeError(
          .diverged, reason,
          suggestion: "this is a fault of Linnet or of this host: keep the data directory and report it"))
    }
  }

  private func commit(_ blocks: [Verified<Block>], _ finalization: Certificate, _ events: [LedgerEvent]) {
    storage.commit(blocks, finalization: finalization)
    inclusions.add(blocks)
    for block in blocks {
      logger.debug(
        "block \(block.value.header.height) is final: \(block.value.transactions.count) transactions",
        metadata: ["view": "\(block.value.header.view)", "id": "\(block.value.id.short)"])
    }
    bell.ring()
    if let driver = driver.value {
      storage.compactIfGrown { await driver.read { core, _ in core.consensus.checkpoint() } }
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

/// Requests for transactions that wait for the core's answer.
final class Submissions: Sendable {
  private let state = Mutex<(next: UInt64, waiting: [UInt64: CheckedContinuation<Submission, Never>])>((1, [:]))

  /// Waits for the answer to the request that `post` is given the number of.
  func wait(_ post: (UInt64) -> Void) async -> Submission {
    await withCheckedContinuation { continuation in
      let number = state.withLock { state in
        defer { state.next += 1 }
        state.waiting[state.next] = continuation
        return state.next
      }
      post(number)
    }
  }

  /// Gives the answer to a request.
  func answer(_ number: UInt64, _ submission: Submission) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: submission)
  }

  /// Ends all waiting: the node stops.
  func end() {
    let waiting = state.withLock { state in
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume(returning: .refused(reason: "the node is stopping")) }
  }
}

/// Rings at every commit, for those who wait for a change of the final state.
final class CommitBell: Sendable {
  private let state = Mutex<(next: UInt64, waiting: [UInt64: CheckedContinuation<Void, Never>])>((1, [:]))

  /// Returns at the next commit, when `seconds` have passed, or when the task is cancelled.
  func wait(seconds: Double) async {
    let number = state.withLock { state in
      defer { state.next += 1 }
      return state.next
    }
    let timer = Task {
      try? await Task.sleep(for: .seconds(seconds))
      wake(number)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        state.withLock { $0.waiting[number] = continuation }
        // A cancellation that came before the continuation was stored has found nothing to wake.
        if Task.isCancelled { wake(number) }
      }
    } onCancel: {
      wake(number)
    }
    timer.cancel()
  }

  /// Wakes all who wait.
  func ring() {
    let waiting = state.withLock { state in
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for continuation in waiting { continuation.resume() }
  }

  private func wake(_ number: UInt64) {
    state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
  }
}
