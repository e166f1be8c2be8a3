import CSodium
import Glibc

@testable import LinkProtocol

/// A Yamux session on a TCP connection, on which each stream carries what `yamux_peer.go` says.
struct YamuxSocket {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// How often somebody had to wait.
  struct Stalls {
    /// Own streams with something to send for which the other side had no room.
    var sending = 0
    /// Streams of which the other side had used up the room.
    var receiving = 0
  }

  private struct Stream {
    var sent = 0
    var received = 0
    var sentHash = SHA256()
    var receivedHash = SHA256()
    /// The hash that came back.
    var answer: [UInt8] = []
    var isAnswered = false
    var isFinishedThere = false
  }

  private static let readByteCount = 256 * 1_024
  private static let pieceByteCount = 16 * 1_024
  /// How often it is looked whether slow readers go on: those whose senders have used up the room, and those that wait for
  /// no more. So they are slower than the other side however slow this process is.
  private static let pause = Duration.milliseconds(10)

  private let descriptor: CInt
  private let byteCount: Int
  private var session: YamuxSession
  private var streams: [UInt32: Stream] = [:]
  private var order: [UInt32] = []
  private let block = randomBlock()
  private var outgoing: [UInt8] = []
  private var outgoingStart = 0
  private var incoming = [UInt8](repeating: 0, count: YamuxSocket.readByteCount)
  private var isAtEnd = false
  private var resumedAt = ContinuousClock.now
  private(set) var stalls = Stalls()
  private(set) var pongs: [UInt32] = []

  /// - Parameter descriptor: of a connection; closed by `close`.
  init(_ descriptor: CInt, role: YamuxSession.Role, streamCount: Int, byteCount: Int) throws {
    self.descriptor = descriptor
    self.byteCount = byteCount
    session = YamuxSession(role: role, limits: YamuxLimits(maximumStreams: streamCount))
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    guard role == .client else { return }
    for number in 0..<streamCount {
      // Every third has a larger window than the initial one, by the update that opens it.
      guard let id = session.open(window: number % 3 == 0 ? 1_048_576 : 262_144) else {
        throw Failure(description: "stream number \(number) cannot be opened")
      }
      begin(id)
    }
  }

  /// Carries everything, both ways, then asks for a sign of life.
  mutating func carry(streamCount: Int, until isOver: () -> Bool) throws {
    while streams.count < streamCount || streams.values.contains(where: { !$0.isFinishedThere || !$0.isAnswered }) {
      try turn(isOver)
    }
    session.ping(77)
    while pongs.isEmpty { try turn(isOver) }
  }

  /// Ends the connection, when the other side has said what it has to say.
  mutating func close(when isDone: () -> Bool) throws {
    while !isDone() { try turn({ false }) }
    Glibc.close(descriptor)
  }

