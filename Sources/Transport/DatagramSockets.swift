import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives
import Wire

// How an endpoint stays on the air, by the rules:
// 1. A datagram is written by sendto(2), not by NIO's write, since NIO closes the channel on most errors of a send and
//    some errors (no route, forbidden by a filter) cannot be foreseen.
// 2. If a channel closes all the same, it is bound again to the same address, at once and then with growing pauses.
// 3. Reads are in batches. NIO divides the receive buffer by the number of messages in a batch, so the buffer is sized
//    for a batch of slots, and a slot is longer than the longest datagram: what is too long shows, and is refused.

/// The UDP sockets of one endpoint. Lives on its event loop.
final class DatagramSockets {
  private static let batchCount = 32
  private static let slotByteCount = 2_048
  private static let firstRebindDelay = Microseconds.milliseconds(20)
  private static let longestRebindDelay = Microseconds.seconds(5)

  private struct Socket {
    var address: PeerAddress
    var channel: (any Channel)?
  }

  private let loop: any EventLoop
  private let counters: TransportCounters
  private let logger: Logger
  private let tag: DatagramTag
  private let onDatagram: @Sendable ([UInt8], PeerAddress) -> Void
  private var limiter: SourceLimiter
  private var sockets: [Socket] = []
  private(set) var isStopped = false

  init(
    loop: any EventLoop, counters: TransportCounters, logger: Logger, tag: DatagramTag,
    configuration: DatagramConfiguration, onDatagram: @escaping @Sendable ([UInt8], PeerAddress) -> Void
  ) {
    self.loop = loop
    self.counters = counters
    self.logger = logger
    self.tag = tag
    self.onDatagram = onDatagram
    limiter = SourceLimiter(
      known: .init(ratePerSecond: configuration.knownPerSecond, burst: configuration.knownBurst),
      prefix: .init(ratePerSecond: configuration.prefixPerSecond, burst: configuration.prefixBurst),
      unknown: .init(ratePerSecond: configuration.unknownPerSecond, burst: configuration.unknownBurst),
      now: .current())
  }

  /// The addresses bound, with the ports that the system chose.
  var addresses: [PeerAddress] { sockets.map(\.address) }

  /// Binds a socket. The future fails with NIO's error.
  func bind(_ address: PeerAddress) -> EventLoopFuture<Void> {
    let bound = NIOLoopBound(self, eventLoop: loop)
    return open(address).map { channel in
      let address = channel.localAddress.flatMap { PeerAddress($0) } ?? address
      bound.value.adopt(channel, as: address)
    }
  }

