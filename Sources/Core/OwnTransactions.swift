import Ledger
import Primitives
import Wire

// The node's own transactions: signing, spreading, sending again, and signing anew when a nonce was taken.

extension NodeCore {
  /// Signs and spreads a transaction; refuses what could never be included.
  mutating func submit(
    _ action: TransactionAction, for purpose: Outbox.Purpose, now: Instant, into effects: inout [CoreEffect]
  ) -> Submission {
    guard !outbox.isFull else {
      counters.add("outboxFull")
      return .refused(reason: "\(Outbox.maximumPending) transactions of this node are under way; try again later")
    }
    let fee = genesis.parameters.minimumFeeMicrocredits
    let account = finalState.account(id)
    guard account.balanceMicrocredits >= fee else {
      return .refused(
        reason: "the account has \(account.balanceMicrocredits) microcredits and a transaction costs \(fee)")
    }
    // What cannot all be paid, no node takes into its pool.
    guard outbox.feesMicrocredits <= account.balanceMicrocredits - fee else {
      counters.add("ownTransactionNotAffordable")
      return .refused(
        reason: """
          the account has \(account.balanceMicrocredits) microcredits, which its \(outbox.pending.count) transactions \
          under way take up in fees; try again when they are final
          """)
    }
    let nonce = max(outbox.nextNonce(from: account.nonce), mempool.nextNonce(of: id, from: account.nonce))
    return sign(action, for: purpose, nonce: nonce, fee: fee, now: now, into: &effects)
  }

  private mutating func sign(
    _ action: TransactionAction, for purpose: Outbox.Purpose, nonce: UInt64, fee: UInt64, now: Instant,
    into effects: inout [CoreEffect]
  ) -> Submission {
    // Ledger time can lag behind the clock; a transaction must outlive both.
    let time = max(identity.wallClock.unixMilliseconds(at: now), finalState.ledgerTimeMilliseconds)
    let transaction = Transaction(
      nonce: nonce, feeMicrocredits: fee,
      expiresMilliseconds: time &+ UInt64(max(0, settings.transactionValidity.count)) / 1_000, action: action)
    let bytes = transaction.encoded
    guard bytes.count <= EnvelopeKind.transaction.maximumPayloadBytes else {
      return .refused(
        reason: "the transaction is over \(EnvelopeKind.transaction.maximumPayloadBytes) bytes; use fewer labels")
    }
    // What other nodes would refuse to decode must never be signed: a block that holds it would be refused whole.
    do { _ = try Transaction(decoding: bytes) } catch {
      return .refused(reason: "the transaction is over a bound of the wire format: \(error)")
    }
    let message = identity.seal(.transaction(transaction), now: now)
    outbox.add(
      Outbox.Pending(purpose: purpose, action: action, feeMicrocredits: fee, message: message, sentAt: now),
      nonce: nonce)
    admit(message, now: now)
    step(broadcast: .publish(message), now: now, into: &effects)
    return .accepted(id: message.value.id)
  }

  /// The ids of the own transactions that no final block holds yet.
  public var underWay: OrderedSet<Digest> { outbox.ids }

  /// Takes a transaction of another account into the pool and spreads it; one that waits there already is said again to the
  /// peers, who may have missed it.
  mutating func spread(_ message: Verified<Message>, now: Instant, into effects: inout [CoreEffect]) {
    if admit(message, now: now) {
      step(broadcast: .publish(message), now: now, into: &effects)
    } else if mempool.contains(message.value.id) {
      for peer in links {
        effects.append(.send(.gossip(.publish([message.value.envelope])), to: peer, after: 0))
      }
    }
  }

