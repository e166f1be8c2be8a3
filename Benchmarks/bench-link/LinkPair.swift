import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

/// Two endpoints of one event loop with a link between them.
final class LinkPair: Sendable {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let dialler: LinkEndpoint
  private let acceptor: LinkEndpoint
  private let diallerID: NodeID
  private let acceptorID: NodeID
  private let events: EventRelay

  init() async throws {
    var configuration = LinkConfiguration()
    // One prefix makes every handshake here.
    configuration.handshakesPerSecondPerPrefix = 1_000_000
    configuration.handshakeBurstPerPrefix = 1_000_000
    configuration.handshakesPerSecond = 1_000_000
    configuration.handshakeBurst = 1_000_000
    let (one, two) = (try SigningKey.generate(), try SigningKey.generate())
    (diallerID, acceptorID) = (one.id, two.id)
    let events = EventRelay()
    self.events = events
    let (group, network) = (group, Digest(hashing: [1]))
    func endpoint(_ key: SigningKey) throws -> LinkEndpoint {
      try LinkEndpoint(
        identity: key, networkID: network, configuration: configuration, group: group,
        logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() }), onEvent: { events.take($0) })
    }
    dialler = try endpoint(one)
    acceptor = try endpoint(two)
    guard let any = PeerAddress(text: "127.0.0.1:0") else { fail("no loopback address") }
    try await acceptor.start(listen: [any])
    try await dialler.start(listen: [])
  }

  func shutdown() async {
    await dialler.shutdown()
    await acceptor.shutdown()
    try? await group.shutdownGracefully()
  }

  /// What a side takes from the dial until both sides have the link, the mean of as many as there is time for. Closing it is
  /// not counted.
  func handshakeCost(_ seconds: Double) async -> Spent {
    let address = acceptor.listening[0]
    return await withCheckedContinuation { continuation in
      let tally = LinkTally(seconds: seconds)
      events.handle { [self] event in
        switch event {
        case .up:
          guard tally.isSecond() else { return }
          tally.add(1)
          dialler.close(acceptorID, reason: "measured")
        case .down:
          guard tally.isSecond() else { return }
          if tally.isOver {
            continuation.resume(returning: tally.measured / (2 * tally.sum))
          } else {
            afterTurns(32) { [self] in
              tally.start()
              dialler.dial(address, expecting: acceptorID)
            }
          }
        case .dialFailed(_, _, let error): fail("dial: \(error)")
        case .received, .congested: break
        }
      }
      tally.start()
      dialler.dial(address, expecting: acceptorID)
    }
  }

  /// Does something some turns of the loop later, when both sockets of a link are closed: that is no part of what follows.
  private func afterTurns(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    group.next().execute { [self] in
      if count == 0 { body() } else { afterTurns(count - 1, body) }
    }
  }

  /// What a byte takes in frames on the sync channel, each dealt with at once.
  func cost(frameByteCount: Int, _ seconds: Double) async -> Spent {
    let address = acceptor.listening[0]
    let frame = [UInt8](repeating: 7, count: frameByteCount)
    // Enough under way that nothing waits, and no more than the window and the queue take.
    let ahead = min(512, max(8, 8_388_608 / frameByteCount))
    return await withCheckedContinuation { continuation in
      let tally = LinkTally(seconds: seconds)
      let answer = Mutex(Spent())
      events.handle { [self] event in
        switch event {
        case .up:
          guard tally.isSecond() else { return }
          tally.start()
          for _ in 0..<ahead { dialler.send(frame, channel: .sync, to: acceptorID) }
        case .received(let id, let channel, let bytes):
          acceptor.consumed(bytes.count, channel: channel, from: id)
          if tally.isOver { return }
          tally.add(bytes.count)
          dialler.send(frame, channel: .sync, to: acceptorID)
          guard tally.isOver else { return }
          answer.withLock { $0 = tally.measured / tally.sum }
          dialler.close(acceptorID, reason: "measured")
        case .down(_, let reason):
          if case .violation(let how) = reason { fail("the link broke: \(how)") }
          guard tally.isSecond() else { return }
          continuation.resume(returning: answer.withLock { $0 })
        case .dialFailed(_, _, let error): fail("dial: \(error)")
        case .congested: break
        }
      }
      dialler.dial(address, expecting: acceptorID)
    }
  }
}

/// Hands the events of both endpoints to whoever measures now.
final class EventRelay: Sendable {
  // A closure in the mutex itself would be wrapped once more by each access.
  private final class Handler: Sendable {
    let body: @Sendable (LinkEvent) -> Void
    init(_ body: @escaping @Sendable (LinkEvent) -> Void) { self.body = body }
  }
  private let handler = Mutex<Handler?>(nil)

  func handle(_ body: @escaping @Sendable (LinkEvent) -> Void) {
    let new = Handler(body)
    handler.withLock { $0 = new }
  }
  func take(_ event: LinkEvent) { handler.withLock { $0 }?.body(event) }
}

/// Adds up what happens within some time.
final class LinkTally: Sendable {
  private struct State {
    var started = Spent.now
    var measured = Spent()
    var sum = 0
    var seen = 0
  }
  private let seconds: Double
  private let state = Mutex(State())

  init(seconds: Double) { self.seconds = seconds }

  func start() { state.withLock { $0.started = Spent.now } }

  /// Counts something that took from the last start, or the last addition, until now.
  func add(_ count: Int) {
    state.withLock { state in
      let now = Spent.now
      state.measured = state.measured + (now - state.started)
      state.started = now
      state.sum += count
    }
  }

  /// True for every second call: both sides have seen the same.
  func isSecond() -> Bool {
    state.withLock { state in
      state.seen += 1
      return state.seen % 2 == 0
    }
  }

  var sum: Int { state.withLock { $0.sum } }
  var measured: Spent { state.withLock { $0.measured } }
  var isOver: Bool { measured.wall >= seconds }
}
