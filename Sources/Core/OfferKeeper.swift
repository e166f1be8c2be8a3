import Ledger
import Membership
import Primitives
import Wire

/// What a node is told to offer.
enum OfferWish: Sendable {
  case nothing
  case terms(OfferTerms)
}

extension NodeCore {
  /// Sends the offer that the operator wants, renews it at half of its validity, and withdraws one that is not
  /// wanted any more.
  mutating func keepOffer(now: Instant, into effects: inout [CoreEffect]) {
    let state = finalState
    let standing = state.offer(of: id)
    var wish: OfferTerms
    switch offerWish {
    case nil: return
    case .nothing:
      if standing != nil { submitOnce(.withdraw, for: .offer, now: now, into: &effects) }
      return
    case .terms(let terms): wish = terms
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

  /// How long a node that said farewell may be away before it counts as down.
  private static let leaveGrace = Microseconds.seconds(30)

  /// A validator says on the chain what it found by its own probes, when that differs from what it said before.
  mutating func keepAttestations(now: Instant, into effects: inout [CoreEffect]) {
    guard validators.index(of: id) != nil else { return }
    let state = finalState
    for provider in state.providerIDs where provider != id {
      guard let member = membership.member(provider) else { continue }
      let said = state.attestation(of: provider, by: id)
      switch member.state {
      case .down, .left:
        // Who says farewell may be back after a restart, its jobs still running: its leases get some time.
        let isGone = member.state == .down || now - member.since >= NodeCore.leaveGrace
        if isGone, said != .down {
          submitOnce(
            .attest(provider: provider, liveness: .down), for: .attest(provider), now: now, into: &effects)
        }
      case .alive:
        // Also when others found it down: those may be gone, and a quorum must find it up.
        if said == .down || said != .up && state.isDown(provider) {
          submitOnce(.attest(provider: provider, liveness: .up), for: .attest(provider), now: now, into: &effects)
        }
      case .suspect: break
      }
    }
  }
}
