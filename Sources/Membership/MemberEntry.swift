import Primitives
import Wire

extension Verified where Value == Message {
  var author: NodeID { value.author }
  var sequence: UInt64 { value.sequence }
  var envelope: Envelope { value.envelope }
}

/// An accusation that has not been refuted.
struct StandingAccusation: Sendable {
  var message: Verified<Message>
  var since: Instant
}

/// Refuses a datagram that was seen before. Sequences are not dense (they are microseconds), so instead of a bitmap
/// the window keeps the latest ones; whatever is not above the oldest of a full window is refused.
struct ReplayWindow: Sendable {
  static let capacity = 32

  private var floor: UInt64
  private var recent: [UInt64] = []

  /// How many are kept.
  var count: Int { recent.count }

  /// The highest sequence that was admitted, or the floor.
  var newest: UInt64 { recent.last ?? floor }

  /// A window that admits what is above `floor`.
  init(floor: UInt64 = 0) { self.floor = floor }

  /// True, and remembered, when `sequence` is new.
  mutating func admit(_ sequence: UInt64) -> Bool {
    guard sequence > floor else { return false }
    var index = recent.count
    while index > 0, recent[index - 1] >= sequence {
      if recent[index - 1] == sequence { return false }
      index -= 1
    }
    recent.insert(sequence, at: index)
    if recent.count > ReplayWindow.capacity { floor = recent.removeFirst() }
    return true
  }
}

/// A smoothed round-trip time and its variation (RFC 6298, in whole microseconds).
struct RoundTrip: Sendable, Equatable {
  private(set) var smoothed: Microseconds
  private(set) var variation: Microseconds

  init(first sample: Microseconds) {
    smoothed = sample
    variation = sample / 2
  }

  mutating func add(_ sample: Microseconds) {
    let distance = Microseconds(abs(smoothed.count - sample.count))
    variation = variation + (distance - variation) / 4
    smoothed = smoothed + (sample - smoothed) / 8
  }
}

/// All that this node knows of a member.
struct MemberEntry: Sendable {
  /// More accusations of one member than this are not kept: three suffice.
  static let maximumAccusers = 8
  /// More refuted accusations than this within the memory of `refuted`, and an accuser's word counts for nothing.
  static let maximumRefuted = 8

  var record: Verified<Message>
  var body: NodeRecord
  var farewell: Verified<Message>?
  var state: MemberState
  var since: Instant
  var address: PeerAddress?
  /// Where it is for sure: from there it has answered a ping of this node, or there a link with it ended.
  var verified: PeerAddress?
  var lastSeen: Instant?
  /// When a datagram of it last came from `address`.
  var heardAt: Instant?
  var roundTrip: RoundTrip?
  var height: UInt64 = 0
  var accusations = Table<NodeID, StandingAccusation>()
  /// When the running suspicion began.
  var suspectedAt: Instant
  /// True when the suspicion's time has run out and only accusers are missing.
  var suspicionOver = false
  var window = ReplayWindow()
  /// The newest own incarnation that the member is known to have received.
  var knowsOwn: UInt64 = 0
  /// The last round of probes that it has a place in; 0 before the first.
  var round: UInt64 = 0
  /// What it stands for in the digest; empty while it is down.
  var digestShare = MemberDigest.Bucket.empty
  /// When it was last told, on a ping for nothing else, what an ack had no room for.
  var toldAt: Instant?
  /// When an answer to it last carried news.
  var newsAnsweredAt: Instant?
  /// When a record or farewell of it was last passed on over links.
  var newsAt: Instant?
  /// Since when its accusations are counted that were passed on over links, and how many were.
  var accusationsSince: Instant?
  var accusationsPassedOn = 0
  /// The probe that waits for its answer.
  var probe: UInt64?
  var retryDelay: Microseconds
  var dialDelay: Microseconds
  var nextDial: Instant
  /// When a probe of it by this node last failed.
  var silentAt: Instant?
  /// How many of its accusations were refuted, as far as this node can tell; halved with each exchange interval.
  var refuted = 0
  /// True until it answers a ping of this node or says something over a link.
  var isUnseen = true
  /// Where it is counted among those.
  var unseenPlace: AddressPrefix?
  /// Where it is counted among the others.
  var seenPlace: AddressPrefix?
  var account: MemberAccount

  init(record: Verified<Message>, body: NodeRecord, now: Instant, settings: MembershipSettings) {
    self.record = record
    self.body = body
    state = .alive
    since = now
    suspectedAt = now
    retryDelay = settings.minimumRetry
    dialDelay = settings.minimumDialDelay
    nextDial = now
    account = MemberAccount(firstSeen: now)
  }

  var incarnation: UInt64 { record.sequence }

  /// The highest sequence by which the member spoke of itself.
  var latestSequence: UInt64 { max(record.sequence, farewell?.sequence ?? 0) }

  /// True when it is to be probed and counted: alive or suspect.
  var isActive: Bool { state == .alive || state == .suspect }
}