  /// Takes out of the mempool what these accounts can't include or pay for any more by the final state; answers the ids.
  mutating func dropHopeless(of accounts: [NodeID]) -> [Digest] {
    let state = finalState
    var dropped: [Digest] = []
    for id in accounts {
      let account = state.account(id)
      dropped += mempool.removeStale(account: id, below: account.nonce)
      let unpaid = mempool.trim(account: id, balanceMicrocredits: account.balanceMicrocredits)
      if !unpaid.isEmpty { counters.add("mempoolUnpaid", UInt64(unpaid.count)) }
      dropped += unpaid
    }
    return dropped
  }

  /// After blocks became final: what of the own transactions is done, and what must be signed anew.
  mutating func settleOutbox(included: OrderedSet<Digest>, now: Instant, into effects: inout [CoreEffect]) {
    let nonce = finalState.account(id).nonce
    let passed = outbox.settled(below: nonce)
    guard !passed.isEmpty else { return }
    let cancelled = cancelledJobs(passed)
    for entry in passed {
      let id = entry.message.value.id
      if included.contains(id) {
        outbox.judged(entry.purpose, isRefused: refusals[id] != nil, at: now)
      } else if cancelled.contains(id) {
        refusals.insert(Self.cancelledReason, forKey: id)
      } else if case .cancelJob(let job) = entry.action, refusals[job] == Self.cancelledReason {
        continue
      } else {
        let submission = submit(entry.action, for: entry.purpose, now: now, into: &effects)
        noteSignedAnew(entry, submission, into: &effects)
      }
    }
  }

  /// Why a job came into no block that its submitter cancelled before one held it.
  public static let cancelledReason = "no block held it yet"

  /// The jobs that their submitter cancels by transactions under way, or by those just settled.
  private func cancelledJobs(_ settled: [Outbox.Pending]) -> OrderedSet<Digest> {
    var jobs = OrderedSet<Digest>()
    for action in settled.map(\.action) + outbox.pending.map(\.value.action) {
      if case .cancelJob(let job) = action { jobs.insert(job) }
    }
    return jobs
  }

  /// Who asked for a transaction knows it by an id that no block will hold.
  private mutating func noteSignedAnew(
    _ entry: Outbox.Pending, _ submission: Submission, into effects: inout [CoreEffect]
  ) {
    counters.add("ownTransactionSignedAnew")
    guard case .request = entry.purpose else { return }
    switch submission {
    case .accepted(let id): effects.append(.signedAnew(entry.message.value.id, as: id))
    case .refused(let reason): refusals.insert(reason, forKey: entry.message.value.id)
    }
  }

  /// Sends own transactions again that are long under way, and replaces those that have expired.
  mutating func resend(now: Instant, into effects: inout [CoreEffect]) {
    let time = finalState.ledgerTimeMilliseconds
    let late = outbox.pending.filter { now - $0.value.sentAt >= settings.resendInterval }
    let cancelled = late.isEmpty ? OrderedSet() : cancelledJobs([])
    for (nonce, entry) in late {
      guard case .transaction(let transaction) = entry.message.value.body else { continue }
      let id = entry.message.value.id
      if transaction.expiresMilliseconds <= time {
        mempool.remove(id)
        guard outbox.remove(nonce: nonce) != nil else { continue }
        if cancelled.contains(id) {
          refusals.insert(Self.cancelledReason, forKey: id)
          // The nonce must be used, or nothing that follows it could be included: by what changes nothing.
          _ = sign(
            .cancelJob(job: id), for: entry.purpose, nonce: nonce, fee: entry.feeMicrocredits, now: now,
            into: &effects)
          continue
        }
        let submission = sign(
          entry.action, for: entry.purpose, nonce: nonce, fee: entry.feeMicrocredits, now: now, into: &effects)
        noteSignedAnew(entry, submission, into: &effects)
        continue
      }
      outbox.touch(nonce: nonce, at: now)
      admit(entry.message, now: now)
      for peer in links {
        effects.append(.send(.gossip(.publish([entry.message.value.envelope])), to: peer, after: 0))
      }
    }
    mempool.removeExpired(at: time)
  }
}
