import Core
import Ledger
import Logging
import Primitives
import Sodium
import Wire

/// Fetches the grant of an invite: all that its account has goes to the node's own, less the fee. The money may take a while
/// to come, for it is paid when the invite is made and this node knows of it when it has caught up.
struct GrantClaim: Sendable {
  /// A claim may get lost on its way, and is spread again so often; for that a clock is needed in any case. The money may come
  /// with any block, in days: to look at each of them would find it a few seconds earlier, and cost as much.
  private static let checkSeconds = 5.0
  /// How long a claim is valid; then another is signed.
  private static let validityMilliseconds: UInt64 = 600_000

  /// What is to be done next.
  enum Step: Equatable {
    /// There is nothing on the account yet.
    case wait
    /// Claim so much.
    case claim(amountMicrocredits: UInt64)
    /// The account has been emptied.
    case done
  }

  let file: GrantFile
  let ownID: NodeID
  let genesis: Genesis
  let driver: CoreDriver
  let logger: Logger

  static func step(balanceMicrocredits: UInt64, nonce: UInt64, feeMicrocredits: UInt64) -> Step {
    guard balanceMicrocredits <= feeMicrocredits else {
      return .claim(amountMicrocredits: balanceMicrocredits - feeMicrocredits)
    }
    return nonce == 0 ? .wait : .done
  }

  /// Runs until the grant is claimed or the task is cancelled.
  func run() async {
    let key: SigningKey
    do throws(KeyFileError) {
      guard let found = try file.read() else { return }
      key = found
    } catch {
      return logger.error("the grant of the invite can't be claimed: \(error)")
    }
    let signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
    var claim: Verified<Message>?
    while !Task.isCancelled {
      let (balance, nonce, time) = await driver.read { core, now in
        let state = core.finalState
        let account = state.account(key.id)
        return (
          account.balanceMicrocredits, account.nonce,
          max(core.identity.wallClock.unixMilliseconds(at: now), state.ledgerTimeMilliseconds)
        )
      }
      switch GrantClaim.step(
        balanceMicrocredits: balance, nonce: nonce, feeMicrocredits: genesis.parameters.minimumFeeMicrocredits)
      {
      case .wait: break
      case .claim(let amount):
        if claim.map({ !GrantClaim.holds($0, nonce: nonce, at: time) }) ?? true {
          let transaction = Transaction(
            nonce: nonce, feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
            expiresMilliseconds: time + GrantClaim.validityMilliseconds,
            action: .transfer(to: ownID, amountMicrocredits: amount))
          claim = signer.seal(.transaction(transaction), sequence: UInt64(time) * 1_000)
          logger.notice("claiming the grant of the invite: \(amount) microcredits")
        }
        if let claim { driver.post(.spread(claim)) }
      case .done:
        do { try file.remove() } catch {
          logger.error("the file of the grant, which is claimed, can't be removed: \(error)")
        }
        return logger.notice("the grant of the invite is claimed, by this node or by who else had the invite")
      }
      try? await Task.sleep(for: .seconds(GrantClaim.checkSeconds))
    }
  }

  private static func holds(_ claim: Verified<Message>, nonce: UInt64, at timeMilliseconds: UInt64) -> Bool {
    guard case .transaction(let transaction) = claim.value.body else { return false }
    return transaction.nonce == nonce && transaction.expiresMilliseconds > timeMilliseconds
  }
}
