import Glibc
import LinkProtocol
import Logging
import NIOCore
import Primitives
import Sodium
import Wire

// How beacons stay on the local network, by the rules:
// 1. They leave with a time to live of 1, by each interface on its own and from its own addresses: no routing table has a
//    say.
// 2. What was not sent to the group, or comes from no network of the interface that it came by, is refused: a beacon from
//    afar would have to be forwarded by somebody.
// 3. Interfaces come and go. All are looked at again and again; those that are down are passed over, and one that the
//    group cannot be joined on is tried again, and takes nothing from the others.

/// The sockets of a node's beacons, one a family. Lives on its event loop.
final class BeaconSockets {
  private let loop: any EventLoop
  private let configuration: BeaconConfiguration
  private let counters: TransportCounters
  private let logger: Logger
  private let onScan: ([BeaconInterface]) -> Void
  private let onInterfaces: @Sendable ([NetworkInterface]) -> Void
  private let onBeacon: @Sendable ([UInt8], PeerAddress) -> Void
  private var filter: DatagramFilter
  private var members: [Member] = []
  private var interfaces: [NetworkInterface] = []
  private var chosen: [NetworkInterface] = []
  private var scanning: RepeatedTask?
  private var wasScanned = false

  /// A socket and its group.
  private final class Member {
    let socket: DatagramSocket
    var group: MulticastGroup

    init(_ socket: DatagramSocket, _ group: MulticastGroup) {
      self.socket = socket
      self.group = group
    }
  }

  init(
    loop: any EventLoop, id: NodeID, networkID: Digest, configuration: BeaconConfiguration,
    counters: TransportCounters, logger: Logger, onScan: @escaping ([BeaconInterface]) -> Void,
    onInterfaces: @escaping @Sendable ([NetworkInterface]) -> Void,
    onBeacon: @escaping @Sendable ([UInt8], PeerAddress) -> Void
  ) {
    self.loop = loop
    self.configuration = configuration
    self.counters = counters
    self.logger = logger
    self.onScan = onScan
    self.onInterfaces = onInterfaces
    self.onBeacon = onBeacon
    filter = DatagramFilter(
      id: id, networkID: networkID, limits: configuration.limits,
      secret: randomBytes(DatagramFilter.secretByteCount), now: .current())
  }

  /// Opens the sockets and looks at the interfaces, now and then again and again.
  func start() {
    for isIPv4 in [true, false] {
      // An IPv4 socket that is bound to the group gets nothing else. IPv6 would want a socket for each interface then.
      guard let group = configuration.group(isIPv4: isIPv4),
        let address = isIPv4 ? group : PeerAddress(ip: [UInt8](repeating: 0, count: 16), port: configuration.port)
      else { continue }
      let place = members.count
      let socket = DatagramSocket(
        address, loop: loop, options: .init(isShared: true), counters: counters, logger: logger,
        onOpen: { [weak self] _ in self?.opened(place) },
        onArrival: { [weak self] in self?.received($1, at: place) })
      members.append(Member(socket, MulticastGroup(group)))
    }
    scan()
    for member in members { member.socket.keepOpen() }
    let interval = TimeAmount(configuration.scanInterval)
    let bound = NIOLoopBound(self, eventLoop: loop)
    scanning = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value.scan() }
  }

  /// Sends a record on every interface, by each family that it has.
  func announce(_ record: [UInt8]) {
    guard let datagram = filter.sealBeacon(record) else { return counters.add("send.badLength") }
    for member in members {
      for interface in chosen where member.group.joined[interface.index] == 0 {
        for source in BeaconSockets.sources(on: interface, isIPv4: member.group.address.isIPv4) {
          member.socket.send(datagram, to: member.group.address, interface: interface.index, from: source)
        }
      }
    }
  }

  /// The addresses that a beacon leaves from: one of each IPv4 network of the interface, since by rule 2 it is heard in that
  /// alone. All of IPv6 have the link-local network, which the kernel chooses.
  static func sources(on interface: NetworkInterface, isIPv4: Bool) -> [PeerAddress?] {
    guard isIPv4 else { return [nil] }
    var networks: [NetworkInterface.Network] = []
    for network in interface.networks where network.address.isIPv4 {
      if !networks.contains(where: { $0.contains(network.address) }) { networks.append(network) }
    }
    return networks.prefix(BeaconConfiguration.maximumNetworks).map(\.address)
  }

  /// Closes the sockets for good.
  func stop() {
    scanning?.cancel()
    scanning = nil
    for member in members { member.socket.stop() }
    members = []
  }

  private func opened(_ place: Int) {
    guard members.indices.contains(place) else { return }
    members[place].group.opened(members[place].socket)
    join(members[place])
    report()
  }

  private func scan() {
    let found = NetworkInterface.all()
    if !wasScanned || found != interfaces {
      interfaces = found
      chosen = configuration.chosen(of: found)
      onInterfaces(found)
    }
    wasScanned = true
    for member in members { join(member) }
    report()
  }

  private func join(_ member: Member) {
    guard member.socket.isOpen else { return }
    let isIPv4 = member.group.address.isIPv4
    member.group.join(chosen.filter { $0.has(isIPv4: isIPv4) }.map(\.index), on: member.socket)
  }

  private func report() {
    func state(_ interface: NetworkInterface, isIPv4: Bool) -> BeaconInterface.State {
      guard interface.has(isIPv4: isIPv4) else { return .unused }
      let group = members.first { $0.group.address.isIPv4 == isIPv4 }?.group
      let error = group?.joined[interface.index] ?? ENOTCONN
      return error == 0 ? .joined : .failed(String(cString: strerror(error)))
    }
    onScan(
      chosen.map {
        BeaconInterface(name: $0.name, ipv4: state($0, isIPv4: true), ipv6: state($0, isIPv4: false))
      })
  }

  private func received(_ arrival: DatagramSocket.Arrival, at place: Int) {
    guard members.indices.contains(place) else { return }
    guard arrival.destination?.ip == members[place].group.address.ip else { return counters.add("notMulticast") }
    let networks = chosen.first { $0.index == arrival.interface }?.networks ?? []
    guard networks.contains(where: { $0.contains(arrival.source) }) else { return counters.add("notLocal") }
    let verdict = arrival.data.withUnsafeReadableBytes {
      filter.judge($0, from: arrival.source, isMulticast: true, underLoad: false, now: .current())
    }
    switch verdict {
    case .pass(let admitted):
      counters.add("received")
      onBeacon(admitted.payload, arrival.source)
    case .refuse(let refusal): counters.add(refusal.rawValue)
    // A beacon is never answered.
    case .reply, .resend: break
    }
  }
}
