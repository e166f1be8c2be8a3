import Primitives
import Wire

// Own votes: signed once, durable before they are sent and before they count.
extension SimplexMachine {
  /// Signs a vote, has it written down, and sends it after that; with the block when it is a proposal. False when
  /// it may not be signed.
  @discardableResult mutating func cast(_ subject: VoteSubject, proposing block: Verified<Block>? = nil) -> Bool {
    guard let ownIndex, mayVote else { return false }
    guard canSign else {
      counters.add("voteWithheldDiskSlow")
      return false
    }
    // What was signed in final views may have been forgotten, so nothing is signed there again.
    guard subject.view > knownFinalView else {
      counters.add("voteWithheldFinalView")
      return false
    }
    guard views[subject.view, default: ViewState()].permits(subject) else {
      counters.add("voteWithheldConflict")
      return false
    }
    let vote = signer.vote(subject, as: ownIndex)
    views[subject.view, default: ViewState()].ownVotes.append(vote)
    let sequence = persist(.ownVote(vote.value))
    undurableVotes.append((sequence, vote))
    let message: ConsensusMessage = block.map { .proposal($0.value, vote.value) } ?? .vote(vote.value)
    effects.append(.send(message, to: .validators(except: []), after: sequence))
    return true
  }

  /// Counts the own votes that the disk now holds.
  mutating func countDurableVotes(through sequence: UInt64) {
    var durable = 0
    while durable < undurableVotes.count, undurableVotes[durable].sequence <= sequence { durable += 1 }
    guard durable > 0 else { return }
    let votes = undurableVotes.prefix(durable).map(\.vote)
    undurableVotes.removeFirst(durable)
    for vote in votes {
      let voter = Int(vote.value.voter)
      lastHeard[voter] = max(lastHeard[voter], vote.value.subject.view)
    }
    for vote in votes where vote.value.subject.view > knownFinalView { count(vote) }
  }

  /// Rules 4, 6 and 7: takes a vote, and assembles the certificate when it completes a quorum of a view above the last
  /// final one.
  mutating func count(_ vote: Verified<Vote>) {
    let subject = vote.value.subject
    guard subject.view >= votesKeptFrom else { return }
    let leader = schedule.leader(of: subject.view)
    accuse(by: vote)
    switch views[subject.view, default: ViewState()].record(vote, leader: leader) {
    case .new: break
    case .duplicate: return
    case .conflicting:
      counters.add("conflictingVote")
      return
    }
    guard subject.view > knownFinalView else { return }
    guard let state = views[subject.view], state[certificate: subject.kind] == nil,
      let votes = state.quorum(for: subject, of: validators.quorum),
      let certificate = Certificate.assemble(votes)
    else { return }
    accept(certificate, from: nil, isForwarded: true)
  }

  /// Rule 13: a vote that came by a peer's link, whoever signed it, in a message of its own or with the proposal.
  mutating func receive(_ vote: Verified<Vote>, in message: ConsensusMessage, from peer: NodeID) {
    let subject = vote.value.subject
    let voter = vote.value.voter
    guard let ownIndex else {
      counters.add("voteNotForFollowers")
      return
    }
    if noteOtherEpoch(subject, from: peer) { return }
    guard Int(voter) < validators.count else {
      counters.add("voteOfNoValidator")
      return
    }
    guard voter != ownIndex else {
      // Relayed back, or signed by a second instance with this key: neither may count as this node's.
      counters.add("voteOfOwnKey")
      return
    }
    guard subject.view <= view + 1 else {
      counters.add("voteTooFarAhead")
      return
    }
    lastHeard[Int(voter)] = max(lastHeard[Int(voter)], subject.view)
    if subject.kind == .nullify, subject.view < view { answerStale(vote, from: peer) }
    // Votes of the last final views still make evidence; what lies further back is settled and forgotten.
    guard subject.view >= votesKeptFrom else {
      counters.add("voteTooOld")
      return
    }
    relay(message, of: voter, from: peer)
    if subject.view <= knownFinalView { counters.add("voteOfFinalView") }
    count(vote)
  }

  /// Rule 5: a peer that says again that it is stuck in a view which was left here gets what lets it leave.
  private mutating func answerStale(_ vote: Verified<Vote>, from peer: NodeID) {
    let stuck = vote.value.subject.view
    guard validators.member(vote.value.voter) == peer else { return }
    // Above the tip the first such vote may just be late; only a repetition says that the peer is stuck.
    if stuck > knownFinalView, views[stuck]?.nullifies.contains(vote.value.voter) != true { return }
    if let last = staleAnswers[vote.value.voter], now < last + settings.delta { return }
    guard let certificate = passage(through: stuck) else { return }
    staleAnswers[vote.value.voter] = now
    send(.certificate(certificate.value), to: .node(peer))
  }

  /// Rules 1 and 5: the certificate that lets a view be left, if one is held.
  func passage(through view: UInt64) -> Verified<Certificate>? {
    if view <= knownFinalView { return latestFinalization }
    guard let state = views[view] else { return nil }
    return state.finalization ?? state.notarization ?? state.nullification
  }
}
