import Blobs
import Config
import Control
import Core
import Executor
import Hardware
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

/// The parts of a running node, and how they are joined.
final class RunningNode: Sendable {
  private static let sequenceCheckSeconds = 60.0
  private static let sourceCheckSeconds = 30.0
  /// What is looked at are counters, to which every datagram adds: an event for each would be the load that it tells of.
  private static let datagramCheckSeconds = 5.0
  private static let blobCheckSeconds = 30.0
  /// Twice as long as the core keeps its transactions valid, for clocks that differ.
  private static let transactionValidityMilliseconds: UInt64 = 1_200_000

  let id: NodeID
  let genesis: Genesis
  let driver: CoreDriver
  let shell: NodeShell
  let store: BlobStore
  let supervisor: JobSupervisor
  let hardware: HardwareReport
  let configuration: NodeConfiguration
  let logger: Logger
  let controlCounters = LateBound<ControlCounters>()
  /// Why the sandbox failed its own test at the start, when it did: nothing is offered then.
  let sandboxFailure: String?
  /// Why the node does not vote in the epochs that its lost votes may be of; nil when none is lost.
  let abstains: String?
  let startedAt = MonotonicClock.now()
  let hub: ServiceHub
  let genesisService: GenesisService
  let jobs = SubmittedJobs()
  let fetcher: BlobFetcher
  let reacher: Reacher
  let keeper: BlobKeeper
  let discovery = LateBound<NodeDiscovery>()
  private let dialBack: LateBound<DialBackService>
  private let pipeline: InboundPipeline
  private let verifier: Verifier
  private let directory: DataDirectory
  private let isStopped = Mutex(false)

  init(
    id: NodeID, genesis: Genesis, driver: CoreDriver, shell: NodeShell, store: BlobStore, supervisor: JobSupervisor,
    hardware: HardwareReport, sandboxFailure: String?, abstains: String?, directory: DataDirectory,
    configuration: NodeConfiguration, background: any EventLoopGroup, logger: Logger
  ) {
    self.id = id
    self.genesis = genesis
    self.driver = driver
    self.shell = shell
    self.store = store
    self.supervisor = supervisor
    self.hardware = hardware
    self.sandboxFailure = sandboxFailure
    self.abstains = abstains
    self.directory = directory
    self.configuration = configuration
    self.logger = logger
    let genesisService = GenesisService(genesis)
    self.genesisService = genesisService
    let lateHub = LateBound<ServiceHub>()
    let connector = ConnectService(hub: { lateHub.value }, driver: driver, links: shell.endpoint)
    let dialBack = LateBound<DialBackService>()
    self.dialBack = dialBack
    hub = ServiceHub(
      send: { message, peer in
        shell.endpoint.value?.send(LinkMessage.service(message).encoded, channel: .services, to: peer) ?? false
      },
      answer: { service, body, peer in
        switch service {
        case .blob:
          guard let request = try? BlobRequest(decoding: body) else { return nil }
          return BlobChunk.encode(store.answer(request))
        case .log:
          guard let request = try? LogRequest(decoding: body), let runner = shell.runner.value else { return nil }
          // What a job prints is for the one who pays for it.
          let submitter = await driver.read { core, _ in
            let state = core.finalState
            return state.lease(request.lease).flatMap { state.job($0.job) }?.submitter
          }
          guard submitter == peer else { return [] }
          return await runner.log(request)?.encoded ?? []
        case .genesis: return genesisService.answer(body)
        case .connect:
          let source = shell.endpoint.value?.links.first { $0.id == peer }?.address
          return await connector.answer(body, from: peer, source: source)
        case .dialBack:
          let source = shell.endpoint.value?.links.first { $0.id == peer }?.address
          return await dialBack.value?.answer(body, from: peer, at: source)
        }
      }, flooded: { driver.post(.misconduct($0, .serviceFlood)) })
    keeper = BlobKeeper(store: store, logger: logger)
    lateHub.bind(hub)
    let reacher = Reacher(hub: hub, driver: driver, links: shell.endpoint)
    self.reacher = reacher
    fetcher = BlobFetcher(
      store: store, hub: hub, linkedPeers: { shell.endpoint.value?.links.map(\.id) ?? [] },
      reach: { await reacher.reach($0) })
    let cache = VerificationCache()
    verifier = Verifier(networkID: genesis.networkID, known: cache.known) { cache.check($0, $1, $2) }
    let hub = hub
    pipeline = InboundPipeline(
      Inbound(verifier: verifier, validators: shell.validators.answers) { shell.worth($0, from: $1) },
      workers: System.coreCount,
      background: Array(background.makeIterator()),
      isValidator: { shell.validators.isValidator($0) },
      post: { driver.post($0, done: $1) },
      service: { hub.receive($0, from: $1, dealt: $2) },
      judged: { datagram, isSound in
        if isSound { shell.datagrams.value?.verified(datagram) } else { shell.datagrams.value?.forged(datagram) }
      },
      answered: { shell.answered($0, from: $1) },
      consumed: { shell.endpoint.value?.consumed($0, channel: $1, from: $2) })
    shell.pipeline.bind(pipeline)
  }

