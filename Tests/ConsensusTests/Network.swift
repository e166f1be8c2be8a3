import Consensus
import Primitives
import Testing
import Wire

/// A few machines under virtual time, over links that delay and lose, on disks that forget what was not synced.
final class Network {
  struct Key: Comparable {
    var time: Int64
    var order: UInt64
    static func < (left: Key, right: Key) -> Bool {
      left.time == right.time ? left.order < right.order : left.time < right.time
    }
  }

  enum Event {
    case deliver(ConsensusMessage, from: Int, to: Int, life: Int)
    case durable(node: Int, life: Int, upTo: UInt64)
    case tick(node: Int, life: Int)
  }

  struct Node {
    let signer: Signer
    var machine: SimplexMachine?
    var life = 0
    /// Synced, in order.
    var journal: [ConsensusRecord] = []
    var unsynced: [(sequence: UInt64, record: ConsensusRecord)] = []
    var durable: UInt64 = 0
    var held: [(message: ConsensusMessage, to: ConsensusRecipient, after: UInt64)] = []
    /// Final blocks from height 1, and the finalizations by height.
    var chain: [Block] = []
    var finalizations: [UInt64: Verified<Certificate>] = [:]
    /// State roots by block id.
    var states: [Digest: Digest] = [:]
    var scheduledWake: Instant?
    var lastParent: Digest?
    var mayVote = true
    var clockOffset: Microseconds = .zero
    var divergence: String?
    var builds = 0
  }

  /// The validators of the first epoch.
  let validators: ValidatorSet
  let networkID = Digest(hashing: Array("test network".utf8))
  let verifier: Verifier
  var settings: ConsensusSettings
  var nodes: [Node] = []
  var now = Instant.zero
  var generator: SeededGenerator

  // What the network does to messages.
  var delay = Microseconds.milliseconds(10)
  var jitter = Microseconds.zero
  var lossPartsPerMillion: UInt64 = 0
  var diskDelay = Microseconds.zero
  var hasWork = true
  /// Whether a message from one node to another gets lost.
  var cuts: (Int, Int, ConsensusMessage) -> Bool = { _, _, _ in false }
  /// Changes what a node builds.
  var corruptBuild: (Int, BlockHeader) -> BlockHeader = { $1 }
  /// What is in each block that is built.
  var transactions: [Verified<Message>] = []
  /// Nodes whose execution went wrong.
  var misexecuting: Set<Int> = []
  /// Sees each message that leaves.
  var watch: (Int, ConsensusMessage, Instant) -> Void = { _, _, _ in }

  /// The validators of later epochs; those of the first by default.
  var laterValidators: (UInt64) -> ValidatorSet? = { _ in nil }
  /// The signer of a node's votes in an epoch; the node's own by default.
  var voteSigner: (Int, UInt64) -> Signer? = { _, _ in nil }
  /// Whether two nodes, the lower first, have no link to each other.
  var isUnlinked: (Int, Int) -> Bool = { _, _ in false }

  // What was seen.
  var evidence: [(node: Int, evidence: Evidence)] = []
  var epochsEnded: [(node: Int, epoch: UInt64, boundary: Certificate)] = []
  var votesSent: [(node: Int, vote: Vote)] = []
  var messagesSent = 0
  var commits: [(node: Int, block: Block, at: Instant)] = []
  var proposals: [(view: UInt64, at: Instant)] = []

  /// Blocks that honest nodes built.
  var recentBlocks: [Block] = []

  private var events = Table<Key, Event>()
  private var order: UInt64 = 0

  static func signer(_ index: Int, networkID: Digest) -> Signer {
    let id = NodeID(Digest(hashing: Array("node \(index)".utf8)).value)
    return Signer(id: id, networkID: networkID) { Network.sign($0, as: id) }
  }

  static func sign(_ bytes: [UInt8], as id: NodeID) -> Signature {
    let half = Digest(hashing: id.bytes + bytes).bytes
    return Signature(bytes: half + half)!
  }

  init(_ count: Int, observers: Int = 0, seed: UInt64 = 1, parameters: ChainParameters = ChainParameters()) {
    let networkID = self.networkID
    let signers = (0..<count + observers).map { Network.signer($0, networkID: networkID) }
    validators = ValidatorSet(epoch: 0, members: signers.prefix(count).map(\.id))!
    verifier = Verifier(networkID: networkID) { signature, bytes, id in Network.sign(bytes, as: id) == signature }
    settings = ConsensusSettings(parameters)
    generator = SeededGenerator(seed: seed)
    nodes = signers.map { Node(signer: $0) }
    for index in nodes.indices { nodes[index].states[networkID] = networkID }
  }

