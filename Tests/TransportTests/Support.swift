import Glibc
import LinkProtocol
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Testing
import Wire

@testable import Transport

let testNetwork = Digest(hashing: Array("the network of these tests".utf8))
let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// Looks again and again until `condition` holds; the time limit of the suite ends it, as a failure, if it never does.
func eventually(_ condition: () -> Bool) async {
  while !condition(), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
}

extension Sequence where Element == (String, UInt64) {
  func count(_ name: String) -> UInt64 { first { $0.0 == name }?.1 ?? 0 }
}

/// Everything that happened on an endpoint.
final class EventLog: Sendable {
  private let events = Mutex<[LinkEvent]>([])

  func add(_ event: LinkEvent) { events.withLock { $0.append(event) } }
  var all: [LinkEvent] { events.withLock { $0 } }

  var ups: [(id: NodeID, direction: LinkDirection)] {
    all.compactMap { if case .up(let id, _, let direction) = $0 { (id, direction) } else { nil } }
  }
  var downs: [LinkCloseReason] {
    all.compactMap { if case .down(_, let reason) = $0 { reason } else { nil } }
  }
  var failures: [TransportError.Code] {
    all.compactMap { if case .dialFailed(_, _, let error) = $0 { error.code } else { nil } }
  }
  var received: [(channel: LinkChannel, bytes: [UInt8])] {
    all.compactMap { if case .received(_, let channel, let bytes) = $0 { (channel, bytes) } else { nil } }
  }
  var congestions: [Bool] {
    all.compactMap { if case .congested(_, _, let isCongested) = $0 { isCongested } else { nil } }
  }
  func receivedBytes(_ channel: LinkChannel) -> Int {
    received.reduce(0) { $0 + ($1.channel == channel ? $1.bytes.count : 0) }
  }
}

/// Deals with the frames that come, at once or when it is told to.
final class FrameReader: Sendable {
  private struct State {
    var endpoint: LinkEndpoint?
    var paused: Set<LinkChannel> = []
    var frames: [(id: NodeID, channel: LinkChannel, byteCount: Int)] = []
  }
  private let state = Mutex(State())

  func bind(_ endpoint: LinkEndpoint) { state.withLock { $0.endpoint = endpoint } }
  func pause(_ channels: [LinkChannel] = LinkChannel.allCases) { state.withLock { $0.paused.formUnion(channels) } }

  func take(_ event: LinkEvent) {
    guard case .received(let id, let channel, let bytes) = event else { return }
    state.withLock { $0.frames.append((id, channel, bytes.count)) }
    goOn()
  }

  /// Deals with what waits, one frame after the other.
  func resume(_ channels: [LinkChannel] = LinkChannel.allCases) {
    state.withLock { $0.paused.subtract(channels) }
    goOn()
  }

  private func goOn() {
    let (endpoint, frames) = state.withLock { state in
      let frames = state.frames.filter { !state.paused.contains($0.channel) }
      state.frames.removeAll { !state.paused.contains($0.channel) }
      return (state.endpoint, frames)
    }
    for frame in frames { endpoint?.consumed(frame.byteCount, channel: frame.channel, from: frame.id) }
  }
}

extension LinkConfiguration {
  /// A busy machine may leave a test without its processor for many seconds: only tests of these limits meet them.
  static var patient: LinkConfiguration {
    var configuration = LinkConfiguration()
    configuration.handshakeTimeout = .seconds(60)
    configuration.pingInterval = .seconds(100)
    configuration.silenceLimit = .seconds(300)
    configuration.stallLimit = .seconds(300)
    return configuration
  }
}

/// An endpoint on a loopback port of its own.
struct TestNode {
  let key: SigningKey
  let endpoint: LinkEndpoint
  let log = EventLog()
  let reader = FrameReader()

  var id: NodeID { key.id }
  var address: PeerAddress { endpoint.listening[0] }

  init(
    key: SigningKey? = nil, network: Digest = testNetwork, _ change: (inout LinkConfiguration) -> Void = { _ in }
  ) async throws {
    let key = try key ?? SigningKey.generate()
    self.key = key
    var configuration = LinkConfiguration.patient
    change(&configuration)
    endpoint = try LinkEndpoint(
      identity: key, networkID: network, configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
      logger: quiet,
      onEvent: { [log, reader] in
        log.add($0)
        reader.take($0)
      })
    reader.bind(endpoint)
    try await endpoint.start(listen: [PeerAddress(text: "127.0.0.1:0")!])
  }

