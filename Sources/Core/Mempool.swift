import Primitives
import Wire

/// Transactions that wait to be put into a block: for each account in the order of nonces, over all accounts in
/// the order of arrival.
///
/// What does not fit is refused and counted: a transaction is never dropped for a newer one, so that a flood
/// cannot push out what waits.
public struct Mempool: Sendable {
  /// The most transactions held.
  public static let maximumTransactions = 16_384
  /// The most transactions of one account.
  public static let maximumPerAccount = 2_048

  private struct Entry {
    var message: Verified<Message>
    var arrival: UInt64
  }

  private struct Slot: Comparable {
    var account: NodeID
    var nonce: UInt64

    static func < (left: Slot, right: Slot) -> Bool {
      left.account == right.account ? left.nonce < right.nonce : left.account < right.account
    }
  }

  private var slots = Table<Slot, Entry>()
  private var ids = Table<Digest, Slot>()
  private var counts = Table<NodeID, Int>()
  private var nextArrival: UInt64 = 0

  /// Changes with every change of content.
  public private(set) var version: UInt64 = 0

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

  /// Adds a transaction.
  public mutating func add(_ message: Verified<Message>) -> Admission {
    guard case .transaction(let transaction) = message.value.body else { return .known }
    if ids.contains(message.value.id) { return .known }
    let slot = Slot(account: message.value.author, nonce: transaction.nonce)
    if slots.contains(slot) { return .nonceTaken }
    if counts[slot.account, default: 0] >= Mempool.maximumPerAccount { return .accountFull }
    if slots.count >= Mempool.maximumTransactions { return .poolFull }
    slots[slot] = Entry(message: message, arrival: nextArrival)
    ids[message.value.id] = slot
    counts[slot.account, default: 0] += 1
    nextArrival &+= 1
    version &+= 1
    return .added
  }

  /// Removes a transaction.
  public mutating func remove(_ id: Digest) {
    guard let slot = ids.removeValue(forKey: id) else { return }
    slots.removeValue(forKey: slot)
    let left = counts[slot.account, default: 1] - 1
    counts[slot.account] = left > 0 ? left : nil
    version &+= 1
  }

  /// Removes what an account can never include any more: nonces below `nonce`. Returns the ids removed.
  public mutating func removeStale(account: NodeID, below nonce: UInt64) -> [Digest] {
    var stale: [Digest] = []
    for (slot, entry) in slots.entries(from: Slot(account: account, nonce: 0)) {
      guard slot.account == account, slot.nonce < nonce else { break }
      stale.append(entry.message.value.id)
    }
    for id in stale { remove(id) }
    return stale
  }

  /// True when no block of this ledger time or later may include the transaction.
  public func isExpired(_ id: Digest, at ledgerTimeMilliseconds: UInt64) -> Bool {
    guard let slot = ids[id], case .transaction(let transaction)? = slots[slot]?.message.value.body else {
      return false
    }
    return transaction.expiresMilliseconds <= ledgerTimeMilliseconds
  }

  /// The accounts that have transactions waiting.
  public var accounts: [NodeID] { counts.keys }

  /// The ids of all that waits.
  public var transactionIDs: [Digest] { ids.keys }

  /// The first transaction of an account at or above a nonce.
  public func first(of account: NodeID, from nonce: UInt64) -> Verified<Message>? {
    var entries = slots.entries(from: Slot(account: account, nonce: nonce))
    guard let entry = entries.next(), entry.key.account == account else { return nil }
    return entry.value.message
  }

  /// The nonce after the last consecutive transaction of an account, counted from `nonce`.
  public func nextNonce(of account: NodeID, from nonce: UInt64) -> UInt64 {
    var next = nonce
    for (slot, _) in slots.entries(from: Slot(account: account, nonce: nonce)) {
      guard slot.account == account, slot.nonce == next else { break }
      next &+= 1
    }
    return next
  }

  /// Up to `limit` transactions to try, oldest first, but never one before an earlier nonce of its account.
  public func candidates(limit: Int) -> [Verified<Message>] {
    var order: [(arrival: UInt64, message: Verified<Message>)] = []
    order.reserveCapacity(slots.count)
    var account: NodeID?
    var latest: UInt64 = 0
    for (slot, entry) in slots {
      if slot.account != account {
        account = slot.account
        latest = 0
      }
      // A later nonce that came earlier takes the place of the one before it.
      latest = max(latest, entry.arrival)
      order.append((latest, entry.message))
    }
    let sorted = order.enumerated().sorted {
      $0.element.arrival == $1.element.arrival ? $0.offset < $1.offset : $0.element.arrival < $1.element.arrival
    }
    return sorted.prefix(limit).map(\.element.message)
  }
}
