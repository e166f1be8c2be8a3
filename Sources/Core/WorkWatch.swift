import Consensus
import Ledger
import Primitives
import Wire

/// What rule 11 of consensus asks: is there something to do on the block that the next one will follow? The
/// answer is kept until the parent, the mempool or the time changes it.
struct WorkWatch: Sendable {
  var parent: Digest?
  var mempoolVersion: UInt64 = 0
  var mempoolRemovals: UInt64 = 0
  var hasTransactions = false
  var isReported = false
  /// When a ledger deadline on the parent falls due.
  var nextDue: Instant?
}

extension NodeCore {
  /// Tells consensus whether work is pending, when that has changed.
  mutating func refreshWork(now: Instant, into effects: inout [CoreEffect]) {
    // A report can lead to a commit, which changes the parent; each round is caused by a new block.
    while true {
      let parent = consensus.workParent
      if work.parent != parent || work.mempoolVersion != mempool.version {
        // Consensus forgets what was said of another parent.
        if work.parent != parent { work.isReported = false }
        // What could be included still can when the pool has only grown since.
        let stillHas = work.parent == parent && work.hasTransactions && work.mempoolRemovals == mempool.removals
        work.parent = parent
        work.mempoolVersion = mempool.version
        work.mempoolRemovals = mempool.removals
        if !stillHas { work.hasTransactions = hasIncludable(on: parent) }
        work.nextDue = ledger.nextDueMilliseconds(on: parent).map { instant(unixMilliseconds: $0) }
      }
      let unix = identity.wallClock.unixMilliseconds(at: now)
      let isDue = ledger.hasDueWork(on: parent, unixMilliseconds: unix)
      if isDue || (work.nextDue.map { $0 <= now } ?? false) { work.nextDue = nil }
      let isPending = work.hasTransactions || isDue
      guard work.isReported != isPending else { return }
      work.isReported = isPending
      step(consensus: .work(isPending: isPending), now: now, into: &effects)
      if consensus.workParent == parent, work.mempoolVersion == mempool.version { return }
    }
  }

  /// The most candidates looked at: the first is nearly always includable, and a block has to skip the same ones.
  private static let maximumLooks = 256

  private func hasIncludable(on parent: Digest) -> Bool {
    guard let state = ledger.state(at: parent) else { return false }
    var isFound = false
    var looks = 0
    mempool.forEachCandidate(nonce: { state.account($0).nonce }) { message in
      if case .now = ledger.includability(of: message, on: parent) { isFound = true }
      looks += 1
      return !isFound && looks < NodeCore.maximumLooks
    }
    return isFound
  }

  private func instant(unixMilliseconds: UInt64) -> Instant {
    let microseconds = Int64(min(unixMilliseconds, ChainParameters.maximumValue)) * 1_000
    return Instant(microseconds: microseconds) - identity.wallClock.offset
  }
}
