import Consensus
import Core
import Membership
import Primitives
import Wire

/// Cores joined by links of one fixed delay, in virtual time.
struct FixedDelayNetwork {
  enum Event {
    case tick(Int)
    case frame(ConsensusMessage, from: Int, to: Int)
    case load
  }

  /// Transfers put to every node at once, each time.
  static let transfersAtOnce = 100

  let delay: Microseconds
  let genesis: Genesis
  let verifier: Verifier
  let signers: [Signer]
  var cores: [NodeCore] = []
  var known: [[ValidatorSet]]
  var wakeAt: [Instant]
  var queue = Schedule<Event>()
  var now = Instant(microseconds: 1_000_000)
  var round: UInt64 = 0
  /// When the first copy of a proposal left its leader, and its height.
  var proposed: [Digest: (at: Instant, height: UInt64)] = [:]
  /// From a proposal to each node's commit of it, in microseconds, from the height `countedFrom` on.
  var finality: [Int64] = []
  var commits: [UInt64: Instant] = [:]
  var countedFrom: UInt64 = 20
  var messages = 0
  var bytes = 0
  var height: UInt64 = 0

  init(nodes: Int, delay: Microseconds) {
    self.delay = delay
    func key(_ kind: UInt8, _ number: Int) -> NodeID {
      NodeID(Digest(hashing: [kind, UInt8(number & 255), UInt8(number >> 8)]).value)
    }
    let ids = (0..<nodes).map { key(0, $0) }.sorted()
    let accounts = (0..<FixedDelayNetwork.transfersAtOnce).map { key(1, $0) }
    var parameters = ChainParameters()
    parameters.blockIntervalMinimumMilliseconds = 1
    guard
      let genesis = try? Genesis(
        name: "model", createdMilliseconds: 1_000_000, parameters: parameters, validators: ids,
        balances: (ids + accounts).map { Genesis.Balance(account: $0, amountMicrocredits: 1_000_000_000_000) })
    else { fail("no genesis") }
    self.genesis = genesis
    let network = genesis.networkID
    verifier = Verifier(networkID: network) { _, _, _ in true }
    signers = accounts.map { Signer(id: $0, networkID: network) { _ in .zero } }
    known = [[ValidatorSet]](repeating: [], count: nodes)
    wakeAt = [Instant](repeating: .distantFuture, count: nodes)
    var settings = CoreSettings(membership: .lan)
    settings.beaconLength = 1_024
    let clock = WallClock(offset: Microseconds(1_000_000_000))
    for (number, id) in ids.enumerated() {
      let signer = Signer(id: id, networkID: network) { _ in .zero }
      let address = FixedDelayNetwork.address(number)
      let record = NodeRecord(
        name: "node\(number)", addresses: [address], roles: .validator, capabilities: .zero, agent: "model",
        expiresUnixSeconds: 1 << 40)
      cores.append(
        NodeCore(
          genesis: genesis, signer: signer, voteSigners: [signer], wallClock: clock, settings: settings,
          record: record, recovery: .fresh(genesis), seed: UInt64(number), now: now))
    }
  }

  private static func address(_ number: Int) -> PeerAddress {
    guard let address = PeerAddress(ip: [10, 0, UInt8(number >> 8), UInt8(number & 255)], port: 1) else {
      fail("no address")
    }
    return address
  }

  mutating func run(blocks: UInt64) {
    for number in cores.indices { step(number, .start) }
    for number in cores.indices {
      for other in cores.indices where other != number {
        step(number, .linkUp(cores[other].id, FixedDelayNetwork.address(other), isOutbound: number < other))
      }
    }
    queue.add(.load, at: now)
    while height < countedFrom + blocks, let (at, event) = queue.next() {
      now = at
      switch event {
      case .tick(let number):
        guard at >= wakeAt[number] else { continue }
        wakeAt[number] = .distantFuture
        step(number, .tick)
      case .frame(let message, let from, let to):
        // Every signature is the same here, and cost nothing.
        let sets = known[to]
        let latest = sets.last ?? genesis.validatorSet
        let validators = KnownValidators(set: { epoch in sets.first { $0.epoch == epoch } }, latest: { latest })
        guard let verified = try? verifier.verify(message, validators: validators) else { fail("a message is refused") }
        step(to, .consensus(verified, from: cores[from].id))
      case .load:
        load()
        queue.add(.load, at: now + delay * 2)
      }
    }
  }

