import Control
import Core
import FoundationEssentials
import Primitives
import Sodium
import Wire

// Invites, and the money that may be in them.

extension NodeControl {
  func invite(_ request: InviteRequest) async throws -> InviteAnswer {
    guard node.genesisService.isServable else {
      throw ControlError.conflict(
        code: "genesisTooLong",
        "the genesis is over \(GenesisAnswer.maximumTotalBytes) bytes, more than `linnet join` fetches",
        suggestion: "copy the genesis file to the new host, and name this one in its [network] bootstrap")
    }
    let addresses = try await invitedTo(request.addresses ?? [])
    let networkID = node.genesis.networkID
    // Nothing may be paid for an invite that can't be made.
    guard var invite = Invite(networkID: networkID, node: node.id, addresses: addresses) else {
      throw ControlError.conflict(
        code: "noAddress", "this node knows no address of its own that another host could dial",
        suggestion: "name one: linnet invite --address IP:PORT")
    }
    var grant: GrantAnswer?
    if let amount = request.grantMicrocredits { (invite.grant, grant) = try await self.grant(amount) }
    return InviteAnswer(
      invite: invite.text, node: "\(node.id)", addresses: addresses.map(\.description), network: node.genesis.name,
      networkId: "\(networkID)", grant: grant)
  }

  /// What was asked for, else what the operator tells peers, else what the own record says.
  private func invitedTo(_ texts: [String]) async throws -> [PeerAddress] {
    guard texts.isEmpty else {
      guard texts.count <= Invite.maximumAddresses else {
        throw ControlError.invalid("an invite names at most \(Invite.maximumAddresses) addresses")
      }
      return try texts.map { text in
        guard let address = PeerAddress(text: text), address.isUsable else {
          throw ControlError.invalid("'\(text)' is no address that can be dialled", suggestion: "write IP:PORT")
        }
        return address
      }
    }
    let own = await node.driver.read { core, _ -> NodeRecord? in
      guard case .nodeRecord(let record) = core.membership.ownRecord.value.body else { return nil }
      return record
    }
    let said = configurationInForce.network.advertise.compactMap { PeerAddress(text: "\($0)") }
    guard said.isEmpty else { return Array(said.filter(\.isUsable).prefix(Invite.maximumAddresses)) }
    guard own?.via.isEmpty ?? true else {
      throw ControlError.conflict(
        code: "notDialable", "this node is behind a NAT: a host that joins could not dial it",
        suggestion: "make the invite on a node that others can dial, or forward a port and name it with --address")
    }
    return Array((own?.addresses ?? []).filter(\.isUsable).prefix(Invite.maximumAddresses))
  }

  /// Pays a grant to a key that was made for it. The key is on the disk before: whatever happens then, the money is not lost.
  private func grant(_ amount: UInt64) async throws -> (secret: InviteGrant, answer: GrantAnswer) {
    let least = node.genesis.parameters.entryDepositMicrocredits
    guard amount >= max(1, least) else {
      throw ControlError.invalid("a grant opens an account, which takes at least \(Quantity.credits(least)) credits")
    }
    let fee = node.genesis.parameters.minimumFeeMicrocredits
    // Who claims it pays a fee, too.
    let (sum, isTooLarge) = amount.addingReportingOverflow(fee)
    let balance = await node.driver.read { core, _ in core.finalState.account(core.id).balanceMicrocredits }
    guard !isTooLarge, balance >= fee, balance - fee >= sum else {
      throw ControlError.conflict(
        code: "balanceTooSmall",
        "a grant of \(Quantity.credits(amount)) credits costs two fees of \(Quantity.credits(fee)) besides, and the "
          + "account has \(Quantity.credits(balance))", suggestion: "linnet account show")
    }
    let key = try SigningKey.generate()
    let directory = configurationInForce.node.dataDirectory + "/grants"
    let path = "\(directory)/\(key.id).key"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try KeyFile.create(key, at: path)
    let transfer: TransactionAnswer
    do {
      transfer = try await finalAnswer(
        to: try await submit(.transfer(to: key.id, amountMicrocredits: sum)))
    } catch let error as ControlError {
      // It was never sent.
      try? FileManager.default.removeItem(atPath: path)
      throw error
    }
    if let refusal = transfer.refusal {
      try? FileManager.default.removeItem(atPath: path)
      throw ControlError.conflict(code: "grantRefused", "the ledger refused to pay the grant: \(refusal)")
    }
    guard let seed = key.withSeed({ Bytes32($0) }) else { preconditionFailure("a seed has 32 bytes") }
    return (
      InviteGrant(seed: seed),
      GrantAnswer(account: "\(key.id)", amountMicrocredits: amount, transfer: transfer, keyFile: path)
    )
  }
}
