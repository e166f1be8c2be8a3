import Primitives
import Sodium
import Testing
import Wire

@Suite struct VerifierTests {
  var sampler: Sampler
  let verifier: Verifier
  let stranger: Verifier

  init() throws {
    sampler = try Sampler(seed: 30)
    verifier = Verifier(networkID: sampler.networkID) { Sodium.verify($0, of: $1, by: $2) }
    stranger = Verifier(networkID: Digest(hashing: [1])) { Sodium.verify($0, of: $1, by: $2) }
  }

  func validators(_ count: Int, epoch: UInt64 = 7) throws -> ValidatorSet {
    try #require(ValidatorSet(epoch: epoch, members: sampler.keys.prefix(count).map(\.id)))
  }

  func votes(_ subject: VoteSubject, _ voters: [Int]) -> [Verified<Vote>] {
    voters.map { sampler.signer($0).vote(subject, as: UInt16($0)) }
  }

  // Envelopes

  @Test(arguments: EnvelopeKind.allCases) func everyAlteredByteIsRefused(_ kind: EnvelopeKind) throws {
    var sampler = sampler
    let message = sampler.message(kind)
    let bytes = message.envelope.encoded
    #expect(try verifier.open(bytes).value == message)
    for index in bytes.indices {
      var altered = bytes
      altered[index] ^= 1 << UInt8(sampler.generator.index(below: 8))
      #expect(throws: VerificationError.self, "\(kind) byte \(index)") { try verifier.open(altered) }
    }
  }

  @Test func anotherNetworkIsRefused() throws {
    var sampler = sampler
    let message = sampler.message(.transaction)
    #expect(throws: VerificationError.wrongNetwork) { try stranger.open(message.envelope.encoded) }
    #expect(throws: VerificationError.wrongNetwork) { try stranger.verify(message) }
    // With the tag of the other network written over its own, the signature no longer fits.
    var bytes = message.envelope.encoded
    bytes.replaceSubrange(2..<10, with: stranger.networkID.bytes.prefix(8))
    #expect(throws: VerificationError.badSignature) { try stranger.open(bytes) }
  }

  @Test func theDomainOfAnotherKindIsRefused() throws {
    // A nack and an accusation of the same bytes length differ in their kind byte and their domain: neither may pass for
    // the other even when the signer signs the very bytes that the other kind would carry.
    let key = sampler.keys[0]
    let nack = Nack(receiver: key.id, number: 5)
    let sealed = sampler.signer(0).seal(.nack(nack), sequence: 9).value.envelope
    let unsigned = Array(sealed.encoded.dropLast(64))
    for name in EnvelopeKind.allCases.map(\.name) + ["vote/notarize", ""] {
      let signature = key.sign(Array("linnet/1/\(name)".utf8) + [0] + unsigned)
      let bytes = unsigned + signature.bytes
      if name == "nack" {
        #expect(try verifier.open(bytes).value.envelope == sealed)
      } else {
        #expect(throws: VerificationError.badSignature, "\(name)") { try verifier.open(bytes) }
      }
    }
  }

  @Test func anotherAuthorIsRefused() throws {
    var sampler = sampler
    let bytes = sampler.message(.accusation, key: 0).envelope.encoded
    var altered = bytes
    altered.replaceSubrange(10..<42, with: sampler.keys[1].id.bytes)
    #expect(throws: VerificationError.badSignature) { try verifier.open(altered) }
    altered.replaceSubrange(10..<42, with: [UInt8](repeating: 0, count: 32))
    #expect(throws: VerificationError.badSignature) { try verifier.open(altered) }
  }

  @Test func aPayloadThatDoesNotDecodeIsRefusedThoughItsSignatureFits() throws {
    let key = sampler.keys[0]
    var writer = WireWriter()
    writer.raw([1, EnvelopeKind.accusation.rawValue] + sampler.networkID.bytes.prefix(8) + key.id.bytes)
    writer.uint64(1)
    writer.lengthPrefixed([1, 2, 3])
    writer.signature(key.sign(Array("linnet/1/accusation".utf8) + [0] + writer.bytes))
    #expect(throws: VerificationError.malformed(.truncated)) { try verifier.open(writer.bytes) }
  }

  @Test func aSignatureThatIsNotReducedIsRefused() throws {
    var sampler = sampler
    let bytes = sampler.message(.leave).envelope.encoded
    // The group order L added to S: the same scalar modulo L, another 64 bytes.
    let order = try #require(Hex.decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"))
    var altered = bytes
    var carry = 0
    for index in 0..<32 {
      let sum = Int(altered[altered.count - 32 + index]) + Int(order[index]) + carry
      altered[altered.count - 32 + index] = UInt8(sum & 0xff)
      carry = sum >> 8
    }
    #expect(throws: VerificationError.badSignature) { try verifier.open(altered) }
  }

  // Votes

