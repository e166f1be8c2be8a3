import Transport
import Wire

/// The addresses of this host's interfaces.
enum HostAddresses {
  /// What others may dial of what is listened on, an unspecified address standing for those of the interfaces that are
  /// switched on.
  static func reachable(listening: [PeerAddress]) -> [PeerAddress] {
    listening.flatMap { address in
      address.ip.contains { $0 != 0 } ? [address] : all(isIPv4: address.isIPv4, port: address.port)
    }
  }

  /// True when an interface other than loopback is up and has an address.
  static var hasNetwork: Bool {
    [true, false].contains { isIPv4 in all(isIPv4: isIPv4, port: 1).contains { !$0.isLoopback } }
  }

  /// The addresses of one family that others may reach, loopback only when there is nothing else. A link-local one means
  /// nothing without its link.
  static func all(isIPv4: Bool, port: UInt16) -> [PeerAddress] {
    let addresses = NetworkInterface.all().filter(\.isEnabled).flatMap(\.networks).map(\.address)
      .filter { $0.isIPv4 == isIPv4 && !$0.isLinkLocal }
      .compactMap { PeerAddress(ip: $0.ip, port: port) }
    let reachable = addresses.filter { !$0.isLoopback }
    return reachable.isEmpty ? addresses : reachable
  }
}