  // MARK: Nodes

  func startAll() { for index in nodes.indices { start(index) } }

  func set(_ epoch: UInt64) -> ValidatorSet { laterValidators(epoch) ?? validators.inEpoch(epoch) }

  /// All sets, or those that a node in an epoch can know.
  func known(upTo latest: UInt64 = .max) -> KnownValidators {
    let sets = (0...min(latest, 64)).map { set($0) }
    return KnownValidators(set: { $0 < sets.count ? sets[Int($0)] : nil }, latest: { sets[sets.count - 1] })
  }

  var epochBlocks: Int { Int(settings.epochBlocks) }

  func machine(
    _ tip: FinalTip, _ index: Int, boundary: Verified<Certificate>? = nil, records: [ConsensusRecord],
    firstPersist: UInt64 = 0
  ) -> SimplexMachine {
    let node = nodes[index].signer
    return SimplexMachine(
      settings: settings, validators: set(tip.epoch), signer: voteSigner(index, tip.epoch) ?? node, node: node.id,
      verifier: verifier, tip: tip, boundary: boundary, records: records, mayVote: nodes[index].mayVote,
      wallClock: wallClock(index), seed: UInt64(index), firstPersist: firstPersist)
  }

  /// Where a node goes on after its last final block.
  func tip(_ index: Int) -> (tip: FinalTip, boundary: Verified<Certificate>?) {
    guard let last = nodes[index].chain.last else {
      return (.genesis(networkID: networkID, createdMilliseconds: 1_000), nil)
    }
    let epoch = last.header.height / settings.epochBlocks
    let isStart = last.header.height % settings.epochBlocks == 0
    let finalization = isStart ? nil : nodes[index].finalizations[last.header.height]
    let tip = FinalTip(
      blockID: last.id, height: last.header.height,
      view: isStart ? 0 : finalization?.value.subject.view ?? last.header.view,
      timestampMilliseconds: last.header.timestampMilliseconds, epoch: epoch, finalization: finalization)
    return (tip, nodes[index].finalizations[epoch * settings.epochBlocks])
  }

  func linked(_ index: Int) -> [NodeID] {
    nodes.indices.filter { $0 != index && nodes[$0].machine != nil && isLinked(index, $0) }.map { nodes[$0].signer.id }
  }

  func isLinked(_ one: Int, _ other: Int) -> Bool { !isUnlinked(min(one, other), max(one, other)) }

  func wallClock(_ index: Int) -> WallClock { WallClock(offset: .seconds(1_000) + nodes[index].clockOffset) }

  func start(_ index: Int) {
    precondition(nodes[index].machine == nil)
    let (tip, boundary) = tip(index)
    nodes[index].machine = machine(tip, index, boundary: boundary, records: nodes[index].journal)
    nodes[index].lastParent = nil
    step(index, .start(links: []))
    for other in nodes.indices where other != index && nodes[other].machine != nil && isLinked(index, other) {
      step(index, .linkUp(nodes[other].signer.id))
      step(other, .linkUp(nodes[index].signer.id))
    }
  }

  /// Power loss: what was not synced is gone.
  func crash(_ index: Int) {
    nodes[index].machine = nil
    nodes[index].life += 1
    nodes[index].unsynced = []
    nodes[index].held = []
    nodes[index].durable = 0
    nodes[index].scheduledWake = nil
    let final = Set(nodes[index].chain.map(\.id)).union([networkID])
    nodes[index].states = nodes[index].states.filter { final.contains($0.key) }
    for other in nodes.indices where nodes[other].machine != nil && isLinked(index, other) {
      step(other, .linkDown(nodes[index].signer.id))
    }
  }

  // MARK: Stepping

