import LinkProtocol
import Logging
import NIOCore
import Primitives
import Sodium
import Wire

/// The UDP sockets of one endpoint and the filter that all of them share. Lives on its event loop.
final class DatagramSockets {
  private let loop: any EventLoop
  private let counters: TransportCounters
  private let logger: Logger
  private let options: DatagramSocket.Options
  private let isUnderLoad: @Sendable () -> Bool
  private let onDatagram: @Sendable (ReceivedDatagram) -> Void
  private var filter: DatagramFilter
  private var sockets: [DatagramSocket] = []

  init(
    loop: any EventLoop, id: NodeID, networkID: Digest, configuration: DatagramConfiguration,
    counters: TransportCounters, logger: Logger, isUnderLoad: @escaping @Sendable () -> Bool,
    onDatagram: @escaping @Sendable (ReceivedDatagram) -> Void
  ) {
    self.loop = loop
    self.counters = counters
    self.logger = logger
    self.isUnderLoad = isUnderLoad
    self.onDatagram = onDatagram
    options = DatagramSocket.Options(receiveBufferByteCount: configuration.receiveBufferByteCount)
    filter = DatagramFilter(
      id: id, networkID: networkID, limits: configuration.limits,
      secret: randomBytes(DatagramFilter.secretByteCount), now: .current())
  }

  /// The addresses bound, with the ports that the system chose.
  var addresses: [PeerAddress] { sockets.map(\.address) }

  /// Binds a socket. The future fails with NIO's error.
  func bind(_ address: PeerAddress) -> EventLoopFuture<Void> {
    let socket = DatagramSocket(
      address, loop: loop, options: options, counters: counters, logger: logger,
      onArrival: { [weak self] in self?.received($1, at: $0) })
    sockets.append(socket)
    return socket.open()
  }

  /// Sends a payload to a validated address.
  func send(_ payload: [UInt8], to target: PeerAddress, receiver: NodeID) {
    guard let index = SendingSocket.index(for: target, among: addresses),
      let datagram = filter.seal(payload, to: target, receiver: receiver, now: .current())
    else { return counters.add("notSealed") }
    sockets[index].send(datagram, to: target)
  }

  /// Gives a source buckets of its own.
  func learn(_ source: PeerAddress) {
    if !filter.known(source, now: .current()) { counters.add("tooManyKnown") }
  }

  /// Takes the buckets of its own from a source.
  func forget(_ source: PeerAddress) { filter.forget(source) }

  /// Told that a datagram is signed by whom it names.
  func verified(_ datagram: ReceivedDatagram) { filter.verified(datagram.admitted.mac) }

  /// Told that a datagram is not signed by whom it names, or makes no sense.
  func forged(_ datagram: ReceivedDatagram) {
    counters.add(datagram.admitted.isProven ? "forgedWithCookie" : "forged")
    filter.forged(from: datagram.source, isProven: datagram.admitted.isProven, now: .current())
  }

  /// Closes all sockets for good.
  func stop() {
    for socket in sockets { socket.stop() }
  }

  /// For tests: writes through NIO, which closes the channel on an error.
  func writeThroughChannel(_ datagram: [UInt8], to address: SocketAddress) {
    sockets.first?.writeThroughChannel(datagram, to: address)
  }

  private func received(_ arrival: DatagramSocket.Arrival, at socket: DatagramSocket) {
    let verdict = arrival.data.withUnsafeReadableBytes {
      filter.judge($0, from: arrival.source, isMulticast: false, underLoad: isUnderLoad(), now: .current())
    }
    switch verdict {
    case .pass(let admitted):
      counters.add("received")
      if let renewal = admitted.renewal { answer(renewal, to: arrival, at: socket, counter: "cookieSent") }
      onDatagram(ReceivedDatagram(admitted, from: arrival.source))
    case .reply(let cookie): answer(cookie, to: arrival, at: socket, counter: "cookieSent")
    case .resend(let datagram): answer(datagram, to: arrival, at: socket, counter: "cookieLearned")
    case .refuse(let refusal): counters.add(refusal.rawValue)
    }
  }

  /// Sends to where a datagram came from, by the socket and from the address that it came to: who asked knows no other.
  private func answer(
    _ datagram: [UInt8], to arrival: DatagramSocket.Arrival, at socket: DatagramSocket, counter: String
  ) {
    counters.add(counter)
    socket.send(datagram, to: arrival.source, from: arrival.destination)
  }
}
