import Primitives
import Wire

/// What is remembered of a member for people who ask, and nothing else: no rule reads it but the bound on who was never
/// heard.
struct MemberAccount: Sendable {
  /// More refutations of one member than this are not remembered.
  static let maximumRefutations = 8

  /// When this node learned of it.
  var firstSeen: Instant
  /// How far its clock is ahead of this node's, as its last answers showed.
  private(set) var clockOffset: Microseconds?
  /// The sequence of an answer, and when it came: the next one shows whether sequences run with a clock.
  private var answered: (sequence: UInt64, at: Instant)?
  /// Its latest refutations, the newest last.
  private(set) var refutations: [Refutation] = []
  /// Where its last datagram came from.
  private(set) var source: ReportedAddress?
  /// Where it says that it reaches this node.
  private(set) var seesThisNode: ReportedAddress?

  init(firstSeen: Instant) { self.firstSeen = firstSeen }

  mutating func refuted(_ accusers: [NodeID], by incarnation: UInt64, _ now: Instant) {
    if refutations.count >= MemberAccount.maximumRefutations { refutations.removeFirst() }
    refutations.append(Refutation(at: now, incarnation: incarnation, accusers: accusers))
  }

  mutating func saw(at address: PeerAddress, _ now: Instant) {
    source = ReportedAddress(address: address, reporter: nil, at: now)
  }

  mutating func reported(_ address: PeerAddress, by member: NodeID, _ now: Instant) {
    seesThisNode = ReportedAddress(address: address, reporter: member, at: now)
  }

  /// Its answer has come under this sequence. Sequences say what time it is there only while they run with its clock: for
  /// minutes after a restart they are ahead of it, and go up one by one.
  mutating func answered(_ sequence: UInt64, own unixMicroseconds: UInt64, roundTrip: Microseconds, _ now: Instant) {
    guard let (before, at) = answered else { return answered = (sequence, now) }
    let passed = now - at
    // Over a shorter time what the network does would show, not the clock.
    guard passed >= max(MemberAccount.shortestComparison, roundTrip * 4) else { return }
    answered = (sequence, now)
    let advance = sequence >= before ? Int64(clamping: sequence - before) : -1
    clockOffset =
      advance >= passed.count - passed.count / 2 && advance <= passed.count + passed.count / 2
      ? MemberAccount.offset(of: sequence, from: unixMicroseconds, roundTrip: roundTrip) : nil
  }

  private static let shortestComparison = Microseconds.milliseconds(200)

  /// The clock of a member is ahead by this much, if its answer was written when half of the round trip had passed.
  static func offset(of sequence: UInt64, from own: UInt64, roundTrip: Microseconds) -> Microseconds {
    let ahead =
      sequence >= own ? Int64(clamping: sequence - own) : -Int64(clamping: min(own - sequence, UInt64(Int64.max)))
    // Whoever says that it lives at the end of time must not overflow anything.
    return Microseconds(min(max(ahead, -farthest), farthest)) + roundTrip / 2
  }

  private static let farthest = Int64.max / 4
}
