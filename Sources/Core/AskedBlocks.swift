import Primitives
import Wire

/// What consensus has asked of whom, and what is final, kept by the shell beside the core: blocks that nobody asked for, or
/// that are of no use any more, are refused before their signatures are checked, of which a frame can hold tens of
/// thousands. Pure: a shell notes what it sends and asks what is worth verifying, from any thread under its own lock.
///
/// 1. A question to a peer is worth one answer of that peer, whenever it comes. What comes besides is refused and is nobody's
///    fault: a question that is repeated may be answered twice, and one of the life before a restart is answered in this one.
/// 2. The blocks of a proposal come unasked, with a validator's vote. In a view that is final only that vote is of use.
public struct AskedBlocks: Sendable {
  /// The most questions remembered; the oldest is forgotten. Some hundred are asked in a minute.
  public static let capacity = 4_096

  private struct Question: Comparable, Sendable {
    let peer: NodeID
    /// Zero for a question about the chain.
    var block = Digest.zero
    /// Zero for a question about a block.
    var height: UInt64 = 0

    static func < (left: Question, right: Question) -> Bool {
      (left.peer, left.block, left.height) < (right.peer, right.block, right.height)
    }
  }

  private var questions = BoundedMap<Question, Void>(capacity: capacity)
  private var finalEpoch: UInt64 = 0
  private var finalView: UInt64 = 0

  /// Nothing was asked yet.
  public init() {}

  /// How many questions are remembered.
  public var count: Int { questions.count }

  /// Notes what is sent to a peer.
  public mutating func note(_ message: ConsensusMessage, to peer: NodeID) {
    switch message {
    case .blockRequest(let ids): for id in ids { ask(Question(peer: peer, block: id)) }
    case .chainRequest(let height): ask(Question(peer: peer, height: height))
    default: break
    }
  }

  private mutating func ask(_ question: Question) {
    // The newest again.
    questions.removeValue(forKey: question)
    questions.insert((), forKey: question)
  }

  private mutating func isAnswer(to question: Question) -> Bool { questions.removeValue(forKey: question) != nil }

  /// Notes the finalization of what was committed.
  public mutating func note(final subject: VoteSubject) {
    guard (finalEpoch, finalView) < (subject.epoch, subject.view) else { return }
    (finalEpoch, finalView) = (subject.epoch, subject.view)
  }

  /// What of a peer's message is worth its verification; nil when nothing is.
  public mutating func worth(_ message: ConsensusMessage, from peer: NodeID) -> ConsensusMessage? {
    switch message {
    case .blocks(let blocks):
      var asked: [Block] = []
      for block in blocks where isAnswer(to: Question(peer: peer, block: block.id)) { asked.append(block) }
      return asked.isEmpty ? nil : .blocks(asked)
    case .chain(let blocks, _):
      guard let height = blocks.first?.header.height, isAnswer(to: Question(peer: peer, height: height)) else {
        return nil
      }
      return message
    case .proposal(_, let vote):
      let subject = vote.subject
      return (subject.epoch, subject.view) <= (finalEpoch, finalView) ? .vote(vote) : message
    default: return message
    }
  }
}
