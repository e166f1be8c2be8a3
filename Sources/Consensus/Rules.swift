import Primitives
import Wire

// The rules. docs/consensus.md explains and proves them; each function says which rule it belongs to.
//
// n validators, f = (n-1)/3 rounded down of them faulty, a quorum is q = n-f. A view is one leader's turn; views begin at
// 1 in each epoch. A certificate is q votes on one subject: a notarization, a nullification, a finalization. The tip is
// the last finalized block. Δ0 is the setting `delta`.
//
//  1. Enter. View v+1 is entered on a certified notarization of v, a nullification of v, or a finalization of v or a
//     later view. Views never go back. Certified: the block is here, executed to its state root, and given to the
//     journal before anything that follows from it.
//  2. Propose. The leader proposes once a view, on the highest certified or final view p for which a nullification is
//     held for every view between p and v. When that is the epoch's last block, or there is no room above it, the leader
//     proposes that block again: the same block, in view v, with p as the parent's view. No room: what lies above the
//     tip would be more than one chain answer carries, or more is held than may be.
//  3. Notarize the leader's first proposal of the current view, when nothing contrary was signed in it, its parent is
//     certified and not below the last final view, every view between is nullified, and it executes, and with all above
//     the tip it fits into one chain answer. A block of an earlier view is valid only on a view that certified that very
//     block. What is merely missing is asked for, after a moment in which it may come by itself, and the proposal judged
//     again until the timer.
//  4. On q notarizes assemble the certificate and forward it once, as every certificate first received, to all
//     validators but those known to have it. When its block is certified, enter v+1 and finalize v, unless this node
//     nullified v, holds a nullification of it, or saw its leader equivocate.
//  5. Nullify v when there is no proposal after 2Δ, no certified block after 3Δ, the proposal is invalid, or its leader
//     nullified; never after a finalize of v. While stuck, every five Δ0, say it again together with the certificate
//     by which v was entered; a node that has left v answers with what lets it be left.
//  6. On q nullifies assemble, forward, enter v+1.
//  7. On q finalizes, of any view at any time, commit the block and its ancestors, no more at once than one chain answer
//     carries: up to the highest finalization held that is in reach. Finalizing any proposal of a block finalizes it;
//     of the epoch's last it ends the epoch. A peer that still speaks in an older epoch is sent that finalization; one
//     that speaks in a later epoch is asked for the chain.
//  8. Standstill. With nothing finalized for the standstill time, and to each validator whose link comes up, send the
//     highest finalization, all certificates of later views and all own votes in them.
//  9. Δ of a view is Δ0 · 1.5^(v - last final view - 1), capped. A leader that was not heard of in the last eight views,
//     while a quorum was, is nullified as soon as the view's timers start, unless its proposal is here.
// 10. The leader is place (epoch + view) mod n of a shuffle of the epoch's validators.
// 11. Pace. A leader with work proposes at once, but not within the minimum interval of the parent; without work after
//     the idle interval; a block again after one Δ0, in which finalizes under way may make that needless. The timers of
//     rule 5 start when this node itself has work, or has the proposal, or f+1 nullifies, or when the leader without work
//     is due. What cannot be included yet is no work: an idle network is quiet.
// 12. A timestamp is above the parent's; a proposal too far ahead of the own clock waits. Certification ignores clocks.
// 13. Paths. Links to all validators are kept by the shell. A validator that is without a link to others for two Δ0 asks
//     f+1 of its peers, others each time, to relay for a while the votes and proposals that these receive from them
//     directly. A vote counts by whichever link it comes. Finalizations go to every link, all else to validators.

/// Simplex for one epoch, as a pure state machine: messages and time go in, votes, blocks and finality come out.
///
/// The caller performs the effects in order, answers `execute` and `build` by further steps at once, holds back each
/// send until its persist is durable, and calls `step(.tick)` at `nextWake`.
public struct SimplexMachine: Sendable {
  /// Views above this are refused: no honest network gets there, and sums of views cannot overflow below it.
  public static let maximumView: UInt64 = 1 << 62
  /// The most views between the last finalized and the current one about which anything is kept. What is known about
  /// the lowest is dropped first.
  public static let maximumOpenViews = 16_384
  /// The most own votes whose persist is not durable yet. When the disk is that slow, nothing more is signed.
  public static let maximumUndurableVotes = 1_024
  /// The most links remembered; further ones are not used to ask for what is missing.
  public static let maximumLinks = 4_096
  /// The most peers remembered as having shown a finalization above what is here.
  public static let maximumAheadPeers = 8
  /// The most messages with which one peer, or all, are brought level (rule 8); the highest views are kept.
  public static let maximumSharedMessages = 256

  // What it was given.
  let settings: ConsensusSettings
  let validators: ValidatorSet
  let schedule: LeaderSchedule
  /// Signs votes: its id is the vote key, not the node.
  let signer: Signer
  /// This node's own id.
  let node: NodeID
  /// The height of the epoch's last block.
  public let lastHeight: UInt64
  /// The finalization of the last block of the epoch before.
  let boundary: Verified<Certificate>?
  /// The own voter number; nil for an observer.
  let ownIndex: UInt16?
  let mayVote: Bool
  var wallClock: WallClock
  var generator: SeededGenerator

