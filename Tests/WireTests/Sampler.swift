import Primitives
import Sodium
import Wire

/// Random values of every type, from a seed, with a leaning towards edges.
struct Sampler {
  var generator: SeededGenerator
  let networkID: Digest
  /// Seven fixed keys.
  let keys: [SigningKey]

  static func seed(_ number: Int) -> [UInt8] { Digest(hashing: Array("linnet test key \(number)".utf8)).bytes }

  init(seed: UInt64) throws {
    generator = SeededGenerator(seed: seed)
    networkID = Digest(hashing: Array("linnet test network".utf8))
    keys = try (0..<7).map { try SigningKey(seed: Sampler.seed($0)) }
  }

  func signer(_ number: Int) -> Signer {
    let key = keys[number]
    return Signer(id: key.id, networkID: networkID) { key.sign($0) }
  }

  mutating func number(most: UInt64 = .max) -> UInt64 {
    let edges: [UInt64] = [0, 1, 127, 128, 255, 256, 16_383, 16_384, 1 << 32, 1 << 63, .max - 1, .max]
    let value =
      generator.index(below: 3) == 0
      ? edges[generator.index(below: edges.count)]
      : generator.next() >> generator.next(below: 64)
    return most == .max ? value : value % (most + 1)
  }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: number()) }
  mutating func bool() -> Bool { generator.next(below: 2) == 1 }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(generator.next(below: 256)) } }
  mutating func digest() -> Digest { Digest(bytes: bytes(32)) ?? .zero }
  mutating func signature() -> Signature { Signature(bytes: bytes(64)) ?? .zero }
  mutating func nodeID() -> NodeID {
    bool() ? keys[generator.index(below: keys.count)].id : NodeID(digest().value)
  }

  mutating func text(_ limit: Int, from alphabet: String = "abcXYZ019-_./= \t\n\"\\\u{1}\u{7f}äß€漢🐦e\u{301}") -> String
  {
    if generator.index(below: 8) == 0 { return String(repeating: "x", count: limit) }
    let scalars = Array(alphabet.unicodeScalars)
    var text = ""
    for _ in 0..<generator.index(below: min(limit, 40)) {
      let next = text + String(scalars[generator.index(below: scalars.count)])
      if next.utf8.count > limit { break }
      text = next
    }
    return text
  }

  mutating func list<Element>(_ most: Int, _ make: (inout Sampler) -> Element) -> [Element] {
    let counts = [0, 1, 2, min(most, 5)]
    return (0..<counts[generator.index(below: counts.count)]).map { _ in make(&self) }
  }

  mutating func address(isIPv4: Bool? = nil) -> PeerAddress {
    var ip = isIPv4 ?? bool() ? bytes(4) : (0..<8).flatMap { _ in bool() ? [0, 0] : bytes(2) }
    if ip.starts(with: [UInt8](repeating: 0, count: 10)) { ip[0] = 0x20 }
    guard let address = PeerAddress(ip: ip, port: UInt16(number(most: 65_535))) else {
      preconditionFailure("4 or 16 bytes are an address")
    }
    return address
  }

  // Membership

  mutating func nodeRecord() -> NodeRecord {
    NodeRecord(
      name: text(NodeRecord.maximumNameBytes), addresses: list(4) { $0.address() }.suffix(4),
      roles: Roles(rawValue: UInt8(generator.next(below: 4))), capabilities: digest(),
      agent: text(NodeRecord.maximumAgentBytes),
      via: OrderedSet(list(NodeRecord.maximumVia) { NodeID($0.digest().value) }.prefix(3)).members.sorted(),
      expiresUnixSeconds: number())
  }
  mutating func accusation() -> Accusation { Accusation(accused: nodeID(), incarnation: number()) }
  mutating func rumours() -> [Envelope] {
    list(3) { $0.message([.nodeRecord, .accusation, .leave][$0.generator.index(below: 3)]).envelope }.suffix(2)
  }
  mutating func ping() -> Ping {
    Ping(receiver: nodeID(), number: number(), height: number(), observed: address(), rumours: rumours())
  }
  mutating func ack() -> Ack {
    Ack(receiver: nodeID(), number: number(), height: number(), observed: address(), rumours: rumours())
  }
  mutating func nack() -> Nack { Nack(receiver: nodeID(), number: number()) }
  mutating func pingRequest() -> PingRequest { PingRequest(receiver: nodeID(), number: number(), target: nodeID()) }

  mutating func body(_ kind: EnvelopeKind) -> MessageBody {
    switch kind {
    case .nodeRecord: .nodeRecord(nodeRecord())
    case .accusation: .accusation(accusation())
    case .leave: .leave
    case .nodeList: .nodeList(nodeList())
    case .ping: .ping(ping())
    case .ack: .ack(ack())
    case .nack: .nack(nack())
    case .pingRequest: .pingRequest(pingRequest())
    case .transaction: .transaction(transaction())
    }
  }

  mutating func message(_ kind: EnvelopeKind, key: Int? = nil) -> Message {
    let key = key ?? generator.index(below: keys.count)
    while true {
      var body = body(kind)
      if case .transaction(var transaction) = body, case .rotateKey = transaction.action {
        transaction.action = .rotateKey(voteKey(of: keys[key].id))
        body = .transaction(transaction)
      }
      if body.payload.count <= kind.maximumPayloadBytes {
        return signer(key).seal(body, sequence: number()).value
      }
    }
  }

  mutating func message() -> Message {
    message(EnvelopeKind.allCases[generator.index(below: EnvelopeKind.allCases.count)])
  }

  // Ledger

  mutating func label() -> Label { Label(key: text(Label.maximumBytes), value: text(Label.maximumBytes)) }
  mutating func labels() -> [Label] { Label.canonical(list(16) { $0.label() }) }
  mutating func resources() -> Resources {
    Resources(cpuMilli: UInt32(number(most: UInt64(UInt32.max))), memoryBytes: number(), diskBytes: number())
  }
  mutating func gpuOffer() -> GPUOffer {
    GPUOffer(vendor: text(Label.maximumBytes), model: text(Label.maximumBytes), memoryBytes: number())
  }
  mutating func prices() -> Prices {
    Prices(cpuSecondMicrocredits: number(), memoryGiBSecondMicrocredits: number(), gpuSecondMicrocredits: number())
  }
  mutating func isolation() -> Isolation { Isolation.allCases[generator.index(below: 3)] }
  mutating func offerTerms() -> OfferTerms {
    OfferTerms(
      resources: resources(), gpus: list(16) { $0.gpuOffer() }, labels: labels(),
      drivers: Label.canonical(list(8) { $0.label() }).map(\.key), isolation: isolation(),
      maximumJobs: UInt16(number(most: 65_535)), prices: prices(), validUntilMilliseconds: number())
  }
  mutating func jobTerms() -> JobTerms {
    JobTerms(
      specification: digest(), resources: resources(), gpuCount: byte(), gpuMemoryBytes: number(), labels: labels(),
      driver: text(Label.maximumBytes), isolation: isolation(), mayRunOnSubmitter: bool(), replication: byte(),
      retries: byte(), maximumPricePerSecondMicrocredits: number(), wallLimitMilliseconds: number(),
      startDeadlineMilliseconds: number())
  }
  mutating func input() -> JobSpecification.Input {
    JobSpecification.Input(
      name: "n" + text(JobSpecification.maximumNameBytes - 1, from: "ab.ä🐦= "), root: digest(), isDirectory: bool())
  }
  mutating func jobSpecification() -> JobSpecification {
    let variables = list(256) { sampler -> (name: String, value: String) in
      ("V" + sampler.text(JobSpecification.maximumNameBytes - 1, from: "ABC_ä🐦 "), sampler.text(300))
    }
    return JobSpecification(
      command: ["/bin/" + text(200)] + list(1_023) { $0.text(500) }, environment: variables,
      inputs: list(256) { $0.input() })
  }
  mutating func exitStatus() -> ExitStatus {
    [
      .exited(code: byte()), .signalled(signal: byte()), .wallLimit, .memoryLimit, .diskLimit, .startFailed, .lost,
    ][generator.index(below: 7)]
  }
  mutating func usage() -> Usage {
    Usage(wallMilliseconds: number(), cpuMicroseconds: number(), peakMemoryBytes: number())
  }
  mutating func leaseCommitment() -> LeaseCommitment { LeaseCommitment(lease: digest(), commitment: digest()) }
  mutating func leaseResult() -> LeaseResult {
    LeaseResult(
      lease: digest(), outputRoot: digest(), exit: exitStatus(), usage: usage(),
      message: text(LeaseResult.maximumMessageBytes), salt: digest())
  }
  mutating func action(_ tag: Int) -> TransactionAction {
    switch tag {
    case 1: .transfer(to: nodeID(), amountMicrocredits: number())
    case 2: .offer(offerTerms())
    case 3: .withdraw
    case 4: .submitJob(jobTerms())
    case 5: .cancelJob(job: digest())
    case 6: .renew
    case 7: .acceptLease(lease: digest())
    case 8: .declineLease(lease: digest(), reason: text(TransactionAction.maximumReasonBytes))
    case 9: .commitResults(list(32) { $0.leaseCommitment() }.sorted { $0.lease < $1.lease })
    case 10: .revealResults(list(32) { $0.leaseResult() }.sorted { $0.lease < $1.lease })
    case 11: .attest(provider: nodeID(), liveness: bool() ? .up : .down)
    case 12: .stake(amountMicrocredits: number())
    case 13: .unstake
    case 14: .rotateKey(voteKey(of: nodeID()))
    case 15: .registerBeacon(tip: digest(), length: 1 + number(most: TransactionAction.maximumBeaconLength - 1))
    default: .evidence(evidence())
    }
  }
  mutating func action() -> TransactionAction { action(1 + generator.index(below: 16)) }
  mutating func voteKey(of node: NodeID) -> VoteKey { signer(generator.index(below: keys.count)).voteKey(of: node) }
  mutating func evidence(_ kind: Evidence.Kind? = nil) -> Evidence {
    let (epoch, view) = (number(), 1 + number(most: .max - 1))
    let kind = kind ?? [.conflictingNotarize, .conflictingFinalize, .nullifyAndFinalize][generator.index(below: 3)]
    func notarize(_ sampler: inout Sampler) -> VoteSubject {
      .notarize(epoch: epoch, view: view, parentView: sampler.number(most: view - 1), blockID: sampler.digest())
    }
    func finalize(_ sampler: inout Sampler) -> VoteSubject {
      .finalize(epoch: epoch, view: view, parentView: sampler.number(most: view - 1), blockID: sampler.digest())
    }
    let subjects: [VoteSubject] =
      switch kind {
      case .conflictingNotarize: [notarize(&self), notarize(&self)]
      case .conflictingFinalize: [finalize(&self), finalize(&self)]
      case .nullifyAndFinalize: [.nullify(epoch: epoch, view: view), finalize(&self)]
      }
    let (signer, voter) = (signer(generator.index(below: keys.count)), UInt16(number(most: 65_535)))
    let votes = subjects.map { signer.vote($0, as: voter).value }
    guard let evidence = Evidence(key: signer.id, votes[0], votes[1]) else {
      preconditionFailure("two blocks of one view contradict each other")
    }
    return evidence
  }
  mutating func transaction() -> Transaction {
    Transaction(nonce: number(), feeMicrocredits: number(), expiresMilliseconds: number(), action: action())
  }

  // Chain

  mutating func chainParameters() -> ChainParameters {
    var random: [UInt64] = (0..<22).map { _ in 1 + number(most: ChainParameters.maximumValue - 1) }
    random[18] = ChainParameters.minimumEpochBlocks + random[18] % (ChainParameters.maximumEpochBlocks - 3)
    random[20] %= 1_000_001
    random[21] = 1 + random[21] % ChainParameters.maximumEvidenceAgeEpochs
    var writer = WireWriter()
    for value in random { writer.varint(value) }
    return (try? ChainParameters(decoding: writer.bytes)) ?? ChainParameters()
  }
  mutating func balance() -> Genesis.Balance {
    Genesis.Balance(account: NodeID(digest().value), amountMicrocredits: number())
  }
  mutating func genesis() throws -> Genesis {
    let validators = Array(keys.map(\.id).prefix(1 + generator.index(below: 7)))
    return try Genesis(
      name: text(Genesis.maximumNameBytes), createdMilliseconds: number(most: ChainParameters.maximumValue),
      parameters: chainParameters(), validators: validators,
      balances: list(8) {
        Genesis.Balance(account: NodeID($0.digest().value), amountMicrocredits: $0.number(most: 1 << 60))
      })
  }
  mutating func header(root: Digest? = nil, parent: BlockHeader? = nil, next: [Validator]? = nil) -> BlockHeader {
    let parentView = number(most: .max - 1)
    return BlockHeader(
      epoch: parent?.epoch ?? number(most: .max - 1), view: max(parentView + 1, number()),
      height: parent.map { $0.height + 1 } ?? 1 + number(most: 1 << 62),
      parentID: parent?.id ?? digest(), parentView: parentView, timestampMilliseconds: number(),
      transactionsRoot: root ?? digest(), stateRoot: digest(),
      nextValidators: next.map(ValidatorSet.digest(of:)) ?? digest(), reveal: bool() ? digest() : .zero)
  }
  mutating func block(parent: BlockHeader? = nil) -> Block {
    let transactions = list(4) { $0.message(.transaction) }
    let header = header(root: Block.transactionsRoot(transactions.map(\.id)), parent: parent)
    guard let block = Block(header: header, transactions: transactions) else {
      preconditionFailure("a block is made with its own root")
    }
    return block
  }
  mutating func subject(_ kind: VoteKind? = nil, blockID: Digest? = nil, epoch: UInt64? = nil) -> VoteSubject {
    let (epoch, parentView) = (epoch ?? number(), number(most: .max - 1))
    let view = max(parentView + 1, number())
    switch kind ?? VoteKind.allCases[generator.index(below: 3)] {
    case .notarize:
      return .notarize(epoch: epoch, view: view, parentView: parentView, blockID: blockID ?? digest())
    case .nullify: return .nullify(epoch: epoch, view: view)
    case .finalize:
      return .finalize(epoch: epoch, view: view, parentView: parentView, blockID: blockID ?? digest())
    }
  }
  mutating func vote(_ subject: VoteSubject) -> Vote {
    signer(generator.index(below: 7)).vote(subject, as: UInt16(number(most: 65_535))).value
  }
  mutating func certificate(_ subject: VoteSubject) -> Certificate {
    var voters = (0..<7).map { $0 * 15 + generator.index(below: 15) - 2 }.filter { $0 >= 0 }
    voters.removeFirst(generator.index(below: voters.count))
    let votes = voters.enumerated().map { signer($0.offset % 7).vote(subject, as: UInt16($0.element)) }
    guard let certificate = Certificate.assemble(votes) else { preconditionFailure("voters ascend") }
    return certificate.value
  }

  mutating func consensus(_ tag: Int) -> ConsensusMessage {
    switch tag {
    case 1: return .vote(vote(subject()))
    case 2: return .certificate(certificate(subject()))
    case 3:
      let block = block()
      return .proposal(block, vote(subject(.notarize, blockID: block.id, epoch: block.header.epoch)))
    case 4: return .blockRequest(list(16) { $0.digest() })
    case 5: return .blocks(list(16) { $0.block() })
    case 6:
      let from = number(most: .max - 64)
      return .certificateRequest(from: from, to: from + generator.next(below: 64))
    case 7: return .certificates(list(128) { $0.certificate($0.subject()) })
    case 8: return .chainRequest(fromHeight: number())
    case 9:
      var blocks = [block()]
      for _ in 0..<generator.index(below: 3) { blocks.append(block(parent: blocks[blocks.count - 1].header)) }
      return .chain(blocks, finalization: finalization(of: blocks[blocks.count - 1].header))
    case 10: return .epochRequest(fromEpoch: number())
    case 11:
      return .epochs(
        list(5) { $0.epochLink() }.sorted { $0.header.epoch < $1.header.epoch }.reduce(into: []) { links, link in
          if links.last?.header.epoch != link.header.epoch { links.append(link) }
        })
    case 12: return .snapshotRequest(height: number(), covering: digest())
    case 13: return .snapshot(snapshotChunk())
    default:
      return .relayRequest(
        epoch: number(),
        voters: list(5) { UInt16($0.number(most: 65_535)) }.sorted().reduce(into: []) { voters, voter in
          if voters.last != voter { voters.append(voter) }
        })
    }
  }
  mutating func consensus() -> ConsensusMessage { consensus(1 + generator.index(below: 14)) }
  mutating func finalization(of header: BlockHeader) -> Certificate {
    certificate(subject(.finalize, blockID: header.id, epoch: header.epoch))
  }

  // Epochs and snapshots

  mutating func validators() -> [Validator] {
    let most = [1, 4, 100][generator.index(below: 3)]
    return (0..<most).map { _ in Validator(node: NodeID(digest().value), key: NodeID(digest().value)) }
  }
  mutating func epochLink() -> EpochLink {
    let next = validators()
    let header = header(next: next)
    guard let link = EpochLink(header: header, finalization: finalization(of: header), next: next) else {
      preconditionFailure("a link is made of its own parts")
    }
    return link
  }
  mutating func snapshotEntry() -> SnapshotEntry {
    SnapshotEntry(table: byte(), key: bytes(generator.index(below: 129)), value: bytes(generator.index(below: 300)))
  }
  mutating func merkleSibling() -> MerkleSibling {
    switch generator.index(below: 3) {
    case 0: .empty
    case 1: .leaf(key: digest(), value: digest())
    default: .inner(digest())
    }
  }
  mutating func snapshotChunk() -> SnapshotChunk {
    let depth = generator.index(below: Int(SnapshotChunk.maximumDepth) + 1)
    var prefix = bytes(32)
    for bit in depth..<256 { prefix[bit / 8] &= ~(0x80 >> UInt8(bit % 8)) }
    return SnapshotChunk(
      height: number(), depth: UInt8(depth), prefix: Digest(bytes: prefix) ?? .zero,
      entries: list(8) { $0.snapshotEntry() },
      siblings: (0..<(bool() ? depth : generator.index(below: depth + 1))).map { _ in merkleSibling() })
  }
  mutating func gossip(_ tag: Int) -> GossipMessage {
    switch tag {
    case 1: .publish(list(64) { $0.message().envelope })
    case 2: .announce(list(512) { $0.digest() })
    case 3: .request(list(512) { $0.digest() })
    case 4: .graft
    case 5:
      .prune(
        reason: PruneReason.allCases[generator.index(below: PruneReason.allCases.count)],
        backoffSeconds: UInt16(number(most: UInt64(GossipMessage.maximumBackoffSeconds))))
    default: .unwanted(list(512) { $0.digest() })
    }
  }
  mutating func gossip() -> GossipMessage { gossip(1 + generator.index(below: 6)) }
  mutating func service() -> ServiceMessage {
    ServiceMessage(number: number(), isAnswer: bool(), service: byte(), body: bytes(generator.index(below: 300)))
  }
  mutating func link(_ tag: Int) -> LinkMessage {
    switch tag {
    case 1: .consensus(consensus())
    case 2: .gossip(gossip())
    case 3: .members(list(8) { $0.message([.nodeRecord, .accusation, .leave][$0.generator.index(below: 3)]).envelope })
    case 4: .service(service())
    case 5: .memberDigest(memberDigest())
    default: .memberRequest(memberRequest())
    }
  }
  mutating func link() -> LinkMessage { link(1 + generator.index(below: 6)) }
}
