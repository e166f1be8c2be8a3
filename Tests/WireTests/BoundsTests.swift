import Primitives
import Testing
import Wire

@Suite struct BoundsTests {
  @Test func everyRefusalHasItsReason() throws {
    let refusals = try Refusal.all()
    #expect(refusals.count > 200)
    for refusal in refusals {
      let type = try #require(WireType.named(refusal.type))
      #expect(throws: refusal.error, "\(refusal)") { _ = try type.decode(refusal.bytes) }
    }
  }

  @Test(arguments: EnvelopeKind.allCases) func payloadsUpToTheirBoundDecode(_ kind: EnvelopeKind) throws {
    var writer = WireWriter()
    writer.raw([1, kind.rawValue] + [UInt8](repeating: 7, count: 48))
    writer.lengthPrefixed([UInt8](repeating: 9, count: kind.maximumPayloadBytes))
    writer.signature(.zero)
    #expect(try Envelope(decoding: writer.bytes).encoded == writer.bytes)
    #expect(writer.bytes.count <= Envelope.maximumBytes)
  }

  @Test func listsUpToTheirBoundsDecode() throws {
    var sampler = try Sampler(seed: 20)
    func check<Value: WireCodable & Equatable>(_ value: Value) throws {
      #expect(try Value(decoding: value.encoded) == value)
    }
    let ids = (0..<100).map { _ in NodeID(sampler.digest().value) }
    try check(
      Genesis(
        name: String(repeating: "é", count: 31) + "x", createdMilliseconds: ChainParameters.maximumValue,
        parameters: ChainParameters(), validators: ids,
        balances: (0..<Genesis.maximumBalances).map { _ in sampler.balance() }.map {
          Genesis.Balance(account: $0.account, amountMicrocredits: 1)
        }))
    try check(
      Genesis(
        name: "", createdMilliseconds: 0, parameters: ChainParameters(), validators: [ids[0]],
        balances: [Genesis.Balance(account: ids[0], amountMicrocredits: UInt64(Int64.max))]))
    let digests = (0..<GossipMessage.maximumIDs).map { _ in sampler.digest() }
    try check(GossipMessage.announce(digests))
    try check(GossipMessage.publish((0..<GossipMessage.maximumEnvelopes).map { _ in sampler.message().envelope }))
    try check(ConsensusMessage.blockRequest(Array(digests.prefix(ConsensusMessage.maximumRequestedBlocks))))
    try check(ConsensusMessage.certificateRequest(from: .max - 63, to: .max))
    try check(ConsensusMessage.certificates((0..<128).map { _ in sampler.certificate(sampler.subject()) }))
    var blocks = [sampler.block()]
    while blocks.count < ConsensusMessage.maximumChainBlocks {
      blocks.append(sampler.block(parent: blocks[blocks.count - 1].header))
    }
    let last = blocks[blocks.count - 1]
    try check(
      ConsensusMessage.chain(blocks, finalization: sampler.finalization(of: last.header)))
    let set = (0..<100).map { Validator(node: ids[$0], key: ids[99 - $0]) }
    let links = try (0..<ConsensusMessage.maximumEpochLinks).map { number in
      var header = sampler.header(next: set)
      header.epoch = UInt64.max - 64 + UInt64(number)
      return header
    }.map {
      try #require(EpochLink(header: $0, finalization: sampler.finalization(of: $0), next: set))
    }
    try check(ConsensusMessage.epochs(links))
    try check(ConsensusMessage.relayRequest(epoch: .max, voters: Array(65_436...65_535)))
    try check(LinkMessage.members((0..<LinkMessage.maximumRecords).map { _ in sampler.message(.leave).envelope }))
    try check(
      ServiceMessage(
        number: .max, isAnswer: true, service: 255, body: [UInt8](repeating: 1, count: ServiceMessage.maximumBodyBytes))
    )
    let word = String(repeating: "w", count: JobSpecification.maximumArgumentBytes)
    try check(
      JobSpecification(
        command: [word] + [String](repeating: "", count: JobSpecification.maximumArguments - 1),
        environment: (0..<JobSpecification.maximumEntries).map { ("V\($0)", $0 == 0 ? word : "") },
        inputs: (0..<JobSpecification.maximumEntries).map {
          JobSpecification.Input(name: "i\($0)", root: .zero, isDirectory: $0 % 2 == 0)
        }))
    let leases = digests.prefix(TransactionAction.maximumLeases).sorted()
    try check(TransactionAction.commitResults(leases.map { LeaseCommitment(lease: $0, commitment: .zero) }))
  }

