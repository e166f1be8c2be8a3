import Primitives
import Wire

/// The node's own transactions until they are final. Each has a nonce; when another transaction of the account
/// took that nonce (one signed before a restart, say), the intent is signed again under the next.
public struct Outbox: Sendable {
  /// The most own transactions under way.
  public static let maximumPending = 2_048

  /// Why the node wants a transaction: what is already on its way is not asked for twice.
  public enum Purpose: Hashable, Comparable, Sendable {
    /// A request through the control socket, by its number.
    case request(UInt64)
    case offer
    case renew
    case accept(Digest)
    case decline(Digest)
    case commit
    case reveal
    case attest(NodeID)
    case beacon
    case evidence(NodeID)

    private var rank: Int {
      switch self {
      case .request: 0
      case .offer: 1
      case .renew: 2
      case .accept: 3
      case .decline: 4
      case .commit: 5
      case .reveal: 6
      case .attest: 7
      case .beacon: 8
      case .evidence: 9
      }
    }

    /// The order that tables and messages rely on.
    public static func < (left: Purpose, right: Purpose) -> Bool {
      switch (left, right) {
      case (.request(let a), .request(let b)): a < b
      case (.accept(let a), .accept(let b)), (.decline(let a), .decline(let b)): a < b
      case (.attest(let a), .attest(let b)), (.evidence(let a), .evidence(let b)): a < b
      default: left.rank < right.rank
      }
    }
  }

  struct Pending: Sendable {
    var purpose: Purpose
    var action: TransactionAction
    var feeMicrocredits: UInt64
    var message: Verified<Message>
    var sentAt: Instant
  }

  /// The first pause after the ledger refused what the node wants of itself; each further refusal doubles it.
  static let firstPause = Microseconds.milliseconds(500)
  /// The longest pause.
  static let longestPause = Microseconds.seconds(16)

  private struct Pause: Sendable {
    var until: Instant
    var length: Microseconds
  }

  private var pauses = BoundedMap<Purpose, Pause>(capacity: maximumPending)
  private(set) var pending = Table<UInt64, Pending>()
  private var purposes = Table<Purpose, UInt64>()
  /// The ids of all that is under way.
  private(set) var ids = OrderedSet<Digest>()
  /// What all that is under way pays.
  private(set) var feesMicrocredits: UInt64 = 0

  init() {}

  /// True when a transaction for this purpose is on its way.
  func isPending(_ purpose: Purpose) -> Bool { purposes.contains(purpose) }

  /// True while nothing more is to be submitted for this purpose: the ledger has just refused it, and every try costs
  /// a fee.
  func isPaused(_ purpose: Purpose, at now: Instant) -> Bool { pauses[purpose].map { now < $0.until } ?? false }

  /// Notes what the ledger made of a transaction.
  mutating func judged(_ purpose: Purpose, isRefused: Bool, at now: Instant) {
    guard isRefused else {
      pauses.removeValue(forKey: purpose)
      return
    }
    let length = pauses[purpose].map { min($0.length * 2, Outbox.longestPause) } ?? Outbox.firstPause
    pauses.insert(Pause(until: now + length, length: length), forKey: purpose)
  }

  /// True when no further transaction may be added.
  var isFull: Bool { pending.count >= Outbox.maximumPending }

  mutating func add(_ entry: Pending, nonce: UInt64) {
    if let old = pending.updateValue(entry, forKey: nonce) {
      feesMicrocredits -= old.feeMicrocredits
      ids.remove(old.message.value.id)
    }
    feesMicrocredits += entry.feeMicrocredits
    ids.insert(entry.message.value.id)
    purposes[entry.purpose] = nonce
  }

  mutating func remove(nonce: UInt64) -> Pending? {
    guard let entry = pending.removeValue(forKey: nonce) else { return nil }
    feesMicrocredits -= entry.feeMicrocredits
    ids.remove(entry.message.value.id)
    if purposes[entry.purpose] == nonce { purposes[entry.purpose] = nil }
    return entry
  }

  /// Notes that a transaction was sent again.
  mutating func touch(nonce: UInt64, at now: Instant) { _ = pending.modify(nonce) { $0.sentAt = now } }

  /// The nonce that follows all that is under way.
  func nextNonce(from nonce: UInt64) -> UInt64 {
    guard let last = pending.last else { return nonce }
    return max(nonce, last.key &+ 1)
  }

  /// Removes what the account's nonce has passed.
  mutating func settled(below nonce: UInt64) -> [Pending] {
    var done: [Pending] = []
    while let first = pending.first, first.key < nonce {
      if let entry = remove(nonce: first.key) { done.append(entry) }
    }
    return done
  }
}
