import Broadcast
import Core
import Primitives
import Sodium
import Synchronization
import Testing
import Wire

@Suite struct InboundTests {
  private let network = Digest(hashing: Array("a network".utf8))
  private let inbound: Inbound
  private let validator: Signer
  private let stranger: Signer
  private let peer: NodeID
  private let source: PeerAddress

  init() throws {
    func signer(_ number: Int, _ network: Digest) throws -> Signer {
      let key = try Cluster.key(number)
      return Signer(id: key.id, networkID: network) { key.sign($0) }
    }
    validator = try signer(0, network)
    stranger = try signer(1, network)
    peer = try Cluster.key(2).id
    source = try #require(PeerAddress(text: "127.0.0.1:7447"))
    inbound = Inbound(
      verifier: Verifier(networkID: network) { Sodium.verify($0, of: $1, by: $2) },
      validators: KnownValidators(try Cluster(1).genesis.validatorSet))
  }

  private func transfer(_ signer: Signer, sequence: UInt64 = 1) -> Verified<Message> {
    signer.seal(
      .transaction(
        Transaction(
          nonce: 0, feeMicrocredits: 100, expiresMilliseconds: 1_000,
          action: .transfer(to: signer.id, amountMicrocredits: 1))), sequence: sequence)
  }

  private func record(_ signer: Signer) -> Verified<Message> {
    signer.seal(
      .nodeRecord(
        NodeRecord(
          name: "n", addresses: [source], roles: [], capabilities: .zero, agent: "a", expiresUnixSeconds: 1 << 40)),
      sequence: 1)
  }

  private func ping(_ signer: Signer, rumours: [Envelope]) -> Verified<Message> {
    signer.seal(
      .ping(Ping(receiver: peer, number: 1, height: 0, observed: source, rumours: rumours)), sequence: 2)
  }

  private func forged(_ envelope: Envelope) throws -> Envelope {
    var bytes = envelope.encoded
    bytes[bytes.count - 40] ^= 1
    return try Envelope(decoding: bytes)
  }

  /// True when the peer that sent it is named to the core, and what for.
  private func names(_ received: Received, _ peer: NodeID, _ misconduct: Misconduct = .invalidMessage) -> Bool {
    received.inputs.contains { input in
      if case .misconduct(let from, let what) = input { return from == peer && what == misconduct }
      return false
    }
  }

  @Test func garbageIsRefusedAndCounted() {
    var generator = SeededGenerator(seed: 1)
    var frames = 0
    var datagrams = 0
    for length in 0..<400 {
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      let datagram = inbound.datagram(bytes, from: source)
      #expect(datagram.inputs.isEmpty && datagram.refused.count == 1)
      datagrams += datagram.refused.count
      let frame = inbound.frame(bytes, from: peer)
      if !frame.refused.isEmpty {
        // Random bytes may be a message, of which what it carries is refused.
        #expect(Misconduct.allCases.contains { names(frame, peer, $0) })
        frames += 1
      }
    }
    #expect(datagrams == 400)
    #expect(frames > 300)
  }

  @Test func everyTruncationAndEveryFlippedBitOfADatagramIsRefused() {
    let whole = ping(validator, rumours: [record(stranger).value.envelope]).value.envelope.encoded
    #expect(inbound.datagram(whole, from: source).refused.isEmpty)
    #expect(inbound.datagram(whole, from: source).inputs.count == 1)
    for count in 0..<whole.count {
      #expect(inbound.datagram(Array(whole[..<count]), from: source).inputs.isEmpty)
    }
    for position in stride(from: 0, to: whole.count, by: 3) {
      var bytes = whole
      bytes[position] ^= 1 << UInt8(position % 8)
      #expect(inbound.datagram(bytes, from: source).inputs.isEmpty)
    }
    #expect(!inbound.datagram(whole + [0], from: source).refused.isEmpty)
  }

