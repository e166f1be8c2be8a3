import Primitives
import Wire

/// Transactions that wait to be put into a block: for each account in the order of nonces, over all accounts in
/// the order of arrival.
///
/// What does not fit is refused and counted: a transaction is never dropped for a newer one, so that a flood
/// cannot push out what waits. The pool knows the next nonce of each of its accounts and keeps those in order whose turn
/// it is, so that what a block takes costs as much as it takes, however much waits behind a missing nonce.
public struct Mempool: Sendable {
  /// The most transactions held.
  public static let maximumTransactions = 16_384
  /// The most transactions of one account.
  public static let maximumPerAccount = 2_048

  private struct Entry {
    var message: Verified<Message>
    var arrival: UInt64
    var expiresMilliseconds: UInt64
  }

  private struct Slot: Comparable {
    var account: NodeID
    var nonce: UInt64

    static func < (left: Slot, right: Slot) -> Bool {
      left.account == right.account ? left.nonce < right.nonce : left.account < right.account
    }
  }

  private struct Account {
    /// The next nonce by the last final block.
    var next: UInt64
    var count = 0
    /// The arrival of the transaction with that nonce, under which the account stands in `ready`.
    var readyArrival: UInt64?
  }

  private struct Expiry: Comparable {
    var milliseconds: UInt64
    var arrival: UInt64

    static func < (left: Expiry, right: Expiry) -> Bool {
      left.milliseconds == right.milliseconds
        ? left.arrival < right.arrival : left.milliseconds < right.milliseconds
    }
  }

  private var slots = Table<Slot, Entry>()
  private var ids = Table<Digest, Slot>()
  private var perAccount = Table<NodeID, Account>()
  /// The accounts whose next transaction is here, by its arrival.
  private var ready = Table<UInt64, NodeID>()
  private var expiries = Table<Expiry, Digest>()
  private var nextArrival: UInt64 = 0

  /// Changes with every change of content.
  public private(set) var version: UInt64 = 0
  /// Changes whenever something is removed.
  public private(set) var removals: UInt64 = 0

  /// An empty pool.
  public init() {}

  /// The number of transactions.
  public var count: Int { slots.count }

  /// True when the transaction waits here.
  public func contains(_ id: Digest) -> Bool { ids.contains(id) }

  /// What became of an offered transaction.
  public enum Admission: Equatable, Sendable {
    case added
    case known
    /// Another transaction of the account has the nonce; the first to come stays.
    case nonceTaken
    case accountFull
    case poolFull
  }

  /// Adds a transaction, whose account's next nonce by the last final block is `next`.
  public mutating func add(_ message: Verified<Message>, next: UInt64 = 0) -> Admission {
    guard case .transaction(let transaction) = message.value.body else { return .known }
    if ids.contains(message.value.id) { return .known }
    let slot = Slot(account: message.value.author, nonce: transaction.nonce)
    if slots.contains(slot) || transaction.nonce < next { return .nonceTaken }
    if perAccount[slot.account]?.count ?? 0 >= Mempool.maximumPerAccount { return .accountFull }
    if slots.count >= Mempool.maximumTransactions { return .poolFull }
    slots[slot] = Entry(
      message: message, arrival: nextArrival, expiresMilliseconds: transaction.expiresMilliseconds)
    ids[message.value.id] = slot
    expiries[Expiry(milliseconds: transaction.expiresMilliseconds, arrival: nextArrival)] = message.value.id
    perAccount[slot.account, default: Account(next: next)].count += 1
    if perAccount[slot.account]?.next == slot.nonce { refreshReady(slot.account) }
    nextArrival &+= 1
    version &+= 1
    return .added
  }

  /// Removes a transaction.
  public mutating func remove(_ id: Digest) {
    guard let slot = ids[id] else { return }
    drop(slot)
    if perAccount[slot.account]?.next == slot.nonce { refreshReady(slot.account) }
  }

  /// Removes what an account can never include any more: nonces below `nonce`, its next by the last final block. Returns
  /// the ids removed.
  @discardableResult public mutating func removeStale(account: NodeID, below nonce: UInt64) -> [Digest] {
    guard perAccount.contains(account) else { return [] }
    var stale: [(slot: Slot, id: Digest)] = []
    for (slot, entry) in slots.entries(from: Slot(account: account, nonce: 0)) {
      guard slot.account == account, slot.nonce < nonce else { break }
      stale.append((slot, entry.message.value.id))
    }
    for (slot, _) in stale { drop(slot) }
    guard perAccount.modify(account, { $0.next = max($0.next, nonce) }) != nil else { return stale.map(\.id) }
    refreshReady(account)
    return stale.map(\.id)
  }

