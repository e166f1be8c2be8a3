/// Asks the node for an invite.
package struct InviteRequest: Codable, Sendable, Equatable {
  /// The addresses to name instead of the node's own, at most four `ip:port`.
  package var addresses: [String]?
  /// What the invited host gets from the node's account; nil for nothing.
  package var grantMicrocredits: UInt64?

  /// Every field.
  package init(addresses: [String]? = nil, grantMicrocredits: UInt64? = nil) {
    self.addresses = addresses
    self.grantMicrocredits = grantMicrocredits
  }
}

/// `linnet invite`.
package struct InviteAnswer: Codable, Sendable, Equatable {
  /// The text that `linnet join` takes. With a grant it is money: whoever reads it can take the grant.
  package var invite: String
  /// The node that answers who joins.
  package var node: String
  /// Where.
  package var addresses: [String]
  /// The name of the network from its genesis document.
  package var network: String
  /// The hash of the genesis document in text form.
  package var networkId: String
  /// What was paid for the invited host; nil for nothing.
  package var grant: GrantAnswer?

  /// Every field.
  package init(
    invite: String, node: String, addresses: [String], network: String, networkId: String, grant: GrantAnswer? = nil
  ) {
    self.invite = invite
    self.node = node
    self.addresses = addresses
    self.network = network
    self.networkId = networkId
    self.grant = grant
  }
}

/// What an invite is worth.
package struct GrantAnswer: Codable, Sendable, Equatable {
  /// The account that it was paid to, whose key is in the invite.
  package var account: String
  /// What whoever joins gets, once the fee of its claim is paid.
  package var amountMicrocredits: UInt64
  /// The transfer. Not in a block yet, it may still come to be in one.
  package var transfer: TransactionAnswer
  /// The file on the node that has the same key, to take the grant back by.
  package var keyFile: String

  /// Every field.
  package init(account: String, amountMicrocredits: UInt64, transfer: TransactionAnswer, keyFile: String) {
    self.account = account
    self.amountMicrocredits = amountMicrocredits
    self.transfer = transfer
    self.keyFile = keyFile
  }
}
