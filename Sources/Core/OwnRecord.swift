import Primitives
import Wire

// What the node's own membership record says that it does.
//
// 1. `validator` from the epoch before the node's first to the end of its last, so that the others link with it in time.
// 2. `provider` while the operator wants it to offer something; until that is known, what the shell wrote.

extension NodeCore {
  /// Rules 1 and 2.
  static func roles(
    of id: NodeID, validators: ValidatorSet, next: ValidatorSet, wish: OfferWish?, before: Roles
  ) -> Roles {
    var roles = before.subtracting(.validator)
    if validators.index(of: id) != nil || next.index(of: id) != nil { roles.insert(.validator) }
    switch wish {
    case nil: break
    case .nothing: roles.remove(.provider)
    case .terms: roles.insert(.provider)
    }
    return roles
  }

  /// Signs the record anew when the node does something else by now.
  mutating func keepOwnRecord(now: Instant, into effects: inout [CoreEffect]) {
    guard case .nodeRecord(var record) = membership.ownRecord.value.body else { return }
    let roles = NodeCore.roles(
      of: id, validators: validators, next: nextValidators, wish: offerWish, before: record.roles)
    guard roles != record.roles else { return }
    record.roles = roles
    step(membership: .updateRecord(record), now: now, into: &effects)
  }
}
