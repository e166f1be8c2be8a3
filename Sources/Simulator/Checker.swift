import Consensus
import Core
import Ledger
import Primitives
import Wire

/// A broken invariant of docs/simulation.md.
package struct Violation: Sendable, Equatable {
  /// The number of the invariant.
  package var invariant: Int
  /// When it was seen.
  package var at: Instant
  /// What was seen.
  package var detail: String
}

/// Looks at everything that nodes send, make durable and finalize, over all nodes and restarts, and finds what must
/// never be. It trusts nothing that a core says of itself: votes are counted from the wire and the disks, quorums are
/// computed here, and a ledger of its own executes every block that is final.
///
/// The hash tables are only looked up, never walked: nothing depends on their order.
struct Checker {
  /// A view of an epoch.
  struct ViewKey: Hashable {
    var epoch: UInt64
    var view: UInt64
  }

  /// A vote without its signature.
  struct Ballot: Hashable {
    var subject: VoteSubject
    var voter: UInt16
  }

  /// Who may vote in a view, by number.
  struct Voter: Hashable {
    var key: ViewKey
    var voter: UInt16
  }

  /// What an honest voter has signed in a view.
  struct Cast {
    var notarized: Digest?
    var finalized: Digest?
    var hasNullified = false
  }

  /// A block in a view.
  struct Choice: Hashable {
    var key: ViewKey
    var blockID: Digest
  }

  /// Voters, a bit each: no committee has more than a hundred.
  typealias Voters = UInt128

  /// A certificate without its signatures.
  struct CertificateKey: Hashable {
    var subject: VoteSubject
    var voters: Voters
  }

  private(set) var violations: [Violation] = []
  let genesis: Genesis
  let verifier: Verifier
  /// The numbers of the nodes, by identity and by every key that they vote under.
  let numbers: [NodeID: Int]
  /// The nodes whose word counts.
  let isHonest: [Bool]

  // What was seen of votes.
  var durableVotes: Set<Ballot> = []
  /// What each node has made durable since its disk was last damaged, in order.
  var signed: [Int: [VoteSubject]] = [:]
  var seenVotes: Set<Ballot> = []
  var seenCertificates: Set<CertificateKey> = []
  var casts: [Voter: Cast] = [:]
  var notarizes: [Choice: Voters] = [:]
  var nullifies: [ViewKey: Voters] = [:]
  var finalizes: [Choice: Voters] = [:]
  var notarized: [ViewKey: Digest] = [:]
  var nullified: Set<ViewKey> = []
  var finalized: [ViewKey: Digest] = [:]

  // What is final.
  var reference: LedgerMachine
  var chain: [(id: Digest, stateRoot: Digest)] = []
  var sets: [UInt64: ValidatorSet] = [:]
  var schedules: [UInt64: LeaderSchedule] = [:]
  var totalMicrocredits: UInt64?
  var jobs = JobChecks()
  /// The leaders of the final blocks.
  var leaders: [NodeID] = []
  /// The places among them of the blocks in which jobs came to wait for a draw.
  var waiting: [Digest: Int] = [:]
  /// The nodes that were slashed.
  var slashed: Set<Int> = []
  var snapshotMarks: [UInt64: UInt64] = [:]

  init(genesis: Genesis, verifier: Verifier, numbers: [NodeID: Int], isHonest: [Bool]) {
    self.genesis = genesis
    self.verifier = verifier
    self.numbers = numbers
    self.isHonest = isHonest
    reference = LedgerMachine(genesis: genesis)
    learn(genesis.validatorSet)
    learn(genesis.validatorSet.inEpoch(1))
  }

  /// The highest final block of any honest node.
  var finalizedHeight: UInt64 { UInt64(chain.count) }

  mutating func report(_ invariant: Int, at now: Instant, _ detail: String) {
    violations.append(Violation(invariant: invariant, at: now, detail: detail))
  }

  // MARK: - Committees

  mutating func learn(_ set: ValidatorSet) {
    sets[set.epoch] = set
    schedules[set.epoch] = LeaderSchedule(validators: set, networkID: genesis.networkID)
  }

  /// The committee of an epoch, from the ledger of the checker.
  func set(of epoch: UInt64) -> ValidatorSet? { sets[epoch] }

  /// The votes that make a certificate. Written out here and not taken from `ValidatorSet`: a wrong quorum there must
  /// not make this one wrong.
  func quorum(of set: ValidatorSet) -> Int { set.validators.count - Setup.faults(of: set.validators.count) }

  /// The epoch of a height.
  func epoch(of height: UInt64) -> UInt64 { height == 0 ? 0 : (height - 1) / genesis.parameters.epochBlocks }

  /// The leader of a view.
  func leader(_ epoch: UInt64, _ view: UInt64) -> NodeID? {
    guard let set = sets[epoch], let schedule = schedules[epoch] else { return nil }
    return set.member(schedule.leader(of: view))
  }

  /// The number of the node behind a voter.
  func node(of voter: UInt16, in set: ValidatorSet) -> Int? { set.member(voter).flatMap { numbers[$0] } }

  func name(_ voter: UInt16, in set: ValidatorSet) -> String {
    node(of: voter, in: set).map { "n\($0 + 1)" } ?? "voter \(voter)"
  }

  // MARK: - What the workload asks

  /// Ledger time of the highest final block.
  var ledgerTimeMilliseconds: UInt64 { finalState?.ledgerTimeMilliseconds ?? genesis.createdMilliseconds }

  var finalState: LedgerReader? { reference.state(at: reference.finalID) }

  /// A job of an account that has not ended.
  func anyJob(of account: NodeID, _ generator: inout SeededGenerator) -> Digest? {
    guard let state = finalState else { return nil }
    let open = state.jobs.filter { $0.record.submitter == account && !$0.record.state.isTerminal }.map(\.id)
    return open.isEmpty ? nil : open[generator.index(below: open.count)]
  }
}
