import Core
import Primitives
import Synchronization
import Transport
import Wire

/// Reverse dial. A node that nobody can dial names members that it is linked with, in its record; who wants a link with it
/// asks one of them to tell it, and it dials the asker. Nobody is dialled at an address from a message: only at those of its
/// own signed record. And nobody is made to dial often, whoever asks.
final class ConnectService: Sendable {
  /// How often a minute, and at once, a peer may have others told, or this node dial.
  static let askedPerMinute = 4
  /// How often a minute, and at once, a member may pass on what others ask for: several askers a minute.
  static let passedOnPerMinute = 32
  /// The most peers whose requests are counted.
  private static let maximumAskers = 1_024
  /// The most requests under way.
  static let maximumUnderWay = 16
  /// How long the one who is told may take to answer.
  private static let toldSeconds = 5.0
  /// The most addresses of a record that are dialled.
  private static let maximumDials = 2

  /// The most requests under way to one who is to be told: who does not answer holds no more places.
  private static let maximumUnderWayToOne = 2
  /// How often a minute, and at once, all peers of a /24 or /56 may have others told: an identity costs nothing.
  static let askedPerMinuteOfPrefix = 64

  private struct State {
    var asked = Allowances<NodeID>(perMinute: askedPerMinute, maximumAskers: maximumAskers)
    var dialled = Allowances<NodeID>(perMinute: askedPerMinute, maximumAskers: maximumAskers)
    var passedOn = Allowances<NodeID>(perMinute: passedOnPerMinute, maximumAskers: maximumAskers)
    var askedOfPrefix = Allowances<UInt64>(perMinute: askedPerMinuteOfPrefix, maximumAskers: maximumAskers)
    var underWay = 0
    /// By who is to be told.
    var toOne: [NodeID: Int] = [:]

    mutating func ended(_ request: ConnectRequest) {
      underWay -= 1
      guard case .tell(let target) = request, let count = toOne[target] else { return }
      toOne[target] = count > 1 ? count - 1 : nil
    }
  }

  private let state = Mutex(State())
  private let links: @Sendable () -> [NodeID]
  private let record: @Sendable (NodeID) async -> NodeRecord?
  private let dial: @Sendable (PeerAddress, NodeID) -> Void
  private let tell: @Sendable (ConnectRequest, NodeID) async -> ConnectAnswer?

  /// - Parameters:
  ///   - links: who is linked.
  ///   - record: the record of a live member.
  ///   - dial: dials a node.
  ///   - tell: asks a linked node for service 5; nil when it does not answer.
  init(
    links: @escaping @Sendable () -> [NodeID], record: @escaping @Sendable (NodeID) async -> NodeRecord?,
    dial: @escaping @Sendable (PeerAddress, NodeID) -> Void,
    tell: @escaping @Sendable (ConnectRequest, NodeID) async -> ConnectAnswer?
  ) {
    self.links = links
    self.record = record
    self.dial = dial
    self.tell = tell
  }

  /// Over a hub.
  convenience init(hub: @escaping @Sendable () -> ServiceHub?, driver: CoreDriver, links: LateBound<LinkEndpoint>) {
    self.init(
      links: { links.value?.links.map(\.id) ?? [] },
      record: { id in
        await driver.read { core, _ in
          guard let member = core.membership.member(id), member.isLive else { return nil }
          return member.record
        }
      },
      dial: { address, id in links.value?.dial(address, expecting: id) },
      tell: { request, peer in
        let answer = try? await hub()?.ask(
          .connect, request.encoded, of: peer, timeoutSeconds: ConnectService.toldSeconds)
        return answer.flatMap { try? ConnectAnswer(decoding: $0) }
      })
  }

  /// The answer to the request of a peer, whose link comes from `source`; nil for one that can't be understood.
  func answer(_ body: [UInt8], from peer: NodeID, source: PeerAddress?) async -> [UInt8]? {
    guard let request = try? ConnectRequest(decoding: body) else { return nil }
    return await answer(request, from: peer, source: source, at: MonotonicClock.now()).encoded
  }

  func answer(
    _ request: ConnectRequest, from peer: NodeID, source: PeerAddress? = nil, at now: Instant
  ) async -> ConnectAnswer {
    let mayWork = state.withLock { state in
      guard state.underWay < ConnectService.maximumUnderWay else { return false }
      switch request {
      case .tell(let target):
        guard state.toOne[target, default: 0] < ConnectService.maximumUnderWayToOne,
          state.asked.take(by: peer, now: now) > 0,
          state.askedOfPrefix.take(by: source?.prefixNumber ?? 0, now: now) > 0
        else { return false }
        state.toOne[target, default: 0] += 1
      case .dial(let requester):
        guard state.passedOn.take(by: peer, now: now) > 0, state.dialled.take(by: requester, now: now) > 0 else {
          return false
        }
      }
      state.underWay += 1
      return true
    }
    guard mayWork else { return .tooMany }
    defer { state.withLock { $0.ended(request) } }
    switch request {
    case .tell(let target):
      guard target != peer, links().contains(target) else { return .notLinked }
      return await tell(.dial(peer), target) ?? .notLinked
    case .dial(let requester):
      if links().contains(requester) { return .dialling }
      guard let record = await record(requester), record.via.isEmpty else { return .noAddress }
      let addresses = record.addresses.filter(\.isUsable).prefix(ConnectService.maximumDials)
      guard !addresses.isEmpty else { return .noAddress }
      for address in addresses { dial(address, requester) }
      return .dialling
    }
  }
}
