import Primitives
import Wire

// Evidence: two votes of one validator that no honest one signs together. The first vote of each kind is kept for every
// validator and view, also for the last final views, so that a contradiction that comes late is still noticed.
//
// An honest validator is never accused: it signs once a view and kind, and never both a nullify and a finalize, over all
// restarts (`permits`, and the journal); a block that is proposed again is voted for in another view.
extension SimplexMachine {
  /// The votes that are kept, over all views.
  var keptVotes: Int {
    views.values.reduce(0) { $0 + $1.notarizes.count + $1.nullifies.count + $1.finalizes.count }
  }

  /// Says so when a vote contradicts one that is known, or one inside a certificate that is held.
  mutating func accuse(by vote: Verified<Vote>) {
    let voter = vote.value.voter
    guard voter != ownIndex, !accused.contains(voter), let key = validators.key(voter),
      let state = views[vote.value.subject.view]
    else { return }
    for known in state.votes(of: voter, against: vote.value.subject) {
      guard let evidence = Evidence(key: key, known, vote.value) else { continue }
      accused.insert(voter)
      counters.add("evidence.\(evidence.kind.name)")
      effects.append(.evidence(evidence))
      return
    }
  }

  /// Says so for each vote inside a certificate that contradicts what is known.
  mutating func accuse(by certificate: Verified<Certificate>) {
    guard let state = views[certificate.value.subject.view], !state.isEmpty else { return }
    for vote in certificate.votes { accuse(by: vote) }
  }
}

extension ViewState {
  /// True when neither a vote nor a certificate is known.
  var isEmpty: Bool {
    notarizes.isEmpty && nullifies.isEmpty && finalizes.isEmpty && notarization == nil && nullification == nil
      && finalization == nil
  }

  /// What a validator is known to have signed that no honest one signs beside a subject: the first vote of each kind, and
  /// its votes inside certificates.
  func votes(of voter: UInt16, against subject: VoteSubject) -> [Vote] {
    let own = [notarizes[voter], nullifies[voter], finalizes[voter]].compactMap { $0?.value }
    let certified = certificates.filter { $0.value.subject.excludes(subject) }
    return own.filter { $0.subject.excludes(subject) } + certified.compactMap { $0.value.vote(of: voter) }
  }
}

extension VoteSubject {
  /// True when no honest validator signs both in the view that they share.
  fileprivate func excludes(_ other: VoteSubject) -> Bool {
    switch (kind, other.kind) {
    case (.notarize, .notarize), (.finalize, .finalize): self != other
    case (.nullify, .finalize), (.finalize, .nullify): true
    default: false
    }
  }
}

extension Certificate {
  /// The vote of one of the signers.
  fileprivate func vote(of voter: UInt16) -> Vote? {
    guard let place = signers.firstIndex(of: voter) else { return nil }
    return votes[place]
  }
}