  /// One transfer of each account, to every node in the same moment.
  private mutating func load() {
    let batch = signers.enumerated().map { index, signer in
      signer.seal(
        .transaction(
          Transaction(
            nonce: round, feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
            expiresMilliseconds: genesis.createdMilliseconds + 3_600_000,
            action: .transfer(to: signers[(index + 1) % signers.count].id, amountMicrocredits: 1))),
        sequence: round * 1_000 + UInt64(index) + 1)
    }
    round += 1
    for number in cores.indices { step(number, .gossip(batch, from: cores[(number + 1) % cores.count].id)) }
  }

  private mutating func step(_ number: Int, _ input: CoreInput) {
    var inputs = [input]
    while !inputs.isEmpty {
      var effects: [CoreEffect] = []
      cores[number].step(inputs.removeFirst(), now: now, into: &effects)
      var durable: UInt64 = 0
      // What is written is durable in the same moment.
      for effect in effects {
        if case .persist(let sequence, _) = effect { durable = max(durable, sequence) }
      }
      for effect in effects { perform(effect, of: number) }
      if durable > 0 { inputs.append(.persisted(upTo: durable)) }
    }
    let wake = max(cores[number].nextWake, now + Microseconds(1))
    if wake < wakeAt[number] {
      wakeAt[number] = wake
      queue.add(.tick(number), at: wake)
    }
  }

  private mutating func perform(_ effect: CoreEffect, of number: Int) {
    switch effect {
    case .send(.consensus(let message), let peer, _):
      guard let target = cores.firstIndex(where: { $0.id == peer }) else { return }
      if case .proposal(let block, _) = message, proposed[block.id] == nil {
        proposed[block.id] = (now, block.header.height)
      }
      if height >= countedFrom {
        messages += 1
        bytes += LinkMessage.consensus(message).encoded.count
      }
      queue.add(.frame(message, from: number, to: target), at: now + delay)
    case .committed(let blocks, _, _):
      for block in blocks.map(\.value) {
        height = max(height, block.header.height)
        if block.header.height > countedFrom, let proposal = proposed[block.id] {
          finality.append((now - proposal.at).count)
        }
      }
    case .validators(let set):
      known[number].append(set)
      known[number] = known[number].suffix(4)
    case .halt(let reason): fail(reason)
    default: break
    }
  }
}

/// Runs one and prints what it took.
func finality(nodes: Int, blocks: Int, delayMicroseconds: Int64) {
  let started = ContinuousClock.now
  var network = FixedDelayNetwork(nodes: nodes, delay: Microseconds(delayMicroseconds))
  network.run(blocks: UInt64(blocks))
  let counted = network.countedFrom
  let proposals = network.proposed.values.filter { $0.height > counted && $0.height <= network.height }
    .sorted { $0.height < $1.height }
  let intervals = zip(proposals, proposals.dropFirst()).map { ($1.at - $0.at).count }.sorted()
  let finality = network.finality.sorted()
  guard let most = finality.last, let longest = intervals.last else { fail("nothing became final") }
  print(
    """
    {"nodes": \(nodes), "blocks": \(network.height - counted), \
    "finalityMedianMicroseconds": \(finality[finality.count / 2]), "finalityMostMicroseconds": \(most), \
    "intervalMedianMicroseconds": \(intervals[intervals.count / 2]), "intervalMostMicroseconds": \(longest), \
    "messagesPerBlock": \(Double(network.messages) / Double(network.height - counted)), \
    "bytesPerBlock": \(Double(network.bytes) / Double(network.height - counted)), \
    "wallSeconds": \((ContinuousClock.now - started).microseconds / 1e6)}
    """)
}
