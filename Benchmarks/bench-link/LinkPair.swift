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

  /// Seconds a side from the dial until both sides have the link, the mean of as many as there is time for. Closing it is
  /// not counted.
  func handshakeSeconds(_ seconds: Double) async -> Double {
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
            continuation.resume(returning: tally.measured / Double(tally.sum) / 2)
          } else {
            tally.start()
            dialler.dial(address, expecting: acceptorID)
          }
        case .dialFailed(_, _, let error): fail("dial: \(error)")
        case .received, .congested: break
        }
      }
      tally.start()
      dialler.dial(address, expecting: acceptorID)
    }
  }

  /// Bytes a second of frames on the sync channel, each dealt with at once.
  func rate(frameByteCount: Int, _ seconds: Double) async -> Double {
    let address = acceptor.listening[0]
    let frame = [UInt8](repeating: 7, count: frameByteCount)
    // Enough under way that nothing waits, and no more than the window and the queue take.
    let ahead = min(512, max(8, 8_388_608 / frameByteCount))
    return await withCheckedContinuation { continuation in
      let tally = LinkTally(seconds: seconds)
      let answer = Mutex(0.0)
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
          answer.withLock { $0 = Double(tally.sum) / tally.measured }
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
  private let handler = Mutex<(@Sendable (LinkEvent) -> Void)?>(nil)

  func handle(_ body: @escaping @Sendable (LinkEvent) -> Void) { handler.withLock { $0 = body } }
  func take(_ event: LinkEvent) { handler.withLock { $0 }?(event) }
}

/// Adds up what happens within some time.
final class LinkTally: Sendable {
  private struct State {
    var started = ContinuousClock.now
    var measured = 0.0
    var sum = 0
    var seen = 0
  }
  private let seconds: Double
  private let state = Mutex(State())

  init(seconds: Double) { self.seconds = seconds }

  func start() { state.withLock { $0.started = .now } }

  /// Counts something that took from the last start, or the last addition, until now.
  func add(_ count: Int) {
    state.withLock { state in
      let now = ContinuousClock.now
      state.measured += (now - state.started).inSeconds
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
  var measured: Double { state.withLock { $0.measured } }
  var isOver: Bool { measured >= seconds }
}
