import Primitives

// How a blob is fetched, with all below it if it is a directory:
//
// 1. The first chunk of a blob is asked of one peer alone. It proves the blob's size and kind, and only then is room
//    taken for it. Further chunks are asked of all peers at once.
// 2. A chunk that does not belong to the root bans its sender for the whole fetch, and so does an answer with other
//    chunks than were asked for. What was asked of a banned peer is asked of others.
// 3. A peer that answers nothing does not have the blob; it is asked for it again after the retry delay. A peer that
//    fails or times out is asked nothing for the retry delay, doubled with each failure in a row up to 32 times.
// 4. A directory whose entries do not decode, or name a blob with another size or kind than it proves to have, is at
//    fault itself: its chunks are right, so no peer is to blame and the fetch fails.

/// What to ask of whom next.
package struct BlobQuestion<Peer: Hashable & Sendable>: Sendable {
  /// The number to give with the answer.
  package var id: UInt64
  /// Whom to ask.
  package var peer: Peer
  /// What to ask.
  package var request: BlobRequest
}

/// Fetches one root from several peers, as a state machine: the caller carries questions and answers and tells the
/// time. It writes to the store, so it belongs on a thread that may wait for the disk; one thread at a time.
package struct BlobFetch<Peer: Hashable & Sendable> {
  /// How far it is.
  package enum Phase: Equatable, Sendable {
    /// Chunks are missing.
    case running
    /// The blob and all below it are in the store.
    case done
    /// It cannot be completed from any peer.
    case failed(BlobError)
  }

  private struct Item {
    var root: Digest
    /// What the directory that names it says of it; nil for the root of the fetch.
    var expected: (kind: BlobKind, size: UInt64)?
    var depth: Int
    var receiver: BlobReceiver?
    var asked = Set<Int>()
    var notBefore = Instant(microseconds: .min)
  }

  private struct PeerState {
    var questions = 0
    var failures = 0
    var pausedUntil = Instant(microseconds: .min)
    /// Until when it need not be asked for a root again.
    var lacks: [Digest: Instant] = [:]
  }

  private struct Question {
    var peer: Peer
    var request: BlobRequest
    var deadline: Instant
  }

  /// Blobs in receipt at once.
  private static var maximumActive: Int { 16 }
  /// Questions to one peer at once.
  private static var maximumQuestions: Int { 4 }
  /// The most peers; further ones are not taken.
  package static var maximumPeers: Int { 64 }
  /// The most roots remembered as lacking at one peer; past that they are forgotten and asked for again.
  private static var maximumLacks: Int { 1024 }

  /// What is fetched.
  package let root: Digest
  /// How far it is.
  package private(set) var phase = Phase.running
  /// Bytes of the blobs whose size is known, those that were here already included.
  package private(set) var knownBytes: UInt64 = 0
  /// Bytes received and found right.
  package private(set) var receivedBytes: UInt64 = 0
  /// Peers that sent a wrong chunk; for the caller to score.
  package private(set) var banned = Set<Peer>()
  /// Answers to no open question, dropped.
  package private(set) var unexpectedAnswers = 0

  private let store: BlobStore
  private let owner: String
  private let timeout: Microseconds
  private let retryDelay: Microseconds
  private let maximumBytes: UInt64
  private var peers: [Peer: PeerState] = [:]
  private var order: [Peer] = []
  private var turn = 0
  private var waiting: [Item] = []
  private var active: [Item] = []
  private var seen = Set<Digest>()
  private var questions: [UInt64: Question] = [:]
  private var nextID: UInt64 = 0
  private var lastNow = Instant(microseconds: .min)

  /// Begins a fetch and pins `root` by `owner`; the pin stays until the caller unpins it, whatever becomes of the fetch.
  ///
  /// - Parameters:
  ///   - timeout: how long a question may stay without an answer.
  ///   - retryDelay: rule 3.
  ///   - maximumBytes: the most bytes of all blobs together.
  package init(
    _ root: Digest, into store: BlobStore, pinnedBy owner: String, timeout: Microseconds = .seconds(20),
    retryDelay: Microseconds = .seconds(1), maximumBytes: UInt64 = .max
  ) throws(BlobError) {
    self.root = root
    self.store = store
    self.owner = owner
    self.timeout = timeout
    self.retryDelay = retryDelay
    self.maximumBytes = maximumBytes
    try store.pin(root, by: owner)
    seen.insert(root)
    waiting.append(Item(root: root, expected: nil, depth: 0))
  }

  /// Adds a peer to ask; false for one that is banned, known, or one too many.
  @discardableResult
  package mutating func add(_ peer: Peer) -> Bool {
    guard !banned.contains(peer), peers[peer] == nil, peers.count < Self.maximumPeers else { return false }
    peers[peer] = PeerState()
    order.append(peer)
    return true
  }

  /// Forgets a peer whose link is gone; what it was asked is asked of others.
  package mutating func remove(_ peer: Peer) {
    for (id, question) in questions where question.peer == peer { close(id) }
    peers[peer] = nil
    order.removeAll { $0 == peer }
  }

  /// The earliest time at which `next` has something to do without an answer; nil when only answers or new peers can.
  package var nextDeadline: Instant? {
    guard phase == .running else { return nil }
    let times =
      questions.values.map(\.deadline) + active.map(\.notBefore)
      + peers.values.flatMap { Array($0.lacks.values) + [$0.pausedUntil] }
    // What lies before the last call of `next` had its effect then.
    return times.filter { $0 > lastNow }.min()
  }

  /// What to ask now. Call it at the start, after every answer, failure and new peer, and at `nextDeadline`.
  package mutating func next(now: Instant) -> [BlobQuestion<Peer>] {
    expire(now)
    lastNow = now
    for (peer, state) in peers { peers[peer]?.lacks = state.lacks.filter { $0.value > now } }
    activate(now)
    guard phase == .running else { return [] }
    var asked: [BlobQuestion<Peer>] = []
    for index in active.indices where active[index].notBefore <= now {
      while let request = request(for: active[index]), let peer = freePeer(for: request.root, now) {
        for chunk in request.firstChunk..<(request.firstChunk + request.count) { active[index].asked.insert(chunk) }
        nextID += 1
        questions[nextID] = Question(peer: peer, request: request, deadline: now + timeout)
        peers[peer]?.questions += 1
        asked.append(BlobQuestion(id: nextID, peer: peer, request: request))
      }
    }
    return asked
  }

  /// Takes the answer to a question.
  package mutating func receive(_ chunks: [BlobChunk], for id: UInt64, now: Instant) {
    guard phase == .running else { return }
    guard let question = questions[id] else {
      unexpectedAnswers += 1
      return
    }
    close(id)
    let request = question.request
    let wanted = request.firstChunk..<(request.firstChunk + request.count)
    guard chunks.count <= request.count, zip(chunks, wanted).allSatisfy({ $0.index == $1 }) else {
      return ban(question.peer)
    }
    guard !chunks.isEmpty else {
      if (peers[question.peer]?.lacks.count ?? 0) >= Self.maximumLacks { peers[question.peer]?.lacks = [:] }
      peers[question.peer]?.lacks[request.root] = now + retryDelay
      return
    }
    peers[question.peer]?.failures = 0
    do throws(BlobError) {
      for chunk in chunks { try take(chunk, of: request.root, now) }
    } catch {
      if error.code == .wrongChunk { ban(question.peer) } else { fail(error) }
    }
  }

  /// Takes the news that a question could not be asked or answered: the link broke, or the answer did not decode.
  package mutating func fail(_ id: UInt64, now: Instant) {
    guard let question = questions[id] else { return }
    close(id)
    pause(question.peer, now)
  }

  /// Bans the sender of something wrong that the caller found, such as an answer that does not decode.
  package mutating func ban(_ peer: Peer) {
    banned.insert(peer)
    remove(peer)
  }
}