  /// Removes what no block of this ledger time or later may include.
  public mutating func removeExpired(at ledgerTimeMilliseconds: UInt64) {
    while let first = expiries.first, first.key.milliseconds <= ledgerTimeMilliseconds { remove(first.value) }
  }

  /// Takes a slot out of every index but `ready`, and the account when it was its last.
  private mutating func drop(_ slot: Slot) {
    guard let entry = slots.removeValue(forKey: slot) else { return }
    ids.removeValue(forKey: entry.message.value.id)
    expiries.removeValue(forKey: Expiry(milliseconds: entry.expiresMilliseconds, arrival: entry.arrival))
    if var account = perAccount[slot.account] {
      account.count -= 1
      if account.count == 0, let arrival = account.readyArrival { ready.removeValue(forKey: arrival) }
      perAccount[slot.account] = account.count > 0 ? account : nil
    }
    version &+= 1
    removals &+= 1
  }

  /// Puts an account into `ready`, or takes it out, by whether its next transaction is here.
  private mutating func refreshReady(_ id: NodeID) {
    guard var account = perAccount[id] else { return }
    let arrival = slots[Slot(account: id, nonce: account.next)]?.arrival
    guard arrival != account.readyArrival else { return }
    if let old = account.readyArrival { ready.removeValue(forKey: old) }
    if let arrival { ready[arrival] = id }
    account.readyArrival = arrival
    perAccount[id] = account
  }

  /// True when no block of this ledger time or later may include the transaction.
  public func isExpired(_ id: Digest, at ledgerTimeMilliseconds: UInt64) -> Bool {
    guard let slot = ids[id], let entry = slots[slot] else { return false }
    return entry.expiresMilliseconds <= ledgerTimeMilliseconds
  }

  /// The accounts that have transactions waiting.
  public var accounts: [NodeID] { perAccount.keys }

  /// The number of accounts that have transactions waiting.
  public var accountCount: Int { perAccount.count }

  /// The ids of all that waits.
  public var transactionIDs: [Digest] { ids.keys }

  /// The nonce after the last consecutive transaction of an account, counted from `nonce`.
  public func nextNonce(of account: NodeID, from nonce: UInt64) -> UInt64 {
    var next = nonce
    for (slot, _) in slots.entries(from: Slot(account: account, nonce: nonce)) {
      guard slot.account == account, slot.nonce == next else { break }
      next &+= 1
    }
    return next
  }

  /// Visits, until `body` says false, the transactions that a block may include, oldest first, but never one before an
  /// earlier nonce of its account: a later nonce that came earlier takes the place of the one before it.
  ///
  /// - Parameter nonce: the next nonce of an account in the state that the block is built on, which may be ahead of the
  ///   final one. An account whose next transaction by the final state is missing here is passed over.
  public func forEachCandidate(
    nonce: (NodeID) -> UInt64, _ body: (Verified<Message>) -> Bool
  ) {
    var heads = ready.makeIterator()
    var head = heads.next()
    // The next transaction of each account under way, by the latest arrival up to it.
    var open = Table<UInt64, Slot>()
    while true {
      while let next = head, open.first.map({ next.key < $0.key }) ?? true {
        let slot = Slot(account: next.value, nonce: nonce(next.value))
        if let entry = slots[slot] { open[max(next.key, entry.arrival)] = slot }
        head = heads.next()
      }
      guard let (arrival, slot) = open.popFirst(), let entry = slots[slot] else { return }
      guard body(entry.message) else { return }
      let following = Slot(account: slot.account, nonce: slot.nonce &+ 1)
      if let entry = slots[following] { open[max(arrival, entry.arrival)] = following }
    }
  }

  /// Up to `limit` transactions to try, in the order of `forEachCandidate`.
  public func candidates(limit: Int, nonce: (NodeID) -> UInt64) -> [Verified<Message>] {
    var found: [Verified<Message>] = []
    guard limit > 0 else { return found }
    forEachCandidate(nonce: nonce) { message in
      found.append(message)
      return found.count < limit
    }
    return found
  }
}
