import Glibc
import Wire

/// A network interface of this host.
package struct NetworkInterface: Sendable, Equatable {
  /// An address of an interface and how many of its bits name the network.
  package struct Network: Sendable, Equatable {
    /// The address; its port says nothing.
    package var address: PeerAddress
    /// The bits that all addresses of the network begin with.
    package var prefixBitCount: Int

    /// An address of an interface.
    package init(address: PeerAddress, prefixBitCount: Int) {
      self.address = address
      self.prefixBitCount = prefixBitCount
    }

    /// True when the other address is of the same network.
    package func contains(_ other: PeerAddress) -> Bool {
      guard other.isIPv4 == address.isIPv4 else { return false }
      for (index, (left, right)) in zip(address.ip, other.ip).enumerated() {
        let bitCount = min(8, prefixBitCount - index * 8)
        guard bitCount > 0 else { return true }
        if (left ^ right) >> (8 - UInt8(bitCount)) != 0 { return false }
      }
      return true
    }
  }

  /// Its name.
  package var name: String
  /// Its number.
  package var index: UInt32
  /// True when it is switched on.
  package var isEnabled: Bool
  /// True when it is switched on and has a carrier.
  package var isUp: Bool
  /// True for the one that leads back to this host.
  package var isLoopback: Bool
  /// True when it can send to many at once.
  package var hasMulticast: Bool
  /// Its addresses, in the kernel's order.
  package var networks: [Network]

  /// An interface.
  package init(
    name: String, index: UInt32, isEnabled: Bool, isUp: Bool, isLoopback: Bool, hasMulticast: Bool, networks: [Network]
  ) {
    self.name = name
    self.index = index
    self.isEnabled = isEnabled
    self.isUp = isUp
    self.isLoopback = isLoopback
    self.hasMulticast = hasMulticast
    self.networks = networks
  }

  /// True when it has an address of the family.
  package func has(isIPv4: Bool) -> Bool { networks.contains { $0.address.isIPv4 == isIPv4 } }

  /// All interfaces of this host that have an address, in the order of their numbers; empty when the kernel does not say.
  package static func all() -> [NetworkInterface] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: [UInt32: NetworkInterface] = [:]
    var next = list
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard let name = entry.ifa_name, let address = PeerAddress(entry.ifa_addr, port: 0) else { continue }
      let index = if_nametoindex(name)
      // It has gone since.
      guard index != 0 else { continue }
      func has(_ flag: Int) -> Bool { entry.ifa_flags & UInt32(flag) != 0 }
      let mask = entry.ifa_netmask.flatMap(PeerAddress.bytes) ?? []
      let network = Network(address: address, prefixBitCount: mask.reduce(0) { $0 + $1.nonzeroBitCount })
      found[
        index,
        default: NetworkInterface(
          name: String(cString: name), index: index, isEnabled: has(Flag.up), isUp: has(Flag.up) && has(Flag.running),
          isLoopback: has(Flag.loopback), hasMulticast: has(Flag.multicast), networks: [])
      ].networks.append(network)
    }
    return found.values.sorted { $0.index < $1.index }
  }

  /// `IFF_*` of netdevice(7), which C has as an enumeration and as macros.
  private enum Flag {
    static let up = 0x1
    static let loopback = 0x8
    static let running = 0x40
    static let multicast = 0x1000
  }
}

extension PeerAddress {
  /// The address of a socket address, with another port; nil for another family, and for none.
  package init?(_ socket: UnsafeMutablePointer<sockaddr>?, port: UInt16) {
    guard let ip = socket.flatMap(PeerAddress.bytes) else { return nil }
    self.init(ip: ip, port: port)
  }

  /// The bytes of an address, or of a mask, in a socket address; nil for another family.
  fileprivate static func bytes(of socket: UnsafeMutablePointer<sockaddr>) -> [UInt8]? {
    switch Int32(socket.pointee.sa_family) {
    case AF_INET:
      socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in
        withUnsafeBytes(of: v4.pointee.sin_addr) { Array($0) }
      }
    case AF_INET6:
      socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in
        withUnsafeBytes(of: v6.pointee.sin6_addr) { Array($0) }
      }
    default: nil
    }
  }
}
