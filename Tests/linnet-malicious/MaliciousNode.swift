import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

/// A node that is a member as far as it must be to be listened to: it links with its targets, says who it is, and
/// answers their pings.
final class MaliciousNode: Sendable {
  struct State {
    var up: Set<NodeID> = []
    /// The latest record of each author that it was told.
    var sequences: [NodeID: UInt64] = [:]
    /// Frames and datagrams that were received, to be sent again.
    var frames: [(LinkChannel, [UInt8])] = []
    var envelopes: [[UInt8]] = []
    var gossip: [Envelope] = []
    var lastSequence: UInt64 = 0
    var done: [String: Int] = [:]
  }

  let key: SigningKey
  let signer: Signer
  let genesis: Genesis
  let listen: PeerAddress
  let targets: [Target]
  let state = Mutex(State())
  private let isStopped = Atomic(false)
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let endpoints = Mutex<(links: LinkEndpoint, datagrams: DatagramEndpoint)?>(nil)
  let logger: Logger

  static let kept = 256
  /// A request for all members.
  static let everything = MemberRequest(count: 16, buckets: (0..<16).map { UInt8($0) })

  init(key: SigningKey, genesis: Genesis, listen: PeerAddress, targets: [Target]) async throws {
    self.key = key
    self.genesis = genesis
    self.listen = listen
    self.targets = targets
    var logger = Logger(label: "linnet-malicious")
    logger.logLevel = .critical
    self.logger = logger
    signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
    let links = try LinkEndpoint(
      identity: key, networkID: genesis.networkID, group: group, logger: logger
    ) { [weak self] in self?.happened($0) }
    let datagrams = DatagramEndpoint(
      id: key.id, networkID: genesis.networkID, group: group, logger: logger
    ) { [weak self] in self?.received($0.payload, from: $0.source) }
    endpoints.withLock { $0 = (links: links, datagrams: datagrams) }
    try await links.start(listen: [listen])
    try await datagrams.start(listen: [listen])
  }

  // MARK: As others do

  private func happened(_ event: LinkEvent) {
    switch event {
    case .up(let id, _, _):
      state.withLock { _ = $0.up.insert(id) }
      send(.members([record().envelope]), on: .services, to: id)
      // Whom there is to be accused, and in which incarnation.
      if let everything = MaliciousNode.everything { send(.memberRequest(everything), on: .services, to: id) }
    case .down(let id, _):
      state.withLock {
        _ = $0.up.remove(id)
        $0.done["links closed", default: 0] += 1
      }
    case .received(let id, let channel, let bytes):
      endpoints.withLock { $0?.links }?.consumed(bytes.count, channel: channel, from: id)
      guard let message = try? LinkMessage(decoding: bytes) else { return }
      state.withLock { state in
        if state.frames.count < MaliciousNode.kept { state.frames.append((channel, bytes)) }
        switch message {
        case .members(let records):
          for record in records where record.kind == .nodeRecord {
            state.sequences[record.author] = max(record.sequence, state.sequences[record.author] ?? 0)
          }
        case .gossip(.publish(let envelopes)):
          for envelope in envelopes where state.gossip.count < MaliciousNode.kept { state.gossip.append(envelope) }
        default: break
        }
      }
    default: break
    }
  }

  private func received(_ payload: [UInt8], from source: PeerAddress) {
    guard let envelope = try? Envelope(decoding: payload), let message = try? Message(envelope) else { return }
    state.withLock { state in
      if state.envelopes.count < MaliciousNode.kept { state.envelopes.append(payload) }
    }
    guard case .ping(let ping) = message.body else { return }
    state.withLock { $0.done["pings answered", default: 0] += 1 }
    let ack = Ack(receiver: message.author, number: ping.number, height: 0, observed: source, rumours: [])
    datagram(.ack(ack), to: Target(address: source, id: message.author))
  }

  /// Sequences grow, as for everybody.
  func nextSequence() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let now = UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    return state.withLock {
      $0.lastSequence = max(now, $0.lastSequence + 1)
      return $0.lastSequence
    }
  }

  func seal(_ body: MessageBody) -> Message { signer.seal(body, sequence: nextSequence()).value }

  func record(addresses: [PeerAddress]? = nil, name: String = "malicious") -> Message {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return seal(
      .nodeRecord(
        NodeRecord(
          name: name, addresses: addresses ?? [listen], roles: [], capabilities: Digest(hashing: []),
          agent: "malicious", expiresUnixSeconds: UInt64(time.tv_sec) + 86_400)))
  }

  // MARK: Sending

  @discardableResult
  func send(_ message: LinkMessage, on channel: LinkChannel = .broadcast, to id: NodeID) -> Bool {
    send(message.encoded, on: channel, to: id)
  }

  @discardableResult
  func send(_ bytes: [UInt8], on channel: LinkChannel, to id: NodeID) -> Bool {
    let isSent = endpoints.withLock { $0?.links }?.send(bytes, channel: channel, to: id) ?? false
    state.withLock { $0.done[isSent ? "frames" : "frames not taken", default: 0] += 1 }
    return isSent
  }

  func datagram(_ body: MessageBody, to target: Target) { datagram(seal(body).envelope.encoded, to: target) }

  func datagram(_ payload: [UInt8], to target: Target) {
    _ = endpoints.withLock { $0?.datagrams }?.send(payload, to: target.address, receiver: target.id)
    state.withLock { $0.done["datagrams", default: 0] += 1 }
  }

  /// Links to the targets that it has none to, as often as it likes.
  func dialAll() {
    let up = state.withLock { $0.up }
    guard let links = endpoints.withLock({ $0?.0 }) else { return }
    for target in targets where !up.contains(target.id) { links.dial(target.address, expecting: target.id) }
  }

  private static let roundMilliseconds: Int64 = 50
  /// The most rounds that are made up for at once by who came too late for them.
  private static let roundsAtOnce: Int64 = 4

  /// Attacks until it is told to stop, for so long at the most, and says what it did how often, each second and at its end.
  func run(_ attack: Attack, seconds: Double, report: @Sendable ([String: Int]) -> Void) async throws {
    dialAll()
    // Long enough to be known as a member, so that what it says counts.
    try await Task.sleep(for: .seconds(2))
    let started = ContinuousClock.now
    var last = started
    var round = 0
    while !isStopped.load(ordering: .relaxed), ContinuousClock.now - started < .seconds(seconds) {
      // A flood is one by what comes in a time: that it has little of a processor must not make a flood a trickle.
      let passed = (ContinuousClock.now - last) / .milliseconds(MaliciousNode.roundMilliseconds)
      last = .now
      for _ in 0..<max(1, min(MaliciousNode.roundsAtOnce, Int64(passed))) {
        if round % 20 == 0 {
          dialAll()
          report(state.withLock { $0.done.merging(["rounds": round]) { $1 } })
        }
        try await perform(attack, round)
        round += 1
      }
      try await Task.sleep(for: .milliseconds(MaliciousNode.roundMilliseconds))
    }
    let found = endpoints.withLock { $0 }
    await found?.links.shutdown()
    await found?.datagrams.shutdown()
    report(state.withLock { $0.done.merging(["rounds": round]) { $1 } })
  }

  /// Ends `run` after the round that it is in.
  func stop() { isStopped.store(true, ordering: .relaxed) }
}
