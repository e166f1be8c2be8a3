import Logging
import NIOCore
import Primitives
import Synchronization
import Wire

/// Says a node's record to everyone on the same network segments, and hears those of others: how nodes of one local network
/// find each other without being told an address.
///
/// When a beacon is due, its owner says. What is heard passed a `DatagramFilter`; whether it is signed by whom it names is
/// for the owner to check.
package final class BeaconEndpoint: Sendable {
  private let loop: any EventLoop
  private let sockets: NIOLoopBoundBox<BeaconSockets>
  private let counted: TransportCounters
  private let found: Found

  /// What the last look at the interfaces found, for every thread.
  private final class Found: Sendable {
    let interfaces = Mutex<[BeaconInterface]>([])
  }

  /// An endpoint that is not started.
  ///
  /// - Parameters:
  ///   - id: this node, whose own beacons come back and are refused (`wrongReceiver`).
  ///   - group: where the one event loop is taken from; it must outlive the endpoint's `shutdown`.
  ///   - onInterfaces: called on the event loop with all of the host's interfaces, at the start and when one has changed.
  ///   - onBeacon: called on the event loop with each beacon's envelope and the address it came from. That of an IPv6
  ///     beacon is mostly link-local, and a link to it needs an address of the record instead. It must not block.
  package init(
    id: NodeID, networkID: Digest, configuration: BeaconConfiguration = BeaconConfiguration(),
    group: any EventLoopGroup, logger: Logger,
    onInterfaces: @escaping @Sendable ([NetworkInterface]) -> Void = { _ in },
    onBeacon: @escaping @Sendable ([UInt8], PeerAddress) -> Void
  ) {
    let loop = group.next()
    let counted = TransportCounters()
    let found = Found()
    self.loop = loop
    self.counted = counted
    self.found = found
    sockets = NIOLoopBoundBox.makeBoxSendingValue(
      BeaconSockets(
        loop: loop, id: id, networkID: networkID, configuration: configuration, counters: counted, logger: logger,
        onScan: { interfaces in found.interfaces.withLock { $0 = interfaces } }, onInterfaces: onInterfaces,
        onBeacon: onBeacon), eventLoop: loop)
  }

  /// Begins to listen. Nothing in it can fail for good: what cannot be bound or joined is tried again, and counted.
  /// To be called once.
  package func start() { loop.execute { [sockets] in sockets.value.start() } }

  /// Sends an envelope, the node's record, on every interface that the group was joined on. Callable from any thread.
  package func announce(_ record: [UInt8]) { loop.execute { [sockets] in sockets.value.announce(record) } }

  /// The interfaces that beacons are sent on, as of the last look, and what keeps others from them.
  package var interfaces: [BeaconInterface] { found.interfaces.withLock { $0 } }

  /// What was sent, received, refused or went wrong, by name, in the order of the names.
  package var counters: [(String, UInt64)] { counted.all }

  /// Closes the sockets. Returns when no beacon can follow.
  package func shutdown() async {
    // The loop takes work as long as its group lives, which is a duty of the caller.
    try? await loop.submit { [sockets] in sockets.value.stop() }.get()
  }
}
