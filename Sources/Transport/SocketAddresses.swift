import NIOCore
import Primitives
import Wire

extension PeerAddress {
  /// The address of a socket; nil for a socket that is not an IP socket.
  init?(_ address: SocketAddress) {
    guard let port = address.port.flatMap(UInt16.init(exactly:)) else { return nil }
    switch address {
    case .v4(let address):
      self.init(ip: withUnsafeBytes(of: address.address.sin_addr) { Array($0) }, port: port)
    case .v6(let address):
      self.init(ip: withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }, port: port)
    case .unixDomainSocket:
      return nil
    }
  }

  /// What NIO calls the address.
  ///
  /// - Throws: `TransportError` with code `unusableAddress`.
  func socketAddress() throws(TransportError) -> SocketAddress {
    do {
      return try SocketAddress(packedIPAddress: ByteBuffer(bytes: ip), port: Int(port))
    } catch {
      throw TransportError(.unusableAddress, "\(self) is not an address of a socket.", cause: "\(error)")
    }
  }
}

extension Instant {
  /// This process's monotonic clock.
  static func current() -> Instant {
    Instant(microseconds: Int64(NIODeadline.now().uptimeNanoseconds / 1_000))
  }
}

extension TimeAmount {
  init(_ span: Microseconds) { self = .microseconds(span.count) }
}
