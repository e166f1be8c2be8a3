import Ledger
import Membership
import Primitives
import Wire

extension NodeCore {
  /// Sends the offer that the operator wants, renews it at half of its validity, and withdraws one that is not
  /// wanted any more.
  mutating func keepOffer(now: Instant, into effects: inout [CoreEffect]) {
    let state = finalState
    let standing = state.offer(of: id)
    guard var wish = offerWish else {
      if standing != nil { submitOnce(.withdraw, for: .offer, now: now, into: &effects) }
      return
    }
    let time = max(identity.wallClock.unixMilliseconds(at: now), state.ledgerTimeMilliseconds)
    let validity = UInt64(max(0, settings.offerValidity.count)) / 1_000
    wish.validUntilMilliseconds = time &+ validity
    if let standing {
      var same = standing
      same.validUntilMilliseconds = wish.validUntilMilliseconds
      if same == wish, standing.validUntilMilliseconds > time &+ validity / 2 { return }
    } else {
      let parameters = genesis.parameters
      let needed = parameters.offerBondMicrocredits.addingReportingOverflow(parameters.minimumFeeMicrocredits)
      guard !needed.overflow, state.account(id).balanceMicrocredits >= needed.partialValue else {
        counters.add("offerNotAffordable")
        return
      }
    }
    submitOnce(.offer(wish), for: .offer, now: now, into: &effects)
  }

  /// A validator says on the chain what it found by its own probes, when that differs from what it said before.
  mutating func keepAttestations(now: Instant, into effects: inout [CoreEffect]) {
    guard validators.index(of: id) != nil else { return }
    let state = finalState
    for provider in state.providerIDs where provider != id {
      guard let member = membership.member(provider) else { continue }
      let said = state.attestation(of: provider, by: id)
      switch member.state {
      case .down, .left:
        if said != .down {
          submitOnce(
            .attest(provider: provider, liveness: .down), for: .attest(provider), now: now, into: &effects)
        }
      case .alive:
        if said == .down {
          submitOnce(.attest(provider: provider, liveness: .up), for: .attest(provider), now: now, into: &effects)
        }
      case .suspect: break
      }
    }
  }
}
