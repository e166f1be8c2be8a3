import Control
import Core
import Membership
import Primitives
import Synchronization
import Transport
import Wire

/// What happened in the network around this node, for people: `linnet events`, and what `linnet netcheck` rests on.
final class NetworkLog: Sendable {
  /// The events, for those who follow them.
  let feed = EventFeed()

  private let own: NodeID
  private let dials = Mutex(DialLog())
  private let watch = Mutex(DatagramWatch())

  /// - Parameter own: this node, which events about itself do not name.
  init(own: NodeID) { self.own = own }

  /// Why the latest dial to an address came to nothing; nil when it did not.
  func failure(at address: PeerAddress) -> DialLog.Failure? { dials.withLock { $0[address] } }

  /// A member's state changed.
  func changed(_ member: NodeID, from before: MemberState?, to state: MemberState, accusers: [NodeID]) {
    feed.add(
      .member, peer: "\(member)",
      .init(
        from: before.map(NetworkLog.peerState), to: NetworkLog.peerState(state),
        accusers: accusers.isEmpty ? nil : accusers.map { "\($0)" }))
  }

  /// What the core saw.
  func note(_ event: NetworkEvent) {
    switch event {
    case .accused(let accused, let accuser, let incarnation):
      feed.add(.accusation, peer: other(accused), .init(accusers: ["\(accuser)"], incarnation: incarnation))
    case .refuted(let member, let incarnation, let accusers):
      feed.add(
        .refutation, peer: other(member), .init(accusers: accusers.map { "\($0)" }, incarnation: incarnation))
    case .closedForMisconduct(let peer, let score, let banSeconds):
      feed.add(.scoreClosed, peer: "\(peer)", .init(score: score, banSeconds: banSeconds))
    case .addressLearned(let address, let reporters):
      feed.add(.addressLearned, .init(address: "\(address)", reporters: reporters))
    case .addressChanged(let before, let now):
      feed.add(.addressChanged, .init(addresses: now.map { "\($0)" }, before: before.map { "\($0)" }))
    case .nat(let isBehind, let via): feed.add(.nat, .init(isOn: isBehind, via: via.map { "\($0)" }))
    case .split(let members): feed.add(.split, .init(members: members))
    case .healed(let members): feed.add(.healed, .init(members: members))
    }
  }

  /// What happened to the links.
  func note(_ event: LinkEvent) {
    switch event {
    case .up(let peer, let address, let direction):
      dials.withLock { $0.succeeded(address) }
      feed.add(.linkUp, peer: "\(peer)", .init(address: "\(address)", direction: direction.rawValue))
    case .down(let peer, let reason): feed.add(.linkDown, peer: "\(peer)", .init(reason: "\(reason)"))
    case .dialFailed(let address, let peer, let error):
      // There is a link to it already, or it is this node itself: nothing is wrong.
      guard error.code != .alreadyLinked, error.code != .ownIdentity else { return }
      let now = WallTimeSource.now()
      guard dials.withLock({ $0.failed(address, "\(error)", at: now) }) else { return }
      feed.add(.dialFailed, peer: peer.map { "\($0)" }, .init(address: "\(address)", reason: "\(error)"), at: now)
    case .received, .congested: break
    }
  }

  /// Looks at the counters of the datagrams, which tell what has no event of its own.
  func look(at counters: [(String, UInt64)]) {
    for (kind, isOn) in watch.withLock({ $0.look(at: counters) }) { feed.add(kind, .init(isOn: isOn)) }
  }

  private func other(_ id: NodeID) -> String? { id == own ? nil : "\(id)" }

  static func peerState(_ state: MemberState) -> PeerState {
    switch state {
    case .alive: .alive
    case .suspect: .suspect
    case .down: .down
    case .left: .left
    }
  }
}

/// Tells by two looks at the counters of the datagrams what happened between them.
struct DatagramWatch {
  /// Bindings after a loss: the first of a socket is not counted.
  private var bound: UInt64 = 0
  private var cookies: UInt64 = 0
  private var isLoaded = false

  /// The kinds of events, and whether something has begun or ended where that says something.
  mutating func look(at counters: [(String, UInt64)]) -> [(kind: EventKind, isOn: Bool?)] {
    var events: [(EventKind, Bool?)] = []
    func count(_ name: String) -> UInt64 { counters.first { $0.0 == name }?.1 ?? 0 }
    let (nowBound, nowCookies) = (count("bound"), count("cookieSent"))
    if nowBound > bound { events.append((.socketRebound, nil)) }
    if (nowCookies > cookies) != isLoaded {
      isLoaded.toggle()
      events.append((.load, isLoaded))
    }
    (bound, cookies) = (nowBound, nowCookies)
    return events
  }
}
