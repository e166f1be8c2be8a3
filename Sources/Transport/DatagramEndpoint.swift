import Logging
import NIOCore
import Primitives
import Sodium
import Synchronization
import Wire

/// A node's datagrams: UDP on the same addresses as its links, each datagram a 16-byte tag and at most 1,184 bytes of
/// payload.
///
/// What arrives is handed on when its length and tag fit and its source stays within its allowance; whether it is
/// signed by whom it names is for the caller to check.
package final class DatagramEndpoint: Sendable {
  private enum Phase { case new, starting, running([PeerAddress]), stopped }

  private let loop: any EventLoop
  private let sockets: NIOLoopBoundBox<DatagramSockets>
  private let networkID: Digest
  private let counted: TransportCounters
  private let phase = Mutex(Phase.new)
  private let pendingLimit: Int
  private let pendingByteCount = Atomic<Int>(0)

  /// An endpoint that is not started.
  ///
  /// - Parameters:
  ///   - id: this node, the receiver that tags of datagrams to it name.
  ///   - group: where the one event loop is taken from; it must outlive the endpoint's `shutdown`.
  ///   - onDatagram: called on the event loop with the payload and source of each datagram that passed the
  ///     filter. It must not block.
  package init(
    id: NodeID, networkID: Digest, configuration: DatagramConfiguration = DatagramConfiguration(),
    group: any EventLoopGroup, logger: Logger, onDatagram: @escaping @Sendable ([UInt8], PeerAddress) -> Void
  ) {
    let loop = group.next()
    let counted = TransportCounters()
    self.loop = loop
    self.counted = counted
    self.networkID = networkID
    pendingLimit = configuration.pendingByteCount
    sockets = NIOLoopBoundBox.makeBoxSendingValue(
      DatagramSockets(
        loop: loop, counters: counted, logger: logger, tag: DatagramTag(receiver: id, networkID: networkID),
        configuration: configuration, onDatagram: onDatagram), eventLoop: loop)
  }

  /// Binds a socket to each of `addresses`. Of several of one family, the first sends.
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

  /// Sends a payload of at most `DatagramConfiguration.maximumPayloadByteCount` bytes. Callable from any thread.
  ///
  /// - Returns: false when it was refused without being written: too long or empty, an address that nothing may be
  ///   sent to (port 0, unspecified, multicast, broadcast) or of a family without a socket, or too much waiting;
  ///   each is counted.
  @discardableResult
  package func send(_ payload: [UInt8], to address: PeerAddress, receiver: NodeID) -> Bool {
    guard !payload.isEmpty, payload.count <= DatagramConfiguration.maximumPayloadByteCount else {
      counted.add("datagram.send.badLength")
      return false
    }
    guard address.isUsable else {
      counted.add("datagram.send.unusableAddress")
      return false
    }
    guard listening.contains(where: { $0.isIPv4 == address.isIPv4 }) else {
      counted.add("datagram.send.noSocketOfFamily")
      return false
    }
    let datagram = DatagramTag(receiver: receiver, networkID: networkID).tag(of: payload) + payload
    let pending = pendingByteCount.add(datagram.count, ordering: .relaxed).newValue
    guard pending <= pendingLimit else {
      pendingByteCount.subtract(datagram.count, ordering: .relaxed)
      counted.add("datagram.send.full")
      return false
    }
    loop.execute {
      self.pendingByteCount.subtract(datagram.count, ordering: .relaxed)
      self.sockets.value.write(datagram, to: address)
    }
    return true
  }

  /// Gives a source an allowance of its own, apart from that of strangers: a member that was verified. Bounded by
  /// `65,536` sources; further ones stay unknown and are counted.
  package func known(_ source: PeerAddress) { loop.execute { [sockets] in sockets.value.learn(source) } }

  /// Makes a source unknown again: a member that left.
  package func forget(_ source: PeerAddress) { loop.execute { [sockets] in sockets.value.forget(source) } }

  /// Takes a source's whole allowance for now: what it sent did not verify.
  package func penalise(_ source: PeerAddress) { loop.execute { [sockets] in sockets.value.penalise(source) } }

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
