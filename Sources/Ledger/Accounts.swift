import Primitives
import Wire

// Credits move only here and when a fee is burnt. The sum of all is below 2^63 since the genesis, so that no
// addition of two parts of it overflows.

extension BlockExecution {
  mutating func transfer(_ amount: UInt64, from author: NodeID, to recipient: NodeID) throws(TransactionRefusal) {
    guard amount > 0 else { throw .zeroAmount }
    guard var payer = state.accounts[author], payer.balanceMicrocredits >= amount else { throw .insufficientBalance }
    let isNew = state.accounts[recipient] == nil
    if isNew {
      // An account is for ever (its nonce is), so opening one must cost more than a fee.
      guard amount >= parameters.entryDepositMicrocredits else { throw .belowEntryDeposit }
      guard chain.accountCount < LedgerBounds.maximumAccounts else { throw .accountsFull }
      chain.accountCount += 1
    }
    payer.balanceMicrocredits -= amount
    state.accounts[author] = payer
    // Read after the write above: the recipient may be the payer.
    var payee = state.accounts[recipient] ?? AccountRecord()
    payee.balanceMicrocredits += amount
    state.accounts[recipient] = payee
  }

  /// Locks part of a balance as bond or stake.
  mutating func lockBond(_ amount: UInt64, of id: NodeID) throws(TransactionRefusal) {
    guard var account = state.accounts[id], account.balanceMicrocredits >= amount else { throw .insufficientBalance }
    account.balanceMicrocredits -= amount
    account.bondedMicrocredits += amount
    state.accounts[id] = account
  }

  mutating func releaseBond(_ amount: UInt64, of id: NodeID) {
    guard var account = state.accounts[id], account.bondedMicrocredits >= amount else {
      preconditionFailure("what is released was locked")
    }
    account.bondedMicrocredits -= amount
    account.balanceMicrocredits += amount
    state.accounts[id] = account
  }

  /// Burns part of what is locked.
  mutating func burnBond(_ amount: UInt64, of id: NodeID) {
    guard amount > 0 else { return }
    guard var account = state.accounts[id], account.bondedMicrocredits >= amount else {
      preconditionFailure("what is burnt was locked")
    }
    account.bondedMicrocredits -= amount
    state.accounts[id] = account
    chain.burntMicrocredits += amount
  }

  /// Locks part of a balance for a job.
  mutating func lockEscrow(_ amount: UInt64, of id: NodeID) throws(TransactionRefusal) {
    guard var account = state.accounts[id], account.balanceMicrocredits >= amount else { throw .insufficientBalance }
    account.balanceMicrocredits -= amount
    account.escrowMicrocredits += amount
    state.accounts[id] = account
  }

  /// Moves part of a job's escrow to a provider, or back to the submitter.
  mutating func releaseEscrow(_ amount: UInt64, of submitter: NodeID, to recipient: NodeID) {
    guard var payer = state.accounts[submitter], payer.escrowMicrocredits >= amount else {
      preconditionFailure("what is released was locked")
    }
    payer.escrowMicrocredits -= amount
    state.accounts[submitter] = payer
    guard var payee = state.accounts[recipient] else { preconditionFailure("who is paid has paid fees") }
    payee.balanceMicrocredits += amount
    state.accounts[recipient] = payee
  }
}