  func step(_ index: Int, _ first: ConsensusInput) {
    var inputs = [first]
    while !inputs.isEmpty {
      guard var machine = nodes[index].machine else { return }
      nodes[index].machine = nil
      var effects: [ConsensusEffect] = []
      machine.step(inputs.removeFirst(), now: now, into: &effects)
      nodes[index].machine = machine
      for effect in effects { perform(effect, on: index, &inputs) }
      if machine.workParent != nodes[index].lastParent {
        nodes[index].lastParent = machine.workParent
        inputs.append(.work(isPending: hasWork))
      }
    }
    guard let wake = nodes[index].machine?.nextWake else { return }
    if wake <= now { Issue.record("a wake that does not lie ahead would spin") }
    if nodes[index].scheduledWake.map({ wake < $0 || $0 <= now }) ?? true {
      nodes[index].scheduledWake = wake
      push(.tick(node: index, life: nodes[index].life), at: wake)
    }
  }

  func perform(_ effect: ConsensusEffect, on index: Int, _ inputs: inout [ConsensusInput]) {
    switch effect {
    case .persist(let sequence, let record):
      let last = nodes[index].unsynced.last?.sequence ?? nodes[index].durable
      #expect(sequence == last + 1)
      if case .certificate(let certificate) = record,
        let own = set(certificate.subject.epoch).index(of: nodes[index].signer.id),
        certificate.signers.contains(own)
      {
        let isDurable = nodes[index].journal.contains { record in
          if case .ownVote(let vote) = record { vote.subject == certificate.subject } else { false }
        }
        #expect(isDurable, "an own vote counted before it was durable")
      }
      nodes[index].unsynced.append((sequence, record))
      push(.durable(node: index, life: nodes[index].life, upTo: sequence), at: now + diskDelay)
    case .send(let message, let recipient, let after):
      if after <= nodes[index].durable {
        transmit(message, from: index, to: recipient)
      } else {
        nodes[index].held.append((message, recipient, after))
      }
    case .build(let request): inputs.append(.built(view: request.view, build(request, on: index)))
    case .execute(let block): inputs.append(.executed(blockID: block.value.id, execute(block.value, on: index)))
    case .commit(let blocks, let finalization):
      #expect(blocks.count <= settings.bounds.commitBlocks, "a longer commit could not be served")
      #expect(blocks.last?.value.id == finalization.value.subject.blockID)
      for block in blocks {
        #expect(block.value.header.height == UInt64(nodes[index].chain.count) + 1)
        #expect(nodes[index].states[block.value.id] == block.value.header.stateRoot)
        nodes[index].chain.append(block.value)
        commits.append((index, block.value, now))
      }
      nodes[index].finalizations[UInt64(nodes[index].chain.count)] = finalization
    case .serveChain(let height, let peer):
      let chain = nodes[index].chain
      // An answer never crosses the end of an epoch.
      let end = (Int(height) + epochBlocks - 1) / epochBlocks * epochBlocks
      let limit = min(chain.count, end, Int(height) - 1 + settings.bounds.commitBlocks)
      guard
        let end = (Int(height)...max(Int(height), limit)).last(where: { nodes[index].finalizations[UInt64($0)] != nil }
        ),
        end <= chain.count, let finalization = nodes[index].finalizations[UInt64(end)]
      else { return }
      transmit(
        .chain(Array(chain[Int(height) - 1..<end]), finalization: finalization.value), from: index, to: .node(peer))
    case .epochEnded(let boundary):
      epochsEnded.append((index, boundary.value.subject.epoch, boundary.value))
      guard let ended = nodes[index].machine else { return }
      #expect(ended.isEnded && ended.nextWake == nil && ended.tip.height == ended.lastHeight)
      let next = tip(index)
      #expect(next.boundary == boundary && next.tip.epoch == ended.epoch + 1)
      nodes[index].machine = machine(
        next.tip, index, boundary: boundary, records: [], firstPersist: ended.persistSequence)
      nodes[index].lastParent = nil
      inputs.insert(.start(links: linked(index)), at: 0)
    case .evidence(let found): evidence.append((index, found))
    case .diverged(_, let reason): nodes[index].divergence = reason
    }
  }

  /// The next state is a hash of the parent's and of what is in the block.
  func nextState(_ parent: Digest, _ header: BlockHeader) -> Digest {
    Digest(domain: 7, parent, header.transactionsRoot)
  }

  func header(_ request: BuildRequest, parentState: Digest, wallMilliseconds: UInt64) -> BlockHeader {
    var header = BlockHeader(
      epoch: request.epoch, view: request.view, height: request.height, parentID: request.parentID,
      parentView: request.parentView,
      timestampMilliseconds: max(wallMilliseconds, request.minimumTimestampMilliseconds),
      transactionsRoot: Block.transactionsRoot(transactions.map(\.value.id)), stateRoot: .zero, nextValidators: .zero,
      reveal: .zero)
    header.stateRoot = nextState(parentState, header)
    return header
  }

