import Primitives
import Wire

/// What came of a ping that a person asked for.
public enum PingOutcome: Hashable, Sendable {
  /// The member answered after this time, from this address.
  case answered(roundTrip: Microseconds, from: PeerAddress)
  /// Nothing came in time.
  case timedOut
  /// The member names no address that can be written to.
  case noAddress
  /// There is no member with this id.
  case notAMember
  /// Too many probes are under way.
  case busy
}

// Pings for people: as a probe, but nothing is held against who does not answer.
extension MembershipMachine {
  /// The most of them that wait for an answer: those of the rounds must never lack room for them.
  public static let maximumAsked = 64

  mutating func ping(
    _ target: NodeID, _ request: UInt64, _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, var entry = entries[target] else {
      return effects.append(.pinged(request: request, .notAMember))
    }
    guard probes.count < MembershipMachine.maximumProbes,
      probes.count(where: { $0.value.purpose.isAsked }) < MembershipMachine.maximumAsked
    else { return effects.append(.pinged(request: request, .busy)) }
    entry.address = address(of: target, entry)
    guard let address = entry.address else { return effects.append(.pinged(request: request, .noAddress)) }
    let number = probeNumber()
    // No news: a person's pings at a member that does not answer would use it up.
    let words = pickRumours(for: target, entry, bytes: Rumours.maximumBytes, withNews: false)
    entries[target] = entry
    let ping = Ping(receiver: target, number: number, height: ownHeight, observed: address, rumours: words)
    probes[number] = Probe(
      target: target, purpose: .asked(request: request), sentAt: now, incarnation: entry.incarnation, carried: 0)
    // Slow is an answer, too: it is waited for longer than by the rounds.
    deadlines.set(.probe(number), at: now + settings.maximumProbeTimeout * 2)
    counters.add("pingAsked")
    effects.append(.send(identity.seal(.ping(ping), now: now), to: address, receiver: target))
  }
}
