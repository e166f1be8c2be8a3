import Glibc
import Wire

/// The addresses of this host's interfaces.
enum HostAddresses {
  /// What others may dial of what is listened on, an unspecified address standing for those of the interfaces that are up.
  static func reachable(listening: [PeerAddress]) -> [PeerAddress] {
    listening.flatMap { address in
      address.ip.contains { $0 != 0 } ? [address] : all(isIPv4: address.isIPv4, port: address.port)
    }
  }

  /// True when an interface other than loopback is up and has an address.
  static var hasNetwork: Bool {
    [true, false].contains { isIPv4 in all(isIPv4: isIPv4, port: 1).contains { !$0.isLoopback } }
  }

  /// The addresses of one family that others may reach, loopback only when there is nothing else.
  static func all(isIPv4: Bool, port: UInt16) -> [PeerAddress] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var addresses: [PeerAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let socket = entry.pointee.ifa_addr, entry.pointee.ifa_flags & UInt32(IFF_UP) != 0 else {
        continue
      }
      let ip: [UInt8]
      switch Int32(socket.pointee.sa_family) {
      case AF_INET where isIPv4:
        ip = socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in
          withUnsafeBytes(of: v4.pointee.sin_addr) { Array($0) }
        }
      case AF_INET6 where !isIPv4:
        ip = socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in
          withUnsafeBytes(of: v6.pointee.sin6_addr) { Array($0) }
        }
        // A link-local address means nothing without the link.
        if ip[0] == 0xfe, ip[1] & 0xc0 == 0x80 { continue }
      default: continue
      }
      if let address = PeerAddress(ip: ip, port: port) { addresses.append(address) }
    }
    let reachable = addresses.filter { !$0.isLoopback }
    return reachable.isEmpty ? addresses : reachable
  }
}
