import Primitives
import Wire

@testable import Membership

/// One machine, number 0, and what it does; the others are played by hand.
struct Bench {
  var identity = StandIn.identity(0)
  var machine: MembershipMachine
  var others: [Identity]
  var now = Instant.zero

  init(_ count: Int, settings: MembershipSettings = .lan) {
    machine = MembershipMachine(
      settings: settings, ownRecord: record(0), identity: &identity, now: now, seed: 1)
    others = (1...max(1, count)).map { StandIn.identity($0) }
    _ = feed(.start)
    for number in 1..<max(1, count + 1) where count > 0 { _ = introduce(number) }
  }

  mutating func feed(_ input: MembershipInput) -> [MembershipEffect] {
    var effects: [MembershipEffect] = []
    machine.step(input, now: now, identity: &identity, into: &effects)
    return effects
  }

  mutating func seal(_ number: Int, _ body: MessageBody) -> Verified<Message> {
    others[number - 1].seal(body, now: now)
  }

  /// A member says who it is. Unless it shall not be, it is where it says for sure.
  mutating func introduce(
    _ number: Int, addresses: [PeerAddress]? = nil, expires: UInt64 = lasting, isVerified: Bool = true
  ) -> [MembershipEffect] {
    var body = record(number, addresses: addresses)
    body.expiresUnixSeconds = expires
    let effects = feed(.members([seal(number, .nodeRecord(body))], from: others[number - 1].id))
    if isVerified { _ = machine.entries.modify(others[number - 1].id) { $0.verified = body.addresses.first } }
    return effects
  }

  mutating func datagram(_ number: Int, _ body: MessageBody, rumours: [Verified<Message>] = []) -> [MembershipEffect] {
    feed(.datagram(seal(number, body), rumours: rumours, from: address(number)))
  }

  mutating func ping(_ number: Int, rumours: [Verified<Message>] = []) -> [MembershipEffect] {
    let filler = rumours.isEmpty ? [machine.ownRecord] : rumours
    return datagram(
      number,
      .ping(
        Ping(
          receiver: identity.id, number: 1 << 60, height: 5, observed: address(0), rumours: filler.map(\.value.envelope)
        )),
      rumours: rumours)
  }

  /// A member accuses another of not answering in the incarnation that is known of it.
  mutating func accuse(_ accused: Int, by number: Int) -> [MembershipEffect] {
    let id = others[accused - 1].id
    let incarnation = machine.member(id)?.incarnation ?? 0
    let word = seal(number, .accusation(Accusation(accused: id, incarnation: incarnation)))
    return feed(.members([word], from: others[number - 1].id))
  }

  /// Feeds ticks until a time.
  mutating func run(until end: Instant) -> [MembershipEffect] {
    var effects: [MembershipEffect] = []
    while let wake = machine.nextWake, wake <= end {
      now = max(now, wake)
      effects += feed(.tick)
    }
    now = end
    return effects
  }

  func state(_ number: Int) -> MemberState? { machine.member(others[number - 1].id)?.state }
  func counted(_ name: String) -> UInt64 { machine.counters[name] }
}

extension MembershipSettings {
  /// Those of a machine that probes nobody by itself, not even one that is accused.
  static var quiet: MembershipSettings {
    var settings = MembershipSettings.lan
    settings.confirmers = 0
    settings.probeInterval = .seconds(1_000_000)
    return settings
  }
}

func sent(_ effects: [MembershipEffect]) -> [(message: Message, to: PeerAddress)] {
  effects.compactMap { if case .send(let message, let to, _) = $0 { (message.value, to) } else { nil } }
}

/// What goes over links.
func exchanges(_ effects: [MembershipEffect]) -> [(words: [Envelope], to: NodeID)] {
  effects.compactMap { if case .exchange(let words, let to) = $0 { (words, to) } else { nil } }
}
