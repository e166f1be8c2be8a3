import Primitives
import Wire

// Invariants 1 (quorums), 2, 3, 5 and 6: votes and certificates, wherever they are seen.

extension Checker {
  /// The journal of an honest node holds a vote for good.
  mutating func durable(_ votes: [Vote], of number: Int, at now: Instant) {
    for vote in votes {
      durableVotes.insert(Ballot(subject: vote.subject, voter: vote.voter))
      signed[number, default: []].append(vote.subject)
      if isHonest[number] { saw(vote, at: now) }
    }
  }

  /// A message is on the wire.
  mutating func saw(_ message: ConsensusMessage, from number: Int, at now: Instant) {
    switch message {
    case .vote(let vote), .proposal(_, let vote): saw(vote, at: now)
    case .certificate(let certificate): saw(certificate, from: number, at: now)
    case .certificates(let certificates):
      for certificate in certificates { saw(certificate, from: number, at: now) }
    case .chain(_, let finalization): saw(finalization, from: number, at: now)
    case .epochs(let links):
      for link in links { saw(link.finalization, from: number, at: now) }
    case .blockRequest, .blocks, .certificateRequest, .chainRequest, .epochRequest, .snapshotRequest, .snapshot,
      .relayRequest:
      break
    }
  }

  /// A vote is on the wire, sent by its voter, relayed, or inside a certificate.
  mutating func saw(_ vote: Vote, at now: Instant) {
    let ballot = Ballot(subject: vote.subject, voter: vote.voter)
    guard !seenVotes.contains(ballot) else { return }
    // What nobody could verify counts for nothing.
    guard let set = sets[vote.subject.epoch], (try? verifier.verify(vote, validators: set)) != nil else { return }
    seenVotes.insert(ballot)
    let subject = vote.subject
    let key = ViewKey(epoch: subject.epoch, view: subject.view)
    if let number = node(of: vote.voter, in: set), isHonest[number] {
      if !durableVotes.contains(ballot) {
        report(
          6, at: now,
          "a \(subject.kind.name) of n\(number + 1) in view \(key) is on the wire and not on its disk")
      }
      contradiction(subject, of: vote.voter, key, name: "n\(number + 1)", at: now)
    }
    count(vote, key, quorum: quorum(of: set), at: now)
  }

  /// Invariant 5.
  private mutating func contradiction(
    _ subject: VoteSubject, of voter: UInt16, _ key: ViewKey, name: String, at now: Instant
  ) {
    let place = Voter(key: key, voter: voter)
    var cast = casts[place] ?? Cast()
    switch subject.kind {
    case .notarize:
      if let other = cast.notarized, other != subject.blockID {
        report(5, at: now, "\(name) notarized \(other.short) and \(subject.blockID.short) in view \(key)")
      }
      cast.notarized = subject.blockID
    case .nullify:
      if cast.finalized != nil { report(5, at: now, "\(name) nullified view \(key) and voted to finalize it") }
      cast.hasNullified = true
    case .finalize:
      if cast.hasNullified { report(5, at: now, "\(name) voted to finalize view \(key) and nullified it") }
      if let other = cast.finalized, other != subject.blockID {
        report(5, at: now, "\(name) finalized \(other.short) and \(subject.blockID.short) in view \(key)")
      }
      cast.finalized = subject.blockID
    }
    casts[place] = cast
  }

  private mutating func count(_ vote: Vote, _ key: ViewKey, quorum: Int, at now: Instant) {
    let bit = Voters(1) << Voters(vote.voter)
    let choice = Choice(key: key, blockID: vote.subject.blockID)
    switch vote.subject.kind {
    case .notarize:
      let voters = notarizes[choice, default: 0] | bit
      notarizes[choice] = voters
      if voters.nonzeroBitCount >= quorum { noteNotarized(choice, at: now) }
    case .nullify:
      let voters = nullifies[key, default: 0] | bit
      nullifies[key] = voters
      if voters.nonzeroBitCount >= quorum { noteNullified(key, at: now) }
    case .finalize:
      let voters = finalizes[choice, default: 0] | bit
      finalizes[choice] = voters
      if voters.nonzeroBitCount >= quorum { noteFinalized(choice, at: now) }
    }
  }

  private mutating func noteNotarized(_ choice: Choice, at now: Instant) {
    if let other = notarized[choice.key], other != choice.blockID {
      report(3, at: now, "view \(choice.key) has two notarized blocks, \(other.short) and \(choice.blockID.short)")
    }
    notarized[choice.key] = choice.blockID
  }

  private mutating func noteNullified(_ key: ViewKey, at now: Instant) {
    guard nullified.insert(key).inserted else { return }
    if let block = finalized[key] {
      report(2, at: now, "view \(key) is nullified and its block \(block.short) is final")
    }
  }

  private mutating func noteFinalized(_ choice: Choice, at now: Instant) {
    if let other = finalized[choice.key] {
      if other != choice.blockID {
        report(1, at: now, "view \(choice.key) has two final blocks, \(other.short) and \(choice.blockID.short)")
      }
      return
    }
    finalized[choice.key] = choice.blockID
    // An ancestor that is final through its descendant may have been nullified as well as notarized; a view with a
    // finalization may not.
    if nullified.contains(choice.key) {
      report(2, at: now, "view \(choice.key) is nullified and its block \(choice.blockID.short) is final")
    }
  }

  /// A certificate is on the wire: an honest sender's must carry a true quorum, and each vote in it is a vote seen.
  mutating func saw(_ certificate: Certificate, from number: Int, at now: Instant) {
    var voters: Voters = 0
    for signer in certificate.signers where signer < 128 { voters |= 1 << Voters(signer) }
    let key = CertificateKey(subject: certificate.subject, voters: voters)
    guard !seenCertificates.contains(key) else { return }
    let subject = certificate.subject
    guard let set = sets[subject.epoch] else {
      if isHonest[number] {
        report(1, at: now, "n\(number + 1) shows a certificate of epoch \(subject.epoch), whose committee nobody knows")
      }
      return
    }
    guard isHonest[number] else {
      // Only what others would take for a vote counts; the same certificate may be shown by an honest node, too.
      for vote in certificate.votes { saw(vote, at: now) }
      return
    }
    seenCertificates.insert(key)
    if voters.nonzeroBitCount < quorum(of: set) {
      report(
        1, at: now,
        "n\(number + 1) sent a \(subject.kind.name) certificate of \(voters.nonzeroBitCount) votes, where "
          + "\(quorum(of: set)) are a quorum")
    }
    for vote in certificate.votes {
      if (try? verifier.verify(vote, validators: set)) == nil {
        report(
          1, at: now, "n\(number + 1) sent a certificate with a vote that \(name(vote.voter, in: set)) did not sign")
      }
      saw(vote, at: now)
    }
  }
}

extension Checker.ViewKey: CustomStringConvertible {
  var description: String { "\(epoch)/\(view)" }
}
