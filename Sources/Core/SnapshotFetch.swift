import Ledger
import Primitives
import Wire

/// A state on its way in: which chunks were asked for of whom. Rule 4 of StateSync.swift.
struct SnapshotFetch: Sendable {
  /// The most requests under way.
  static let maximumRequests = 8
  /// The most requests until the first chunk has come: of a small state all get the same one, but no single silent peer
  /// holds up the beginning.
  static let maximumFirstRequests = 3
  /// What is taken for the depth until then.
  static let firstDepth: UInt8 = 2
  /// The most requests under way to one peer.
  static let maximumRequestsPerPeer = 2
  /// How long a peer has to send a chunk.
  static let chunkTimeout = Microseconds.seconds(5)
  /// The requests that a peer may leave unanswered in a row before it is not asked any more.
  static let maximumFailures = 2
  /// Without a new chunk for this long nobody serves the state.
  static let patience = Microseconds.seconds(30)
  /// The most peers whose failures are remembered; they are peers that there was a link to.
  static let maximumPeers = 4_096

  private struct Request: Sendable {
    var peer: NodeID
    var deadline: Instant
  }

  enum Taking: Sendable {
    case taken
    /// Not asked for, or not of use.
    case refused(String)
    /// Not what the header's root proves.
    case lied(String)
  }

  let target: SyncTarget
  private(set) var assembly: SnapshotAssembly
  /// By the key hash that was asked for.
  private var requests = Table<Digest, Request>()
  /// Unanswered requests in a row; a peer that sent a chunk has none.
  private var failures = Table<NodeID, Int>()
  private var distrusted = OrderedSet<NodeID>()
  private var progressAt: Instant
  /// The depth of the last chunk: how far the next one to ask for probably lies.
  private var depth = SnapshotFetch.firstDepth
  private var hasChunk = false
  private var generator: SeededGenerator

  /// - Parameter answering: peers that have just answered something else.
  init(target: SyncTarget, answering: [NodeID], now: Instant, generator: SeededGenerator) {
    self.target = target
    for peer in answering.prefix(SnapshotFetch.maximumPeers) { failures[peer] = 0 }
    self.generator = generator
    assembly = SnapshotAssembly(header: target.link.header)
    progressAt = now
  }

  var nextWake: Instant {
    let deadline = requests.values.map(\.deadline).min() ?? .distantFuture
    return min(deadline, progressAt + SnapshotFetch.patience)
  }

  func isStuck(at now: Instant) -> Bool {
    requests.isEmpty || now - progressAt >= SnapshotFetch.patience
  }

  /// A peer is gone: what it was asked for is asked of another.
  mutating func lose(_ peer: NodeID) { requests.removeAll { $1.peer == peer } }

  /// Takes a chunk that was asked for of this peer.
  mutating func take(_ chunk: SnapshotChunk, from peer: NodeID, now: Instant) -> Taking {
    let asked = requests.first { key, request in
      request.peer == peer && SnapshotFetch.covers(chunk, key)
    }
    guard let asked, chunk.height == target.height else { return .refused("chunkUnasked") }
    requests.removeValue(forKey: asked.key)
    switch assembly.add(chunk) {
    case nil:
      failures.removeValue(forKey: peer)
      if failures.count < SnapshotFetch.maximumPeers { failures[peer] = 0 }
      progressAt = now
      depth = chunk.depth
      hasChunk = true
      return .taken
    case .covered: return .refused("chunkCovered")
    case .unproven:
      if distrusted.count < SnapshotFetch.maximumPeers { distrusted.insert(peer) }
      lose(peer)
      return .lied("chunkUnproven")
    case .some(let refusal): return .refused("chunkRefused.\(refusal.counter)")
    }
  }

  private static func covers(_ chunk: SnapshotChunk, _ key: Digest) -> Bool {
    (chunk.prefix.value.firstDifferingBit(from: key.value) ?? 256) >= Int(chunk.depth)
  }

  /// The requests to send now: what timed out is asked of another, and as much is under way as may be.
  mutating func ask(
    _ links: OrderedSet<NodeID>, preferring ahead: OrderedSet<NodeID>, now: Instant
  ) -> [(ConsensusMessage, NodeID)] {
    for (key, request) in requests where now >= request.deadline {
      requests.removeValue(forKey: key)
      if failures.count < SnapshotFetch.maximumPeers { failures[request.peer, default: 0] += 1 }
    }
    var sent: [(ConsensusMessage, NodeID)] = []
    let limit = hasChunk ? SnapshotFetch.maximumRequests : SnapshotFetch.maximumFirstRequests
    while requests.count < limit, let key = nextUnasked, let peer = pick(links, preferring: ahead) {
      requests[key] = Request(peer: peer, deadline: now + SnapshotFetch.chunkTimeout)
      sent.append((.snapshotRequest(height: target.height, covering: key), peer))
    }
    return sent
  }

  /// The first key hash that is neither here nor probably in a chunk that was asked for.
  private var nextUnasked: Digest? {
    var next = assembly.nextMissing()
    while let key = next, requests.contains(key) {
      next = assembly.nextMissing(after: SnapshotFetch.end(of: key, depth: depth))
    }
    return next
  }

  /// The last key hash that agrees with `key` in its first bits.
  private static func end(of key: Digest, depth: UInt8) -> Digest {
    var bytes = key.bytes
    for bit in Int(depth)..<256 { bytes[bit / 8] |= 0x80 >> UInt8(bit % 8) }
    return Digest(bytes: bytes) ?? key
  }

  /// Who is asked next: of those with the fewest failures, who sent something first, then who is known to be ahead.
  private mutating func pick(_ links: OrderedSet<NodeID>, preferring ahead: OrderedSet<NodeID>) -> NodeID? {
    var load = Table<NodeID, Int>()
    for request in requests.values { load[request.peer, default: 0] += 1 }
    var best: [NodeID] = []
    var bestRank = Int.max
    for peer in links where !distrusted.contains(peer) {
      let failed = failures[peer]
      let busy = load[peer] ?? 0
      guard failed ?? 0 < SnapshotFetch.maximumFailures, busy < SnapshotFetch.maximumRequestsPerPeer else { continue }
      let trust = failed == 0 ? 0 : ahead.contains(peer) ? 1 : 2
      let rank = (failed ?? 0) * 16 + trust * 4 + busy
      if rank < bestRank {
        bestRank = rank
        best = []
      }
      if rank == bestRank { best.append(peer) }
    }
    return best.isEmpty ? nil : best[generator.index(below: best.count)]
  }

  var occupancy: [Occupancy] {
    [
      Occupancy(name: "syncRequests", count: requests.count, limit: SnapshotFetch.maximumRequests),
      Occupancy(name: "syncPeers", count: failures.count, limit: SnapshotFetch.maximumPeers),
    ]
  }
}
