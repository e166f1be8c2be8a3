import Blobs
import CLinux
import Config
import Control
import Core
import Executor
import Foundation
import Hardware
import Ledger
import Logging
import Membership
import NIOCore
import NIOPosix
import Primitives
import ServiceLifecycle
import Sodium
import Synchronization
import Transport
import Wire

/// The daemon: a core on real sockets, disks and processes.
package struct NodeDaemon: Sendable {
  let configuration: NodeConfiguration
  let version: String
  let logger: Logger
  let tap: (@Sendable ([Signer]) -> MessageTap)?
  let reload: @Sendable () throws -> NodeConfiguration

  private static let shutdownGrace = Duration.seconds(3)

  /// A daemon that has not started.
  ///
  /// - Parameters:
  ///   - tap: changes what is said, for tests of the others; given the keys that votes are signed with.
  ///   - reload: reads the configuration anew, at SIGHUP.
  package init(
    configuration: NodeConfiguration, version: String, logger: Logger,
    tap: (@Sendable ([Signer]) -> MessageTap)? = nil,
    reload: @escaping @Sendable () throws -> NodeConfiguration
  ) {
    self.configuration = configuration
    self.version = version
    self.logger = logger
    self.tap = tap
    self.reload = reload
  }

  /// Runs until SIGTERM or SIGINT, or until the node can't go on.
  package func run() async throws(NodeError) {
    OpenFiles.raiseLimit(links: Int(configuration.network.maximumLinks), logger: logger)
    // Ahead of everything that is bound: a second daemon must not take the place of the first.
    let directory = try DataDirectory(path: configuration.node.dataDirectory)
    let key = try readKey()
    let genesis = try readGenesis()
    try directory.bind(to: genesis.networkID)

    let halted = Mutex<NodeError?>(nil)
    let (halts, haltSignal) = AsyncStream<Void>.makeStream()
    let voteKeys = try VoteKeys(dataDirectory: configuration.node.dataDirectory, own: key)
    let opened = try openStorage(genesis: genesis, key: key, voteKeys: voteKeys)
    let shell = NodeShell(
      storage: opened.storage, validators: ValidatorTable(genesis: genesis), voteKeys: voteKeys,
      slashes: SlashLog(directory: configuration.node.dataDirectory, logger: logger),
      tap: tap?(voteKeys.signers(networkID: genesis.networkID)), logger: logger
    ) { error in
      halted.withLock { if $0 == nil { $0 = error } }
      haltSignal.yield()
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let datagramGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let background = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
    let node: RunningNode
    do {
      node = try await assemble(
        shell: shell, opened: opened, key: key, genesis: genesis, group: group, datagramGroup: datagramGroup,
        background: background, directory: directory)
    } catch {
      opened.storage.close()
      try? await group.shutdownGracefully()
      try? await datagramGroup.shutdownGracefully()
      try? await background.shutdownGracefully()
      throw error
    }
    let control = ControlServer(
      service: NodeControl(node: node, configuration: configuration, version: version),
      socketPath: configuration.control.socket, replaceStaleSocket: true, logger: logger,
      onRunning: { [logger] in
        logger.notice("the control socket is ready")
        Self.dropCode(logger)
        group.next().scheduleTask(in: NodeDaemon.joiningTime) { Self.dropCode(logger) }
      })
    node.controlCounters.bind(control.counters)
    var setting = ServiceGroupConfiguration(
      services: [
        .init(service: NodeService(node: node, halts: halts), successTerminationBehavior: .gracefullyShutdownGroup),
        .init(service: ReloadService(node: node, reload: reload)),
        .init(service: control),
      ],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger))
    // A request that waits for something does not hold up the end: it is cancelled then.
    setting.maximumGracefulShutdownDuration = NodeDaemon.shutdownGrace
    let services = ServiceGroup(configuration: setting)
    var failure: (any Error)?
    do { try await services.run() } catch is CancellationError {} catch { failure = error }
    await node.stop()
    try? await group.shutdownGracefully()
    try? await datagramGroup.shutdownGracefully()
    try? await background.shutdownGracefully()
    if let error = halted.withLock({ $0 }) { throw error }
    if let error = failure as? ControlError {
      throw NodeError(
        .control, "the control socket \(configuration.control.socket) can't be used",
        suggestion: error.suggestion
          ?? "name another with --control-socket or in [control]", cause: error)
    }
    if let error = failure {
      throw NodeError(.control, "the daemon ended early", suggestion: "look at the lines above", cause: error)
    }
    logger.notice("stopped")
  }

  /// By then a node has usually joined its network.
  private static let joiningTime = TimeAmount.seconds(60)

  /// Gives back the memory of code that may never be called again: the kernel maps code in pieces of 64 KiB, and a third of
  /// what the start touched is needed once only; so is what joining a network takes. What is called again is mapped again.
  private static func dropCode(_ logger: Logger) {
    let result = linnet_drop_program_code()
    if result != 0 { logger.debug("the code that only the start needed stays resident: errno \(-result)") }
  }

  private func quiet(_ logger: Logger) -> Logger {
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return quiet
  }

  private func readKey() throws(NodeError) -> SigningKey {
    do { return try KeyFile.read(configuration.node.key) } catch {
      throw NodeError(
        .key, "the key \(configuration.node.key) can't be used",
        suggestion: "`linnet init` makes one; only its owner may read it (chmod 600)", cause: error)
    }
  }

  private func readGenesis() throws(NodeError) -> Genesis {
    do { return try GenesisDocument.read(path: configuration.node.genesis) } catch {
      throw NodeError(
        .genesis, "the network can't be joined",
        suggestion: "put the network's genesis at \(configuration.node.genesis) or name it with --genesis",
        cause: error)
    }
  }

  private func openStorage(
    genesis: Genesis, key: SigningKey, voteKeys: VoteKeys
  ) throws(NodeError) -> ChainStorage.Opened {
    let marker = NeverVotedMarker(keyPath: configuration.node.key)
    let restart = RestartMarker(keyPath: configuration.node.key, networkID: genesis.networkID)
    var mark = SequenceMark(directory: configuration.node.dataDirectory)
    do {
      // The mark must be ahead of the first number that is used.
      let clock = WallClock(offset: WallTimeSource.offset())
      try mark.reserve(after: max(mark.floor, clock.unixMicroseconds(at: MonotonicClock.now())))
    } catch {
      throw NodeError(
        .dataDirectory, "the sequence mark in \(configuration.node.dataDirectory) can't be written",
        suggestion: "check the disk: is it full or read-only?", cause: error)
    }
    let opened = try ChainStorage.open(
      directory: configuration.journal.directory, genesis: genesis,
      sequenceFloor: mark.floor,
      // A key that was made later has been voted with; nothing was in a network that has just been made.
      neverVoted: marker.exists && voteKeys.isEmpty || restart.exists, logger: logger)
    // From here on the journal is there: its absence would mean that it was lost.
    try marker.remove()
    try restart.use()
    return opened
  }

  private func assemble(
    shell: NodeShell, opened: ChainStorage.Opened, key: SigningKey, genesis: Genesis,
    group: MultiThreadedEventLoopGroup, datagramGroup: MultiThreadedEventLoopGroup,
    background: MultiThreadedEventLoopGroup, directory: DataDirectory
  ) async throws(NodeError) -> RunningNode {
    let supervisor: JobSupervisor
    let store: BlobStore
    do {
      supervisor = try JobSupervisor(
        ExecutorConfiguration(
          directory: configuration.executor.directory, logCapBytes: Int(clamping: configuration.executor.logCapBytes),
          firstJobUserID: configuration.executor.firstJobUserID,
          jobUserCount: Int(configuration.executor.jobUserCount),
          graceMicroseconds: configuration.executor.graceSeconds * 1_000_000,
          maximumConcurrentJobs: Int(clamping: configuration.offer.maximumJobs)), log: logger)
      store = try BlobStore(
        directory: configuration.blobs.directory, maximumBytes: configuration.blobs.maximumBytes)
    } catch {
      throw NodeError(
        .executor, "the executor or the blob store can't be set up",
        suggestion: "check the directories [executor] and [blobs] of node.conf", cause: error)
    }
    let ledger = opened.recovery.ledger
    guard let final = ledger.state(at: ledger.finalID) else { preconditionFailure("the final state is always at hand") }
    let hardware = HardwareProbe(diskPaths: [configuration.node.dataDirectory]).report()
    // A host whose sandbox does not hold must not take anybody's job, now or after a reload.
    var sandboxFailure: String?
    do { try await supervisor.selfTest() } catch {
      let failure = "nothing is offered: the sandbox's own test failed: \(error)"
      logger.error("\(failure)")
      sandboxFailure = failure
    }
    let offer =
      sandboxFailure == nil
      ? OfferBuilder.offer(configuration.offer, hardware: hardware, isolation: supervisor.isolation.limits) : nil
    let addresses = try await listenAddresses()
    let record = NodeRecord(
      name: LeaseRunner.bounded(configuration.node.name, bytes: NodeRecord.maximumNameBytes),
      addresses: advertised(addresses),
      // Whether it is a validator, the core knows.
      roles: offer == nil ? [] : .provider,
      capabilities: Digest(hashing: hardwareBytes(hardware)), agent: "linnet/\(version)",
      expiresUnixSeconds: UInt64(Date().timeIntervalSince1970) + 86_400 * 365)
    let signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
    var settings = CoreSettings(membership: membershipSettings())
    settings.abstainUntilMilliseconds = opened.abstainUntilMilliseconds
    // In a network of short epochs a state is small against the blocks of a few.
    settings.snapshotDistance = min(settings.snapshotDistance, 2 * genesis.parameters.epochBlocks)
    let core = NodeCore(
      genesis: genesis, signer: signer, voteSigners: shell.voteKeys.signers(networkID: genesis.networkID),
      wallClock: WallClock(offset: WallTimeSource.offset()), settings: settings,
      record: record, recovery: opened.recovery, seed: UInt64.random(in: 0 ... .max), now: MonotonicClock.now())
    let driver = CoreDriver(core: core, shell: shell, loop: group.next(), logger: logger)
    shell.driver.bind(driver)
    let node = RunningNode(
      id: key.id, genesis: genesis, driver: driver, shell: shell, store: store, supervisor: supervisor,
      hardware: hardware, sandboxFailure: sandboxFailure, abstains: opened.abstains, directory: directory,
      configuration: configuration, background: background, logger: logger)
    try await node.connect(key: key, group: group, datagramGroup: datagramGroup, listen: addresses)
    do {
      let runner = try LeaseRunner(
        supervisor: supervisor, store: store, fetcher: node.fetcher,
        directory: configuration.executor.directory,
        gpus: OfferBuilder.offeredGPUs(hardware).flatMap { Array($0.deviceNodes.prefix(1)) }, logger: logger
      ) { driver.post($0) }
      shell.runner.bind(runner)
      await runner.adopt()
    } catch {
      throw NodeError(
        .executor, "the executor's directory \(configuration.executor.directory) can't be used",
        suggestion: "check [executor] of node.conf", cause: error)
    }
    if let set = final.validatorSet(epoch: final.epoch), set.faults == 0 {
      logger.warning("a committee of \(set.count) tolerates no fault")
    }
    driver.post(.start)
    driver.post(.offer(offer))
    return node
  }

  private func membershipSettings() -> MembershipSettings {
    var settings: MembershipSettings =
      switch configuration.network.profile {
      case .lan: .lan
      case .wan: .wan
      case .loopback: .loopback
      }
    settings.hasFixedAddresses = !configuration.network.advertise.isEmpty
    return settings
  }

  private func hardwareBytes(_ report: HardwareReport) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return (try? encoder.encode(report)).map { Array($0) } ?? []
  }

  private func listenAddresses() async throws(NodeError) -> [PeerAddress] {
    var addresses: [PeerAddress] = []
    for entry in configuration.network.listen {
      let found = await Dialer.resolve(host: entry.host, port: entry.port)
      guard !found.isEmpty else {
        throw NodeError(
          .listen, "the listen address \(entry) is no address of this host", suggestion: "check [network] listen")
      }
      addresses.append(contentsOf: found)
    }
    return addresses
  }

  /// The addresses of the own record: what the operator says, else what is listened on, an unspecified address
  /// standing for those of the host's interfaces.
  private func advertised(_ listening: [PeerAddress]) -> [PeerAddress] {
    let said = configuration.network.advertise.compactMap { PeerAddress(text: "\($0)") }
    if !said.isEmpty { return Array(said.prefix(NodeRecord.maximumAddresses)) }
    return Array(HostAddresses.reachable(listening: listening).prefix(NodeRecord.maximumAddresses))
  }
}

/// The part of the daemon that runs until it is told to stop.
struct NodeService: Service {
  let node: RunningNode
  let halts: AsyncStream<Void>

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await node.keepRunning() }
        group.addTask { for await _ in halts { break } }
        // The first to end ends the other: a halt, or the shutdown.
        await group.next()
        group.cancelAll()
      }
    }
  }
}
