import Consensus
import Core
import Ledger
import Primitives
import Wire

/// A broken invariant of docs/consensus.md.
package struct Violation: Sendable, Equatable {
  /// The number of the invariant.
  package var invariant: Int
  /// When it was seen.
  package var at: Instant
  /// What was seen.
  package var detail: String
}

/// Looks at everything that nodes send and finalize, over all nodes and restarts, and finds what must never be.
/// It trusts nothing that a core says of itself: votes are counted from the wire, quorums from the genesis.
struct Checker {
  private struct Ballot: Comparable {
    var voter: NodeID
    var view: UInt64

    static func < (left: Ballot, right: Ballot) -> Bool {
      left.view == right.view ? left.voter < right.voter : left.view < right.view
    }
  }

  private struct Cast {
    var notarized: Digest?
    var finalized: Digest?
    var nullified = false
  }

  private struct Choice: Comparable {
    var view: UInt64
    var block: Digest

    static func < (left: Choice, right: Choice) -> Bool {
      left.view == right.view ? left.block < right.block : left.view < right.view
    }
  }

  private(set) var violations: [Violation] = []
  private let faults: Int
  private let quorum: Int
  private let networkID: Digest
  private var totalMicrocredits: UInt64?
  private var blockAtHeight = Table<UInt64, Digest>()
  private var rootAtHeight = Table<UInt64, Digest>()
  private var finalViews = Table<UInt64, Digest>()
  private var casts = Table<Ballot, Cast>()
  private var notarizes = Table<Choice, OrderedSet<NodeID>>()
  private var nullifies = Table<UInt64, OrderedSet<NodeID>>()
  private var notarizedBlock = Table<UInt64, Digest>()

  init(genesis: Genesis) {
    // Written out here and not taken from `ValidatorSet`: a wrong quorum there must not make this one wrong.
    let count = genesis.validators.count
    faults = (count - 1) / 3
    quorum = count - faults
    networkID = genesis.networkID
  }

  /// The highest final block of any node.
  var finalizedHeight: UInt64 { blockAtHeight.last?.key ?? 0 }

  private mutating func report(_ invariant: Int, at now: Instant, _ detail: String) {
    violations.append(Violation(invariant: invariant, at: now, detail: detail))
  }

  /// A vote goes out on the wire. `isDurable`: it is on the sender's disk.
  mutating func sent(_ vote: Vote, by sender: NodeID, isOwn: Bool, isDurable: Bool, at now: Instant) {
    guard isOwn else { return }
    let subject = vote.subject
    if !isDurable {
      report(6, at: now, "\(sender.short) sent a \(subject.kind.name) of view \(subject.view) before it was durable")
    }
    let ballot = Ballot(voter: sender, view: subject.view)
    var cast = casts[ballot] ?? Cast()
    switch subject.kind {
    case .notarize:
      if let other = cast.notarized, other != subject.blockID {
        report(
          5, at: now,
          "\(sender.short) notarized \(other.short) and \(subject.blockID.short) in view \(subject.view)")
      }
      cast.notarized = subject.blockID
      var voters = notarizes[Choice(view: subject.view, block: subject.blockID)] ?? OrderedSet()
      voters.insert(sender)
      if voters.count >= quorum { notarized(subject.blockID, view: subject.view, at: now) }
      notarizes[Choice(view: subject.view, block: subject.blockID)] = voters
    case .nullify:
      if cast.finalized != nil {
        report(5, at: now, "\(sender.short) nullified view \(subject.view) after it voted to finalize it")
      }
      cast.nullified = true
      var voters = nullifies[subject.view] ?? OrderedSet()
      voters.insert(sender)
      nullifies[subject.view] = voters
      if voters.count >= quorum, let block = finalViews[subject.view] {
        report(2, at: now, "view \(subject.view) is nullified and its block \(block.short) is final")
      }
    case .finalize:
      if cast.nullified {
        report(5, at: now, "\(sender.short) voted to finalize view \(subject.view) after it nullified it")
      }
      if let other = cast.finalized, other != subject.blockID {
        report(
          5, at: now,
          "\(sender.short) finalized \(other.short) and \(subject.blockID.short) in view \(subject.view)")
      }
      cast.finalized = subject.blockID
    }
    casts[ballot] = cast
  }

  private mutating func notarized(_ block: Digest, view: UInt64, at now: Instant) {
    if let other = notarizedBlock[view], other != block {
      report(3, at: now, "view \(view) has two notarized blocks, \(other.short) and \(block.short)")
    }
    notarizedBlock[view] = block
  }

  /// A certificate goes out on the wire: it must carry a true quorum.
  mutating func sent(_ certificate: Certificate, by sender: NodeID, at now: Instant) {
    let subject = certificate.subject
    if certificate.signers.count < quorum {
      report(
        1, at: now, "\(sender.short) sent a \(subject.kind.name) certificate of \(certificate.signers.count) votes")
    }
    if subject.kind == .notarize { notarized(subject.blockID, view: subject.view, at: now) }
  }

  /// A node made blocks final.
  mutating func committed(
    _ blocks: [Verified<Block>], finalization: Certificate, by node: NodeID, state: LedgerReader, at now: Instant
  ) {
    if finalization.signers.count < quorum {
      report(1, at: now, "\(node.short) made a block final with \(finalization.signers.count) votes")
    }
    // An ancestor that is final through its descendant may have been nullified as well as notarized; a view with a
    // finalization may not.
    let subject = finalization.subject
    finalViews[subject.view] = subject.blockID
    if (nullifies[subject.view]?.count ?? 0) >= quorum {
      report(2, at: now, "view \(subject.view) was nullified and its block \(subject.blockID.short) is final")
    }
    for block in blocks.map(\.value) {
      let header = block.header
      if let other = blockAtHeight[header.height], other != block.id {
        report(1, at: now, "height \(header.height) has two final blocks, \(other.short) and \(block.id.short)")
      }
      blockAtHeight[header.height] = block.id
      if let other = rootAtHeight[header.height], other != header.stateRoot {
        report(7, at: now, "height \(header.height) has two state roots")
      }
      rootAtHeight[header.height] = header.stateRoot
    }
    // One step may make several runs of blocks final: the state is that of the last.
    if let last = blocks.last?.value, state.height == last.header.height, state.stateRoot != last.header.stateRoot {
      report(7, at: now, "\(node.short) has another state root than the block \(last.header.height) it made final")
    }
    let total = state.auditSum()
    if let before = totalMicrocredits, before != total {
      report(8, at: now, "\(node.short) counts \(total) microcredits, where there were \(before)")
    }
    totalMicrocredits = total
  }

  /// A node found that it can't go on.
  mutating func halted(_ node: NodeID, _ reason: String, at now: Instant) {
    report(7, at: now, "\(node.short) halted: \(reason)")
  }

  /// The network was healed at `healed` and has run until `now`: there must have been progress since.
  mutating func requireProgress(from height: UInt64, healed: Instant, at now: Instant) {
    if finalizedHeight <= height {
      report(11, at: now, "nothing became final since the network was healed at \(healed)")
    }
  }
}