extension BlobFetch {
  /// Chunks from the first that is missing and not asked for; without a receiver yet, the first chunk alone.
  private func request(for item: Item) -> BlobRequest? {
    guard let receiver = item.receiver else {
      return item.asked.isEmpty ? BlobRequest(root: item.root, firstChunk: 0, count: 1) : nil
    }
    func firstFree(from index: Int) -> Int? {
      var index = index
      while let missing = receiver.firstMissing(from: index) {
        if !item.asked.contains(missing) { return missing }
        index = missing + 1
      }
      return nil
    }
    guard let first = firstFree(from: 0) else { return nil }
    var count = 1
    while count < BlobLimits.maximumAnswerChunks, firstFree(from: first + count) == first + count { count += 1 }
    return BlobRequest(root: item.root, firstChunk: first, count: count)
  }

  /// The next peer in turn that may be asked for this root now.
  private mutating func freePeer(for root: Digest, _ now: Instant) -> Peer? {
    for _ in order.indices {
      turn = (turn + 1) % order.count
      let peer = order[turn]
      guard let state = peers[peer], state.questions < Self.maximumQuestions, state.pausedUntil <= now,
        state.lacks[root] == nil
      else { continue }
      return peer
    }
    return nil
  }

  private mutating func expire(_ now: Instant) {
    for (id, question) in questions where question.deadline <= now {
      close(id)
      pause(question.peer, now)
    }
  }

