import Primitives
import Wire

// Invariant 15.
extension Checker {
  /// An honest node hears another no more, for what that has cost.
  mutating func closed(_ peer: NodeID, by number: Int, at now: Instant) {
    guard let other = numbers[peer], isHonest[other] else { return }
    report(15, at: now, "n\(number + 1) hears n\(other + 1) no more for its misconduct, and both are honest")
  }
}