  /// The last finalized block.
  public internal(set) var tip: FinalTip
  /// The current view, from 1.
  public internal(set) var view: UInt64
  /// What was refused, dropped or noticed, by name.
  public internal(set) var counters = Counters()
  /// True after `ConsensusEffect.diverged`: every further input is ignored.
  public internal(set) var isHalted = false
  /// True after `ConsensusEffect.epochEnded`: every further input is ignored.
  public var isEnded: Bool { tip.height >= lastHeight }

  // What is known.
  var views = Table<UInt64, ViewState>()
  var tree = BlockTree()
  /// The certified blocks above the tip, by view.
  var certifiedAt = Table<UInt64, Digest>()
  /// The notarized blocks above the tip that are not certified yet, by view.
  var awaiting = Table<UInt64, Digest>()
  /// The views above the tip whose notarized block can never be certified here.
  var refused = OrderedSet<UInt64>()
  /// The highest finalization above the tip.
  var target: Verified<Certificate>?
  /// The way to what is to be committed next.
  var commitPath: CommitPath?
  /// No fewer than are left of the blocks that the journal brought, whatever the bounds.
  var recoveredBlocks = 0
  /// The finalization of the last chain answer, until it is committed.
  var chainTarget: Verified<Certificate>?
  /// The highest view that rule 1 lets pass.
  var highestPassed: UInt64
  /// The votes of the views below this were forgotten.
  var votesKeptFrom: UInt64 = 0
  /// For each voter number the highest view it was heard in (rule 9).
  var lastHeard: [UInt64]
  var links = OrderedSet<NodeID>()
  /// Rule 13: the validators that there is no link to, and since when.
  var missingSince = Table<UInt16, Instant>()
  var relaysAskedAt: Instant?
  var relayTurn = 0
  /// Rule 13: for each voter who wants its votes relayed, and until when.
  var relays = Table<UInt16, Table<UInt16, Instant>>()
  /// Peers that showed a finalization above the tip, the latest first.
  var aheadPeers: [NodeID] = []
  /// The validators that evidence was given against.
  var accused = OrderedSet<UInt16>()
  /// When stuck peers were last answered.
  var staleAnswers = Table<UInt16, Instant>()
  /// When peers of older epochs were last answered.
  var boundaryAnswers = Table<NodeID, Instant>()
  /// Requests for the chain under way, by the height from which they ask.
  var chainRequests = Table<UInt64, ChainRequest>()
  /// Answers that wait for those below them, by their first height.
  var chainPieces = Table<UInt64, ChainPiece>()
  /// The blocks of the last chain answer: how far one request reaches.
  var chainStride = UInt64(ConsensusMessage.maximumChainBlocks)
  /// The last chain answer was not all there is.
  var isChainLong = false
  var chainTurn = 0
  /// Who gave the last chain answer: others that show a finalization may be behind themselves.
  var chainServer: NodeID?
  /// How often in a row the lowest range was asked for in vain.
  var chainLosses = 0
  /// How often the chain is still asked for although no finalization above the tip is held.
  var chainAsksLeft = 0

  // Durability.
  /// The sequence of the last persist.
  public internal(set) var persistSequence: UInt64
  var undurableVotes: [(sequence: UInt64, vote: Verified<Vote>)] = []

  // Time.
  var now = Instant.zero
  var isStarted = false
  var startedAt = Instant.zero
  var enteredAt = Instant.zero
  /// When the block of the tip came; nil when that was in an earlier life.
  var tipReceivedAt: Instant?
  var timersStartedAt: Instant?
  var retryAt: Instant?
  var buildAskedForView: UInt64 = 0
  var buildRetryAt: Instant?
  var fetchAt: Instant?
  var fetchRound = 0
  var fetchLacking = Lacking()
  var standstillAt = Instant.zero
  var executionRetryAt: Instant?
  var clockWakeAt: Instant?
  var isWorkPending = false

  /// The effects of the step under way.
  var effects: [ConsensusEffect] = []

