import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives
import Wire

// How a socket stays on the air, by the rules:
// 1. A datagram is written by sendmsg(2), not by NIO's write, since NIO closes the channel on most errors of a send and
//    some errors (no route, forbidden by a filter) cannot be foreseen.
// 2. If a channel closes all the same, it is bound again to the same address, at once and then with growing pauses.
// 3. Reads are in batches. NIO divides the receive buffer by the number of messages in a batch, so the buffer is sized
//    for a batch of slots, and a slot is longer than the longest datagram: what is too long shows, and is refused.

/// A UDP socket. Lives on its event loop.
final class DatagramSocket {
  private static let batchCount = 32
  private static let slotByteCount = 2_048
  private static let firstRebindDelay = Microseconds.milliseconds(20)
  private static let longestRebindDelay = Microseconds.seconds(5)

  /// What came in.
  struct Arrival {
    /// Its bytes.
    var data: ByteBuffer
    /// Where it says it comes from.
    var source: PeerAddress
    /// The address that it was sent to; the port is this socket's.
    var destination: PeerAddress?
    /// The number of the interface that it came by; 0 when that is not known.
    var interface: UInt32
  }

  /// How a socket is made.
  struct Options {
    /// Bytes that the kernel may hold until they are read; nil leaves its default.
    var receiveBufferByteCount: Int?
    /// Others on this host may bind the same address: for multicast, which all of them get.
    var isShared = false
  }

  private let loop: any EventLoop
  private let counters: TransportCounters
  private let logger: Logger
  private let options: Options
  private let onOpen: (DatagramSocket) -> Void
  private let onArrival: (DatagramSocket, Arrival) -> Void
  private var channel: (any Channel)?
  private var isStopped = false
  /// The address bound, with the port that the system chose where 0 was asked for.
  private(set) var address: PeerAddress

  /// - Parameters:
  ///   - onOpen: called each time that it is bound, also again.
  ///   - onArrival: called for each datagram.
  init(
    _ address: PeerAddress, loop: any EventLoop, options: Options, counters: TransportCounters, logger: Logger,
    onOpen: @escaping (DatagramSocket) -> Void = { _ in },
    onArrival: @escaping (DatagramSocket, Arrival) -> Void
  ) {
    self.address = address
    self.loop = loop
    self.options = options
    self.counters = counters
    self.logger = logger
    self.onOpen = onOpen
    self.onArrival = onArrival
  }

  /// Binds the socket. The future fails with NIO's error.
  func open() -> EventLoopFuture<Void> {
    let bound = NIOLoopBound(self, eventLoop: loop)
    return makeChannel().map { bound.value.adopt($0) }
  }

  /// Binds the socket, now and whenever that fails once more after a pause.
  func keepOpen() { bindAgain(delay: DatagramSocket.firstRebindDelay) }

  /// Closes the socket for good.
  func stop() {
    isStopped = true
    channel?.close(promise: nil)
  }

  /// True while it is bound.
  var isOpen: Bool { channel != nil }

  /// Sends a datagram. Every failure is counted; none has a consequence.
  ///
  /// - Parameters:
  ///   - interface: the number of the one that it leaves by; 0 for the routing table's choice.
  ///   - source: the own address that it leaves from, of the target's family; nil for the kernel's choice.
  /// - Returns: the error's number, 0 when the kernel took it.
  @discardableResult
  func send(
    _ datagram: [UInt8], to target: PeerAddress, interface: UInt32 = 0, from source: PeerAddress? = nil
  ) -> CInt {
    let result = withDescriptor { descriptor -> Int in
      linnet_send_datagram(
        descriptor, datagram, datagram.count, target.ip, target.ip.count, target.port, interface,
        source?.ip)
    }
    guard let result else {
      counters.add("noSocket")
      return ENOTCONN
    }
    counters.add(result < 0 ? "sendFailed" : "sent")
    return result < 0 ? CInt(-result) : 0
  }

  /// Gives the descriptor to `body`; nil while the socket is not bound.
  func withDescriptor<Answer>(_ body: (CInt) -> Answer) -> Answer? {
    try? channel?.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { body($0) }
  }

