import Ledger
import Primitives
import Wire

/// The genesis of a network that goes on from the last final state of one that can't: the same settings and name, new
/// validators, and every account with all that was its own. The same state gives the same document on every host.
package enum RestartGenesis {
  /// Makes the genesis.
  ///
  /// Escrows of jobs, bonds of offers and leases, and stakes return to their owners; jobs, offers and leases end. What
  /// was burnt stays burnt.
  ///
  /// - Parameters:
  ///   - state: the final state.
  ///   - genesis: what the network began with.
  ///   - timestampMilliseconds: of the last final block; the new network begins a millisecond later.
  ///   - validators: the first validators of the new network.
  package static func make(
    from state: LedgerReader, of genesis: Genesis, timestampMilliseconds: UInt64, validators: [NodeID]
  ) throws(NodeError) -> Genesis {
    var balances: [Genesis.Balance] = []
    var sum: UInt64 = 0
    for (id, record) in state.accounts {
      var total: UInt64 = 0
      for part in [record.balanceMicrocredits, record.bondedMicrocredits, record.escrowMicrocredits] {
        total = try add(total, part)
      }
      sum = try add(sum, total)
      if total > 0 { balances.append(Genesis.Balance(account: id, amountMicrocredits: total)) }
    }
    guard try add(sum, state.burntMicrocredits) == state.auditSum() else {
      throw NodeError(
        .diverged, "the accounts of the final state don't add up to what the network began with",
        suggestion: "this is a fault of Linnet or of the disk: keep the data directory and report it")
    }
    guard balances.count <= Genesis.maximumBalances else {
      throw NodeError(
        .genesis, "\(balances.count) accounts hold credits, and a genesis has at most \(Genesis.maximumBalances)",
        suggestion: "this network can't be restarted by a genesis; restore its journals")
    }
    do {
      return try Genesis(
        name: genesis.name, createdMilliseconds: timestampMilliseconds + 1, parameters: genesis.parameters,
        validators: validators, balances: balances)
    } catch {
      throw NodeError(
        .genesis, "that makes no valid genesis",
        suggestion: "name 1 to \(ValidatorSet.maximumCount) validators, each once",
        cause: error)
    }
  }

  private static func add(_ left: UInt64, _ right: UInt64) throws(NodeError) -> UInt64 {
    let (sum, isOver) = left.addingReportingOverflow(right)
    guard !isOver else {
      throw NodeError(
        .diverged, "the final state holds more credits than there can be",
        suggestion: "this is a fault of Linnet or of the disk: keep the data directory and report it")
    }
    return sum
  }
}