  /// Dials and waits until both sides have the link.
  func link(to other: TestNode) async {
    endpoint.dial(other.address, expecting: other.id)
    await eventually { endpoint.links.contains { $0.id == other.id } && other.endpoint.links.contains { $0.id == id } }
  }
}

/// A message sealed.
func sealed(_ plaintext: [UInt8], _ cipher: inout NoiseCipher) -> [UInt8] {
  var buffer = plaintext + [UInt8](repeating: 0, count: NoiseCipher.tagByteCount)
  let isSealed = buffer.withUnsafeMutableBytes { cipher.seal($0) }
  #expect(isSealed)
  return buffer
}

/// The plaintext of a sealed message; nil when it does not open.
func opened(_ sealed: [UInt8], _ cipher: inout NoiseCipher) -> [UInt8]? {
  var buffer = sealed
  guard buffer.withUnsafeMutableBytes({ cipher.open($0) }) else { return nil }
  return Array(buffer.dropLast(NoiseCipher.tagByteCount))
}

/// Two keys, the one with the lower id first.
func orderedKeys() throws -> (SigningKey, SigningKey) {
  let (one, two) = (try SigningKey.generate(), try SigningKey.generate())
  return one.id < two.id ? (one, two) : (two, one)
}

/// The other end of a connection, made by hand on a blocking socket: it can send what no endpoint would.
final class RawPeer {
  let descriptor: CInt
  var session: NoiseHandshake.Session?
  /// How often the other side went on to its next key.
  private(set) var rekeys = 0
  private var incoming: [UInt8] = []

