import Primitives
import Wire

/// Transactions that wait to be put into a block: for each account in the order of nonces, over all accounts in
/// the order of arrival.
///
/// What does not fit is refused and counted. The pool knows the next nonce of each of its accounts and keeps those in
/// order whose turn it is, so that what a block takes costs as much as it takes, however much waits behind a missing
/// nonce.
///
/// Who fills it must pay for it: the fees of all that an account has here are within its final balance (`add`, `trim`), and
/// what waits behind a missing nonce, which no block may include and nobody pays for, has a share of the pool. In that share the accounts are
/// even: one with less displaces the last of the one with most. A transaction whose turn can come displaces one whose
/// turn cannot, and is itself never dropped for a newer one.
public struct Mempool: Sendable {
  /// The most transactions held.
  public static let maximumTransactions = 16_384
  /// The most transactions of one account.
  public static let maximumPerAccount = 2_048
  /// The most transactions taken in that wait behind a missing nonce. Enough for a node that has missed what several
  /// blocks hold: theirs fill up when it gets these blocks.
  public static let maximumGapped = 8_192
  /// The most transactions of one account taken in that wait behind a missing nonce.
  public static let maximumGappedPerAccount = 256

  private struct Entry {
    var message: Verified<Message>
    var arrival: UInt64
    var expiresMilliseconds: UInt64
    var feeMicrocredits: UInt64
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
    /// How many of the nonces from `next` on are here without a gap.
    var consecutive = 0
    /// What all of its transactions here pay.
    var feesMicrocredits: UInt64 = 0
    /// The arrival of the transaction with that nonce, under which the account stands in `ready`.
    var readyArrival: UInt64?

    /// The first nonce from `next` on that is missing here.
    var missing: UInt64 { next &+ UInt64(consecutive) }
    /// How many wait behind it.
    var gapped: Int { count - consecutive }
  }

  /// An account by how many of its transactions wait behind a missing nonce.
  private struct Gap: Comparable {
    var count: Int
    var account: NodeID

    static func < (left: Gap, right: Gap) -> Bool {
      left.count == right.count ? left.account < right.account : left.count < right.count
    }
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
  /// The accounts that have transactions behind a missing nonce.
  private var gaps = Table<Gap, NodeID>()
  /// How many transactions wait behind a missing nonce: those taken in so, and those whose predecessor went.
  public private(set) var gapped = 0
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
    /// It was added, in the place of these, which waited behind a missing nonce.
    case displaced([Digest])
    case known
    /// Another transaction of the account has the nonce; the first to come stays.
    case nonceTaken
    case accountFull
    /// The account has as many behind a missing nonce as it may.
    case gapFull
    /// The fees of all that the account has here and of this one are more than its balance.
    case unaffordable
    case poolFull
  }

  /// Adds a transaction, whose account has the next nonce `next` and this balance by the last final block.
  public mutating func add(
    _ message: Verified<Message>, next: UInt64 = 0, balanceMicrocredits: UInt64 = .max
  ) -> Admission {
    guard case .transaction(let transaction) = message.value.body else { return .known }
    if ids.contains(message.value.id) { return .known }
    let slot = Slot(account: message.value.author, nonce: transaction.nonce)
    if slots.contains(slot) || transaction.nonce < next { return .nonceTaken }
    let account = perAccount[slot.account] ?? Account(next: next)
    if account.count >= Mempool.maximumPerAccount { return .accountFull }
    let (fees, isTooMuch) = account.feesMicrocredits.addingReportingOverflow(transaction.feeMicrocredits)
    let isGapped = slot.nonce != account.missing
    if isGapped, account.gapped >= Mempool.maximumGappedPerAccount { return .gapFull }
    var displaced: [Digest] = []
    if isTooMuch || fees > balanceMicrocredits {
      guard !isGapped, let dropped = makePayable(slot, transaction.feeMicrocredits, balanceMicrocredits) else {
        return .unaffordable
      }
      displaced = dropped
    }
    if slots.count >= Mempool.maximumTransactions || (isGapped && gapped >= Mempool.maximumGapped) {
      // Evenly: the one that goes must not want to come back.
      guard let most = gaps.last?.key, !isGapped || most.count > account.gapped + 1,
        let last = slots.lastEntry(upTo: Slot(account: most.account, nonce: .max))
      else { return .poolFull }
      displaced.append(last.value.message.value.id)
      drop(last.key)
    }
    slots[slot] = Entry(
      message: message, arrival: nextArrival, expiresMilliseconds: transaction.expiresMilliseconds,
      feeMicrocredits: transaction.feeMicrocredits)
    ids[message.value.id] = slot
    expiries[Expiry(milliseconds: transaction.expiresMilliseconds, arrival: nextArrival)] = message.value.id
    nextArrival &+= 1
    version &+= 1
    if !perAccount.contains(slot.account) { perAccount[slot.account] = Account(next: next) }
    let run = consecutive(from: slot)
    change(slot.account) { account in
      account.count += 1
      // Not the sum from above: what was displaced may have been this account's.
      account.feesMicrocredits += transaction.feeMicrocredits
      if slot.nonce == account.missing { account.consecutive += run }
    }
    return displaced.isEmpty ? .added : .displaced(displaced)
  }