  @Test func listsOfNodesUpToTheirBoundsDecode() throws {
    var sampler = try Sampler(seed: 25)
    func check<Value: WireCodable & Equatable>(_ value: Value) throws {
      #expect(try Value(decoding: value.encoded) == value)
    }
    let ids = (0..<17).map { _ in NodeID(sampler.digest().value) }
    let four = (0..<4).map { _ in sampler.address(isIPv4: true) }
    let six = (0..<4).map { _ in sampler.address(isIPv4: false) }
    func hints(_ count: Int, _ addresses: [PeerAddress]) -> [NodeHint] {
      ids.prefix(count).map { NodeHint(id: $0, addresses: addresses) }
    }
    for nodes in [hints(16, four), hints(9, six)] {
      let list = try NodeList(expiresUnixSeconds: .max, nodes: nodes)
      #expect(list.nodes == nodes.sorted { $0.id < $1.id })
      let message = sampler.signer(0).seal(.nodeList(list), sequence: 1).value
      #expect(try Message(Envelope(decoding: message.envelope.encoded)) == message)
    }
    #expect(throws: WireError.tooLong(what: "node list")) {
      try NodeList(expiresUnixSeconds: 0, nodes: hints(10, six))
    }
    #expect(throws: WireError.tooLong(what: "listed nodes")) {
      try NodeList(expiresUnixSeconds: 0, nodes: hints(17, []))
    }
    #expect(throws: WireError.notAscending(what: "listed nodes")) {
      try NodeList(expiresUnixSeconds: 0, nodes: hints(1, four) + hints(1, six))
    }
    let all = [UInt8](UInt8.min...UInt8.max)
    try check(LinkMessage.memberRequest(#require(MemberRequest(count: 256, buckets: all))))
    let buckets = [MemberDigest.Bucket](repeating: .empty, count: 256)
    try check(LinkMessage.memberDigest(#require(MemberDigest(buckets: buckets))))
    try check(GossipMessage.unwanted((0..<GossipMessage.maximumIDs).map { _ in sampler.digest() }))
    try check(GossipMessage.prune(reason: .full, backoffSeconds: GossipMessage.maximumBackoffSeconds))
    try check(
      GenesisAnswer(
        total: GenesisAnswer.maximumTotalBytes, bytes: [UInt8](repeating: 1, count: GenesisAnswer.maximumPartBytes)))
    try check(GenesisRequest(offset: GenesisAnswer.maximumTotalBytes))
    try check(
      DialBackAnswer(isReached: false, reason: String(repeating: "r", count: DialBackAnswer.maximumReasonBytes)))
    let longest = NodeRecord(
      name: String(repeating: "n", count: NodeRecord.maximumNameBytes), addresses: six, roles: .all,
      capabilities: sampler.digest(), agent: String(repeating: "a", count: NodeRecord.maximumAgentBytes),
      via: ids.prefix(NodeRecord.maximumVia).sorted(), expiresUnixSeconds: .max)
    try check(longest)
    #expect(longest.encoded.count == 311 && longest.encoded.count <= EnvelopeKind.nodeRecord.maximumPayloadBytes)
  }

  /// What a datagram holds besides its type, mac1 and mac2 (docs/wire-format.md).
  static let datagramPayloadBytes = 1_200 - 33

  @Test(arguments: [true, false]) func probesFitADatagramAndNoAnswerIsLongerThanItsQuestion(_ isIPv4: Bool) throws {
    var sampler = try Sampler(seed: 26)
    let (receiver, target) = (sampler.nodeID(), sampler.nodeID())
    let address = sampler.address(isIPv4: isIPv4)
    // As probes are numbered: nine bytes on the wire, whichever number.
    let number: UInt64 = .max >> 2 | 1 << 60
    func bytes(_ body: MessageBody) -> Int { sampler.signer(0).seal(body, sequence: 1).value.envelope.encoded.count }
    func ping(_ rumours: [Envelope], height: UInt64) -> MessageBody {
      .ping(Ping(receiver: receiver, number: number, height: height, observed: address, rumours: rumours))
    }
    func ack(_ rumours: [Envelope], height: UInt64) -> MessageBody {
      .ack(Ack(receiver: receiver, number: number, height: height, observed: address, rumours: rumours))
    }
    // A newcomer at height 0 is answered by a node at any height.
    #expect(bytes(ping([], height: 0)) == bytes(ack([], height: .max)))
    // Who helps answers with no rumours; the question is shorter than a ping.
    let request = MessageBody.pingRequest(PingRequest(receiver: receiver, number: number, target: target))
    #expect(bytes(request) >= bytes(ack([], height: .max)))
    #expect(bytes(request) >= bytes(.nack(Nack(receiver: receiver, number: number))))
    // A record may have any length up to its bound, so that the rumours can fill their room to the byte.
    func rumour(_ size: Int) throws -> Envelope {
      var writer = WireWriter()
      writer.raw([1, EnvelopeKind.nodeRecord.rawValue] + [UInt8](repeating: 7, count: 48))
      writer.lengthPrefixed([UInt8](repeating: 9, count: size - Envelope.overheadBytes - 2))
      writer.signature(.zero)
      let envelope = try Envelope(decoding: writer.bytes)
      #expect(envelope.encoded.count == size)
      return envelope
    }
    let full = try [rumour(Rumours.maximumBytes / 2), rumour(Rumours.maximumBytes - Rumours.maximumBytes / 2)]
    let longest = bytes(ping(full, height: .max))
    #expect(longest == bytes(ack(full, height: .max)))
    #expect(longest == (isIPv4 ? 1_133 : 1_145) && longest <= BoundsTests.datagramPayloadBytes)
  }

  @Test func snapshotsUpToTheirBoundsDecode() throws {
    func chunk(_ entries: [SnapshotEntry], depth: UInt8 = SnapshotChunk.maximumDepth) -> SnapshotChunk {
      SnapshotChunk(
        height: .max, depth: depth, prefix: .zero, entries: entries,
        siblings: [MerkleSibling](repeating: .leaf(key: .zero, value: .zero), count: Int(depth)))
    }
    func check(_ chunk: SnapshotChunk) throws {
      let message = LinkMessage.consensus(.snapshot(chunk))
      #expect(try LinkMessage(decoding: message.encoded) == message)
    }
    let large = SnapshotEntry(
      table: 255, key: [UInt8](repeating: 1, count: SnapshotEntry.maximumKeyBytes),
      value: [UInt8](repeating: 2, count: SnapshotEntry.maximumValueBytes))
    try check(chunk([SnapshotEntry](repeating: large, count: 23)))
    let small = SnapshotEntry(table: 0, key: [], value: [])
    try check(chunk([SnapshotEntry](repeating: small, count: SnapshotChunk.maximumEntries), depth: 0))
    // To the byte.
    func filled(_ more: Int) -> SnapshotChunk {
      let rest = SnapshotChunk.maximumBytes - chunk([SnapshotEntry](repeating: large, count: 23)).encoded.count - 5
      let last = SnapshotEntry(table: 0, key: [], value: [UInt8](repeating: 3, count: rest + more))
      return chunk([SnapshotEntry](repeating: large, count: 23) + [last])
    }
    #expect(filled(0).encoded.count == SnapshotChunk.maximumBytes)
    try check(filled(0))
    #expect(throws: WireError.badValue(what: "snapshot chunk")) { try SnapshotChunk(decoding: filled(1).encoded) }
  }

  @Test func blocksUpToTheirBoundsDecode() throws {
    var sampler = try Sampler(seed: 21)
    let small = sampler.signer(0).seal(
      .transaction(Transaction(nonce: 0, feeMicrocredits: 0, expiresMilliseconds: 0, action: .renew)), sequence: 1
    ).value
    func block(_ transactions: [Message]) throws -> Block {
      try #require(
        Block(header: sampler.header(root: Block.transactionsRoot(transactions.map(\.id))), transactions: transactions))
    }
    let most = try block([Message](repeating: small, count: Block.maximumTransactions))
    #expect(try Block(decoding: most.encoded) == most)

    let results = (0..<13).map { _ in
      LeaseResult(
        lease: sampler.digest(), outputRoot: .zero, exit: .lost,
        usage: Usage(wallMilliseconds: 0, cpuMicroseconds: 0, peakMemoryBytes: 0),
        message: String(repeating: "m", count: 200), salt: .zero)
    }.sorted { $0.lease < $1.lease }
    let large = sampler.signer(0).seal(
      .transaction(
        Transaction(nonce: 0, feeMicrocredits: 0, expiresMilliseconds: 0, action: .revealResults(results))), sequence: 1
    ).value
    let each = large.envelope.encoded.count
    let fitting = try block([Message](repeating: large, count: (Block.maximumBytes - 200) / each))
    #expect(try Block(decoding: fitting.encoded).id == fitting.id)
    let oversized = try block([Message](repeating: large, count: Block.maximumBytes / each + 1))
    #expect(throws: WireError.tooLong(what: "block")) { try Block(decoding: oversized.encoded) }
  }

  @Test func aBlockWithAnotherRootIsNotMade() throws {
    var sampler = try Sampler(seed: 22)
    let block = sampler.block()
    #expect(Block(header: sampler.header(), transactions: block.transactions) == nil)
  }

  @Test func everyUnknownKindIsRefused() throws {
    var sampler = try Sampler(seed: 23)
    var bytes = sampler.message(.leave).envelope.encoded
    for kind in UInt8.min...UInt8.max where EnvelopeKind(rawValue: kind) == nil {
      bytes[1] = kind
      #expect(throws: WireError.unknownTag(what: "envelope kind")) { try Envelope(decoding: bytes) }
    }
  }
}
