import Blobs
import Core
import Journal
import Ledger
import Logging
import Membership
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
  let pipeline = LateBound<InboundPipeline>()
  let book = LateBound<AddressBookKeeper>()
  let storage: ChainStorage
  let validators: ValidatorTable
  let voteKeys: VoteKeys
  let slashes: SlashLog
  let submissions = CoreRequests<Submission>(ending: .refused(reason: "the node is stopping"))
  let pings = CoreRequests<PingOutcome>(ending: .timedOut)
  let network: NetworkLog
  let bell = CommitBell()
  let inclusions: Inclusions
  let successors = Successors()
  let logger: Logger
  /// Called once when the node must stop, with the reason.
  let onHalt: @Sendable (NodeError) -> Void

  private let counted = Mutex(Counters())
  private let tap: MessageTap?
  /// The consensus message sent last, and its bytes: most go to all validators, one after the other.
  private let lastSent = Mutex<(message: LinkMessage, bytes: [UInt8])?>(nil)

  init(
    storage: ChainStorage, validators: ValidatorTable, voteKeys: VoteKeys, slashes: SlashLog, tap: MessageTap?,
    logger: Logger, onHalt: @escaping @Sendable (NodeError) -> Void
  ) {
    endpoint = LateBound()
    datagrams = LateBound()
    runner = LateBound()
    driver = LateBound()
    self.storage = storage
    self.validators = validators
    self.voteKeys = voteKeys
    inclusions = Inclusions(of: voteKeys.own.id)
    network = NetworkLog(own: voteKeys.own.id)
    self.slashes = slashes
    self.tap = tap
    self.logger = logger
    self.onHalt = onHalt
  }

  /// What consensus has asked of whom.
  private let asked = Mutex(AskedBlocks())

  /// What was refused here.
  var counters: Counters { counted.withLock { $0 } }

  /// What of a peer's message is worth its verification; called by the threads that verify.
  func worth(_ message: ConsensusMessage, from peer: NodeID) -> ConsensusMessage? {
    asked.withLock { $0.worth(message, from: peer) }
  }

  func send(datagram: Verified<Message>, to address: PeerAddress, receiver: NodeID) {
    datagrams.value?.send(datagram.value.envelope.encoded, to: address, receiver: receiver)
  }

  func send(_ message: LinkMessage, to peer: NodeID) {
    guard let tap else { return put(message, to: peer) }
    for said in tap(message, peer) { put(said, to: peer) }
  }

  private func put(_ message: LinkMessage, to peer: NodeID) {
    if case .consensus(let question) = message { asked.withLock { $0.note(question, to: peer) } }
    endpoint.value?.send(bytes(of: message), channel: NodeShell.channel(of: message), to: peer)
  }

  /// The same message is not written out once for each receiver: a block may have a megabyte. Copies of one message share
  /// their arrays, so that comparing them is quick.
  private func bytes(of message: LinkMessage) -> [UInt8] {
    guard case .consensus = message else { return message.encoded }
    return lastSent.withLock { last in
      if let last, last.message == message { return last.bytes }
      let bytes = message.encoded
      last = (message, bytes)
      return bytes
    }
  }

  /// Votes and certificates have a channel of their own, so that they never wait behind a block.
  static func channel(of message: LinkMessage) -> LinkChannel {
    switch message {
    case .consensus(let consensus): consensus.isUrgent ? .consensus : .sync
    case .gossip, .members, .memberDigest, .memberRequest: .broadcast
    case .service: .services
    }
  }

  func persist(_ records: [[UInt8]], completion: @escaping @Sendable (Bool) -> Void) {
    storage.persist(records) { [self] outcome in
      switch outcome {
      case .success: completion(true)
      case .failure(let error):
        onHalt(NodeShell.halt(for: error))
        completion(false)
      }
    }
  }

  /// Why the node ends when its journal does not take a record.
  static func halt(for error: JournalError) -> NodeError {
    guard error.code == .queueFull else {
      return NodeError(
        .storage, "the journal could not be written and synced, so no vote can be trusted to outlive a crash",
        suggestion: "check the disk (is it full?) and start the daemon again", cause: error)
    }
    return NodeError(
      .storage, "the disk has stalled: more waits to be written to the journal than this node may hold back",
      suggestion:
        "find out what keeps the disk of the data directory busy (`iostat -x 1`, the kernel's log), and start "
        + "the daemon again", cause: error)
  }

  func perform(_ effect: CoreEffect) {
    switch effect {
    case .datagram, .send, .persist: preconditionFailure("the driver performs these itself")
    case .dial(let address, let peer): endpoint.value?.dial(address, expecting: peer)
    case .close(let peer, let reason, let banSeconds):
      // With 0 seconds a ban of before ends.
      endpoint.value?.ban(peer, for: .seconds(Int64(banSeconds)))
      endpoint.value?.close(peer, reason: reason, notice: banSeconds > 0 ? .misbehaviour : .normal)
      if banSeconds > 0 { pipeline.value?.closed(peer) }
    case .committed(let blocks, let finalization, let events): commit(blocks, finalization.value, events)
    case .validators(let set): endpoint.value?.prefer(validators.learn(set))
    case .epochBegan(let epoch, let boundary, let finalization, let snapshot, let next):
      begin(epoch, boundary: boundary, finalization: finalization, snapshot: snapshot, next: next)
    case .epochLinks(let links):
      storage.keep(links) { [self] error in haltForDisk("the links of epochs could not be kept", error) }
    case .installed(let install): self.install(install)
    case .serveChain(let height, let peer): serve(.chain, peer) { await $0.chain(from: height) }
    case .serveEpochs(let epoch, let peer):
      // Who asks waits for an answer, also for one that says that there is no later epoch.
      serve(.epochs, peer) { await $0.epochs(from: epoch) ?? .epochs([]) }
    case .serveSnapshot(let height, let place, let peer):
      serve(.snapshot, peer) { await $0.snapshot(height: height, covering: place) }
    case .startLease(let order): withRunner { await $0.start(order) }
    case .stopLease(let lease): withRunner { await $0.stop(lease) }
    case .forgetLease(let lease): withRunner { await $0.forget(lease) }
    case .submitted(let request, let submission): submissions.answer(request, submission)
    case .signedAnew(let id, let next):
      logger.info("the transaction \(id.short) was signed anew: it is \(next.short) now")
      successors.note(id, as: next)
    case .network(let event): network.note(event)
    case .pinged(let request, let outcome): pings.answer(request, outcome)
    case .met(let peer, let addresses): book.value?.met(peer, addresses)
    case .memberChanged(let member, let before, let state, let accusers):
      network.changed(member, from: before, to: state, accusers: accusers)
      logger.info("\(member.short) is \(state)")
      if state == .down || state == .left { forgetSource(of: member) }
    case .halt(let reason):
      onHalt(
        NodeError(
          .diverged, reason,
          suggestion: "this is a fault of Linnet or of this host: keep the data directory and report it"))
    }
  }

  /// What is read from the disk for a peer.
  private enum Served: Hashable { case chain, epochs, snapshot }
  private struct Serving: Hashable {
    var what: Served
    var peer: NodeID
  }

  /// A peer may have this many requests of a kind under way, so that none can pile up work.
  private static let maximumServed = 4
  /// What is read for whom, and how often.
  private let serving = Mutex<[Serving: Int]>([:])

  private func serve(
    _ what: Served, _ peer: NodeID, _ read: @escaping @Sendable (ChainStorage) async -> ConsensusMessage?
  ) {
    let request = Serving(what: what, peer: peer)
    let isTaken = serving.withLock { serving in
      guard serving[request, default: 0] < NodeShell.maximumServed else { return false }
      serving[request, default: 0] += 1
      return true
    }
    guard isTaken else {
      return counted.withLock { $0.add("\(what)RequestTooMany") }
    }
    Task {
      let answer = await read(storage)
      serving.withLock { serving in
        let left = serving[request, default: 1] - 1
        serving[request] = left > 0 ? left : nil
      }
      if let answer { send(.consensus(answer), to: peer) }
    }
  }

  /// Where members answer.
  private let sources = Mutex(KnownSources())

  /// Gives the datagrams of a member that has answered a probe buckets of their own, apart from those of strangers, once the
  /// core has taken the answer for one. Only where it answers counts: what a record claims may be another's address.
  func answered(_ member: NodeID, from source: PeerAddress) {
    guard let driver = driver.value, sources.withLock({ $0[member] != source }) else { return }
    Task {
      let isTaken = await driver.read { core, _ in
        guard let view = core.membership.member(member), view.isLive, view.lastSeen != nil else { return false }
        return view.address == source
      }
      if isTaken { changeSources { $0.set(source, of: member) } }
    }
  }

  private func forgetSource(of member: NodeID) { changeSources { $0.set(nil, of: member) } }

  /// Forgets the sources of all but these.
  func keepSources(of members: Set<NodeID>) { changeSources { $0.keep(members) } }

  /// The endpoint is told before the next change, so that it hears of them in their order.
  private func changeSources(_ change: (inout KnownSources) -> KnownSources.Change) {
    sources.withLock { sources in
      let change = change(&sources)
      for address in change.forgotten { datagrams.value?.forget(address) }
      if let address = change.learned { datagrams.value?.known(address) }
    }
  }

  private func commit(_ blocks: [Verified<Block>], _ finalization: Certificate, _ events: [LedgerEvent]) {
    storage.commit(blocks, finalization: finalization) { [self] error in
      haltForDisk("a final block could not be kept", error)
    }
    slashes.add(blocks.map(\.value), events: events) { [validators] in validators.set(of: $0) }
    inclusions.add(blocks)
    asked.withLock { $0.note(final: finalization.subject) }
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
    Task {
      // The core runs nothing else meanwhile, so the checkpoint holds all that was appended, and all blocks that it
      // leaves out were handed to the storage.
      await driver.read { [self] core, _ in
        guard storage.hasGrown else { return }
        storage.compact(keeping: core.checkpoint) { [self] error in
          // The node is stopping, and the next start compacts.
          if (error as? JournalError)?.code == .closed { return }
          haltForDisk("the journal could not be written anew", error)
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
