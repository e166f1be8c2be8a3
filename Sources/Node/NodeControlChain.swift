import Consensus
import Control
import Core
import Ledger
import Membership
import Primitives
import Wire

// Accounts and the chain.

extension NodeControl {
  /// How long a transaction of the command line waits for its block.
  private static let transferSeconds = 15

  func account(id: String?) async throws -> AccountAnswer {
    var account = node.id
    if let id {
      guard let parsed = NodeID(text: id) else {
        throw ControlError.invalid("'\(id)' is not an account id", suggestion: "ids begin with ln1")
      }
      account = parsed
    }
    let found = account
    return await node.driver.read { core, _ in
      let state = core.finalState
      let entry = state.account(found)
      return AccountAnswer(
        id: "\(found)", balanceMicrocredits: entry.balanceMicrocredits, nonce: entry.nonce,
        escrowMicrocredits: state.escrow(of: found), bondedMicrocredits: state.bonded(by: found),
        stakeMicrocredits: state.validator(found)?.stakeMicrocredits ?? 0)
    }
  }

  func transfer(_ request: TransferRequest) async throws -> TransactionAnswer {
    guard let to = NodeID(text: request.to) else {
      throw ControlError.invalid("'\(request.to)' is not an account id", suggestion: "ids begin with ln1")
    }
    guard request.amountMicrocredits > 0 else { throw ControlError.invalid("the amount is 0") }
    return try await finalAnswer(
      to: try await submit(.transfer(to: to, amountMicrocredits: request.amountMicrocredits)))
  }

  /// Waits a few seconds for the block of a transaction of this node.
  func finalAnswer(to id: Digest) async throws -> TransactionAnswer {
    let deadline = MonotonicClock.now() + .seconds(Int64(Self.transferSeconds))
    while !Task.isCancelled, MonotonicClock.now() < deadline {
      let rings = node.shell.bell.rings
      let answer = await transaction(id)
      if answer.inBlock != nil || answer.refusal != nil { return answer }
      await node.shell.bell.wait(seconds: 0.5, seen: rings)
    }
    return await transaction(id)
  }

  /// What became of a transaction of this node so far, by an id that it has or had.
  private func transaction(_ id: Digest) async -> TransactionAnswer {
    await node.driver.read { [shell = node.shell] core, _ in
      let current = shell.successors.snapshot.current(of: id)
      return TransactionAnswer(
        id: "\(current)", inBlock: shell.inclusions.height(of: current), refusal: core.refusals[current])
    }
  }

  /// Signs and spreads a transaction of this node.
  func submit(_ action: TransactionAction) async throws -> Digest {
    let driver = node.driver
    switch await node.shell.submissions.wait({ driver.post(.submit(action, request: $0)) }) {
    case .accepted(let id): return id
    case .refused(let reason):
      throw ControlError.conflict(code: "notSubmitted", reason, suggestion: "`linnet account show` tells what it has")
    }
  }

  func chainStatus() async throws -> ChainStatusAnswer {
    let finalizedAt = node.shell.inclusions.lastCommit
    return await node.driver.read { core, _ in
      let state = core.finalState
      let blocks = state.parameters.epochBlocks
      let (end, _) = (state.epoch + 1).multipliedReportingOverflow(by: blocks)
      return ChainStatusAnswer(
        height: state.height, view: core.consensus.view, epoch: state.epoch, epochBlocks: blocks, epochEndHeight: end,
        blocksToEpochEnd: end - state.height, stateRoot: "\(state.stateRoot)",
        finalizedAt: finalizedAt.map { WallTime(microsecondsSinceEpoch: $0) },
        validators: state.validatorSet(epoch: state.epoch)?.members.map(\.description) ?? [])
    }
  }

