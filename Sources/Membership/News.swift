import Primitives
import Wire

// Rule 6: what is new goes over links at once, besides as a rumour.
extension MembershipMachine {
  /// Own news goes at once over at most this many links.
  static let maximumNewsLinks = 16
  /// The time between two records of one author that are passed on at once; what comes faster goes as a rumour only.
  static let newsInterval = Microseconds.seconds(1)
  /// The most accusations of one accuser that are passed on at once in a minute: who is deaf accuses everybody.
  static let maximumAccusationsPassedOn = 20

  /// How many records of others that nothing calls for are passed on at once: in all, and of those that one linked node sent,
  /// or all that are not linked.
  static let newsOfAll = TokenBucket.Allowance(ratePerSecond: 50, burst: 200)
  static let newsOfOne = TokenBucket.Allowance(ratePerSecond: 25, burst: 100)

  /// What this node says anew goes at once over its links (some, where there are many).
  mutating func sendNews(_ message: Verified<Message>, except: NodeID, _ effects: inout [MembershipEffect]) {
    send(message, count: MembershipMachine.maximumNewsLinks, &effects) { $0 != except }
  }

  /// Passes on what another has said, new to this node, over a few links: the news is everywhere after a few hops, where
  /// rumours need as many rounds of probes. What came in a table is no news.
  /// Records of new members, and those that nothing calls for, are many only when somebody makes them up: they are counted, by
  /// the link that they came over and in all. What refutes or brings back is `urgent`.
  mutating func passOn(
    _ message: Verified<Message>, isUrgent: Bool = true, _ now: Instant, _ effects: inout [MembershipEffect]
  ) {
    guard let source = newsSource, var author = entries[message.author] else { return }
    if case .accusation = message.value.body {
      if author.accusationsSince.wasAtLeast(.seconds(60), before: now) {
        author.accusationsSince = now
        author.accusationsPassedOn = 0
      }
      guard author.accusationsPassedOn < MembershipMachine.maximumAccusationsPassedOn else {
        return counters.add("newsWithheld")
      }
      author.accusationsPassedOn += 1
    } else {
      guard author.newsAt.wasAtLeast(MembershipMachine.newsInterval, before: now) else {
        return counters.add("newsWithheld")
      }
      guard isUrgent || isAllowed(from: source, now) else { return counters.add("newsWithheld") }
      author.newsAt = now
    }
    entries[message.author] = author
    send(message, count: settings.degree, &effects) { $0 != source && $0 != message.author }
  }

  private mutating func isAllowed(from source: NodeID, _ now: Instant) -> Bool {
    // The source's own first: what it has too much takes nothing from the others.
    let isWithinOwn =
      links.modify(source) { $0.news.take(MembershipMachine.newsOfOne, now: now) }
      ?? strangersNews.take(MembershipMachine.newsOfOne, now: now)
    return isWithinOwn && news.take(MembershipMachine.newsOfAll, now: now)
  }

  private mutating func send(
    _ message: Verified<Message>, count: Int, _ effects: inout [MembershipEffect], to isMeant: (NodeID) -> Bool
  ) {
    for peer in generator.sample(links.keys.filter(isMeant), count: count) {
      effects.append(.exchange([message.envelope], to: peer))
    }
  }
}