  /// Writes a datagram to a validated address. Every failure is counted; none has a consequence.
  func write(_ datagram: [UInt8], to address: PeerAddress) {
    guard let channel = sockets.first(where: { $0.address.isIPv4 == address.isIPv4 })?.channel else {
      return counters.add("datagram.noSocket")
    }
    let result = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
      DatagramSockets.send(datagram, to: address, on: $0)
    }
    guard let result, result >= 0 else { return counters.add("datagram.sendFailed") }
    counters.add("datagram.sent")
  }

  /// Gives a source its own allowance.
  func learn(_ source: PeerAddress) {
    if !limiter.learn(source, now: .current()) { counters.add("datagram.tooManyKnown") }
  }

  /// Takes the allowance of its own from a source.
  func forget(_ source: PeerAddress) { limiter.forget(source) }

  /// Leaves a source no allowance for now.
  func penalise(_ source: PeerAddress) { limiter.empty(source, now: .current()) }

  /// Closes all sockets for good.
  func stop() {
    isStopped = true
    for socket in sockets { socket.channel?.close(promise: nil) }
  }

  /// Writes through NIO, which closes the channel on an error: how tests bring that about.
  func writeThroughChannel(_ datagram: [UInt8], to address: SocketAddress) {
    guard let channel = sockets.first?.channel else { return }
    channel.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: datagram)), promise: nil)
  }

  fileprivate func received(_ envelope: AddressedEnvelope<ByteBuffer>) {
    let data = envelope.data
    guard let source = PeerAddress(envelope.remoteAddress) else { return }
    guard data.readableBytes > DatagramConfiguration.tagByteCount else { return counters.add("datagram.truncated") }
    guard data.readableBytes <= DatagramConfiguration.maximumByteCount else {
      return counters.add("datagram.oversized")
    }
    guard let payload = data.withUnsafeReadableBytes({ tag.payload(of: $0) }) else {
      return counters.add("datagram.wrongTag")
    }
    guard limiter.admit(source, now: .current()) else { return counters.add("datagram.limited") }
    counters.add("datagram.received")
    onDatagram(payload, source)
  }

  private func open(_ address: PeerAddress) -> EventLoopFuture<any Channel> {
    let bound = NIOLoopBound(self, eventLoop: loop)
    let socketAddress: SocketAddress
    do { socketAddress = try address.socketAddress() } catch { return loop.makeFailedFuture(error) }
    var bootstrap = DatagramBootstrap(group: loop)
      .channelOption(.datagramVectorReadMessageCount, value: DatagramSockets.batchCount)
      .channelOption(
        .recvAllocator,
        value: FixedSizeRecvByteBufferAllocator(
          capacity: DatagramSockets.batchCount * DatagramSockets.slotByteCount))
    if !address.isIPv4 {
      bootstrap = bootstrap.channelOption(
        ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
    }
    return
      bootstrap
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(DatagramHandler(bound.value))
        }
      }
      .bind(to: socketAddress)
  }

  private func adopt(_ channel: any Channel, as address: PeerAddress) {
    guard !isStopped else { return channel.close(promise: nil) }
    if let index = sockets.firstIndex(where: { $0.address == address }) {
      sockets[index].channel = channel
    } else {
      sockets.append(Socket(address: address, channel: channel))
    }
    let bound = NIOLoopBound(self, eventLoop: loop)
    channel.closeFuture.whenComplete { _ in bound.value.lost(address) }
  }

  private func lost(_ address: PeerAddress) {
    guard !isStopped, let index = sockets.firstIndex(where: { $0.address == address }) else { return }
    sockets[index].channel = nil
    counters.add("datagram.socketLost")
    logger.warning("UDP socket closed by an error, binding it again", metadata: ["address": "\(address)"])
    rebind(address, delay: DatagramSockets.firstRebindDelay)
  }

  private func rebind(_ address: PeerAddress, delay: Microseconds) {
    let bound = NIOLoopBound(self, eventLoop: loop)
    open(address).whenComplete { result in
      let sockets = bound.value
      guard !sockets.isStopped else {
        if case .success(let channel) = result { channel.close(promise: nil) }
        return
      }
      switch result {
      case .success(let channel):
        sockets.counters.add("datagram.rebound")
        sockets.adopt(channel, as: address)
      case .failure(let error):
        sockets.counters.add("datagram.rebindFailed")
        sockets.logger.error(
          "cannot bind the UDP socket again", metadata: ["address": "\(address)", "error": "\(error)"])
        sockets.loop.scheduleTask(in: TimeAmount(delay)) {
          guard !bound.value.isStopped else { return }
          bound.value.rebind(address, delay: min(delay * 2, DatagramSockets.longestRebindDelay))
        }
      }
    }
  }

  private static func send(_ datagram: [UInt8], to address: PeerAddress, on descriptor: NIOBSDSocket.Handle) -> Int {
    func send(_ target: UnsafeRawPointer, _ byteCount: Int) -> Int {
      sendto(
        descriptor, datagram, datagram.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL),
        target.assumingMemoryBound(to: sockaddr.self), socklen_t(byteCount))
    }
    if address.isIPv4 {
      var target = sockaddr_in()
      target.sin_family = sa_family_t(AF_INET)
      target.sin_port = address.port.bigEndian
      withUnsafeMutableBytes(of: &target.sin_addr) { $0.copyBytes(from: address.ip) }
      return withUnsafeBytes(of: target) { bytes in bytes.baseAddress.map { send($0, bytes.count) } ?? -1 }
    }
    var target = sockaddr_in6()
    target.sin6_family = sa_family_t(AF_INET6)
    target.sin6_port = address.port.bigEndian
    withUnsafeMutableBytes(of: &target.sin6_addr) { $0.copyBytes(from: address.ip) }
    return withUnsafeBytes(of: target) { bytes in bytes.baseAddress.map { send($0, bytes.count) } ?? -1 }
  }
}

/// Hands what a socket receives to its endpoint.
private final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  private let sockets: DatagramSockets

  init(_ sockets: DatagramSockets) { self.sockets = sockets }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { sockets.received(unwrapInboundIn(data)) }

  // An error of a single datagram; the channel's end, if it is one, shows in its close future.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
