import Logging
import NIOCore
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

/// Tells a peer whether it can be dialled from outside: connects once to the address that its link comes from, at the port
/// that it names, and does the handshake. No address from a message is dialled, so nobody can be made to knock at another's
/// door; and the port is the asker's own.
final class DialBackService: Sendable {
  /// How often a minute, and at once, a peer may ask.
  static let askedPerMinute = 2
  /// How often a minute, and at once, all peers of a /24 or /56 may: an identity costs nothing, and the nodes of a house or a
  /// rack ask for themselves.
  static let askedPerMinuteOfPrefix = 16
  /// The most peers, and the most prefixes, whose requests are counted.
  private static let maximumAskers = 1_024
  /// The most dials under way.
  static let maximumUnderWay = 8
  /// Longer than connecting and the handshake may take together, of which the endpoint tells when they fail: only an
  /// endpoint that tells nothing is waited for so long.
  private static let waitSeconds = 11
  /// Longer than the one who is asked waits.
  static let askerWaitsSeconds = 15.0

  /// Answers that say nothing of whether the asker can be dialled.
  enum Unsaid: String {
    case noAddress = "the link has no address that can be dialled"
    case askedTooOften = "asked too often"
    case cannotDial = "the one who was asked can't dial now"
  }
  /// All that the asker learns when it was not reached: how a dial failed would tell what else listens there, or answers on
  /// the way, by the address of another.
  static let unreached = "no node of this identity answered there"

  private struct State {
    var asked = Allowances<NodeID>(perMinute: askedPerMinute, maximumAskers: maximumAskers)
    var askedOfPrefix = Allowances<UInt64>(perMinute: askedPerMinuteOfPrefix, maximumAskers: maximumAskers)
    var underWay = 0
  }

  private let state = Mutex(State())
  private let networkID: Digest
  private let group: any EventLoopGroup
  private let logger: Logger

  init(networkID: Digest, group: any EventLoopGroup, logger: Logger) {
    self.networkID = networkID
    self.group = group
    self.logger = logger
  }

  /// The answer to a peer whose link comes from an address; nil for a request that can't be understood.
  func answer(
    _ body: [UInt8], from peer: NodeID, at source: PeerAddress?, now: Instant = MonotonicClock.now()
  ) async -> [UInt8]? {
    guard let request = try? DialBackRequest(decoding: body) else { return nil }
    guard let source, let address = PeerAddress(ip: source.ip, port: request.port), address.isUsable else {
      return Self.answer(Unsaid.noAddress.rawValue).encoded
    }
    let mayWork = state.withLock { state in
      guard state.underWay < DialBackService.maximumUnderWay, state.asked.take(by: peer, now: now) > 0,
        state.askedOfPrefix.take(by: source.prefixNumber, now: now) > 0
      else { return false }
      state.underWay += 1
      return true
    }
    guard mayWork else { return Self.answer(Unsaid.askedTooOften.rawValue).encoded }
    defer { state.withLock { $0.underWay -= 1 } }
    return await reach(peer, at: address).encoded
  }

  /// Dials under an identity made for it: with its own, this node has a link with the asker already and gets no other.
  private func reach(_ peer: NodeID, at address: PeerAddress) async -> DialBackAnswer {
    let (outcomes, continuation) = AsyncStream<DialBackAnswer>.makeStream(bufferingPolicy: .bufferingOldest(1))
    let endpoint: LinkEndpoint
    do {
      endpoint = try LinkEndpoint(
        identity: try SigningKey.generate(), networkID: networkID, group: group, logger: logger
      ) { [logger] event in
        switch event {
        case .up: continuation.yield(DialBackAnswer(isReached: true, reason: ""))
        case .dialFailed(_, _, let error):
          logger.debug("dialled \(peer.short) back at \(address) in vain: \(error)")
          continuation.yield(Self.answer(Self.unreached))
        case .down, .received, .congested: break
        }
      }
      try await endpoint.start(listen: [])
    } catch {
      return Self.answer(Unsaid.cannotDial.rawValue)
    }
    endpoint.dial(address, expecting: peer)
    let timer = Task {
      try await Task.sleep(for: .seconds(DialBackService.waitSeconds))
      continuation.yield(Self.answer(Self.unreached))
    }
    let outcome = await outcomes.first { _ in true }
    timer.cancel()
    await endpoint.shutdown()
    return outcome ?? Self.answer(Unsaid.cannotDial.rawValue)
  }

  private static func answer(_ reason: String) -> DialBackAnswer {
    DialBackAnswer(isReached: false, reason: reason)
  }
}