  @Test func anotherNetworkIsRefused() throws {
    let key = try Cluster.key(0)
    let other = Signer(id: key.id, networkID: Digest(hashing: [9])) { key.sign($0) }
    let datagram = inbound.datagram(ping(other, rumours: []).value.envelope.encoded, from: source)
    #expect(datagram.refused == ["datagram.wrongNetwork"] && datagram.inputs.isEmpty)
    let frame = inbound.frame(
      LinkMessage.gossip(.publish([transfer(other).value.envelope])).encoded, from: peer)
    #expect(frame.refused == ["gossip.wrongNetwork"])
    #expect(names(frame, peer))
  }

  @Test func aBadSignatureNamesTheRelayerAndSparesWhatCameBefore() throws {
    let good = transfer(validator)
    let bad = try forged(transfer(stranger).value.envelope)
    let later = transfer(validator, sequence: 2).value.envelope
    let received = inbound.frame(
      LinkMessage.gossip(.publish([good.value.envelope, bad, later])).encoded, from: peer)
    #expect(received.refused == ["gossip.badSignature"])
    #expect(names(received, peer))
    let passed = received.inputs.compactMap { input -> [Digest]? in
      if case .gossip(let messages, _) = input { return messages.map(\.value.id) }
      return nil
    }
    #expect(passed == [[good.value.id]])
  }

  @Test func aFrameFullOfWhatDoesNotHoldIsChargedOnceAndLookedAtOnce() throws {
    let checks = Mutex(0)
    let inbound = Inbound(
      verifier: Verifier(networkID: network) { signature, bytes, signer in
        checks.withLock { $0 += 1 }
        return Sodium.verify(signature, of: bytes, by: signer)
      }, validators: KnownValidators(try Cluster(1).genesis.validatorSet))
    let key = try Cluster.key(1)
    let elsewhere = Signer(id: key.id, networkID: Digest(hashing: [9])) { key.sign($0) }
    let farewell = elsewhere.seal(.leave, sequence: 1).value.envelope
    let record = record(validator).value.envelope
    let bad = try forged(record)
    let most = LinkMessage.maximumRecords
    let frames: [(LinkMessage, refused: String, Misconduct, checks: Int)] = [
      (.members([Envelope](repeating: farewell, count: most)), "members.wrongNetwork", .badRecord, 0),
      (.members([Envelope](repeating: bad, count: most)), "members.badSignature", .badRecord, 1),
      (.gossip(.publish([Envelope](repeating: record, count: 64))), "gossip.wrongKind", .invalidMessage, 0),
    ]
    for (frame, name, misconduct, count) in frames {
      checks.withLock { $0 = 0 }
      let received = inbound.frame(frame.encoded, from: peer)
      #expect(received.refused == [name])
      // Nor is what is left a question for the own record, which an empty list is.
      #expect(received.inputs.count == 1 && names(received, peer, misconduct))
      #expect(checks.withLock { $0 } == count)
    }
    #expect(inbound.frame(LinkMessage.members([]).encoded, from: peer).inputs.count == 1)
  }

  @Test func aRumourThatIsNotSignedCostsItsCarrierTheDatagram() throws {
    let bad = try forged(record(stranger).value.envelope)
    let received = inbound.datagram(
      ping(validator, rumours: [record(validator).value.envelope, bad, bad, bad]).value.envelope.encoded, from: source)
    // The first bad one is the last that is looked at.
    #expect(received.refused == ["rumour.badSignature"])
    #expect(received.inputs.isEmpty)
  }

