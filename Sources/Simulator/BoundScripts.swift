import Core
import Primitives
import Wire

// The script of the scenario about what may lie above the last final block.

/// First no proposal gets a quorum, in more views than blocks may be held; then nothing gets final, over more blocks than
/// may be committed at once. Neither must leave the chain full.
final class PastTheBound: Progress {
  static let openBlocks = 3
  static let commitBlocks = 5
  private static let deafToNotarizes = Instant.zero + .seconds(3)..<Instant.zero + .seconds(11)
  private static let deafToFinalizes = Instant.zero + .seconds(13)..<Instant.zero + .seconds(18)

  private var lost: Set<UInt64> = []
  private var again: Set<Digest> = []
  private var heights: [UInt64] = []

  override func begin(_ simulation: Simulation) {
    for time in [PastTheBound.deafToNotarizes.upperBound, PastTheBound.deafToFinalizes.upperBound] {
      simulation.queue.add(.scripted(0), at: time)
    }
  }

  override func act(_ number: Int, _ simulation: Simulation) {
    heights.append(simulation.checker.finalizedHeight)
  }

  override func drops(_ message: ConsensusMessage, from: Int, to: Int, at now: Instant) -> Bool {
    switch message {
    case .proposal(let block, let vote):
      if block.header.view < vote.subject.view { again.insert(block.id) }
      if PastTheBound.deafToNotarizes.contains(now) { lost.insert(vote.subject.view) }
    case .vote(let vote):
      if vote.subject.kind == .notarize { return PastTheBound.deafToNotarizes.contains(now) }
      if vote.subject.kind == .finalize { return PastTheBound.deafToFinalizes.contains(now) }
    default: break
    }
    return false
  }

  override func verdict(_ simulation: Simulation) -> String? {
    guard heights.count == 2, heights[1] > heights[0] else { return "nothing became final once notarizes arrived" }
    if lost.count <= PastTheBound.openBlocks { return "only \(lost.count) proposals came to nothing" }
    if again.isEmpty { return "no block was proposed again" }
    let height = simulation.checker.finalizedHeight - heights[1]
    return height > UInt64(PastTheBound.commitBlocks) * 2 ? nil : "only \(height) blocks became final in the end"
  }
}