  @Test(arguments: VoteKind.allCases) func votesVerifyForTheirVoterOnly(_ kind: VoteKind) throws {
    let set = try validators(4)
    let block = Digest(hashing: [1])
    let subject: VoteSubject =
      switch kind {
      case .notarize: .notarize(epoch: 7, view: 9, parentView: 8, blockID: block)
      case .nullify: .nullify(epoch: 7, view: 9)
      case .finalize: .finalize(epoch: 7, view: 9, parentView: 8, blockID: block)
      }
    let vote = sampler.signer(2).vote(subject, as: 2)
    #expect(try verifier.verify(vote.value, validators: set) == vote)
    #expect(throws: VerificationError.badSignature) { try stranger.verify(vote.value, validators: set) }
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify(sampler.signer(2).vote(subject, as: 1).value, validators: set)
    }
    #expect(throws: VerificationError.notAValidator) {
      try verifier.verify(sampler.signer(4).vote(subject, as: 4).value, validators: set)
    }
    #expect(throws: VerificationError.notAValidator) {
      try verifier.verify(sampler.signer(4).vote(subject, as: .max).value, validators: set)
    }
    #expect(throws: VerificationError.notAValidator) {
      try verifier.verify(vote.value, validators: validators(4, epoch: 8))
    }
    let bytes = vote.value.encoded
    for index in bytes.indices {
      var altered = bytes
      altered[index] ^= 1
      guard let other = try? Vote(decoding: altered) else { continue }
      #expect(throws: VerificationError.self, "byte \(index)") { try verifier.verify(other, validators: set) }
    }
  }

  @Test func aVoteOfOneKindIsNoneOfAnother() throws {
    let set = try validators(4)
    let finalize = VoteSubject.finalize(epoch: 7, view: 9, parentView: 8, blockID: .zero)
    let notarize = VoteSubject.notarize(epoch: 7, view: 9, parentView: 8, blockID: .zero)
    let signature = sampler.signer(0).vote(notarize, as: 0).value.signature
    var writer = WireWriter()
    writer.value(finalize)
    writer.uint16(0)
    writer.signature(signature)
    let forged = try Vote(decoding: writer.bytes)
    #expect(throws: VerificationError.badSignature) { try verifier.verify(forged, validators: set) }
  }

  // Certificates

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7]) func aQuorumIsNeeded(_ count: Int) throws {
    let set = try validators(count)
    #expect(set.quorum == count - (count - 1) / 3)
    let subject = VoteSubject.nullify(epoch: 7, view: 3)
    for size in 1...count {
      let certificate = try #require(Certificate.assemble(votes(subject, Array(count - size..<count))))
      #expect(try Certificate(decoding: certificate.value.encoded) == certificate.value)
      if size >= set.quorum {
        #expect(try verifier.verify(certificate.value, validators: set) == certificate)
        #expect(throws: VerificationError.badSignature) { try stranger.verify(certificate.value, validators: set) }
      } else {
        #expect(throws: VerificationError.noQuorum) { try verifier.verify(certificate.value, validators: set) }
      }
    }
  }

  @Test func certificatesOfOthersAreRefused() throws {
    let set = try validators(4)
    let subject = VoteSubject.notarize(epoch: 7, view: 3, parentView: 1, blockID: Digest(hashing: [3]))
    let good = try #require(Certificate.assemble(votes(subject, [0, 1, 2]))).value
    // Not a member.
    let outside = try #require(Certificate.assemble(votes(subject, [0, 1, 5]))).value
    #expect(throws: VerificationError.notAValidator) { try verifier.verify(outside, validators: set) }
    // Another's place.
    let borrowed = try #require(
      Certificate.assemble(votes(subject, [0, 1]) + [sampler.signer(1).vote(subject, as: 3)])
    ).value
    #expect(throws: VerificationError.badSignature) { try verifier.verify(borrowed, validators: set) }
    // Another epoch.
    #expect(throws: VerificationError.notAValidator) {
      try verifier.verify(good, validators: validators(4, epoch: 6))
    }
    // Every altered byte.
    let bytes = good.encoded
    var decoded = 0
    for index in bytes.indices {
      for bit in 0..<8 {
        var altered = bytes
        altered[index] ^= 1 << UInt8(bit)
        guard let other = try? Certificate(decoding: altered) else { continue }
        decoded += 1
        #expect(throws: VerificationError.self, "byte \(index)") { try verifier.verify(other, validators: set) }
      }
    }
    #expect(decoded > 1_000)
    // Signatures in each other's place.
    var swapped = bytes
    let end = bytes.count
    swapped.replaceSubrange(end - 64..<end, with: bytes[end - 128..<end - 64])
    swapped.replaceSubrange(end - 128..<end - 64, with: bytes[end - 64..<end])
    #expect(throws: VerificationError.badSignature) {
      try verifier.verify(Certificate(decoding: swapped), validators: set)
    }
  }

  @Test func duplicateAndMixedVotesMakeNoCertificate() {
    let subject = VoteSubject.nullify(epoch: 7, view: 3)
    let other = VoteSubject.nullify(epoch: 7, view: 4)
    #expect(Certificate.assemble([]) == nil)
    #expect(Certificate.assemble(votes(subject, [0, 1, 1])) == nil)
    #expect(Certificate.assemble(votes(subject, [0, 1]) + votes(other, [2])) == nil)
    let shuffled = Certificate.assemble(votes(subject, [2, 0, 1]))
    #expect(shuffled == Certificate.assemble(votes(subject, [0, 1, 2])))
    #expect(shuffled?.votes == votes(subject, [0, 1, 2]))
  }

  // Consensus messages

  @Test func everySignatureInsideAConsensusMessageIsChecked() throws {
    var sampler = sampler
    let known = KnownValidators(try validators(4))
    let transactions = [0, 1, 2].map { sampler.message(.transaction, key: $0) }
    var header = sampler.header(root: Block.transactionsRoot(transactions.map(\.id)))
    header.epoch = 7
    let block = try #require(Block(header: header, transactions: transactions))
    let notarize = VoteSubject.notarize(epoch: 7, view: header.view, parentView: header.parentView, blockID: block.id)
    let finalize = VoteSubject.finalize(epoch: 7, view: header.view, parentView: header.parentView, blockID: block.id)
    let vote = sampler.signer(0).vote(notarize, as: 0).value
    let certificate = try #require(Certificate.assemble(votes(finalize, [0, 1, 2]))).value
    let messages: [ConsensusMessage] = [
      .vote(vote), .certificate(certificate), .proposal(block, vote), .blocks([block]), .certificates([certificate]),
      .chain([block], finalization: certificate),
    ]
    for message in messages {
      #expect(try verifier.verify(message, validators: known).value == message)
      #expect(throws: VerificationError.self) { try stranger.verify(message, validators: known) }
      // Wherever a signature stands, its first byte counts.
      let bytes = message.encoded
      let signatures = transactions.map(\.envelope.signature) + [vote.signature] + certificate.signatures
      var found = 0
      for signature in signatures {
        guard let place = bytes.indices.first(where: { bytes[$0...].starts(with: signature.bytes) }) else { continue }
        found += 1
        var altered = bytes
        altered[place] ^= 1
        // In a block the altered envelope has another id, so the transactions root refuses it before the signature does.
        guard let other = try? ConsensusMessage(decoding: altered) else { continue }
        #expect(throws: VerificationError.badSignature) { try verifier.verify(other, validators: known) }
      }
      #expect(found > 0)
    }
    for message: ConsensusMessage in [
      .blockRequest([.zero]), .certificateRequest(from: 1, to: 2), .chainRequest(fromHeight: 1),
      .epochRequest(fromEpoch: 1), .snapshotRequest(height: 1, covering: .zero), .relayRequest(epoch: 9, voters: [1]),
      .snapshot(sampler.snapshotChunk()),
    ] {
      #expect(try verifier.verify(message, validators: known).value == message)
    }
  }

  @Test func aForgedTransactionInsideABlockIsRefused() throws {
    var sampler = sampler
    let known = KnownValidators(try validators(4))
    let good = sampler.message(.transaction, key: 0)
    var bytes = good.envelope.encoded
    bytes[bytes.count - 1] ^= 1
    let forged = try Message(Envelope(decoding: bytes))
    let block = try #require(
      Block(header: sampler.header(root: Block.transactionsRoot([good.id, forged.id])), transactions: [good, forged]))
    let read = try Block(decoding: block.encoded)
    #expect(throws: VerificationError.badSignature) { try verifier.verify(.blocks([read]), validators: known) }
  }

  @Test func validatorSetsAreBounded() throws {
    let ids = (0..<101).compactMap { NodeID(bytes: [UInt8](repeating: UInt8($0), count: 32)) }
    #expect(ValidatorSet(epoch: 0, members: []) == nil)
    #expect(ValidatorSet(epoch: 0, members: ids) == nil)
    #expect(ValidatorSet(epoch: 0, members: [ids[0], ids[0]]) == nil)
    #expect(ValidatorSet(epoch: 0, members: Array(ids.prefix(100)))?.quorum == 67)
    let sharedKey = [Validator(node: ids[0], key: ids[2]), Validator(node: ids[1], key: ids[2])]
    #expect(ValidatorSet(epoch: 0, validators: sharedKey) == nil)
    #expect(ValidatorSet(epoch: 0, validators: [sharedKey[0], sharedKey[0]]) == nil)
    #expect(
      ValidatorSet(epoch: 0, validators: [Validator(node: ids[0], key: ids[1]), Validator(node: ids[1], key: ids[0])])
        != nil)
  }

  @Test func sequencesStrictlyIncrease() {
    var source = SequenceSource(floor: 100)
    #expect(source.next(unixMicroseconds: 50) == 101)
    #expect(source.next(unixMicroseconds: 500) == 500)
    #expect(source.next(unixMicroseconds: 500) == 501)
    #expect(source.next(unixMicroseconds: 0) == 502)
  }
}
