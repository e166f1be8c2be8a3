import Primitives
import Wire

// Transactions that peers spread: the pool decides first, so that what no block can hold goes no further than here.
extension NodeCore {
  /// Transactions that are worthless by the final state of a node that is up to date: their nonces are over, they have
  /// expired, or nobody pays for them. An honest node passes on only what its own pool has taken. That may be as much as a
  /// pool holds, 16,384, where it is behind and somebody feeds it what is long over; and on a new link it tells of the 8,192
  /// that it keeps, which after a split may all be over on the other side. A burst of 20,000 is less, too. In time it is what
  /// a node sends again of its own that others refuse, at the most 2,048 every 5 s and so 410 in a second: 1,000 are free,
  /// which take a twentieth of a processor to verify. Where a pool has no room (`Mempool.Admission`), or another of the same
  /// account in the way, it is nobody's fault and not counted: in a network that is offered more than it can do each pool has
  /// taken others.
  static let worthlessGossip = Allowances<NodeID>(atOnce: 32_768, interval: .milliseconds(1), maximumAskers: 4_096)

  /// Takes what a peer spread: what the pool takes goes on to others and is the peer's merit; the rest is neither, and is
  /// charged when it is far more than honest nodes can come to (`worthlessGossip`).
  mutating func gossip(
    _ messages: [Verified<Message>], from peer: NodeID, now: Instant, into effects: inout [CoreEffect]
  ) {
    guard broadcast.hears(peer) else { return }
    var received: [Verified<Message>] = []
    var renewed: [Verified<Message>] = []
    var crowded: [Digest] = []
    var worthless: [Digest] = []
    for message in messages {
      let id = message.value.id
      if broadcast.hasSeen(id) {
        received.append(message)
        guard isOnceMore(message) else { continue }
        switch judge(message, now: now) {
        case .taken: renewed.append(message)
        case .crowded: break
        case .worthless: worthless.append(id)
        }
      } else {
        switch judge(message, now: now) {
        case .taken: received.append(message)
        case .crowded: crowded.append(id)
        case .worthless: worthless.append(id)
        }
      }
    }
    if !received.isEmpty { step(broadcast: .received(received, from: peer), now: now, into: &effects) }
    for message in renewed { step(broadcast: .renewed(message, from: peer), now: now, into: &effects) }
    let isCounted = !worthless.isEmpty && isUpToDate(now)
    let free = isCounted ? worthlessGossip.take(worthless.count, by: peer, now: now) : worthless.count
    // What is beyond must not push out of memory what honest peers have sent.
    let refused = crowded + worthless.prefix(free)
    if !refused.isEmpty { step(broadcast: .refused(refused, from: peer), now: now, into: &effects) }
    if free < worthless.count { charge(peer, .worthlessFlood, now: now, into: &effects) }
  }

  /// How far the time of the final state may be behind the clock, besides the pause between blocks where there is nothing to
  /// do, for a node to count what is worthless to it.
  private static let longestLagMilliseconds: UInt64 = 5_000

  /// False while this node catches up, or nobody can go on: nonces and balances that are news to it are in everybody's
  /// messages then. A clock that is wrong leads to the same, and so to too little being charged and not to too much, unless
  /// it is late by as much as the node is behind.
  private func isUpToDate(_ now: Instant) -> Bool {
    let (time, ledgerTime) = (identity.wallClock.unixMilliseconds(at: now), finalState.ledgerTimeMilliseconds)
    guard time > ledgerTime, time - ledgerTime > NodeCore.longestLagMilliseconds else { return true }
    return time - ledgerTime - NodeCore.longestLagMilliseconds <= genesis.parameters.blockIntervalIdleMilliseconds
  }

  /// What the pool makes of a transaction.
  private enum Verdict {
    /// It is in.
    case taken
    /// It is there already, or there is no room for it or for its account: in a network that is offered more than it can do, so
    /// it is with what everybody sends. Or what else this pool has taken of the account is in its way: another of its nonce, or
    /// those that its balance must pay for, too. Another pool may have taken this one, if somebody gave each something else, so
    /// that who passes it on says nothing false.
    case crowded
    /// By the final state no block will hold it, whatever waits here.
    case worthless
  }

  /// The longest that a transaction taken into the mempool can still be valid, in milliseconds: what no block includes
  /// must not wait for ever.
  public static let maximumValidityMilliseconds: UInt64 = 24 * 3_600_000

  /// Puts a transaction into the mempool, if the account could ever include it.
  @discardableResult mutating func admit(_ message: Verified<Message>, now: Instant) -> Bool {
    judge(message, now: now) == .taken
  }

  private mutating func judge(_ message: Verified<Message>, now: Instant) -> Verdict {
    guard case .transaction(let transaction) = message.value.body else {
      counters.add("gossipOfUnknownKind")
      return .worthless
    }
    // Ledger time lags far behind after a long halt, and the clock can be wrong.
    let time = max(identity.wallClock.unixMilliseconds(at: now), finalState.ledgerTimeMilliseconds)
    guard transaction.expiresMilliseconds <= time + NodeCore.maximumValidityMilliseconds else {
      counters.add("transactionExpiresTooLate")
      return .worthless
    }
    if case .never = ledger.includability(of: message, on: ledger.finalID) {
      counters.add("transactionStale")
      return .worthless
    }
    let account = finalState.account(message.value.author)
    switch mempool.add(message, next: account.nonce, balanceMicrocredits: account.balanceMicrocredits) {
    case .added: return .taken
    case .displaced(let ids):
      counters.add("mempoolDisplaced", UInt64(ids.count))
      return .taken
    case .known: return .crowded
    case .nonceTaken: counters.add("mempoolNonceTaken")
    case .accountFull: counters.add("mempoolAccountFull")
    case .gapFull: counters.add("mempoolGapFull")
    case .unaffordable: counters.add("mempoolUnaffordable")
    case .poolFull: counters.add("mempoolFull")
    }
    return .crowded
  }

  /// True for a transaction that was seen, that the mempool refused or dropped, and whose turn can still come: why it was
  /// refused may have passed. It is offered to the mempool again, and spread again only if that takes it, so that who sends
  /// it often gains nothing.
  private func isOnceMore(_ message: Verified<Message>) -> Bool {
    guard !mempool.contains(message.value.id), case .transaction(let transaction) = message.value.body else {
      return false
    }
    return transaction.nonce >= finalState.account(message.value.author).nonce
  }
}