  func block(height: UInt64) async throws -> BlockAnswer {
    guard let stored = await node.shell.storage.block(at: height) else {
      throw ControlError.unknown("block", "\(height)", suggestion: "`linnet chain status` tells the last height")
    }
    let certificate = await node.shell.storage.finalization(from: height)
    let header = stored.block.header
    // The validators of an epoch that is over for long are not kept: then nobody can be named.
    let set = await node.driver.read { [validators = node.shell.validators] core, _ in
      core.finalState.validatorSet(epoch: header.epoch) ?? validators.set(of: header.epoch)
    }
    let networkID = node.genesis.networkID
    let proposer = set.flatMap {
      $0.member(LeaderSchedule(validators: $0, networkID: networkID).leader(of: header.view))
    }
    let refusals = await node.driver.read { core, _ in
      stored.block.transactions.map { core.refusals[$0.id] }
    }
    return BlockAnswer(
      header: BlockHeaderAnswer(
        id: "\(stored.block.id)", height: header.height, view: header.view, epoch: header.epoch,
        parent: "\(header.parentID)", proposer: proposer.map { "\($0)" },
        timestamp: Self.wallTime(milliseconds: header.timestampMilliseconds), stateRoot: "\(header.stateRoot)"),
      transactions: zip(stored.block.transactions, refusals).map { Self.answer($0, refusal: $1) },
      certificate: certificate.map { certificate in
        CertificateAnswer(
          kind: certificate.subject.kind.name, view: certificate.subject.view,
          signers: certificate.signers.compactMap { set?.member($0)?.description })
      })
  }

  static func wallTime(milliseconds: UInt64) -> WallTime {
    WallTime(microsecondsSinceEpoch: Int64(clamping: milliseconds.multipliedReportingOverflow(by: 1_000).partialValue))
  }

  private static func answer(_ message: Message, refusal: String?) -> BlockTransactionAnswer {
    guard case .transaction(let transaction) = message.body else {
      preconditionFailure("a block holds transactions only")
    }
    let (kind, summary) = describe(transaction.action)
    return BlockTransactionAnswer(
      id: "\(message.id)", kind: kind, from: "\(message.author)", nonce: transaction.nonce,
      feeMicrocredits: transaction.feeMicrocredits, summary: summary, refusal: refusal)
  }

  private static func describe(_ action: TransactionAction) -> (kind: String, summary: String) {
    switch action {
    case .transfer(let to, let amount): ("transfer", "\(Quantity.credits(amount)) credits to \(to.short)")
    case .offer(let terms):
      (
        "offer",
        "\(terms.resources.cpuMilli) cpuMilli, \(Quantity.size(terms.resources.memoryBytes)) memory, "
          + "\(terms.gpus.count) GPUs"
      )
    case .withdraw: ("withdraw", "the offer")
    case .submitJob(let terms):
      ("submitJob", "\(terms.resources.cpuMilli) cpuMilli for up to \(terms.wallLimitMilliseconds / 1_000) s")
    case .cancelJob(let job): ("cancelJob", "job \(job.short)")
    case .renew: ("renew", "all leases")
    case .acceptLease(let lease): ("acceptLease", "lease \(lease.short)")
    case .declineLease(let lease, let reason): ("declineLease", "lease \(lease.short): \(reason)")
    case .commitResults(let commitments): ("commitResults", "\(commitments.count) leases")
    case .revealResults(let results): ("revealResults", "\(results.count) leases")
    case .attest(let provider, let liveness): ("attest", "\(provider.short) is \(liveness)")
    case .stake(let amount): ("stake", "\(Quantity.credits(amount)) credits")
    case .unstake: ("unstake", "no validator any more")
    case .rotateKey(let new): ("rotateKey", "votes with \(new.key.short)")
    case .registerBeacon(_, let length): ("registerBeacon", "a chain of \(length) reveals")
    case .evidence(let evidence):
      (
        "evidence",
        "\(evidence.kind.name) by validator \(evidence.voter) of epoch \(evidence.epoch), view \(evidence.first.subject.view)"
      )
    }
  }
}
