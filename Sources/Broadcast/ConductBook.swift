import Primitives

/// The one place where the misconduct of nodes is charged, whichever part of this node has found it, and where what they
/// brought is put to their credit.
///
/// 1. Points fade by a tenth with each heartbeat, whether the node is linked or not: a closed link settles nothing.
/// 2. A node that has cost too much is banned: not let in for a minute, and each time that it comes back to the same for
///    twice as long as before, up to an hour. After an hour of good conduct the first ban is a minute again.
/// 3. What a node brought first makes it worth more in the mesh, and buys off no misconduct: anybody can make messages of
///    its own.
/// 4. So many nodes are remembered; who was charged last is forgotten last.
public struct ConductBook: Sendable {
  /// The most nodes remembered.
  public static let maximumNodes = 4_096
  /// The most closings remembered of a node.
  public static let maximumClosings = 8

  private struct Tally: Sendable {
    var count: UInt64 = 0
    var points: Int64 = 0
    /// When points were charged last.
    var chargedAt: Instant?
  }

  private struct Entry: Sendable {
    /// Thousandths of a point, so that fading does not stop at small scores.
    var debt: Int64 = 0
    var merit: Int64 = 0
    /// Up to when the points have faded.
    var fadedAt: Instant
    var firsts: UInt64 = 0
    var tallies = Table<Misconduct, Tally>()
    var closings: [Conduct.Closing] = []
    var bannedUntil: Instant?
    var lastBan = Microseconds.zero

    /// Rule 1.
    mutating func fade(to now: Instant, _ interval: Microseconds) {
      let step = max(1, interval.count)
      let count = max(0, (now - fadedAt).count / step)
      fadedAt = fadedAt + Microseconds(step) * count
      for _ in 0..<count {
        guard debt / 10 > 0 || merit / 10 > 0 else { return }
        debt -= debt / 10
        merit -= merit / 10
      }
    }
  }

  /// What misconduct leads to.
  public let settings: ConductSettings
  private var entries = BoundedMap<NodeID, Entry>(capacity: ConductBook.maximumNodes)

  /// A book without entries.
  public init(settings: ConductSettings) { self.settings = settings }

  /// How many nodes are remembered.
  public var count: Int { entries.count }

  /// Charges a node. True when it has cost so much that it is to be closed, or not heard.
  public mutating func charge(
    _ id: NodeID, _ misconduct: Misconduct, heartbeat: Microseconds, now: Instant
  ) -> Bool {
    // Rule 4: who is charged again is the newest again.
    var entry = entries.removeValue(forKey: id) ?? Entry(fadedAt: now)
    entry.fade(to: now, heartbeat)
    var tally = entry.tallies[misconduct] ?? Tally()
    tally.count &+= 1
    let isCharged = !misconduct.isOncePerHeartbeat || tally.chargedAt.map { $0 + heartbeat <= now } ?? true
    if isCharged {
      tally.chargedAt = now
      tally.points += misconduct.points
      // Not below the bottom: who is not heard there is heard again some heartbeats after it has stopped.
      entry.debt = min(settings.closingPoints * 1_000, entry.debt + misconduct.points * 1_000)
    }
    entry.tallies[misconduct] = tally
    let isAtBottom = isCharged && entry.debt >= settings.closingPoints * 1_000
    entries.insert(entry, forKey: id)
    return isAtBottom
  }

  /// Rule 3: a node was the first to bring a message.
  public mutating func credit(_ id: NodeID, heartbeat: Microseconds, now: Instant) {
    func add(_ entry: inout Entry) {
      entry.fade(to: now, heartbeat)
      entry.merit = min(settings.maximumMerit * 1_000, entry.merit + 1_000)
      entry.firsts &+= 1
    }
    guard entries.modify(id, add) == nil else { return }
    var entry = Entry(fadedAt: now)
    add(&entry)
    entries.insert(entry, forKey: id)
  }

  /// Rule 2: bans a node and returns for how long.
  public mutating func ban(_ id: NodeID, for misconduct: Misconduct, now: Instant) -> Microseconds {
    entries.modify(id) { entry in
      let isRepeated = entry.bannedUntil.map { now < $0 + settings.banMemory } ?? false
      let span = isRepeated ? min(settings.longestBan, entry.lastBan * 2) : settings.firstBan
      entry.lastBan = span
      entry.bannedUntil = now + span
      ConductBook.note(
        Conduct.Closing(at: now, misconduct: misconduct, banSeconds: UInt32(clamping: span.count / 1_000_000)), &entry)
      return span
    } ?? .zero
  }

  /// Notes that a node is not heard for a while, its link stays.
  public mutating func mute(_ id: NodeID, for misconduct: Misconduct, now: Instant) {
    _ = entries.modify(id) { entry in
      ConductBook.note(Conduct.Closing(at: now, misconduct: misconduct, banSeconds: 0), &entry)
    }
  }

  private static func note(_ closing: Conduct.Closing, _ entry: inout Entry) {
    if entry.closings.count >= maximumClosings { entry.closings.removeFirst() }
    entry.closings.append(closing)
  }

  /// Ends a node's ban.
  public mutating func pardon(_ id: NodeID) { _ = entries.modify(id) { $0.bannedUntil = nil } }

  /// Until when a node is not let in; nil when it is.
  public func bannedUntil(_ id: NodeID, now: Instant) -> Instant? {
    entries[id]?.bannedUntil.flatMap { $0 > now ? $0 : nil }
  }

  /// All that are not let in, until when, and for what at last.
  func bans(now: Instant) -> [(peer: NodeID, until: Instant, misconduct: Misconduct)] {
    entries.entries.compactMap { id, entry in
      guard let until = entry.bannedUntil, until > now, let last = entry.closings.last else { return nil }
      return (id, until, last.misconduct)
    }
  }

  /// When a node's link was closed, or the node was not heard any more, for the last time.
  func lastClosing(of id: NodeID) -> Conduct.Closing? { entries[id]?.closings.last }

  /// What a node has cost and brought, in thousandths of a point.
  func balance(of id: NodeID, heartbeat: Microseconds, now: Instant) -> (debt: Int64, merit: Int64) {
    guard var entry = entries[id] else { return (0, 0) }
    entry.fade(to: now, heartbeat)
    return (entry.debt, entry.merit)
  }

  /// The score of a node in points.
  public func score(of id: NodeID, heartbeat: Microseconds, now: Instant) -> Int64 {
    let (debt, merit) = balance(of: id, heartbeat: heartbeat, now: now)
    return (merit - debt) / 1_000
  }

  /// All that is known of a node's conduct; nil when nothing is.
  public func conduct(of id: NodeID, heartbeat: Microseconds, now: Instant) -> Conduct? {
    guard let entry = entries[id] else { return nil }
    return Conduct(
      score: score(of: id, heartbeat: heartbeat, now: now), firsts: entry.firsts,
      costs: entry.tallies.map { Conduct.Cost(misconduct: $0, count: $1.count, points: $1.points) },
      closings: entry.closings, bannedUntil: entry.bannedUntil)
  }
}