  private func build(_ request: BuildRequest, on index: Int) -> Verified<Block>? {
    guard let parent = nodes[index].states[request.parentID] else { return nil }
    let header = corruptBuild(
      index, header(request, parentState: parent, wallMilliseconds: wallClock(index).unixMilliseconds(at: now)))
    let block = Verified<Block>(header: header, transactions: transactions)!
    nodes[index].states[block.value.id] = header.stateRoot
    nodes[index].builds += 1
    recentBlocks.append(block.value)
    proposals.append((request.view, now))
    return block
  }

  private func execute(_ block: Block, on index: Int) -> ExecutionOutcome {
    guard let parent = nodes[index].states[block.header.parentID] else { return .missingParent }
    guard !misexecuting.contains(index) else { return .invalid }
    guard nextState(parent, block.header) == block.header.stateRoot else { return .invalid }
    nodes[index].states[block.id] = block.header.stateRoot
    return .valid
  }

  // MARK: Messages

  func transmit(_ message: ConsensusMessage, from index: Int, to recipient: ConsensusRecipient) {
    // Nothing is signed on the wire that is not durable.
    let vote: Vote? =
      switch message {
      case .vote(let vote), .proposal(_, let vote): vote
      default: nil
      }
    if let vote, set(vote.subject.epoch).member(vote.voter) == nodes[index].signer.id {
      #expect(nodes[index].journal.contains(.ownVote(vote)), "a vote left before it was durable")
      votesSent.append((index, vote))
    }
    watch(index, message, now)
    let epoch = nodes[index].machine?.epoch ?? 0
    for other in nodes.indices where other != index && isLinked(index, other) {
      let id = nodes[other].signer.id
      switch recipient {
      case .node(let receiver): guard id == receiver else { continue }
      case .validators(let except): guard set(epoch).index(of: id) != nil, !except.contains(id) else { continue }
      case .everyone(let except): guard !except.contains(id) else { continue }
      }
      deliver(message, from: index, to: other)
    }
  }

  func deliver(_ message: ConsensusMessage, from index: Int, to other: Int) {
    messagesSent += 1
    if cuts(index, other, message) || generator.chance(partsPerMillion: lossPartsPerMillion) { return }
    push(
      .deliver(message, from: index, to: other, life: nodes[other].life), at: now + delay + generator.span(upTo: jitter)
    )
  }

  /// The state root after a block, as far as any node knows.
  func knownState(_ id: Digest) -> Digest? { nodes.lazy.compactMap { $0.states[id] }.first }

  /// Delivers what a node that the test plays says.
  func inject(_ message: ConsensusMessage, as index: Int, to others: [Int]) {
    for other in others { deliver(message, from: index, to: other) }
  }

  func vote(_ subject: VoteSubject, by index: Int) -> Verified<Vote> {
    let set = set(subject.epoch)
    return (voteSigner(index, subject.epoch) ?? nodes[index].signer).vote(
      subject, as: set.index(of: nodes[index].signer.id) ?? 0)
  }

  /// A certificate signed by the given nodes.
  func certificate(_ subject: VoteSubject, by signers: [Int]) -> Certificate {
    Certificate.assemble(signers.map { vote(subject, by: $0) })!.value
  }

  func verified(_ message: ConsensusMessage) -> Verified<ConsensusMessage>? {
    guard let decoded = try? ConsensusMessage(decoding: message.encoded) else { return nil }
    return try? verifier.verify(decoded, validators: known(upTo: 8))
  }

  /// What a node makes of a message: it knows the validators of its own epoch and the next.
  private func received(_ message: ConsensusMessage, by index: Int, from peer: NodeID) -> ConsensusInput? {
    guard let decoded = try? ConsensusMessage(decoding: message.encoded) else { return nil }
    do {
      let known = known(upTo: (nodes[index].machine?.epoch ?? 0) + 1)
      return .message(try verifier.verify(decoded, validators: known), from: peer)
    } catch VerificationError.unknownEpoch {
      return .laterEpoch(peer)
    } catch {
      return nil
    }
  }

  // MARK: Time

