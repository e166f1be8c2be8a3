import Primitives

/// The messages that were announced, asked for and have not come.
///
/// When there is no room for more, peers are even: who is asked for less displaces the newest of who is asked for most, so
/// that those who promise what there is not do not keep others from bringing what there is.
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

  /// A want by who is asked, the newest first.
  private struct Asked: Comparable, Sendable {
    var peer: NodeID
    var due: Due

    static func < (left: Asked, right: Asked) -> Bool {
      left.peer == right.peer ? right.due < left.due : left.peer < right.peer
    }
  }

  /// A peer by how much it is asked for, who is asked for most first.
  private struct Load: Comparable, Sendable {
    var count: Int
    var peer: NodeID

    static func < (left: Load, right: Load) -> Bool {
      left.count == right.count ? right.peer < left.peer : right.count < left.count
    }
  }

  private var wants = Table<Digest, Want>()
  private var queue = OrderedSet<Due>()
  private var asked = OrderedSet<Asked>()
  private var perPeer = Table<NodeID, Int>()
  private var loads = OrderedSet<Load>()

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
    let due = Due(at: deadline, id: id)
    wants[id] = Want(asked: peer, deadline: deadline, others: others)
    queue.insert(due)
    asked.insert(Asked(peer: peer, due: due))
    setLoad(of: peer, to: count(asked: peer) + 1)
  }

  mutating func addAnnouncer(_ peer: NodeID, of id: Digest) {
    _ = wants.modify(id) { want in
      guard want.asked != peer, !want.others.contains(peer), want.others.count < Wants.maximumAnnouncers else { return }
      want.others.append(peer)
    }
  }

  @discardableResult mutating func remove(_ id: Digest) -> Want? {
    guard let want = wants.removeValue(forKey: id) else { return nil }
    let due = Due(at: want.deadline, id: id)
    queue.remove(due)
    asked.remove(Asked(peer: want.asked, due: due))
    setLoad(of: want.asked, to: count(asked: want.asked) - 1)
    return want
  }

  /// Makes room for one more of a peer. False when nobody is asked for so much more that there would still be more.
  mutating func displace(for peer: NodeID) -> Bool {
    guard let most = loads.first, most.count > count(asked: peer) + 1,
      let newest = ids(asked: most.peer, limit: 1).first
    else { return false }
    remove(newest)
    return true
  }

  /// Removes and returns a want whose time has run out.
  mutating func popDue(_ now: Instant) -> (id: Digest, want: Want)? {
    guard let due = queue.first, due.at <= now, let want = remove(due.id) else { return nil }
    return (due.id, want)
  }

  /// The ids that a peer is asked for, the newest first.
  func ids(asked peer: NodeID, limit: Int = .max) -> [Digest] {
    var found: [Digest] = []
    var last = Asked(peer: peer, due: Due(at: .distantFuture, id: .zero))
    while found.count < limit, let next = asked.first(after: last), next.peer == peer {
      found.append(next.due.id)
      last = next
    }
    return found
  }

  private mutating func setLoad(of peer: NodeID, to count: Int) {
    if let old = perPeer[peer] { loads.remove(Load(count: old, peer: peer)) }
    perPeer[peer] = count > 0 ? count : nil
    if count > 0 { loads.insert(Load(count: count, peer: peer)) }
  }
}
