import Core
import Logging
import Membership
import NIOCore
import Primitives
import Synchronization
import Transport
import Wire

/// Finds nodes on the local network, and is found: sends this node's record by multicast, and dials whom it hears there.
final class LANDiscovery: Sendable {
  /// How often a node that is alone sends a beacon: as often as the endpoint looks for new interfaces, on each of which it is
  /// to be heard. That it is alone no longer needs no event, for the core is asked before each beacon.
  private static let checkSeconds = 5.0
  /// The pause between two beacons of a node that has company, give or take a tenth.
  private static let pause = Microseconds.seconds(30)
  /// The sockets, which open on a loop of their own, are open by then; a beacon that came too early would be no harm but
  /// `checkSeconds` lost.
  private static let firstSeconds = 0.5

  let endpoint: BeaconEndpoint
  private let driver: CoreDriver
  private let links: LateBound<LinkEndpoint>
  private let introductions = Mutex(Introductions())
  private let logger: Logger

  /// - Parameter verify: checks the envelope of a beacon, and hands on the record of one that holds.
  init(
    id: NodeID, networkID: Digest, isLoopback: Bool, driver: CoreDriver, links: LateBound<LinkEndpoint>,
    group: any EventLoopGroup, logger: Logger,
    verify:
      @escaping @Sendable (
        [UInt8], PeerAddress, _ heard: @escaping @Sendable (Verified<Message>) -> Void
      ) -> Void
  ) {
    self.driver = driver
    self.links = links
    self.logger = logger
    var configuration = BeaconConfiguration()
    configuration.isLoopback = isLoopback
    let own = LateBound<LANDiscovery>()
    endpoint = BeaconEndpoint(
      id: id, networkID: networkID, configuration: configuration, group: group, logger: logger
    ) { bytes, source in
      verify(bytes, source) { record in own.value?.heard(record, from: source) }
    }
    own.bind(self)
  }

  /// Sends beacons until the task is cancelled: often while nobody is there, and rarely else.
  func run() async {
    endpoint.start()
    try? await Task.sleep(for: .seconds(LANDiscovery.firstSeconds))
    var next = MonotonicClock.now()
    while !Task.isCancelled {
      let (record, isAlone) = await driver.read { core, _ in
        (
          core.membership.ownRecord.value.envelope.encoded,
          !core.membership.members.contains { $0.id != core.id && $0.isLive }
        )
      }
      let now = MonotonicClock.now()
      if isAlone || now >= next {
        endpoint.announce(record)
        next = now + LANDiscovery.pause * Int64.random(in: 90...110) / 100
      }
      try? await Task.sleep(for: .seconds(LANDiscovery.checkSeconds))
    }
    await endpoint.shutdown()
  }

  private func heard(_ message: Verified<Message>, from source: PeerAddress) {
    let id = message.value.author
    guard case .nodeRecord(let record) = message.value.body, let endpoint = links.value,
      let address = Introductions.address(of: record, heardFrom: source)
    else { return }
    let linked = endpoint.links.map(\.id)
    guard !linked.contains(id) else { return }
    Task {
      let standing = await driver.read { core, _ -> Introductions.Standing in
        guard let member = core.membership.member(id) else { return .unknown }
        return member.isLive ? .live : .gone
      }
      let shouldDial = introductions.withLock {
        $0.shouldDial(id, address, standing, linkCount: linked.count, at: MonotonicClock.now())
      }
      guard shouldDial else { return }
      logger.debug("heard \(id.short) on the local network, from \(source)")
      endpoint.dial(address, expecting: id)
    }
  }
}
