import LinkProtocol
import Primitives
import Wire

/// Where a node's beacons go, and on which interfaces.
package struct BeaconConfiguration: Sendable {
  /// The port of beacons. It is theirs alone: several nodes of a host share it, and unicast datagrams would reach only one
  /// of those who share a port.
  package static let port: UInt16 = 7_448
  /// The most interfaces that beacons are sent on; those with the lowest numbers are taken.
  static let maximumInterfaces = 64
  /// The most IPv4 networks of one interface that beacons are sent to.
  static let maximumNetworks = 4

  /// The group of IPv4, of the range for an organisation's own use (RFC 2365).
  package var ipv4Group: [UInt8] = [239, 76, 78, 7]
  /// The group of IPv6, which no router forwards (RFC 4291, section 2.7).
  package var ipv6Group: [UInt8] = [0xff, 0x02] + [UInt8](repeating: 0, count: 10) + [0x4c, 0x4e, 0, 7]
  /// The port.
  package var port = BeaconConfiguration.port
  /// How often the host's interfaces are looked at.
  package var scanInterval = Microseconds.seconds(5)
  /// True to send beacons to this host alone.
  package var isLoopback = false
  /// How much of what arrives is let through.
  package var limits = DatagramLimits()

  /// The defaults.
  package init() {}

  /// The interfaces that beacons are sent on: those that lead to others and are up. The loopback interface has no multicast
  /// flag, and takes it all the same.
  func chosen(of interfaces: [NetworkInterface]) -> [NetworkInterface] {
    let usable = interfaces.filter { interface in
      interface.isUp && interface.isLoopback == isLoopback && (interface.hasMulticast || interface.isLoopback)
    }
    return Array(usable.prefix(BeaconConfiguration.maximumInterfaces))
  }

  func group(isIPv4: Bool) -> PeerAddress? { PeerAddress(ip: isIPv4 ? ipv4Group : ipv6Group, port: port) }
}

/// An interface that beacons are sent on.
package struct BeaconInterface: Sendable, Equatable {
  /// Whether beacons of one family are heard and sent.
  package enum State: Sendable, Equatable {
    /// The interface has no address of the family.
    case unused
    /// They are.
    case joined
    /// They are not: the kernel's reason.
    case failed(String)
  }

  /// The interface's name.
  package var name: String
  /// Its state for IPv4.
  package var ipv4: State
  /// Its state for IPv6.
  package var ipv6: State
}