  /// A machine of the epoch of `validators`, at `tip`, with the journal's `records` in order.
  ///
  /// - Parameters:
  ///   - signer: of the vote key that `node` has in this epoch. With another key the node follows and signs nothing.
  ///   - node: this node's own id, under which links, recipients and the validators' members know it.
  ///   - tip: at the beginning of an epoch the last block of the one before, with `view` 0 and this epoch.
  ///   - boundary: the finalization of the last block of the epoch before; nil in epoch 0.
  ///   - records: those of other epochs are passed over.
  ///   - firstPersist: persist sequences go on above it.
  ///   - verifier: checks the recovered records, once; a certificate or block that fails is dropped and counted, an own
  ///     vote binds in any case.
  ///   - mayVote: false for a node whose journal cannot be trusted to hold all its votes: it follows and signs nothing.
  ///   - seed: for the choice of peers to ask.
  public init(
    settings: ConsensusSettings, validators: ValidatorSet, signer: Signer, node: NodeID, verifier: Verifier,
    tip: FinalTip, boundary: Verified<Certificate>?, records: [ConsensusRecord], mayVote: Bool, wallClock: WallClock,
    seed: UInt64, firstPersist: UInt64 = 0
  ) {
    self.settings = settings
    self.validators = validators
    self.signer = signer
    self.node = node
    self.tip = tip
    self.boundary = boundary
    // What proves the tip of an epoch's beginning is a certificate of the epoch before.
    if tip.view == 0 { self.tip.finalization = nil }
    ownIndex = validators.index(of: node)
    self.mayVote = mayVote && ownIndex.flatMap { validators.key($0) } == signer.id
    lastHeight = SimplexMachine.lastHeight(ofEpoch: validators.epoch, blocks: settings.epochBlocks)
    persistSequence = firstPersist
    self.wallClock = wallClock
    schedule = LeaderSchedule(validators: validators, networkID: signer.networkID)
    generator = SeededGenerator(seed: seed)
    view = tip.view + 1
    highestPassed = tip.view
    lastHeard = []
    recover(records, verifier: verifier)
    // A restart makes nobody silent.
    lastHeard = [UInt64](repeating: view, count: validators.count)
  }

  /// The epoch of the validators.
  public var epoch: UInt64 { validators.epoch }

  /// True when this node signs votes.
  public var isVoting: Bool { ownIndex != nil && mayVote }

  /// The leader of a view (rule 10).
  public func leader(of view: UInt64) -> NodeID {
    validators.members[Int(schedule.leader(of: view))]
  }

  /// True when this node signs votes and its disk keeps up.
  var canSign: Bool { isVoting && undurableVotes.count < SimplexMachine.maximumUndurableVotes }

  /// The highest view known to be final, whether its block is here or not.
  var knownFinalView: UInt64 { max(tip.view, target?.value.subject.view ?? 0) }

  /// True when the current view is this node's turn.
  public var isLeading: Bool { schedule.leader(of: view) == ownIndex }

  /// The highest certified block, or the tip.
  public var certifiedTip: CertifiedTip {
    certifiedAt.last.flatMap { certified(in: $0.key)?.block } ?? certifiedTip(at: tip.view)
  }

  /// The block that the next is built on: what `ConsensusInput.work` is about.
  public var workParent: Digest { certifiedTip.blockID }

  /// True when a finalization is held whose blocks are not all here.
  public var isCatchingUp: Bool { target != nil }

  /// Takes an input at a time and appends what is to be done, in order.
  public mutating func step(_ input: ConsensusInput, now: Instant, into effects: inout [ConsensusEffect]) {
    guard !isHalted, !isEnded else { return }
    self.now = max(self.now, now)
    swap(&self.effects, &effects)
    defer { swap(&self.effects, &effects) }
    guard isStarted else {
      if case .start(let links) = input { start(links: links) } else { counters.add("inputBeforeStart") }
      return
    }
    let parent = workParent
    switch input {
    case .start: counters.add("startedTwice")
    case .message(let message, let peer): receive(message, from: peer)
    case .laterEpoch(let peer): noteLaterEpoch(peer)
    case .persisted(let sequence): countDurableVotes(through: sequence)
    case .tick: break
    case .linkUp(let peer):
      noteLink(peer)
      share(with: peer)
    case .linkDown(let peer): dropLink(peer)
    case .work(let isPending): isWorkPending = isPending
    case .executed(let id, let outcome): noteExecution(of: id, outcome)
    case .built(let view, let block): takeBuilt(block, for: view)
    case .wallClock(let clock): wallClock = clock
    }
    settle(workParent: parent)
  }

  /// Applies the rules until nothing more follows from what is known at this time.
  mutating func settle(workParent before: Digest) {
    if let due = executionRetryAt, now >= due { executionRetryAt = nil }
    while !isHalted, !isEnded, commitFinal() || certifyNotarized() || enterNextView() {}
    guard !isHalted, !isEnded else { return }
    // Work was judged on another parent; the caller judges anew.
    if workParent != before { isWorkPending = false }
    startTimers()
    propose()
    notarizeProposal()
    nullifyIfDue()
    sayAgainIfStuck()
    sayAgainAtStandstill()
    fetchMissing()
    askForRelays()
  }

  /// Gives the journal a record and returns the sequence of its persist.
  @discardableResult mutating func persist(_ record: ConsensusRecord) -> UInt64 {
    persistSequence += 1
    effects.append(.persist(sequence: persistSequence, record))
    return persistSequence
  }

  /// Sends a message after the latest persist.
  mutating func send(_ message: ConsensusMessage, to recipient: ConsensusRecipient) {
    effects.append(.send(message, to: recipient, after: persistSequence))
  }

  /// Sends what promises nothing, such as blocks and requests, without waiting for the disk.
  mutating func sendAtOnce(_ message: ConsensusMessage, to recipient: ConsensusRecipient) {
    effects.append(.send(message, to: recipient, after: 0))
  }
}