  private mutating func turn(_ isOver: () -> Bool) throws {
    guard !isOver(), !isAtEnd else { throw Failure(description: "the other side went away: \(progress)") }
    resumeSlowReaders()
    prepare()
    var poll = pollfd(
      fd: descriptor, events: Int16(POLLIN) | (outgoing.isEmpty ? 0 : Int16(POLLOUT)), revents: 0)
    _ = Glibc.poll(&poll, 1, 5)
    if poll.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try read() }
    if poll.revents & Int16(POLLOUT) != 0 { try write() }
  }

  private var progress: String {
    let sums = streams.values.reduce((0, 0)) { ($0.0 + $1.sent, $0.1 + $1.received) }
    return "\(streams.count) streams, \(sums.0) bytes sent, \(sums.1) received"
  }

  private mutating func begin(_ id: UInt32) {
    streams[id] = Stream()
    order.append(id)
  }

  // MARK: Receiving

  private mutating func read() throws {
    let count = Glibc.recv(descriptor, &incoming, incoming.count, 0)
    if count == 0 { isAtEnd = true }
    if count < 0 && errno != EAGAIN { throw Failure(description: "read: \(String(cString: strerror(errno)))") }
    guard count > 0 else { return }
    var events: [YamuxSession.Event] = []
    incoming.withUnsafeBytes {
      session.receive(UnsafeRawBufferPointer(rebasing: $0[..<count]), events: &events)
    }
    for event in events { try take(event) }
  }

  private mutating func take(_ event: YamuxSession.Event) throws {
    switch event {
    case .opened(let id): begin(id)
    case .data(let id, let bytes): try take(bytes, id)
    case .finished(let id): streams[id]?.isFinishedThere = true
    case .pong(let value): pongs.append(value)
    case .reset(let id): throw Failure(description: "stream \(id) was reset")
    case .goAway(let code): throw Failure(description: "go-away \(code)")
    case .violation(let violation): throw Failure(description: "\(violation)")
    }
  }

  private mutating func take(_ bytes: [UInt8], _ id: UInt32) throws {
    guard var stream = streams.removeValue(forKey: id) else { throw Failure(description: "data on \(id)") }
    let count = min(bytes.count, byteCount - stream.received)
    stream.receivedHash.add(bytes[..<count])
    stream.answer += bytes[count...]
    stream.received += count
    if stream.answer.count >= SHA256.byteCount {
      guard stream.answer == stream.sentHash.value else {
        throw Failure(description: "what arrived on stream \(id) is not what was sent")
      }
    }
    if !isSlow(id) { session.consumed(id, bytes.count) }
    streams[id] = stream
  }

  private func isSlow(_ id: UInt32) -> Bool { id / 2 % 2 == 0 }

  private mutating func resumeSlowReaders() {
    let now = ContinuousClock.now
    guard now - resumedAt >= YamuxSocket.pause else { return }
    resumedAt = now
    for view in session.streams where isSlow(view.id) && view.unconsumedBytes > 0 {
      let isFull = view.receiveWindow == 0
      guard isFull || streams[view.id]?.received == byteCount else { continue }
      if isFull { stalls.receiving += 1 }
      session.consumed(view.id, Int(view.unconsumedBytes))
    }
  }

  // MARK: Sending

  /// Control frames first, then a piece of each stream in turn.
  private mutating func prepare() {
    guard outgoing.isEmpty else { return }
    outgoing = session.takeControl()
    for id in order { sendPiece(id) }
  }

  private mutating func sendPiece(_ id: UInt32) {
    guard var stream = streams.removeValue(forKey: id) else { return }
    defer { streams[id] = stream }
    let window = session.sendWindow(id)
    if stream.sent < byteCount {
      let start = (stream.sent + Int(id) * 4_099) % (block.count / 2)
      let count = min(byteCount - stream.sent, window, YamuxSocket.pieceByteCount)
      guard count > 0, let header = session.dataHeader(id, count: count, isLast: false) else {
        stalls.sending += 1
        return
      }
      let piece = block[start..<start + count]
      stream.sentHash.add(piece)
      stream.sent += count
      outgoing += header
      outgoing += piece
    } else if stream.received == byteCount, !stream.isAnswered, window >= SHA256.byteCount,
      let header = session.dataHeader(id, count: SHA256.byteCount, isLast: false),
      let last = session.dataHeader(id, count: 0, isLast: true)
    {
      outgoing += header + stream.receivedHash.value + last
      stream.isAnswered = true
    }
  }

  private mutating func write() throws {
    let count = outgoing.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress! + outgoingStart, outgoing.count - outgoingStart, CInt(MSG_NOSIGNAL))
    }
    if count < 0 && errno != EAGAIN { throw Failure(description: "write: \(String(cString: strerror(errno)))") }
    outgoingStart += max(0, count)
    guard outgoingStart == outgoing.count else { return }
    outgoing.removeAll(keepingCapacity: true)
    outgoingStart = 0
  }
}

/// The same random bytes twice, so that a piece may begin anywhere in the first half.
private func randomBlock() -> [UInt8] {
  var half = [UInt8](repeating: 0, count: 1_000_003)
  randombytes_buf(&half, half.count)
  return half + half
}

/// SHA-256 of libsodium, as the other side has it, too.
struct SHA256 {
  static let byteCount = 32

  private var state = crypto_hash_sha256_state()

  init() { crypto_hash_sha256_init(&state) }

  mutating func add(_ bytes: ArraySlice<UInt8>) {
    bytes.withUnsafeBufferPointer {
      _ = crypto_hash_sha256_update(&state, $0.baseAddress, UInt64($0.count))
    }
  }

  var value: [UInt8] {
    var copy = state
    var hash = [UInt8](repeating: 0, count: SHA256.byteCount)
    crypto_hash_sha256_final(&copy, &hash)
    return hash
  }
}