  /// Makes room in the balance for the nonce that is missing: of what waits behind it the highest nonces go, and no more
  /// than must. Nil when that is not enough, and then nothing goes.
  private mutating func makePayable(_ slot: Slot, _ fee: UInt64, _ balance: UInt64) -> [Digest]? {
    guard fee <= balance, feesMicrocredits(of: slot.account, below: slot.nonce) <= balance - fee else { return nil }
    return trim(account: slot.account, balanceMicrocredits: balance - fee)
  }

  private func feesMicrocredits(of account: NodeID, below nonce: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    for (slot, entry) in slots.entries(from: Slot(account: account, nonce: 0)) {
      guard slot.account == account, slot.nonce < nonce else { break }
      sum += entry.feeMicrocredits
    }
    return sum
  }

  /// Removes a transaction.
  public mutating func remove(_ id: Digest) {
    if let slot = ids[id] { drop(slot) }
  }

  /// Removes what an account can never include any more: nonces below `nonce`, its next by the last final block. Returns
  /// the ids removed.
  @discardableResult public mutating func removeStale(account id: NodeID, below nonce: UInt64) -> [Digest] {
    guard let account = perAccount[id], account.next < nonce else { return [] }
    var stale: [Slot] = []
    for (slot, _) in slots.entries(from: Slot(account: id, nonce: 0)) {
      guard slot.account == id, slot.nonce < nonce else { break }
      stale.append(slot)
    }
    let entries = stale.compactMap { take($0) }
    let passed = nonce - account.next
    let left =
      passed <= UInt64(account.consecutive)
      ? account.consecutive - Int(passed) : consecutive(from: Slot(account: id, nonce: nonce))
    change(id) { account in
      account.count -= entries.count
      for entry in entries { account.feesMicrocredits -= entry.feeMicrocredits }
      account.next = nonce
      account.consecutive = left
    }
    return entries.map(\.message.value.id)
  }

  /// Removes the highest nonces of an account until this balance, the one by the last final block, pays the fees of all
  /// that is left: what nobody pays for must not keep others out. Returns the ids removed.
  public mutating func trim(account id: NodeID, balanceMicrocredits: UInt64) -> [Digest] {
    var trimmed: [Digest] = []
    while let account = perAccount[id], account.feesMicrocredits > balanceMicrocredits,
      let last = slots.lastEntry(upTo: Slot(account: id, nonce: .max)), last.key.account == id
    {
      trimmed.append(last.value.message.value.id)
      drop(last.key)
    }
    return trimmed
  }

  /// Removes what no block of this ledger time or later may include.
  public mutating func removeExpired(at ledgerTimeMilliseconds: UInt64) {
    while let first = expiries.first, first.key.milliseconds <= ledgerTimeMilliseconds { remove(first.value) }
  }

  /// How many nonces of an account are here, from this one on, without a gap.
  private func consecutive(from slot: Slot) -> Int { Int(nextNonce(of: slot.account, from: slot.nonce) &- slot.nonce) }

  private mutating func drop(_ slot: Slot) {
    guard let entry = take(slot) else { return }
    change(slot.account) { account in
      account.count -= 1
      account.feesMicrocredits -= entry.feeMicrocredits
      if slot.nonce >= account.next, slot.nonce < account.missing {
        account.consecutive = Int(slot.nonce - account.next)
      }
    }
  }

  /// Takes a slot out of the indexes that are not by account.
  private mutating func take(_ slot: Slot) -> Entry? {
    guard let entry = slots.removeValue(forKey: slot) else { return nil }
    ids.removeValue(forKey: entry.message.value.id)
    expiries.removeValue(forKey: Expiry(milliseconds: entry.expiresMilliseconds, arrival: entry.arrival))
    version &+= 1
    removals &+= 1
    return entry
  }

  /// Changes what is known of an account, and its places in `ready` and `gaps` with it.
  private mutating func change(_ id: NodeID, _ body: (inout Account) -> Void) {
    guard var account = perAccount[id] else { return }
    let old = account
    body(&account)
    if account.gapped != old.gapped {
      gapped += account.gapped - old.gapped
      gaps.removeValue(forKey: Gap(count: old.gapped, account: id))
      if account.gapped > 0 { gaps[Gap(count: account.gapped, account: id)] = id }
    }
    account.readyArrival = slots[Slot(account: id, nonce: account.next)]?.arrival
    if account.readyArrival != old.readyArrival {
      if let arrival = old.readyArrival { ready.removeValue(forKey: arrival) }
      if let arrival = account.readyArrival { ready[arrival] = id }
    }
    perAccount[id] = account.count > 0 ? account : nil
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
