import Control
import Ledger
import Primitives
import Wire

/// Where a node stands between the epochs, from what the final state says: the sets of this epoch and the next are
/// fixed, that of the second one follows the records.
struct ValidatorStanding: Equatable {
  /// What the final state says of one node.
  struct Facts {
    /// The epoch of the next block.
    var epoch: UInt64
    /// Its key in the set of that epoch; nil for no member.
    var key: NodeID?
    /// Its key in the set of the epoch after it; nil for no member.
    var nextKey: NodeID?
    /// Its key in the records, from which the set of the epoch after that is made.
    var laterKey: NodeID?
    /// True when that set may have it: it stands, with enough at stake.
    var standsLater = false
    /// True once evidence has put it out.
    var isJailed = false
  }

  /// Where it stands.
  var state: ValidatorState
  /// The epoch in which its membership or its key changes.
  var changesInEpoch: UInt64?

  /// The standing of a node; nil for one that is no validator.
  init?(_ facts: Facts) {
    let (next, later) = (facts.epoch + 1, facts.epoch + 2)
    /// From which epoch on it is no member; nil for one that is none already, or stays.
    let end: UInt64? =
      if facts.nextKey != nil {
        facts.standsLater ? nil : later
      } else {
        facts.key != nil ? next : nil
      }
    if facts.isJailed {
      self.init(state: .jailed, changesInEpoch: end)
    } else if let key = facts.key {
      if let end {
        self.init(state: .leaving, changesInEpoch: end)
      } else if facts.nextKey != key {
        self.init(state: .active, changesInEpoch: next)
      } else {
        self.init(state: .active, changesInEpoch: facts.laterKey == key ? nil : later)
      }
    } else if facts.nextKey != nil {
      self.init(state: .joining, changesInEpoch: next)
    } else if facts.standsLater {
      self.init(state: .joining, changesInEpoch: later)
    } else if facts.laterKey != nil {
      // It has left, and its stake is kept while evidence can still come.
      self.init(state: .leaving, changesInEpoch: nil)
    } else {
      return nil
    }
  }

  private init(state: ValidatorState, changesInEpoch: UInt64?) {
    self.state = state
    self.changesInEpoch = changesInEpoch
  }
}

extension LedgerReader {
  /// What the state says of a node as a validator.
  func validatorFacts(_ node: NodeID) -> ValidatorStanding.Facts {
    func key(_ epoch: UInt64) -> NodeID? {
      validatorSet(epoch: epoch).flatMap { set in set.index(of: node).flatMap { set.key($0) } }
    }
    let record = validator(node)
    let standsLater = record.map {
      $0.isStanding && ($0.isFounder || $0.stakeMicrocredits >= parameters.minimumStakeMicrocredits)
    }
    return ValidatorStanding.Facts(
      epoch: epoch, key: key(epoch), nextKey: key(epoch + 1), laterKey: record?.key,
      standsLater: standsLater ?? false, isJailed: record?.isJailed ?? false)
  }

  /// The nodes that are validators now or in the next epoch, or have something at stake, in the order of ids.
  var validatorNodes: [NodeID] {
    var nodes = Set(validators.map(\.id))
    for epoch in [epoch, epoch + 1] { nodes.formUnion(validatorSet(epoch: epoch)?.members ?? []) }
    return nodes.sorted()
  }

  /// The first of the epochs in a row, up to this or the next one, in which a node is a member; nil for no member, and
  /// when the row is longer than the sets that are kept.
  func memberSince(_ node: NodeID) -> UInt64? {
    var since: UInt64?
    var candidate = validatorSet(epoch: epoch)?.index(of: node) != nil ? epoch : epoch + 1
    while let set = validatorSet(epoch: candidate) {
      guard set.index(of: node) != nil else { return since }
      since = candidate
      guard candidate > 0 else { return 0 }
      candidate -= 1
    }
    return nil
  }
}
