import Primitives
import Wire

/// What is known about one view: votes, certificates, the leader's proposal, and what this node has signed.
struct ViewState: Sendable {
  /// What recording a vote found.
  enum Recorded {
    case new, duplicate, conflicting
  }

  /// The first vote of each validator, by kind. At most n of each.
  var notarizes = Table<UInt16, Verified<Vote>>()
  var nullifies = Table<UInt16, Verified<Vote>>()
  var finalizes = Table<UInt16, Verified<Vote>>()

  var notarization: Verified<Certificate>?
  var nullification: Verified<Certificate>?
  var finalization: Verified<Certificate>?

  /// What the leader first voted to notarize: its proposal.
  var proposal: VoteSubject?
  /// The leader voted to notarize two blocks.
  var hasLeaderEquivocated = false
  /// The proposal can never be notarized.
  var isProposalInvalid = false

  /// The votes that this node signed, at most one of each kind. They bind, durable or not.
  var ownVotes: [Verified<Vote>] = []

  /// This node's vote of a kind.
  func ownVote(_ kind: VoteKind) -> Verified<Vote>? { ownVotes.first { $0.value.subject.kind == kind } }

  /// Invariant 5: whether a vote contradicts none that this node signed in this view.
  func permits(_ subject: VoteSubject) -> Bool {
    switch subject.kind {
    case .notarize: ownVote(.notarize) == nil && ownVote(.nullify) == nil
    case .nullify: ownVote(.nullify) == nil && ownVote(.finalize) == nil
    case .finalize: ownVote(.finalize) == nil && ownVote(.nullify) == nil
    }
  }

  /// The votes of a kind.
  subscript(kind: VoteKind) -> Table<UInt16, Verified<Vote>> {
    get {
      switch kind {
      case .notarize: notarizes
      case .nullify: nullifies
      case .finalize: finalizes
      }
    }
    _modify {
      switch kind {
      case .notarize: yield &notarizes
      case .nullify: yield &nullifies
      case .finalize: yield &finalizes
      }
    }
  }

  /// The certificate of a kind.
  subscript(certificate kind: VoteKind) -> Verified<Certificate>? {
    get {
      switch kind {
      case .notarize: notarization
      case .nullify: nullification
      case .finalize: finalization
      }
    }
    set {
      switch kind {
      case .notarize: notarization = newValue
      case .nullify: nullification = newValue
      case .finalize: finalization = newValue
      }
    }
  }

  /// The certificates held.
  var certificates: [Verified<Certificate>] { [notarization, nullification, finalization].compactMap { $0 } }

  /// Takes a vote. A validator's second vote of a kind is not counted, whatever it says.
  mutating func record(_ vote: Verified<Vote>, leader: UInt16) -> Recorded {
    let subject = vote.value.subject
    if subject.kind == .notarize, vote.value.voter == leader { noteProposal(subject) }
    if let known = self[subject.kind][vote.value.voter] {
      return known.value.subject == subject ? .duplicate : .conflicting
    }
    self[subject.kind][vote.value.voter] = vote
    return .new
  }

  /// Takes what the leader voted to notarize: its first is the proposal, a second is equivocation.
  mutating func noteProposal(_ subject: VoteSubject) {
    if let proposal {
      if proposal != subject { hasLeaderEquivocated = true }
    } else {
      proposal = subject
    }
  }

  /// The votes for a subject, when they are a quorum.
  func quorum(for subject: VoteSubject, of count: Int) -> [Verified<Vote>]? {
    let votes = self[subject.kind]
    guard votes.count >= count else { return nil }
    let agreeing = votes.values.filter { $0.value.subject == subject }
    return agreeing.count >= count ? agreeing : nil
  }

  /// Forgets what only matters before the view is final or long past.
  mutating func forgetVotes() {
    notarizes.removeAll()
    nullifies.removeAll()
    finalizes.removeAll()
  }
}
