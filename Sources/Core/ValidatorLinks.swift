import Membership
import Primitives
import Wire

/// Rule 13 of consensus: a validator keeps links with all validators of this epoch and the next, whatever membership
/// thinks enough and whomever it thinks down, since votes go over links.
struct ValidatorLinks: Sendable {
  /// The most dials of one round.
  static let maximumDials = 16
  /// The first pause between two dials of a validator; each dial that came to nothing doubles it.
  static let firstPause = Microseconds.seconds(1)
  /// The longest pause.
  static let longestPause = Microseconds.seconds(30)

  /// The least time between two hurries: who comes and goes at will must not decide how often validators are dialled.
  static let hurryInterval = Microseconds.seconds(10)

  struct Attempt: Sendable {
    var nextAt: Instant
    var pause: Microseconds
  }

  private var lastHurry: Instant?
  var attempts = BoundedMap<NodeID, Attempt>(capacity: 2 * ValidatorSet.maximumCount)

  /// A validator is back from where it was down: what kept the others away may be over, too. None waits longer for it.
  mutating func hurry(at now: Instant) {
    guard lastHurry.map({ now - $0 >= ValidatorLinks.hurryInterval }) ?? true else { return }
    lastHurry = now
    for id in attempts.entries.map(\.key) {
      _ = attempts.modify(id) { attempt in
        attempt.nextAt = min(attempt.nextAt, now + ValidatorLinks.firstPause)
        attempt.pause = ValidatorLinks.firstPause
      }
    }
  }

  /// Whether a validator is to be dialled now; notes that it was.
  mutating func isDue(_ id: NodeID, at now: Instant) -> Bool {
    guard let last = attempts[id] else {
      // Who is missing for the first time is probably dialling, too.
      attempts.insert(Attempt(nextAt: now + ValidatorLinks.firstPause, pause: ValidatorLinks.firstPause), forKey: id)
      return false
    }
    guard now >= last.nextAt else { return false }
    let pause = min(last.pause * 2, ValidatorLinks.longestPause)
    attempts.insert(Attempt(nextAt: now + last.pause, pause: pause), forKey: id)
    return true
  }
}

extension NodeCore {
  /// Dials the validators that this validator has no link to, where it knows an address.
  mutating func keepValidatorLinks(now: Instant, into effects: inout [CoreEffect]) {
    guard validators.index(of: id) != nil || nextValidators.index(of: id) != nil else { return }
    var dials = 0
    for peer in OrderedSet(validators.members + nextValidators.members) where peer != id {
      guard !links.contains(peer) else {
        validatorLinks.attempts.removeValue(forKey: peer)
        continue
      }
      guard dials < ValidatorLinks.maximumDials, let member = membership.member(peer), member.state != .left,
        let address = member.address, validatorLinks.isDue(peer, at: now)
      else { continue }
      dial(address, peer, now: now, into: &effects)
      dials += 1
    }
  }
}
