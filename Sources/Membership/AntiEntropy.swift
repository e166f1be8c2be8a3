import Primitives
import Wire

// Rule 6: linked nodes compare their tables by digests, and send each other only what differs.
extension MembershipMachine {
  /// The most records, accusations and farewells in one message of an answer.
  static let maximumWordsPerMessage = 512
  /// The most messages of an answer; the next one goes on where it ended.
  static let maximumMessagesPerAnswer = 4

  /// What this node's table hashes to, itself included, in as many buckets as give each about four members. Who is down
  /// does not count: that is this node's own opinion.
  var digest: MemberDigest? {
    wholeDigest?.folded(
      to: MemberDigest.bucketCounts.first { 4 * $0 > entries.count } ?? MemberDigest.maximumBuckets)
  }

  private var wholeDigest: MemberDigest? {
    var buckets = digestBuckets
    let own = MemberDigest.bucket(of: id, count: MemberDigest.maximumBuckets)
    buckets[own] ^= MemberDigest.Bucket(member: id, sequence: ownRecord.sequence, hasLeft: false)
    return MemberDigest(buckets: buckets)
  }

  /// To be called after each change of a member's record, farewell or state.
  mutating func updateDigest(_ member: NodeID, _ entry: inout MemberEntry) {
    let share: MemberDigest.Bucket =
      entry.state == .down
      ? .empty
      : MemberDigest.Bucket(member: member, sequence: entry.latestSequence, hasLeft: entry.state == .left)
    replaceShare(of: member, entry.digestShare, by: share)
    entry.digestShare = share
  }

  mutating func replaceShare(of member: NodeID, _ old: MemberDigest.Bucket, by new: MemberDigest.Bucket) {
    let bucket = MemberDigest.bucket(of: member, count: MemberDigest.maximumBuckets)
    digestBuckets[bucket] ^= old
    digestBuckets[bucket] ^= new
  }

  mutating func exchangeRound(_ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]) {
    deadlines.set(.exchange, at: now + jittered(settings.exchangeInterval))
    sweep(now, identity, &effects)
    // Who has had a digest lately, of a link that has just come up, would not answer another.
    let due = links.filter { $0.value.digestSent.wasAtLeast(settings.exchangeInterval * 3 / 4, before: now) }
    guard !due.isEmpty else { return }
    compareTables(with: due[generator.index(below: due.count)].key, now, &effects)
  }

  /// Sends the own record and the digest.
  mutating func compareTables(with peer: NodeID, _ now: Instant, _ effects: inout [MembershipEffect]) {
    guard let digest else { return }
    _ = links.modify(peer) { $0.digestSent = now }
    effects.append(.exchange([ownRecord.envelope], to: peer))
    effects.append(.digest(digest, to: peer))
  }

  /// Sends what differs, and asks for it unless the peer has a digest of this node and so knows.
  mutating func receive(
    _ digest: MemberDigest, from peer: NodeID, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, let link = links[peer] else { return counters.add("digestWithoutLink") }
    heard(from: peer, now, &identity, &effects)
    guard isDue(link.digestAnswered, now) else { return counters.add("digestTooOften") }
    _ = links.modify(peer) { $0.digestAnswered = now }
    guard let differences = wholeDigest?.differences(from: digest), !differences.buckets.isEmpty else {
      return counters.add("digestEqual")
    }
    counters.add("digestDiffers")
    send(differences, to: peer, now, identity, &effects)
    if isDue(link.digestSent, now) { effects.append(.memberRequest(differences, to: peer)) }
  }

  mutating func receive(
    _ request: MemberRequest, from peer: NodeID, _ now: Instant, _ identity: inout Identity,
    _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, let link = links[peer] else { return counters.add("requestWithoutLink") }
    heard(from: peer, now, &identity, &effects)
    guard isDue(link.requestAnswered, now) else { return counters.add("requestTooOften") }
    _ = links.modify(peer) { $0.requestAnswered = now }
    send(request, to: peer, now, identity, &effects)
  }

  private func isDue(_ last: Instant?, _ now: Instant) -> Bool {
    last.wasAtLeast(settings.exchangeInterval / 2, before: now)
  }

  /// Sends what is known of the members of some buckets, as far as an answer goes: records that still mean something and
  /// farewells, and what stands against whom, those that are down included, so that all who doubt can look.
  private mutating func send(
    _ request: MemberRequest, to peer: NodeID, _ now: Instant, _ identity: Identity,
    _ effects: inout [MembershipEffect]
  ) {
    var isCovered = [Bool](repeating: false, count: Int(request.bucketCount))
    for bucket in request.buckets { isCovered[Int(bucket)] = true }
    var messages: [[Envelope]] = [[]]
    /// False when there is no room for all that is known of a member.
    func add(_ member: NodeID, _ entry: MemberEntry) -> Bool {
      guard isCovered[MemberDigest.bucket(of: member, count: isCovered.count)], member != peer else { return true }
      let words = words(about: entry, identity, now)
      if messages[messages.count - 1].count + words.count > MembershipMachine.maximumWordsPerMessage {
        guard messages.count < MembershipMachine.maximumMessagesPerAnswer else { return false }
        messages.append([])
      }
      messages[messages.count - 1] += words
      return true
    }
    // From where the last answer ended to the end, and from the beginning up to there.
    let lowest = NodeID(Bytes32())
    let start = links[peer]?.cursor ?? lowest
    var next: NodeID?
    for (member, entry) in entries.entries(from: start) where next == nil {
      if !add(member, entry) { next = member }
    }
    if next == nil, start > lowest {
      for (member, entry) in entries {
        guard member < start, next == nil else { break }
        if !add(member, entry) { next = member }
      }
    }
    _ = links.modify(peer) { $0.cursor = next }
    for message in messages where !message.isEmpty { effects.append(.exchange(message, to: peer)) }
  }

  private func words(about entry: MemberEntry, _ identity: Identity, _ now: Instant) -> [Envelope] {
    if let farewell = entry.farewell { return [farewell.envelope] }
    guard !isExpired(entry.body, identity, now) else { return [] }
    let accusations = weightiest(entry, count: settings.maximumAccusersNeeded).map(\.envelope)
    return (entry.isActive ? [entry.record.envelope] : []) + accusations
  }

  /// Members whose record has run out unrenewed go down; farewells are forgotten when no old record can come back.
  private mutating func sweep(_ now: Instant, _ identity: Identity, _ effects: inout [MembershipEffect]) {
    for member in entries.withRefuted { _ = entries.modify(member) { $0.refuted /= 2 } }
    for member in entries.expired(at: identity.wallClock.unixMicroseconds(at: now) / 1_000_000) {
      guard let entry = entries[member] else { continue }
      if entry.state == .left {
        forget(member)
      } else if entry.isActive, entry.lastSeen.map({ now - $0 > settings.exchangeInterval * 2 }) ?? true {
        var expired = entry
        counters.add("memberExpired")
        setState(member, &expired, to: .down, now, &effects)
        entries[member] = expired
      }
    }
  }
}