  /// For tests: writes through NIO, which closes the channel on an error.
  func writeThroughChannel(_ datagram: [UInt8], to address: SocketAddress) {
    channel?.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: datagram)), promise: nil)
  }

  fileprivate func received(_ envelope: AddressedEnvelope<ByteBuffer>) {
    guard let source = PeerAddress(envelope.remoteAddress) else { return }
    let way = envelope.metadata?.packetInfo
    onArrival(
      self,
      Arrival(
        data: envelope.data, source: source,
        destination: way.flatMap { PeerAddress($0.destinationAddress) }.flatMap {
          PeerAddress(ip: $0.ip, port: address.port)
        },
        interface: UInt32(clamping: way?.interfaceIndex ?? 0)))
  }

  private func makeChannel() -> EventLoopFuture<any Channel> {
    let bound = NIOLoopBound(self, eventLoop: loop)
    let socketAddress: SocketAddress
    do { socketAddress = try address.socketAddress() } catch { return loop.makeFailedFuture(error) }
    var bootstrap = DatagramBootstrap(group: loop)
      .channelOption(.datagramVectorReadMessageCount, value: DatagramSocket.batchCount)
      .channelOption(
        .recvAllocator,
        value: FixedSizeRecvByteBufferAllocator(
          capacity: DatagramSocket.batchCount * DatagramSocket.slotByteCount))
    if options.isShared { bootstrap = bootstrap.channelOption(.socketOption(.so_reuseaddr), value: 1) }
    if !address.isIPv4 {
      // An IPv6 socket that also took IPv4 would collide with the IPv4 socket on the same port.
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
      .flatMap { channel in
        // Only a bound channel knows its family, which the option asks for. Without it answers leave from the address of
        // the kernel's choice.
        channel.setOption(.receivePacketInfo, value: true).recover { _ in }.map { channel }
      }
  }

  private func adopt(_ channel: any Channel) {
    guard !isStopped else { return channel.close(promise: nil) }
    self.channel = channel
    address = channel.localAddress.flatMap { PeerAddress($0) } ?? address
    if let byteCount = options.receiveBufferByteCount { giveReceiveBuffer(byteCount) }
    let bound = NIOLoopBound(self, eventLoop: loop)
    channel.closeFuture.whenComplete { _ in bound.value.lost() }
    onOpen(self)
  }

  private func giveReceiveBuffer(_ byteCount: Int) {
    var wanted = CInt(clamping: byteCount)
    let size = socklen_t(MemoryLayout<CInt>.size)
    let given = withDescriptor { descriptor -> CInt in
      // Root may go beyond the host's limit, which is a twentieth of what is wanted on most hosts.
      if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, size) != 0 {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &wanted, size)
      }
      var given: CInt = 0
      var length = size
      getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &given, &length)
      return given
    }
    // The kernel doubles what it is asked for, to have room for its own notes.
    guard let given, given < wanted else { return }
    counters.add("smallBuffer")
    logger.info(
      "the kernel holds few datagrams for this node, so that a burst may lose some: raise net.core.rmem_max",
      metadata: ["address": "\(address)", "bytes": "\(given)", "wanted": "\(wanted)"])
  }

  private func lost() {
    guard !isStopped else { return }
    channel = nil
    counters.add("socketLost")
    logger.warning("UDP socket closed by an error, binding it again", metadata: ["address": "\(address)"])
    bindAgain(delay: DatagramSocket.firstRebindDelay)
  }

  private func bindAgain(delay: Microseconds) {
    guard !isStopped else { return }
    let bound = NIOLoopBound(self, eventLoop: loop)
    makeChannel().whenComplete { result in
      let socket = bound.value
      switch result {
      case .success(let channel):
        socket.adopt(channel)
        if socket.isOpen { socket.counters.add("bound") }
      case .failure(let error):
        guard !socket.isStopped else { return }
        socket.counters.add("bindFailed")
        socket.logger.log(
          level: delay == DatagramSocket.firstRebindDelay ? .warning : .debug, "cannot bind a UDP socket",
          metadata: ["address": "\(socket.address)", "error": "\(error)"])
        socket.loop.scheduleTask(in: TimeAmount(delay)) {
          bound.value.bindAgain(delay: min(delay * 2, DatagramSocket.longestRebindDelay))
        }
      }
    }
  }
}

extension PeerAddress {
  /// True for the address that stands for all of a host's.
  var isUnspecified: Bool { ip.allSatisfy { $0 == 0 } }
}

/// Hands what a socket receives to it.
private final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  private let socket: DatagramSocket

  init(_ socket: DatagramSocket) { self.socket = socket }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { socket.received(unwrapInboundIn(data)) }

  // An error of a single datagram; the channel's end, if it is one, shows in its close future.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
