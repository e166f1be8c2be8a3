import Primitives
import Sodium
import Testing
import Wire

/// Vote keys, evidence, and the chain of epoch links that proves a later epoch's validators.
@Suite struct EpochVerificationTests {
  let sampler: Sampler
  let verifier: Verifier

  init() throws {
    sampler = try Sampler(seed: 31)
    verifier = Verifier(networkID: sampler.networkID) { Sodium.verify($0, of: $1, by: $2) }
  }

  /// Validators whose nodes and vote keys are these keys of the sampler.
  func set(_ epoch: UInt64, _ members: [(node: Int, key: Int)]) throws -> ValidatorSet {
    try #require(
      ValidatorSet(
        epoch: epoch,
        validators: members.map { Validator(node: sampler.keys[$0.node].id, key: sampler.keys[$0.key].id) }))
  }

  /// The end of an epoch, signed by these keys of the sampler as voters 0, 1, and so on.
  func link(_ epoch: UInt64, signedBy keys: [Int], next: ValidatorSet) throws -> EpochLink {
    var sampler = sampler
    var header = sampler.header(next: next.validators)
    header.epoch = epoch
    let subject = sampler.subject(.finalize, blockID: header.id, epoch: epoch)
    let votes = keys.enumerated().map { sampler.signer($0.element).vote(subject, as: UInt16($0.offset)) }
    let certificate = try #require(Certificate.assemble(votes)).value
    return try #require(EpochLink(header: header, finalization: certificate, next: next.validators))
  }

  @Test func votesVerifyUnderTheKeyAndNotTheNode() throws {
    let set = try set(3, [(0, 4), (1, 1), (2, 2), (3, 3)])
    let subject = VoteSubject.nullify(epoch: 3, view: 1)
    let vote = sampler.signer(4).vote(subject, as: 0)
    #expect(try verifier.verify(vote.value, validators: set) == vote)
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify(sampler.signer(0).vote(subject, as: 0).value, validators: set)
    }
    let certificate = try #require(
      Certificate.assemble([vote, sampler.signer(1).vote(subject, as: 1), sampler.signer(2).vote(subject, as: 2)]))
    #expect(try verifier.verify(certificate.value, validators: set) == certificate)
    let byNodes = try #require(
      Certificate.assemble([0, 1, 2].map { sampler.signer($0).vote(subject, as: UInt16($0)) }))
    #expect(throws: VerificationError.badSignature) { try verifier.verify(byNodes.value, validators: set) }
    #expect(set.key(0) == sampler.keys[4].id && set.member(0) == sampler.keys[0].id)
    #expect(set.key(4) == nil && set.member(4) == nil && set.index(of: sampler.keys[4].id) == nil)
  }

  @Test func theDigestOfASetIsItsMembersOrderAndKeys() throws {
    let one = try set(3, [(0, 4), (1, 1)])
    #expect(one.inEpoch(9).digest == one.digest && one.inEpoch(9).epoch == 9)
    #expect(one.inEpoch(9).validators == one.validators && one.inEpoch(9).members == one.members)
    #expect(try set(3, [(1, 1), (0, 4)]).digest != one.digest)
    #expect(try set(3, [(0, 5), (1, 1)]).digest != one.digest)
    #expect(try set(3, [(0, 4)]).digest != one.digest)
  }

  @Test func aVoteOfAnEpochThatIsNotKnownSaysSo() throws {
    let known = try set(3, [(0, 0), (1, 1), (2, 2), (3, 3)])
    let vote = sampler.signer(0).vote(.nullify(epoch: 4, view: 1), as: 0).value
    #expect(throws: VerificationError.unknownEpoch(4)) {
      try verifier.verify(.vote(vote), validators: KnownValidators(known))
    }
    let both = KnownValidators(
      set: { [3, 4].contains($0) ? known.inEpoch($0) : nil }, latest: { known.inEpoch(4) })
    #expect(try verifier.verify(.vote(vote), validators: both).value == .vote(vote))
    let certificate = try #require(
      Certificate.assemble([0, 1, 2].map { sampler.signer($0).vote(.nullify(epoch: 5, view: 1), as: UInt16($0)) }))
    for message: ConsensusMessage in [.certificate(certificate.value), .certificates([certificate.value])] {
      #expect(throws: VerificationError.unknownEpoch(5)) { try verifier.verify(message, validators: both) }
    }
    #expect(VerificationError.unknownEpoch(5).counter == "unknownEpoch")
  }

  @Test func evidenceIsTwoSignaturesUnderItsKey() throws {
    var sampler = sampler
    let author = sampler.signer(6)
    func carried(_ evidence: Evidence) throws -> Message {
      let transaction = Transaction(
        nonce: 0, feeMicrocredits: 0, expiresMilliseconds: 0, action: .evidence(evidence))
      return author.seal(.transaction(transaction), sequence: 1).value
    }
    for kind in [Evidence.Kind.conflictingNotarize, .conflictingFinalize, .nullifyAndFinalize] {
      let evidence = sampler.evidence(kind)
      #expect(evidence.kind == kind && evidence.epoch == evidence.first.subject.epoch)
      #expect(Evidence(key: evidence.key, evidence.second, evidence.first) == evidence)
      #expect(try verifier.verify(carried(evidence)).value.author == author.id)
      // Either signature altered, or shown as another's.
      let bytes = evidence.encoded
      let firstEnds = 32 + evidence.first.encoded.count
      for place in [firstEnds - 1, firstEnds - 64, bytes.count - 1, bytes.count - 64] {
        var altered = bytes
        altered[place] ^= 1
        let forged = try Evidence(decoding: altered)
        #expect(throws: VerificationError.badSignature, "\(kind) \(place)") { try verifier.verify(carried(forged)) }
      }
      let stranger = try #require(sampler.keys.first { $0.id != evidence.key })
      let other = try #require(Evidence(key: stranger.id, evidence.first, evidence.second))
      #expect(throws: VerificationError.badSignature) { try verifier.verify(carried(other)) }
    }
    #expect(Set([Evidence.Kind.conflictingNotarize, .conflictingFinalize, .nullifyAndFinalize].map(\.name)).count == 3)
  }

  @Test func aVoteKeyIsProvenForItsNodeAndNetwork() throws {
    func rotation(_ key: VoteKey, author: Int) -> Message {
      let transaction = Transaction(nonce: 0, feeMicrocredits: 0, expiresMilliseconds: 0, action: .rotateKey(key))
      return sampler.signer(author).seal(.transaction(transaction), sequence: 1).value
    }
    let key = sampler.signer(5).voteKey(of: sampler.keys[0].id)
    #expect(key.key == sampler.keys[5].id)
    #expect(try verifier.verify(rotation(key, author: 0)).value == rotation(key, author: 0))
    #expect(throws: VerificationError.badSignature) { try verifier.verify(rotation(key, author: 1)) }
    let stolen = VoteKey(key: sampler.keys[4].id, proof: key.proof)
    #expect(throws: VerificationError.badSignature) { try verifier.verify(rotation(stolen, author: 0)) }
    let elsewhere = Signer(id: sampler.keys[5].id, networkID: .zero) { [sampler] in sampler.keys[5].sign($0) }
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify(rotation(elsewhere.voteKey(of: sampler.keys[0].id), author: 0))
    }
  }

  @Test func aChainOfLinksLeadsFromOneSetToAnother() throws {
    let genesis = try set(0, [(0, 0), (1, 1), (2, 2), (3, 3)])
    let later = try set(3, [(1, 1), (2, 6), (4, 4), (5, 5)])
    let last = try set(6, [(5, 5)])
    // Epochs 0 and 1 changed nothing and are left out; so are 3 and 4.
    let links = [
      try link(2, signedBy: [0, 1, 2], next: later), try link(5, signedBy: [1, 6, 4], next: last),
      try link(6, signedBy: [5], next: last.inEpoch(7)),
    ]
    let end = try verifier.verify(links, from: genesis)
    #expect(end.epoch == 7 && end.members == last.members && end.digest == last.digest)
    #expect(try verifier.verify([], from: genesis) == genesis)
    #expect(try verifier.verify(Array(links.prefix(1)), from: genesis) == later)
    // Who knows more passes over what is behind.
    #expect(try verifier.verify(links, from: later) == end)
    #expect(try verifier.verify(Array(links.prefix(2)), from: end) == end)
    // A change that is left out breaks the chain, and so does a link by the wrong validators or too few.
    #expect(throws: VerificationError.self) { try verifier.verify(Array(links.dropFirst()), from: genesis) }
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify([link(2, signedBy: [0, 2, 1], next: later)], from: genesis)
    }
    #expect(throws: VerificationError.noQuorum) {
      try verifier.verify([link(2, signedBy: [0, 1], next: later)], from: genesis)
    }
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify([links[0], link(3, signedBy: [0, 1, 2], next: last)], from: genesis)
    }
    // As a message, from the latest set that is known.
    let known = KnownValidators(set: { _ in nil }, latest: { genesis })
    #expect(try verifier.verify(.epochs(links), validators: known).epochLinks == links)
    #expect(throws: VerificationError.self) {
      try verifier.verify(.epochs(Array(links.dropFirst())), validators: known)
    }
    #expect(try verifier.verify(.epochRequest(fromEpoch: 1), validators: known).epochLinks.isEmpty)
  }

  @Test func aLinkOfOtherPartsIsNotMade() throws {
    var sampler = sampler
    let link = sampler.epochLink()
    #expect(link.nextSet.epoch == link.header.epoch + 1 && link.nextSet.validators == link.next)
    #expect(EpochLink(header: sampler.header(), finalization: link.finalization, next: link.next) == nil)
    #expect(EpochLink(header: link.header, finalization: link.finalization, next: []) == nil)
  }
}
