import Config
import Core
import Logging
import NIOCore
import Primitives
import Transport
import Wire

/// All the ways by which a node finds others (docs/joining.md), and what it tells its core of where it can be reached.
final class NodeDiscovery: Sendable {
  /// The kernel would tell by netlink. That is a socket, a thread and a parser for what changes a few times a day; to list the
  /// addresses takes microseconds, and a node whose address has changed is not reached until it has looked.
  private static let interfaceCheckSeconds = 1.0

  let lan: LANDiscovery?
  let book: AddressBookKeeper?
  let lists: DNSLists?
  private let id: NodeID
  private let genesis: Genesis
  private let configuration: NodeConfiguration
  private let driver: CoreDriver
  private let shell: NodeShell
  let listening: [PeerAddress]
  private let logger: Logger

  /// - Parameters:
  ///   - listening: the addresses that sockets are bound to.
  ///   - group: where beacons are sent and heard.
  init(
    id: NodeID, genesis: Genesis, configuration: NodeConfiguration, driver: CoreDriver, shell: NodeShell,
    listening: [PeerAddress], pipeline: InboundPipeline, verifier: Verifier, group: any EventLoopGroup, logger: Logger
  ) {
    self.id = id
    self.genesis = genesis
    self.configuration = configuration
    self.driver = driver
    self.shell = shell
    self.listening = listening
    self.logger = logger
    lan =
      configuration.network.isFoundOnLAN
      ? LANDiscovery(
        id: id, networkID: genesis.networkID, isLoopback: configuration.network.profile == .loopback, driver: driver,
        links: shell.endpoint, group: group, logger: logger
      ) { bytes, source, heard in pipeline.beacon(bytes, from: source, heard: heard) } : nil
    book =
      configuration.network.hasAddressBook
      ? AddressBookKeeper(directory: configuration.node.dataDirectory, logger: logger) : nil
    if let book { shell.book.bind(book) }
    lists =
      configuration.network.dns.isEmpty
      ? nil
      : DNSLists(
        names: configuration.network.dns, ownID: id, genesis: genesis, verifier: verifier, links: shell.endpoint,
        logger: logger)
  }

  /// Runs until the task is cancelled.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [self] in await dialer().run() }
      group.addTask { [self] in await watchInterfaces() }
      if let lan { group.addTask { await lan.run() } }
      if let lists { group.addTask { await lists.run() } }
      if let book {
        let dialer = BookDialer(book: book, ownID: id, driver: driver, links: shell.endpoint)
        group.addTask { await dialer.run() }
      }
      group.addTask { [self] in
        let file = GrantFile(dataDirectory: configuration.node.dataDirectory)
        await GrantClaim(file: file, ownID: id, genesis: genesis, driver: driver, logger: logger).run()
      }
      await group.waitForAll()
    }
  }

  /// A dial came to nothing.
  func dialFailed(_ address: PeerAddress, _ peer: NodeID?, _ error: TransportError) {
    // Without a network nobody can be reached, and nobody is to be forgotten for it.
    guard let peer, error.speaksOfTheOther, HostAddresses.hasNetwork || address.isLoopback else { return }
    book?.failed(peer)
  }

  private func dialer() -> Dialer {
    Dialer(
      bootstrap: configuration.network.bootstrap, ownID: id, logger: logger,
      isLinked: { [shell] addresses, peer in
        BootstrapLink.stands(
          to: addresses, expecting: peer, links: shell.endpoint.value?.links ?? [], members: await self.seenMembers())
      },
      dial: { [shell] address, peer in shell.endpoint.value?.dial(address, expecting: peer) })
  }

  /// Where members were seen. What their records claim is not asked: a member that names the addresses of the bootstrap
  /// must not keep this node from dialling it.
  func seenMembers() async -> [(NodeID, PeerAddress)] {
    await driver.read { core, _ in
      core.membership.members.compactMap { member in
        guard member.lastSeen != nil, let address = member.address else { return nil }
        return (member.id, address)
      }
    }
  }

  /// Tells the core where this host can be reached, whenever that changes.
  private func watchInterfaces() async {
    var known: [PeerAddress]?
    while !Task.isCancelled {
      let found = HostAddresses.reachable(listening: listening)
      if found != known {
        known = found
        driver.post(.interfaces(found))
      }
      try? await Task.sleep(for: .seconds(NodeDiscovery.interfaceCheckSeconds))
    }
  }
}