  /// Binds the sockets. Datagrams have a group of their own, so that a flood of them holds nothing else up.
  func connect(
    key: SigningKey, group: any EventLoopGroup, datagramGroup: any EventLoopGroup, listen: [PeerAddress]
  ) async throws(NodeError) {
    do {
      var links = LinkConfiguration()
      links.maximumLinks = Int(configuration.network.maximumLinks)
      let endpoint = try LinkEndpoint(
        identity: key, networkID: genesis.networkID, configuration: links, group: group, logger: logger
      ) { [self] event in
        handle(event)
      }
      shell.endpoint.bind(endpoint)
      dialBack.bind(DialBackService(networkID: genesis.networkID, group: group, logger: logger))
      let datagrams = DatagramEndpoint(
        id: key.id, networkID: genesis.networkID, group: datagramGroup, logger: logger,
        isUnderLoad: { [pipeline] in pipeline.isUnderLoad }, onDatagram: { [pipeline] in pipeline.datagram($0) })
      shell.datagrams.bind(datagrams)
      try await endpoint.start(listen: listen)
      try await datagrams.start(listen: listen)
    } catch {
      throw NodeError(
        .listen, "\(error)", suggestion: "is the address this host's, and the port free? change [network] listen")
    }
    discovery.bind(
      NodeDiscovery(
        id: id, genesis: genesis, configuration: configuration, driver: driver, shell: shell, listening: listen,
        pipeline: pipeline, verifier: verifier, group: datagramGroup, logger: logger))
    logger.notice("listening on \(listen.map(\.description).joined(separator: ", ")) as \(id)")
  }

  private func handle(_ event: LinkEvent) {
    shell.network.note(event)
    switch event {
    case .up(let peer, let address, let direction):
      logger.info("link with \(peer.short) at \(address) is up (\(direction.rawValue))")
      driver.post(.linkUp(peer, address, isOutbound: direction == .outbound))
    case .down(let peer, let reason):
      logger.info("link with \(peer.short) is down: \(reason)")
      hub.linkDown(peer)
      driver.post(.linkDown(peer))
    case .received(let peer, let channel, let bytes): pipeline.frame(bytes, channel: channel, from: peer)
    case .congested(let peer, let channel, let isCongested):
      if channel == .broadcast { driver.post(.congested(peer, isCongested)) }
      if channel == .services { hub.congested(peer, isCongested) }
    case .dialFailed(let address, let peer, let error):
      logger.debug("no link with \(address): \(error)")
      discovery.value?.dialFailed(address, peer, error)
    }
  }