  private mutating func pause(_ peer: Peer, _ now: Instant) {
    guard let failures = peers[peer]?.failures else { return }
    peers[peer]?.failures = min(failures + 1, 6)
    peers[peer]?.pausedUntil = now + retryDelay * (1 << Int64(min(failures, 5)))
  }

  /// Ends a question, so that its chunks may be asked for again.
  private mutating func close(_ id: UInt64) {
    guard let question = questions.removeValue(forKey: id) else { return }
    peers[question.peer]?.questions -= 1
    guard let index = active.firstIndex(where: { $0.root == question.request.root }) else { return }
    let first = question.request.firstChunk
    for chunk in first..<(first + question.request.count) { active[index].asked.remove(chunk) }
  }

  private mutating func fail(_ error: BlobError) {
    phase = .failed(error)
    for item in active { item.receiver?.cancel() }
    active = []
    waiting = []
    questions = [:]
  }

  /// Moves waiting blobs into receipt; those that the store has meanwhile are done at once.
  private mutating func activate(_ now: Instant) {
    do throws(BlobError) {
      // A blob that another fetch receives ends here once that one has it.
      for item in active where item.receiver == nil && store.has(item.root) {
        try complete(item, wasReceived: false)
      }
      while active.count < Self.maximumActive, let item = waiting.popLast() {
        if store.has(item.root) {
          try complete(item, wasReceived: false)
        } else {
          active.append(item)
        }
      }
    } catch {
      fail(error)
    }
    if phase == .running, active.isEmpty, waiting.isEmpty { phase = .done }
  }

  private mutating func take(_ chunk: BlobChunk, of root: Digest, _ now: Instant) throws(BlobError) {
    guard let index = active.firstIndex(where: { $0.root == root }) else { return }
    if active[index].receiver == nil {
      guard let kind = BlobTree.kind(of: chunk, under: root) else {
        store.count { $0.chunksRefused += 1 }
        throw BlobError(.wrongChunk, "A received chunk does not belong to the blob \(root).")
      }
      let summary = BlobSummary(root: root, size: chunk.totalSize, kind: kind)
      try check(active[index], summary)
      do throws(BlobError) {
        active[index].receiver = try store.receiver(summary)
      } catch {
        switch error.code {
        case .exists: return try complete(active[index], wasReceived: false)
        case .busy:
          active[index].notBefore = now + retryDelay
          return
        default: throw error
        }
      }
      try add(summary.size)
    }
    guard let receiver = active[index].receiver else { return }
    if try receiver.accept(chunk) { receivedBytes += UInt64(chunk.bytes.count) }
    if receiver.isComplete {
      try receiver.finish()
      try complete(active[index], wasReceived: true)
    }
  }

  /// Rule 4, and the caller's bound.
  private func check(_ item: Item, _ summary: BlobSummary) throws(BlobError) {
    if let expected = item.expected, expected != (summary.kind, summary.size) {
      throw BlobError(
        .wrongEntry, "A directory below \(root) names the blob \(summary.root) with another size or kind than it has.")
    }
    if summary.kind == .directory, summary.size > UInt64(BlobLimits.maximumManifestBytes) {
      throw BlobError(.badManifest, "The directory \(summary.root) is over the bound.")
    }
    let (total, overflow) = knownBytes.addingReportingOverflow(summary.size)
    guard !overflow, total <= maximumBytes else {
      throw BlobError(.tooLarge, "The blob \(root), with all below it, has more than \(maximumBytes) bytes.")
    }
  }

  private mutating func add(_ bytes: UInt64) throws(BlobError) {
    let (total, overflow) = knownBytes.addingReportingOverflow(bytes)
    guard !overflow else { throw BlobError(.tooLarge, "The blob \(root) is over the bound.") }
    knownBytes = total
  }

  /// Takes a blob that is in the store off the list, and puts what it names on it.
  private mutating func complete(_ item: Item, wasReceived: Bool) throws(BlobError) {
    for (id, question) in questions where question.request.root == item.root { close(id) }
    active.removeAll { $0.root == item.root }
    guard let summary = store.summary(of: item.root) else { throw .missing(item.root) }
    if !wasReceived {
      try check(item, summary)
      try add(summary.size)
    }
    guard summary.kind == .directory else { return }
    for entry in try store.entries(of: item.root).reversed() {
      let child: Item
      switch entry.content {
      case .file(let root, let size): child = Item(root: root, expected: (.file, size), depth: item.depth + 1)
      case .directory(let root, let size): child = Item(root: root, expected: (.directory, size), depth: item.depth + 1)
      case .link: continue
      }
      guard child.depth <= BlobLimits.maximumDepth, seen.count < BlobLimits.maximumTreeEntries else {
        throw BlobError(.tooLarge, "The directory \(root) is too deep or has too many entries.")
      }
      if seen.insert(child.root).inserted { waiting.append(child) }
    }
  }
}
