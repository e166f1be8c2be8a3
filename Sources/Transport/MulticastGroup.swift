import Glibc
import NIOCore
import Wire

/// A socket's place in a multicast group, interface by interface (ip(7), ipv6(7)).
struct MulticastGroup {
  /// The group.
  let address: PeerAddress
  /// The interfaces that the group was joined on, by number: 0, or the error's number.
  private(set) var joined: [UInt32: CInt] = [:]

  init(_ address: PeerAddress) { self.address = address }

  /// Joins the group on all of `interfaces` where that is not done, and leaves it on all others.
  mutating func join(_ interfaces: [UInt32], on socket: DatagramSocket) {
    for interface in joined.keys.sorted() where !interfaces.contains(interface) {
      // One that has gone took its membership with it.
      if joined[interface] == 0 { _ = change(IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP, interface, on: socket) }
      joined[interface] = nil
    }
    for interface in interfaces where joined[interface] != 0 {
      joined[interface] = change(IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP, interface, on: socket)
    }
  }

  /// Begins anew on a socket that was opened: what leaves it goes no further than the next router, comes back to this host's
  /// other nodes, and only what comes by an interface that was joined is received.
  mutating func opened(_ socket: DatagramSocket) {
    joined = [:]
    if address.isIPv4 {
      set(IPPROTO_IP, IP_MULTICAST_TTL, 1, on: socket)
      set(IPPROTO_IP, IP_MULTICAST_LOOP, 1, on: socket)
      set(IPPROTO_IP, IP_MULTICAST_ALL, 0, on: socket)
    } else {
      set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, on: socket)
      set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, on: socket)
      set(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, on: socket)
    }
  }

  private func set(_ level: Int, _ name: CInt, _ value: CInt, on socket: DatagramSocket) {
    _ = socket.withDescriptor { descriptor in
      withUnsafePointer(to: value) {
        setsockopt(descriptor, CInt(level), name, $0, socklen_t(MemoryLayout<CInt>.size))
      }
    }
  }

  private func change(_ ipv4Name: CInt, _ ipv6Name: CInt, _ interface: UInt32, on socket: DatagramSocket) -> CInt {
    let result = socket.withDescriptor { descriptor -> CInt in
      let result: CInt
      if address.isIPv4 {
        var request = ip_mreqn()
        withUnsafeMutableBytes(of: &request.imr_multiaddr) { $0.copyBytes(from: address.ip) }
        request.imr_ifindex = CInt(bitPattern: interface)
        result = setsockopt(
          descriptor, CInt(IPPROTO_IP), ipv4Name, &request, socklen_t(MemoryLayout<ip_mreqn>.size))
      } else {
        var request = ipv6_mreq()
        withUnsafeMutableBytes(of: &request.ipv6mr_multiaddr) { $0.copyBytes(from: address.ip) }
        request.ipv6mr_interface = interface
        result = setsockopt(
          descriptor, CInt(IPPROTO_IPV6), ipv6Name, &request, socklen_t(MemoryLayout<ipv6_mreq>.size))
      }
      return result == 0 ? 0 : errno
    }
    return result ?? ENOTCONN
  }
}