  @Test func eachKindHasItsPlace() {
    let asDatagram = inbound.datagram(transfer(validator).value.envelope.encoded, from: source)
    #expect(asDatagram.refused == ["datagram.notAProbe"] && asDatagram.inputs.isEmpty)
    let asGossip = inbound.frame(
      LinkMessage.gossip(.publish([record(validator).value.envelope])).encoded, from: peer)
    #expect(asGossip.refused == ["gossip.wrongKind"] && names(asGossip, peer))
    let asMember = inbound.frame(LinkMessage.members([transfer(validator).value.envelope]).encoded, from: peer)
    #expect(asMember.refused.count == 1 && names(asMember, peer, .badFrame), "\(asMember.refused)")
    let noFrame = inbound.frame([0xff], from: peer)
    #expect(noFrame.refused.count == 1 && names(noFrame, peer, .badFrame))
  }

  @Test func aServiceMessageGoesToTheShell() {
    let message = ServiceMessage(number: 5, isAnswer: false, service: 200, body: [1])
    let received = inbound.frame(LinkMessage.service(message).encoded, from: peer)
    #expect(received.inputs.isEmpty && received.refused.isEmpty)
    #expect(received.service?.number == 5)
  }

  @Test func aTransactionsSignatureIsCheckedOnceHoweverOftenItComes() throws {
    let checks = Mutex(0)
    let known = Mutex(OrderedSet<Digest>())
    let cluster = try Cluster(1)
    let verifier = Verifier(
      networkID: network,
      known: VerifiedMessages(
        contains: { id in known.withLock { $0.contains(id) } }, insert: { id in known.withLock { _ = $0.insert(id) } })
    ) { signature, bytes, signer in
      checks.withLock { $0 += 1 }
      return Sodium.verify(signature, of: bytes, by: signer)
    }
    let inbound = Inbound(verifier: verifier, validators: KnownValidators(cluster.genesis.validatorSet))
    let transactions = (1...20).map { transfer(stranger, sequence: $0) }
    let header = BlockHeader(
      epoch: 0, view: 1, height: 1, parentID: network, parentView: 0, timestampMilliseconds: 1,
      transactionsRoot: Block.transactionsRoot(transactions.map(\.value.id)), stateRoot: .zero, nextValidators: .zero,
      reveal: .zero)
    let block = try #require(Verified<Block>(header: header, transactions: transactions)).value
    let vote = validator.vote(.notarize(epoch: 0, view: 1, parentView: 0, blockID: block.id), as: 0).value
    let gossip = LinkMessage.gossip(.publish(transactions.map(\.value.envelope))).encoded
    for _ in 0..<3 { #expect(inbound.frame(gossip, from: peer).refused.isEmpty) }
    #expect(checks.withLock { $0 } == 20)
    #expect(inbound.frame(LinkMessage.consensus(.proposal(block, vote)).encoded, from: peer).refused.isEmpty)
    #expect(inbound.frame(LinkMessage.consensus(.blocks([block])).encoded, from: peer).refused.isEmpty)
    #expect(checks.withLock { $0 } == 21, "the leader's vote")
    // Another signature under the same content is another message.
    let bad = try forged(transactions[0].value.envelope)
    #expect(inbound.frame(LinkMessage.gossip(.publish([bad])).encoded, from: peer).refused == ["gossip.badSignature"])
  }

  @Test func aListOfNothingIsNoMessage() {
    for gossip in [.publish([]), .announce([]), .request([]), .unwanted([])] as [GossipMessage] {
      let received = inbound.frame(LinkMessage.gossip(gossip).encoded, from: peer)
      #expect(received.refused == ["gossip.empty"])
      #expect(received.inputs.count == 1 && names(received, peer, .badFrame))
    }
  }

  @Test func blocksThatWereNotAskedForAreNotVerified() throws {
    let checks = Mutex(0)
    let asked = Mutex(AskedBlocks())
    let inbound = Inbound(
      verifier: Verifier(networkID: network) { signature, bytes, signer in
        checks.withLock { $0 += 1 }
        return Sodium.verify(signature, of: bytes, by: signer)
      }, validators: KnownValidators(try Cluster(1).genesis.validatorSet)
    ) { message, peer in asked.withLock { $0.worth(message, from: peer) } }
    func block(_ height: UInt64, on parent: Digest) throws -> Block {
      let transactions = (1...20).map { transfer(stranger, sequence: height * 100 + $0) }
      let header = BlockHeader(
        epoch: 0, view: height, height: height, parentID: parent, parentView: height - 1, timestampMilliseconds: height,
        transactionsRoot: Block.transactionsRoot(transactions.map(\.value.id)), stateRoot: .zero,
        nextValidators: .zero, reveal: .zero)
      return try #require(Verified<Block>(header: header, transactions: transactions)).value
    }
    let first = try block(1, on: network)
    let second = try block(2, on: first.id)
    let finalize = validator.vote(.finalize(epoch: 0, view: 2, parentView: 1, blockID: second.id), as: 0)
    let finalization = try #require(Certificate.assemble([finalize])).value
    let notarize = validator.vote(.notarize(epoch: 0, view: 2, parentView: 1, blockID: second.id), as: 0).value
    let answers: [(ConsensusMessage, question: ConsensusMessage, checks: Int)] = [
      (.blocks([first]), .blockRequest([first.id, second.id]), 20),
      (.chain([first, second], finalization: finalization), .chainRequest(fromHeight: 1), 41),
    ]
    for (answer, question, count) in answers {
      let bytes = LinkMessage.consensus(answer).encoded
      func isTaken(from sender: NodeID) -> Bool {
        checks.withLock { $0 = 0 }
        let received = inbound.frame(bytes, from: sender)
        guard !received.inputs.isEmpty else {
          // Who answers late is not charged.
          #expect(received.refused == ["consensus.unasked"] && checks.withLock { $0 } == 0)
          return false
        }
        #expect(received.refused.isEmpty && checks.withLock { $0 } == count)
        return true
      }
      #expect(!isTaken(from: peer))
      asked.withLock { $0.note(question, to: peer) }
      #expect(!isTaken(from: stranger.id))
      #expect(isTaken(from: peer))
      #expect(!isTaken(from: peer))
      asked.withLock { for _ in 0..<2 { $0.note(question, to: peer) } }
      #expect(isTaken(from: peer) && !isTaken(from: peer))
    }
    // A proposal comes by itself. Of one of a final view the vote is left.
    let proposal = LinkMessage.consensus(.proposal(second, notarize)).encoded
    for (finalView, count) in [(nil, 21), (1, 21), (2, 1), (3, 1)] as [(UInt64?, Int)] {
      if let finalView {
        asked.withLock { $0.note(final: .nullify(epoch: 0, view: finalView)) }
      }
      checks.withLock { $0 = 0 }
      let received = inbound.frame(proposal, from: peer)
      guard case .consensus(let message, _)? = received.inputs.first else {
        Issue.record("\(received)")
        continue
      }
      #expect(message.vote != nil && message.blocks.count == (count > 1 ? 1 : 0) && checks.withLock { $0 } == count)
    }
  }

  @Test func soManyQuestionsAreRememberedAndTheLatest() {
    var asked = AskedBlocks()
    for height in 1...UInt64(AskedBlocks.capacity + 10) { asked.note(.chainRequest(fromHeight: height), to: peer) }
    asked.note(.vote(validator.vote(.nullify(epoch: 0, view: 1), as: 0).value), to: peer)
    #expect(asked.count == AskedBlocks.capacity)
  }

  @Test func whoSpeaksInAnUnknownEpochIsNotPunished() throws {
    let frame = { (epoch: UInt64) in
      LinkMessage.consensus(.vote(validator.vote(.nullify(epoch: epoch, view: 1), as: 0).value)).encoded
    }
    let sets = try Cluster(1).genesis.validatorSet.inEpoch(5)
    let inbound = Inbound(
      verifier: Verifier(networkID: network) { Sodium.verify($0, of: $1, by: $2) }, validators: KnownValidators(sets))
    let later = inbound.frame(frame(6), from: peer)
    #expect(later.refused == ["consensus.unknownEpoch"] && later.inputs.count == 1)
    guard case .laterEpoch(let from)? = later.inputs.first else {
      Issue.record("the core must hear of it")
      return
    }
    #expect(from == peer)
    let older = inbound.frame(frame(4), from: peer)
    #expect(older.refused == ["consensus.unknownEpoch"] && older.inputs.isEmpty)
  }

  @Test func theBookKeepsWhatItWasToldOfLast() throws {
    let genesis = try Cluster(2).genesis
    var book = ValidatorBook(genesis: genesis)
    #expect(book.latest.epoch == 1 && book[0]?.epoch == 0 && book[2] == nil)
    for epoch in 2...20 as ClosedRange<UInt64> { book.insert(genesis.validatorSet.inEpoch(epoch)) }
    #expect(book.latest.epoch == 20 && book[3] == nil && book[14] != nil)
    // A set that is still in use is told of again; the latest stays what it was.
    book.insert(genesis.validatorSet.inEpoch(3))
    #expect(book.latest.epoch == 20 && book[3]?.epoch == 3)
    for _ in 0..<20 { book.insert(genesis.validatorSet.inEpoch(4)) }
    #expect(book[3] != nil && book[20] != nil)
    let all = (0...30 as ClosedRange<UInt64>).filter { book[$0] != nil }
    #expect(all.count <= ValidatorBook.capacity + 1)
  }

  @Test func whatTheMeshAndTheTablesSayReachesTheCore() throws {
    let bucket = MemberDigest.Bucket(member: peer, sequence: 1, hasLeft: false)
    let digest = try #require(MemberDigest(buckets: [MemberDigest.Bucket](repeating: bucket, count: 16)))
    let request = try #require(MemberRequest(count: 16, buckets: [3, 15]))
    let ids = [Digest(hashing: [1])]
    let messages: [LinkMessage] = [
      .gossip(.graft), .gossip(.prune(reason: .score, backoffSeconds: 60)), .gossip(.unwanted(ids)),
      .memberDigest(digest), .memberRequest(request),
    ]
    for message in messages {
      let received = inbound.frame(message.encoded, from: peer)
      #expect(received.refused.isEmpty && received.inputs.count == 1 && received.service == nil)
      let isRight =
        switch (message, received.inputs.first) {
        case (.gossip(.graft), .graft(peer)): true
        case (.gossip(.prune), .prune(.score, 60, peer)): true
        case (.gossip(.unwanted), .unwanted(ids, peer)): true
        case (.memberDigest, .digest(digest, peer)): true
        case (.memberRequest, .memberRequest(request, peer)): true
        default: false
        }
      #expect(isRight, "\(message)")
    }
    var cluster = try Cluster(1)
    let before = cluster.members[0].core.counters["inputNotHandled"]
    for message in messages {
      for input in inbound.frame(message.encoded, from: peer).inputs { cluster.step(0, input) }
    }
    let core = cluster.members[0].core
    #expect(core.counters["inputNotHandled"] == before)
    #expect(core.membership.counters["digestWithoutLink"] == 1)
    #expect(core.membership.counters["requestWithoutLink"] == 1)
  }

  @Test func aBeaconIsARecordAndNothingElse() throws {
    let own = record(validator).value.envelope
    #expect(try inbound.beacon(own.encoded).value.envelope == own)
    #expect(throws: VerificationError.badSignature) { try inbound.beacon(forged(own).encoded) }
    #expect(throws: VerificationError.malformed(.truncated)) { try inbound.beacon(Array(own.encoded.dropLast())) }
    let others = [transfer(validator), ping(validator, rumours: []), validator.seal(.leave, sequence: 3)]
    for other in others {
      #expect(throws: VerificationError.malformed(.badValue(what: "beacon kind"))) {
        try inbound.beacon(other.value.envelope.encoded)
      }
    }
  }
}