  init(descriptor: CInt) {
    self.descriptor = descriptor
    // No test waits as long; a hang becomes a failure.
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// - Parameter ip: the address of this side, one of the loopback network.
  convenience init(connectingTo address: PeerAddress, from ip: UInt32 = 0x7f00_0001) {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    _ = withLoopback(port: 0, ip: ip) { bind(descriptor, $0, $1) }
    _ = withLoopback(port: address.port) { connect(descriptor, $0, $1) }
    self.init(descriptor: descriptor)
  }

  deinit { close(descriptor) }

  /// Ends the connection: an endpoint that says goodbye waits for that, and so would every test at its end.
  func hangUp() { shutdown(descriptor, CInt(SHUT_RDWR)) }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, CInt(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  /// A frame of the connection without its length; nil at its end.
  func read() -> [UInt8]? {
    guard let length = read(count: 2) else { return nil }
    return read(count: Int(length[0]) << 8 | Int(length[1]))
  }

  private func read(count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var part = [UInt8](repeating: 0, count: count - bytes.count)
      let got = recv(descriptor, &part, part.count, 0)
      // Or who waits for the end of the connection would take the silence for it.
      if got < 0, errno == EAGAIN { Issue.record("nothing comes, and the connection does not end") }
      guard got > 0 else { return nil }
      bytes += part[..<got]
    }
    return bytes
  }

  func sendFramed(_ message: [UInt8]) { send([UInt8(message.count >> 8), UInt8(message.count & 255)] + message) }

  /// Does the handshake, up to but not including this side's message number `stop` (of 1 to 3).
  @discardableResult
  func shake(
    _ role: NoiseHandshake.Role, key: SigningKey, network: Digest = testNetwork,
    staticKey: KeyAgreementKey? = nil, before stop: Int = 4
  ) throws -> NoiseHandshake {
    var handshake = try NoiseHandshake(
      role: role, identity: key, networkID: network, staticKey: staticKey ?? .generate())
    var number = 1
    while !handshake.isComplete {
      if handshake.isToWrite {
        if number == stop { return handshake }
        sendFramed(try handshake.write())
      } else {
        try handshake.read(try #require(read()))
      }
      number += 1
    }
    session = try handshake.finish()
    return handshake
  }

  func finish(_ handshake: inout NoiseHandshake) throws {
    sendFramed(try handshake.write())
    session = try handshake.finish()
  }

  /// The bytes on the wire of one Noise message.
  func message(_ plaintext: [UInt8]) -> [UInt8] {
    let message = sealed(plaintext, &session!.sending)
    return [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
  }

  func say(_ plaintext: [UInt8]) { send(message(plaintext)) }

  /// Says that the next message is under the next key.
  func rekey() throws {
    say([])
    try session?.sending.rekey()
  }

  /// The next Yamux frame; nil at the end of the connection.
  func nextFrame() -> YamuxFrame? {
    while true {
      if let frame = YamuxFrame(taking: &incoming) { return frame }
      guard let message = read() else { return nil }
      guard let plaintext = opened(message, &session!.receiving) else {
        Issue.record("a message does not open")
        return nil
      }
      if plaintext.isEmpty {
        try? session?.receiving.rekey()
        rekeys += 1
      }
      incoming += plaintext
    }
  }

  /// The next Yamux frame of a type, others skipped.
  func next(_ type: UInt8) -> YamuxFrame? {
    while let frame = nextFrame() {
      if frame.type == type { return frame }
    }
    return nil
  }

  /// Why the other side closes the link; nil when it does not say.
  func goodbye() -> LinkNotice? { next(YamuxFrame.goAway).flatMap { LinkNotice(rawValue: $0.length) } }
}

/// A frame of Yamux, made and read by hand.
struct YamuxFrame: Equatable {
  static let (data, windowUpdate, ping, goAway): (UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 3)
  static let (syn, ack, fin, rst): (UInt16, UInt16, UInt16, UInt16) = (1, 2, 4, 8)
  static let initialWindow: UInt32 = 262_144

  var version: UInt8 = 0
  var type: UInt8
  var flags: UInt16 = 0
  var stream: UInt32 = 0
  var length: UInt32
  var body: [UInt8] = []

  var bytes: [UInt8] {
    var bytes = [version, type, UInt8(flags >> 8), UInt8(flags & 255)]
    for word in [stream, length] { for shift in [24, 16, 8, 0] { bytes.append(UInt8(word >> shift & 255)) } }
    return bytes + body
  }

  init(
    version: UInt8 = 0, _ type: UInt8, flags: UInt16 = 0, stream: UInt32 = 0, length: UInt32, _ body: [UInt8] = []
  ) {
    (self.version, self.type, self.flags, self.stream, self.length, self.body) = (
      version, type, flags, stream, length, body
    )
  }

  /// Takes a frame from the front; nil when there is no whole one.
  init?(taking bytes: inout [UInt8]) {
    guard bytes.count >= 12 else { return nil }
    let words = [4, 8].map { start in bytes[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
    let bodyCount = bytes[1] == YamuxFrame.data ? Int(words[1]) : 0
    guard bytes.count >= 12 + bodyCount else { return nil }
    self.init(
      version: bytes[0], bytes[1], flags: UInt16(bytes[2]) << 8 | UInt16(bytes[3]), stream: words[0], length: words[1],
      Array(bytes[12..<12 + bodyCount]))
    bytes.removeFirst(12 + bodyCount)
  }

  /// The four channels opened, with windows of so many bytes.
  static func openings(window: UInt32 = initialWindow) -> [UInt8] {
    LinkChannel.allCases.flatMap {
      YamuxFrame(windowUpdate, flags: syn, stream: $0.streamID, length: window - initialWindow).bytes
    }
  }

  /// Bytes of a channel.
  static func data(_ channel: LinkChannel, _ bytes: [UInt8]) -> [UInt8] {
    YamuxFrame(data, stream: channel.streamID, length: UInt32(bytes.count), bytes).bytes
  }

  /// A whole frame of a channel, short enough for one message.
  static func frame(_ channel: LinkChannel, _ bytes: [UInt8]) -> [UInt8] {
    data(channel, prefix(bytes.count) + bytes)
  }

  static func prefix(_ count: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(count >> $0 & 255) } }
}

/// A socket that listens, for endpoints to dial.
final class RawListener {
  let descriptor: CInt
  let address: PeerAddress

  /// - Parameter refuses: it only keeps its port from others: nobody can connect there.
  init(refuses: Bool = false) {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    _ = withLoopback(port: 0) { bind(descriptor, $0, $1) }
    if !refuses { listen(descriptor, 16) }
    address = boundAddress(descriptor)
  }

  deinit { close(descriptor) }

  func accept() -> RawPeer { RawPeer(descriptor: Glibc.accept(descriptor, nil, nil)) }
}

func withLoopback<Answer>(
  port: UInt16, ip: UInt32 = 0x7f00_0001, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Answer
) -> Answer {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = ip.bigEndian
  return withUnsafePointer(to: address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}

func boundAddress(_ descriptor: CInt) -> PeerAddress {
  var address = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  withUnsafeMutablePointer(to: &address) {
    _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
  }
  return PeerAddress(ip: [127, 0, 0, 1], port: UInt16(bigEndian: address.sin_port))!
}
