import Primitives

/// The messages that were announced, asked for and have not come.
struct Wants: Sendable {
  /// The most announcers remembered for one message.
  static let maximumAnnouncers = 8

  struct Want: Sendable {
    /// Who is asked now.
    var asked: NodeID
    var deadline: Instant
    /// Who else has announced it and was not asked.
    var others: [NodeID]
  }

  private struct Due: Comparable, Sendable {
    var at: Instant
    var id: Digest

    static func < (left: Due, right: Due) -> Bool { left.at == right.at ? left.id < right.id : left.at < right.at }
  }

  private var wants = Table<Digest, Want>()
  private var queue = OrderedSet<Due>()
  private var perPeer = Table<NodeID, Int>()

  var count: Int { wants.count }
  var next: Instant? { queue.first?.at }

  /// How many peers are asked for something.
  var askedPeers: Int { perPeer.count }
  /// The announcers still to be asked for the message that has the most.
  var mostAnnouncers: Int { wants.reduce(0) { max($0, $1.value.others.count) } }

  func contains(_ id: Digest) -> Bool { wants.contains(id) }
  func count(asked peer: NodeID) -> Int { perPeer[peer] ?? 0 }

  mutating func ask(_ peer: NodeID, for id: Digest, others: [NodeID], deadline: Instant) {
    remove(id)
    wants[id] = Want(asked: peer, deadline: deadline, others: others)
    queue.insert(Due(at: deadline, id: id))
    perPeer[peer, default: 0] += 1
  }

  mutating func addAnnouncer(_ peer: NodeID, of id: Digest) {
    _ = wants.modify(id) { want in
      guard want.asked != peer, !want.others.contains(peer), want.others.count < Wants.maximumAnnouncers else { return }
      want.others.append(peer)
    }
  }

  @discardableResult mutating func remove(_ id: Digest) -> Want? {
    guard let want = wants.removeValue(forKey: id) else { return nil }
    queue.remove(Due(at: want.deadline, id: id))
    let left = (perPeer[want.asked] ?? 0) - 1
    perPeer[want.asked] = left > 0 ? left : nil
    return want
  }

  /// Removes and returns a want whose time has run out.
  mutating func popDue(_ now: Instant) -> (id: Digest, want: Want)? {
    guard let due = queue.first, due.at <= now, let want = remove(due.id) else { return nil }
    return (due.id, want)
  }

  /// The ids that a peer is asked for.
  func ids(asked peer: NodeID) -> [Digest] {
    guard count(asked: peer) > 0 else { return [] }
    return wants.filter { $0.value.asked == peer }.map(\.key)
  }
}
