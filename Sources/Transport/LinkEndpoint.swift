import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Wire

/// A node's links: one long-lived TCP connection to each of some nodes, whoever dialled, used both ways, encrypted and
/// authenticated by a Noise handshake.
///
/// All links of an endpoint live on one event loop, and events come from it one at a time; the handler must not block.
/// ```swift
/// let endpoint = try LinkEndpoint(identity: key, networkID: network, group: group, logger: logger) { event in … }
/// try await endpoint.start(listen: [address])
/// endpoint.dial(other, expecting: id)
/// endpoint.send(vote, channel: .consensus, to: id)
/// ```
package final class LinkEndpoint: Sendable {
  // Bytes that wait below the queues, where priority no longer helps: in NIO's buffer and, not yet sent, in the kernel.
  private static let writeBufferLow = 32 * 1_024
  private static let writeBufferHigh = 64 * 1_024
  private static let kernelUnsentByteCount = 64 * 1_024
  private static let backlog = 256
  private static let ticksPerPingInterval: Int64 = 4

  private enum Phase { case new, starting, running([any Channel], RepeatedTask), stopped }

  private let loop: any EventLoop
  private let registry: NIOLoopBoundBox<LinkRegistry>
  private let counted: TransportCounters
  private let routes: LinkRoutes
  private let phase = Mutex(Phase.new)
  private let configuration: LinkConfiguration

  /// An endpoint that is not started.
  ///
  /// - Parameters:
  ///   - identity: the node's key.
  ///   - networkID: the hash of the genesis document: only nodes of the same network get a link.
  ///   - group: where the one event loop is taken from; it must outlive the endpoint's `shutdown`.
  ///   - onEvent: called on the event loop for everything that happens, in order. It must not block.
  /// - Throws: `TransportError` with code `internalFailure` when there is no memory for a key.
  package init(
    identity: SigningKey, networkID: Digest, configuration: LinkConfiguration = LinkConfiguration(),
    group: any EventLoopGroup, logger: Logger, onEvent: @escaping @Sendable (LinkEvent) -> Void
  ) throws(TransportError) {
    let loop = group.next()
    let staticKey: KeyAgreementKey
    do { staticKey = try KeyAgreementKey.generate() } catch {
      throw TransportError(.internalFailure, "Cannot make the key of this node's links.", cause: error.message)
    }
    let counted = TransportCounters()
    let routes = LinkRoutes()
    self.loop = loop
    self.counted = counted
    self.routes = routes
    self.configuration = configuration
    registry = NIOLoopBoundBox.makeBoxSendingValue(
      LinkRegistry(
        identity: identity, networkID: networkID, staticKey: staticKey, configuration: configuration,
        counters: counted, logger: logger, onEvent: onEvent, onRoute: { routes.set($0, $1) }), eventLoop: loop)
  }

  /// Listens on all of `addresses` (none is fine: the node then only dials) and begins to keep links alive.
  ///
  /// - Throws: `TransportError` with code `addressInUse` or `cannotListen`, naming the address; nothing is listened on
  ///   then, and `start` may be called again. `alreadyStarted` for a second call.
  package func start(listen addresses: [PeerAddress]) async throws(TransportError) {
    let isFirst = phase.withLock { phase in
      guard case .new = phase else { return false }
      phase = .starting
      return true
    }
    guard isFirst else { throw TransportError(.alreadyStarted, "The endpoint was started before.") }
    var listeners: [any Channel] = []
    for address in addresses {
      do throws(TransportError) {
        listeners.append(try await listen(on: address))
      } catch {
        for listener in listeners { try? await listener.close() }
        phase.withLock { $0 = .new }
        throw error
      }
    }
    let tick = TimeAmount(configuration.pingInterval / LinkEndpoint.ticksPerPingInterval)
    let task = loop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { [registry] _ in registry.value.tick() }
    phase.withLock { $0 = .running(listeners, task) }
  }

  /// The addresses listened on, with the ports that the system chose where 0 was asked for.
  package var listening: [PeerAddress] {
    phase.withLock { phase in
      guard case .running(let listeners, _) = phase else { return [] }
      return listeners.compactMap { $0.localAddress.flatMap { PeerAddress($0) } }
    }
  }

  /// Connects to a node. The result is an event: `up`, or `dialFailed` with the reason.
  ///
  /// - Parameter id: who must answer there; nil takes whoever does.
  package func dial(_ address: PeerAddress, expecting id: NodeID?) {
    loop.execute { self.dialOnLoop(LinkHandler.Dial(address: address, expecting: id)) }
  }

  /// Queues a frame of at most `LinkConfiguration.maximumFrameByteCount` bytes. Callable from any thread.
  ///
  /// - Returns: false when there is no link to the node, the frame is too long, or the channel is full; each is
  ///   counted. True is no promise of delivery: a link that goes down takes its queue with it.
  @discardableResult
  package func send(_ bytes: [UInt8], channel: LinkChannel, to id: NodeID) -> Bool {
    guard bytes.count <= LinkConfiguration.maximumFrameByteCount else {
      counted.add("send.oversizedFrame")
      return false
    }
    guard let port = routes[id] else {
      counted.add("send.noLink")
      return false
    }
    switch port.send(bytes, on: channel) {
    case .accepted: return true
    case .acceptedDropping(let count):
      counted.add("send.dropped.\(channel)", UInt64(count))
      return true
    case .refused:
      counted.add("send.full.\(channel)")
      return false
    }
  }

  /// A frame that was received has been dealt with, or dropped. Callable from any thread; to be called once for each, in
  /// any order.
  ///
  /// - Parameter byteCount: the frame's bytes.
  package func consumed(_ byteCount: Int, channel: LinkChannel, from id: NodeID) {
    routes.consumed(byteCount, channel, from: id)
  }

  /// Closes the link to a node, if there is one; `down` follows with the reason.
  ///
  /// - Parameter notice: what the other side is told.
  package func close(_ id: NodeID, reason: String, notice: LinkNotice = .normal) {
    loop.execute { [registry] in registry.value.close(id, .requested(reason), notice: notice) }
  }

  /// Gives a node no link for some time: dials to it fail with `banned`, and its own are closed. A link that there is
  /// stays until it is closed. Holds for the latest 4,096 nodes.
  package func ban(_ id: NodeID, for span: Microseconds) {
    loop.execute { [registry] in registry.value.ban(id, until: .current() + span) }
  }

  /// Says whose links come first when there is no room for all: the validators'. Replaces what was said before.
  package func prefer(_ ids: Set<NodeID>) {
    loop.execute { [registry] in registry.value.preferred = ids }
  }

  /// The links that are up, in the order of their nodes' ids.
  package var links: [LinkInfo] { routes.all.map(\.info).sorted { $0.id < $1.id } }

  /// What was refused, dropped or went wrong, by name, in the order of the names.
  package var counters: [(String, UInt64)] { counted.all }

  /// Closes all links and stops listening. Returns when no event can follow, and the other sides had time to read why.
  package func shutdown() async {
    let running = phase.withLock { phase -> ([any Channel], RepeatedTask)? in
      defer { phase = .stopped }
      guard case .running(let listeners, let task) = phase else { return nil }
      return (listeners, task)
    }
    guard let (listeners, task) = running else { return }
    task.cancel()
    for listener in listeners { try? await listener.close() }
    // The loop takes work as long as its group lives, which is a duty of the caller.
    try? await loop.flatSubmit { [loop, registry] in registry.value.shutdown(loop) }.get()
  }

  private var isRunning: Bool {
    phase.withLock { phase in
      if case .running = phase { return true }
      return false
    }
  }

  private func listen(on address: PeerAddress) async throws(TransportError) -> any Channel {
    let socketAddress = try address.socketAddress()
    var bootstrap = ServerBootstrap(group: loop, childGroup: loop)
      .serverChannelOption(.backlog, value: CInt(LinkEndpoint.backlog))
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { [registry] channel in
        guard let remote = channel.remoteAddress.flatMap({ PeerAddress($0) }),
          let handler = registry.value.accept(from: remote)
        else {
          return channel.eventLoop.makeFailedFuture(
            TransportError(.tooManyHandshakes, "Too many connections are being made: closed unread."))
        }
        return channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler) }
      }
    if !address.isIPv4 {
      // An IPv6 socket that also took IPv4 would collide with the IPv4 socket on the same port.
      bootstrap = bootstrap.serverChannelOption(
        ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
    }
    for (option, value) in LinkEndpoint.tcpOptions { bootstrap = bootstrap.childChannelOption(option, value: value) }
    bootstrap = bootstrap.childChannelOption(.writeBufferWaterMark, value: LinkEndpoint.waterMark)
    do {
      return try await bootstrap.bind(to: socketAddress).get()
    } catch {
      throw .listening(on: address, failed: error, what: "links (TCP)")
    }
  }

  private func dialOnLoop(_ dial: LinkHandler.Dial) {
    let registry = registry.value
    do throws(TransportError) {
      guard isRunning else { throw TransportError(.notRunning, "The endpoint is not running.") }
      let handler = try registry.prepare(dial)
      let socketAddress: SocketAddress
      do { socketAddress = try dial.address.socketAddress() } catch { return handler.fail(error) }
      let bound = NIOLoopBound(handler, eventLoop: loop)
      var bootstrap = ClientBootstrap(group: loop)
        .connectTimeout(TimeAmount(configuration.handshakeTimeout))
        .channelOption(.writeBufferWaterMark, value: LinkEndpoint.waterMark)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
        }
      for (option, value) in LinkEndpoint.tcpOptions { bootstrap = bootstrap.channelOption(option, value: value) }
      if let source = loopbackSource(to: dial.address) { bootstrap = bootstrap.bind(to: source) }
      bootstrap.connect(to: socketAddress).whenFailure { error in
        bound.value.fail(
          TransportError(.connectFailed, "Cannot connect to \(dial.address).", cause: TransportError.cause(error)))
      }
    } catch {
      registry.dialFailed(dial, error)
    }
  }

  /// Nodes of one machine are told apart by their addresses, and are dialled back where a link comes from: it comes from
  /// where its node listens. Elsewhere the routes decide.
  private func loopbackSource(to address: PeerAddress) -> SocketAddress? {
    guard address.isLoopback else { return nil }
    let own = listening.first { $0.isLoopback && $0.isIPv4 == address.isIPv4 }
    return own.flatMap { PeerAddress(ip: $0.ip, port: 0) }.flatMap { try? $0.socketAddress() }
  }

  private static var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
    .init(low: writeBufferLow, high: writeBufferHigh)
  }

  private static var tcpOptions: [(ChannelOptions.Types.SocketOption, ChannelOptions.Types.SocketOption.Value)] {
    [
      (.tcpOption(.tcp_nodelay), 1),
      // Without it the kernel would take megabytes of blocks, and a vote would wait behind them.
      (.tcpOption(NIOBSDSocket.Option(rawValue: TCP_NOTSENT_LOWAT)), kernelUnsentByteCount),
    ]
  }
}

extension TransportError {
  /// Why a socket could not be bound or connected, for people.
  fileprivate static func cause(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case ChannelError.connectTimeout(let time): "no answer in \(time.nanoseconds / 1_000_000_000) s"
    default: "\(error)"
    }
  }

  /// The error of a bind that failed.
  static func listening(on address: PeerAddress, failed error: any Error, what: String) -> TransportError {
    let cause = cause(error)
    switch (error as? IOError)?.errnoCode {
    case EADDRINUSE:
      return TransportError(
        .addressInUse,
        "Cannot listen on \(address) for \(what): another program uses this address. Stop it, or choose another port.",
        cause: cause)
    case EADDRNOTAVAIL:
      return TransportError(
        .cannotListen,
        "Cannot listen on \(address) for \(what): this host has no such address. `ip address` shows those it has.",
        cause: cause)
    case EACCES:
      return TransportError(
        .cannotListen,
        "Cannot listen on \(address) for \(what): no right to this port. Choose one above 1023.", cause: cause)
    default:
      return TransportError(.cannotListen, "Cannot listen on \(address) for \(what).", cause: cause)
    }
  }
}
