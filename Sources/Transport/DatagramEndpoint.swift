import LinkProtocol
import Logging
import NIOCore
import Primitives
import Synchronization
import Wire

/// A node's datagrams: UDP on the same addresses as its links, in the format that docs/link-protocol.md describes.
///
/// What arrives is handed on when it passes a `DatagramFilter`. Whether it is signed by whom it names is for the caller to
/// check, who then calls `verified` or `forged`: without that, copies cost a signature check each, and forgers nothing.
package final class DatagramEndpoint: Sendable {
  private enum Phase { case new, starting, running([PeerAddress]), stopped }

  private let loop: any EventLoop
  private let sockets: NIOLoopBoundBox<DatagramSockets>
  private let counted: TransportCounters
  private let phase = Mutex(Phase.new)
  private let pendingLimit: Int
  private let pendingByteCount = Atomic<Int>(0)

  /// An endpoint that is not started.
  ///
  /// - Parameters:
  ///   - id: this node, the receiver that tags of datagrams to it name.
  ///   - group: where the one event loop is taken from; it must outlive the endpoint's `shutdown`. A loop that does
  ///     nothing else keeps a flood of datagrams from the rest of the node.
  ///   - isUnderLoad: whether too much waits to be verified, so that strangers and members need a cookie. Called on
  ///     the event loop for each datagram.
  ///   - onDatagram: called on the event loop with each datagram that passed the filter. It must not block.
  package init(
    id: NodeID, networkID: Digest, configuration: DatagramConfiguration = DatagramConfiguration(),
    group: any EventLoopGroup, logger: Logger, isUnderLoad: @escaping @Sendable () -> Bool = { false },
    onDatagram: @escaping @Sendable (ReceivedDatagram) -> Void
  ) {
    let loop = group.next()
    let counted = TransportCounters()
    self.loop = loop
    self.counted = counted
    pendingLimit = configuration.pendingByteCount
    sockets = NIOLoopBoundBox.makeBoxSendingValue(
      DatagramSockets(
        loop: loop, id: id, networkID: networkID, configuration: configuration, counters: counted, logger: logger,
        isUnderLoad: isUnderLoad, onDatagram: onDatagram), eventLoop: loop)
  }

  /// Binds a socket to each of `addresses`. `SendingSocket` says which of several of one family sends.
  ///
  /// - Throws: `TransportError` with code `addressInUse` or `cannotListen`, naming the address; the endpoint is then
  ///   of no further use. `alreadyStarted` for a second call.
  package func start(listen addresses: [PeerAddress]) async throws(TransportError) {
    let isFirst = phase.withLock { phase in
      guard case .new = phase else { return false }
      phase = .starting
      return true
    }
    guard isFirst else { throw TransportError(.alreadyStarted, "The endpoint was started before.") }
    for address in addresses {
      do {
        try await loop.flatSubmit { [sockets] in sockets.value.bind(address) }.get()
      } catch {
        await shutdown()
        throw .listening(on: address, failed: error, what: "datagrams (UDP)")
      }
    }
    let bound = (try? await loop.submit { [sockets] in sockets.value.addresses }.get()) ?? []
    phase.withLock { $0 = .running(bound) }
  }

  /// The addresses bound, with the ports that the system chose where 0 was asked for.
  package var listening: [PeerAddress] {
    phase.withLock { phase in
      if case .running(let addresses) = phase { return addresses }
      return []
    }
  }

  /// Sends an envelope of `DatagramFormat.payloadByteCounts` bytes. Callable from any thread.
  ///
  /// - Returns: false when it was refused without being written: too long or too short, an address that nothing may be
  ///   sent to (port 0, unspecified, multicast, broadcast) or of a family without a socket, or too much waiting;
  ///   each is counted.
  @discardableResult
  package func send(_ payload: [UInt8], to address: PeerAddress, receiver: NodeID) -> Bool {
    guard DatagramFormat.payloadByteCounts.contains(payload.count) else {
      counted.add("send.badLength")
      return false
    }
    guard address.isUsable else {
      counted.add("send.unusableAddress")
      return false
    }
    guard listening.contains(where: { $0.isIPv4 == address.isIPv4 }) else {
      counted.add("send.noSocketOfFamily")
      return false
    }
    let pending = pendingByteCount.add(payload.count, ordering: .relaxed).newValue
    guard pending <= pendingLimit else {
      pendingByteCount.subtract(payload.count, ordering: .relaxed)
      counted.add("send.full")
      return false
    }
    loop.execute {
      self.pendingByteCount.subtract(payload.count, ordering: .relaxed)
      self.sockets.value.send(payload, to: address, receiver: receiver)
    }
    return true
  }

  /// Gives a source buckets of its own, apart from those of strangers: where a member was verified. Bounded by
  /// 65,536 sources; further ones stay unknown and are counted.
  package func known(_ source: PeerAddress) { loop.execute { [sockets] in sockets.value.learn(source) } }

  /// Makes a source unknown again: a member left or moved.
  package func forget(_ source: PeerAddress) { loop.execute { [sockets] in sockets.value.forget(source) } }

  /// Told that a datagram is signed by whom it names: copies of it are refused from now on.
  package func verified(_ datagram: ReceivedDatagram) {
    loop.execute { [sockets] in sockets.value.verified(datagram) }
  }

  /// Told that a datagram is not signed by whom it names, or makes no sense. Its source then needs a cookie for a while;
  /// when it had one, it is not heard for a while.
  package func forged(_ datagram: ReceivedDatagram) { loop.execute { [sockets] in sockets.value.forged(datagram) } }

  /// What was sent, received, refused or went wrong, by name, in the order of the names.
  package var counters: [(String, UInt64)] { counted.all }

  /// Closes the sockets. Returns when no datagram can follow.
  package func shutdown() async {
    phase.withLock { $0 = .stopped }
    // The loop takes work as long as its group lives, which is a duty of the caller.
    try? await loop.submit { [sockets] in sockets.value.stop() }.get()
  }

  /// For tests: writes as NIO does, without looking at the address.
  func writeThroughChannel(_ datagram: [UInt8], to address: SocketAddress) async {
    try? await loop.submit { [sockets] in sockets.value.writeThroughChannel(datagram, to: address) }.get()
  }
}