  /// What runs beside the core: discovery, the executor's events, the sequence mark.
  func keepRunning() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [self] in await discovery.value?.run() }
      group.addTask { [self] in await shell.runner.value?.watch() }
      group.addTask { [self] in await keepSequenceMark() }
      group.addTask { [self] in await releaseBlobs() }
      group.addTask { [self] in await forgetSources() }
      group.addTask { [self] in await watchDatagrams() }
      await group.waitForAll()
    }
  }

  /// Sees to it that the sources of none but live members stay known.
  private func forgetSources() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(RunningNode.sourceCheckSeconds))
      let live = await driver.read { core, _ in core.membership.members.filter { $0.isLive }.map(\.id) }
      shell.keepSources(of: Set(live))
    }
  }

  /// Sees to it that those who follow the events hear of lost sockets and of load.
  private func watchDatagrams() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(RunningNode.datagramCheckSeconds))
      shell.network.look(at: shell.datagrams.value?.counters ?? [])
    }
  }

  /// Ends the pins of jobs that have ended, also while the daemon was down, and gives those of jobs that were signed anew the
  /// new id. Who is killed in the half minute before that has pins of the old one, which go once it is out of date.
  private func releaseBlobs() async {
    let wall = UInt64(clamping: WallTimeSource.now().microsecondsSinceEpoch / 1_000)
    // What was on its way before this start of the daemon may come into a block until then.
    let lastExpiry =
      max(wall, await driver.read { core, _ in core.finalState.ledgerTimeMilliseconds })
      + RunningNode.transactionValidityMilliseconds
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(RunningNode.blobCheckSeconds))
      // Ahead of the core, which knows of each job before its blobs are pinned.
      let holders = keeper.jobs
      guard !holders.isEmpty else { continue }
      let (state, underWay, ids) = await driver.read { [shell] core, _ in
        (core.finalState, core.underWay, shell.successors.snapshot)
      }
      for job in holders where ids.current(of: job) != job { keeper.hand(from: job, to: ids.current(of: job)) }
      keeper.release(
        jobs: holders.map { ids.current(of: $0) }.filter { job in
          if let record = state.job(job) { return record.state.isTerminal }
          return !underWay.contains(job) && state.ledgerTimeMilliseconds >= lastExpiry
        })
    }
  }

  private func keepSequenceMark() async {
    var mark = SequenceMark(directory: configuration.node.dataDirectory)
    while !Task.isCancelled {
      let last = await driver.read { core, _ in core.identity.sequences.last }
      do { try mark.reserve(after: last) } catch { logger.error("the sequence mark can't be written: \(error)") }
      try? await Task.sleep(for: .seconds(RunningNode.sequenceCheckSeconds))
    }
  }

  /// Says farewell, closes the sockets and the journal. Jobs go on under their shims.
  func stop() async {
    let wasStopped = isStopped.withLock { stopped in
      defer { stopped = true }
      return stopped
    }
    guard !wasStopped else { return }
    driver.post(.leave)
    // The farewell is sent by the core's loop before this read is answered.
    _ = await driver.read { _, _ in true }
    await driver.stop()
    shell.submissions.end()
    shell.pings.end()
    shell.bell.ring()
    await shell.datagrams.value?.shutdown()
    await shell.endpoint.value?.shutdown()
    await pipeline.stop()
    shell.storage.close()
  }

  /// Everything that was refused, by name, of all parts.
  func refused() async -> Counters {
    var all = await driver.read { core, _ in core.allCounters }
    all.merge(await driver.counters)
    all.merge(pipeline.counters)
    all.merge(shell.counters)
    all.merge(hub.counters)
    for (name, count) in shell.endpoint.value?.counters ?? [] { all.add("link.\(name)", count) }
    for (name, count) in discovery.value?.lan?.endpoint.counters ?? [] { all.add("udp.beacon.\(name)", count) }
    for (name, count) in shell.datagrams.value?.counters ?? [] { all.add("udp.datagram.\(name)", count) }
    return all
  }
}
