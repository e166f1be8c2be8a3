import Core
import Primitives
import Wire

// The scripts of the scenarios about what the journal must hold.

/// Two validators and a third that is never heard again notarize a block, and the fourth has given up on its view. The
/// two have voted to finalize it, so they cannot nullify it; only the certificate lets the fourth leave the view, and
/// the vote that completed it does not come again. Then all lose their power. Of seeds with an even number the journals
/// are written anew before that.
final class LostWitness: Script {
  static let witness = 3
  static let late = 2
  static let begin = Instant.zero + .seconds(5)
  static let blackoutAt = Instant.zero + .seconds(9)
  private static let blackoutNumber = -1

  private var target: VoteSubject?
  private var finalizers: Set<Int> = []
  private var hasNullified = false
  private var isWrittenAnew = false
  private var heightBefore: UInt64?

  func begin(_ simulation: Simulation) {
    simulation.queue.add(.scripted(LostWitness.blackoutNumber), at: LostWitness.blackoutAt)
    guard simulation.options.seed % 2 == 0 else { return }
    for number in 0..<200 {
      simulation.queue.add(.scripted(number), at: LostWitness.begin + .milliseconds(Int64(number) * 10))
    }
  }

  func act(_ number: Int, _ simulation: Simulation) {
    if number == LostWitness.blackoutNumber {
      heightBefore = simulation.checker.finalizedHeight
    } else if finalizers.count == 2, !isWrittenAnew {
      isWrittenAnew = true
      for node in simulation.nodes { node.disk.isCheckpointDue = true }
    }
  }

  func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool {
    if heightBefore != nil { return from == LostWitness.witness }
    if target == nil, now >= LostWitness.begin, from < LostWitness.late, case .proposal(_, let vote) = message {
      target = vote.subject
    }
    guard let target else { return false }
    let subject = message.subject
    if let subject, subject.view == target.view {
      if from == LostWitness.late, subject.kind == .nullify { hasNullified = true }
      if from < LostWitness.late, subject.kind == .finalize { finalizers.insert(from) }
    }
    let isNotarize = subject?.kind == .notarize && subject?.view == target.view
    let isEarlier = subject.map { $0.view < target.view } ?? false
    return switch LostWitness.witness {
    case from: !isEarlier && !isNotarize || to == LostWitness.late
    default: to == LostWitness.late && !isEarlier
    }
  }

  func verdict(_ simulation: Simulation) -> String? {
    guard let heightBefore, finalizers.count == 2, hasNullified else {
      return "no view was finalized by two and nullified by the third"
    }
    let height = simulation.checker.finalizedHeight - heightBefore
    return height >= 10 ? nil : "only \(height) blocks became final after all had lost their power"
  }
}

/// A node's journal is a fresh checkpoint and nothing besides, which has no votes of views that are final, when final blocks
/// are damaged, first all states and back into the epoch before, then some of its epoch; and for a while it hears nobody.
/// It must not vote again where it has forgotten its votes.
final class DamagedChain: Progress {
  private static let node = 2
  private static let deafness = Microseconds.seconds(3)
  private static let patience = Microseconds.seconds(4)
  private static let damagesAt: [Instant] = [Instant.zero + .seconds(5), .zero + .seconds(11)]

  private var damages = 0
  private var isDeafUntil = Instant.zero
  private var hasAbstained = false

  override func begin(_ simulation: Simulation) {
    for number in 0..<1_900 { simulation.queue.add(.scripted(number), at: .zero + .milliseconds(Int64(number) * 10)) }
  }

  override func act(_ number: Int, _ simulation: Simulation) {
    let node = simulation.nodes[DamagedChain.node]
    node.disk.isCheckpointDue = true
    if case .abstaining = node.running?.core.votingStanding { hasAbstained = true }
    guard damages < DamagedChain.damagesAt.count, simulation.now >= DamagedChain.damagesAt[damages] else { return }
    let length = simulation.genesis.parameters.epochBlocks
    let height = node.disk.height
    node.disk.dropBeforeCheckpoint()
    // Some blocks of its epoch are final, so that there are votes to be forgotten.
    guard let core = node.running?.core, height > 2 * length, height % length > 3 else { return }
    // Only their finality is written, unless that moment does not come.
    let isBare = node.disk.isBareCheckpoint && core.checkpoint().count <= 1
    guard isBare || simulation.now >= DamagedChain.damagesAt[damages] + DamagedChain.patience else { return }
    let begin = height - height % length
    simulation.powerOff(DamagedChain.node, until: simulation.now + .milliseconds(200))
    if damages == 0 { node.disk.loseStates() }
    node.disk.cutBlocks(upTo: damages == 0 ? begin - 4 : begin + 1)
    simulation.checker.signed[DamagedChain.node] = nil
    damages += 1
    isDeafUntil = simulation.now + DamagedChain.deafness
  }

  override func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool {
    to == DamagedChain.node && now < isDeafUntil
  }

  override func verdict(_ simulation: Simulation) -> String? {
    if damages < DamagedChain.damagesAt.count { return "the blocks were damaged \(damages) times only" }
    if !hasAbstained { return "the node votes in an epoch that its journal says is over" }
    if simulation.nodes[DamagedChain.node].running?.core.votingStanding != .voting {
      return "the node does not vote again"
    }
    return super.verdict(simulation)
  }
}

extension ConsensusMessage {
  /// What a vote, a proposal or a certificate is about.
  fileprivate var subject: VoteSubject? {
    switch self {
    case .vote(let vote), .proposal(_, let vote): vote.subject
    case .certificate(let certificate): certificate.subject
    default: nil
    }
  }
}