  private func push(_ event: Event, at time: Instant) {
    order += 1
    events[Key(time: time.microseconds, order: order)] = event
  }

  func run(for span: Microseconds) { run(until: { false }, limit: span) }

  /// Runs until a condition holds; false when `limit` passed first.
  @discardableResult func run(until condition: () -> Bool, limit: Microseconds) -> Bool {
    let end = now + limit
    while !condition() {
      guard let next = events.first, next.key.time <= end.microseconds else {
        now = end
        return condition()
      }
      events.removeValue(forKey: next.key)
      now = Instant(microseconds: next.key.time)
      switch next.value {
      case .deliver(let message, let from, let to, let life):
        guard nodes[to].machine != nil, nodes[to].life == life else { continue }
        guard let input = received(message, by: to, from: nodes[from].signer.id) else {
          Issue.record("an honest node sent what does not verify")
          continue
        }
        step(to, input)
      case .durable(let node, let life, let upTo):
        guard nodes[node].life == life else { continue }
        while let first = nodes[node].unsynced.first, first.sequence <= upTo {
          nodes[node].journal.append(first.record)
          nodes[node].unsynced.removeFirst()
        }
        nodes[node].durable = max(nodes[node].durable, upTo)
        while let first = nodes[node].held.first, first.after <= upTo {
          nodes[node].held.removeFirst()
          transmit(first.message, from: node, to: first.to)
        }
        step(node, .persisted(upTo: upTo))
      case .tick(let node, let life):
        guard nodes[node].life == life, nodes[node].machine != nil else { continue }
        nodes[node].scheduledWake = nil
        step(node, .tick)
      }
    }
    return true
  }

  func setWork(_ pending: Bool) {
    hasWork = pending
    for index in nodes.indices where nodes[index].machine != nil { step(index, .work(isPending: pending)) }
  }

  // MARK: Looking

  func height(_ index: Int) -> Int { nodes[index].chain.count }

  /// The heights of the given nodes, or all, are at least this.
  func reached(_ height: Int, _ which: [Int]? = nil) -> Bool {
    (which ?? Array(nodes.indices)).allSatisfy { self.height($0) >= height }
  }

  func leader(of view: UInt64, epoch: UInt64 = 0) -> Int {
    let set = set(epoch)
    let leader = LeaderSchedule(validators: set, networkID: networkID).leader(of: view)
    return nodes.firstIndex { $0.signer.id == set.member(leader) }!
  }

  /// The invariants that hold whatever happens: one block a height; no contradiction from any honest node.
  func checkSafety(byzantine: [Int] = []) {
    var byHeight: [UInt64: Digest] = [:]
    for commit in commits {
      let known = byHeight[commit.block.header.height] ?? commit.block.id
      #expect(known == commit.block.id, "two blocks at height \(commit.block.header.height)")
      byHeight[commit.block.header.height] = known
    }
    struct Place: Hashable {
      var node: Int
      var epoch: UInt64
      var view: UInt64
      var kind: VoteKind
    }
    var seen: [Place: VoteSubject] = [:]
    for (node, vote) in votesSent where !byzantine.contains(node) {
      let place = Place(node: node, epoch: vote.subject.epoch, view: vote.subject.view, kind: vote.subject.kind)
      let known = seen[place] ?? vote.subject
      #expect(known == vote.subject, "node \(node) signed two \(place.kind) in view \(place.view)")
      seen[place] = known
    }
    for place in seen.keys where place.kind == .nullify {
      let finalize = Place(node: place.node, epoch: place.epoch, view: place.view, kind: .finalize)
      #expect(seen[finalize] == nil, "node \(place.node) nullified and finalized view \(place.view)")
    }
    for (node, found) in evidence {
      let accused = set(found.epoch).member(found.voter)
      #expect(byzantine.contains { nodes[$0].signer.id == accused }, "node \(node) accused \(found.voter): \(found)")
      #expect(found.key == set(found.epoch).key(found.voter))
      for vote in [found.first, found.second] {
        #expect(Network.sign(vote.subject.statement(networkID: networkID), as: found.key) == vote.signature)
      }
    }
    for node in nodes {
      #expect(node.divergence == nil)
      for occupancy in node.machine?.occupancy ?? [] {
        #expect(!occupancy.isExceeded, "\(occupancy.name) holds \(occupancy.count)")
      }
    }
  }
}
