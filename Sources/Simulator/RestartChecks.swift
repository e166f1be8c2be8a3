import Consensus
import Primitives
import Wire

extension Checker {
  /// Invariant 6, over restarts: a node that starts again has in its journal each vote that it ever made durable above
  /// the last final block of its disk. A vote that it has forgotten there it may contradict.
  mutating func restarted(_ number: Int, at tip: FinalTip, with records: [ConsensusRecord], now: Instant) {
    guard isHonest[number], let signed = signed[number] else { return }
    var kept: Set<VoteSubject> = []
    for case .ownVote(let vote) in records { kept.insert(vote.subject) }
    for subject in signed where (subject.epoch, subject.view) > (tip.epoch, tip.view) && !kept.contains(subject) {
      return report(
        6, at: now,
        "n\(number + 1) starts at height \(tip.height) and has forgotten its \(subject.kind.name) of view "
          + "\(subject.epoch)/\(subject.view)")
    }
  }
}
