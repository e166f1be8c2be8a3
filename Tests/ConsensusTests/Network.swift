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
  /// Nodes whose execution went wrong.
  var misexecuting: Set<Int> = []
  /// Sees each message that leaves.
  var watch: (Int, ConsensusMessage, Instant) -> Void = { _, _, _ in }

  // What was seen.
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

  func machine(_ tip: FinalTip, _ index: Int, records: [ConsensusRecord]) -> SimplexMachine {
    SimplexMachine(
      settings: settings, validators: validators, signer: nodes[index].signer, verifier: verifier, tip: tip,
      records: records, mayVote: nodes[index].mayVote, wallClock: wallClock(index), seed: UInt64(index))
  }

  func wallClock(_ index: Int) -> WallClock { WallClock(offset: .seconds(1_000) + nodes[index].clockOffset) }

  func start(_ index: Int) {
    precondition(nodes[index].machine == nil)
    var tip = FinalTip.genesis(networkID: networkID, createdMilliseconds: 1_000)
    if let last = nodes[index].chain.last {
      tip = FinalTip(
        blockID: last.id, height: last.header.height, view: last.header.view,
        timestampMilliseconds: last.header.timestampMilliseconds, epoch: 0,
        finalization: nodes[index].finalizations[last.header.height])
    }
    nodes[index].machine = machine(tip, index, records: nodes[index].journal)
    nodes[index].lastParent = nil
    step(index, .start)
    for other in nodes.indices where other != index && nodes[other].machine != nil {
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
    for other in nodes.indices where nodes[other].machine != nil {
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
      if case .certificate(let certificate) = record, let own = validators.index(of: nodes[index].signer.id),
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
      #expect(blocks.count <= ConsensusMessage.maximumChainBlocks, "a longer commit could not be served")
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
      let limit = min(chain.count, Int(height) - 1 + ConsensusMessage.maximumChainBlocks)
      guard
        let end = (Int(height)...max(Int(height), limit)).last(where: { nodes[index].finalizations[UInt64($0)] != nil }
        ),
        end <= chain.count, let finalization = nodes[index].finalizations[UInt64(end)]
      else { return }
      transmit(
        .chain(Array(chain[Int(height) - 1..<end]), finalization: finalization.value), from: index, to: .node(peer))
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
      transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero)
    header.stateRoot = nextState(parentState, header)
    return header
  }

  private func build(_ request: BuildRequest, on index: Int) -> Verified<Block>? {
    guard let parent = nodes[index].states[request.parentID] else { return nil }
    let header = corruptBuild(
      index, header(request, parentState: parent, wallMilliseconds: wallClock(index).unixMilliseconds(at: now)))
    let block = Verified<Block>(header: header, transactions: [])!
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
    if let vote, validators.member(vote.voter) == nodes[index].signer.id {
      #expect(nodes[index].journal.contains(.ownVote(vote)), "a vote left before it was durable")
      votesSent.append((index, vote))
    }
    watch(index, message, now)
    for other in nodes.indices where other != index {
      switch recipient {
      case .node(let id): guard nodes[other].signer.id == id else { continue }
      case .validators: guard validators.index(of: nodes[other].signer.id) != nil else { continue }
      case .everyone: break
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
    nodes[index].signer.vote(subject, as: validators.index(of: nodes[index].signer.id)!)
  }

  /// A certificate signed by the given nodes.
  func certificate(_ subject: VoteSubject, by signers: [Int]) -> Certificate {
    Certificate.assemble(signers.map { vote(subject, by: $0) })!.value
  }

  func verified(_ message: ConsensusMessage) -> Verified<ConsensusMessage>? {
    guard let decoded = try? ConsensusMessage(decoding: message.encoded) else { return nil }
    return try? verifier.verify(decoded, validators: validators)
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
        guard let verified = verified(message) else {
          Issue.record("an honest node sent what does not verify")
          continue
        }
        step(to, .message(verified, from: nodes[from].signer.id))
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

  func leader(of view: UInt64) -> Int {
    let schedule = machine(.genesis(networkID: networkID, createdMilliseconds: 0), 0, records: [])
    return nodes.firstIndex { $0.signer.id == schedule.leader(of: view) }!
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
      var view: UInt64
      var kind: VoteKind
    }
    var seen: [Place: VoteSubject] = [:]
    for (node, vote) in votesSent where !byzantine.contains(node) {
      let place = Place(node: node, view: vote.subject.view, kind: vote.subject.kind)
      let known = seen[place] ?? vote.subject
      #expect(known == vote.subject, "node \(node) signed two \(place.kind) in view \(place.view)")
      seen[place] = known
    }
    for place in seen.keys where place.kind == .nullify {
      let finalize = Place(node: place.node, view: place.view, kind: .finalize)
      #expect(seen[finalize] == nil, "node \(place.node) nullified and finalized view \(place.view)")
    }
    for node in nodes {
      #expect(node.divergence == nil)
      for occupancy in node.machine?.occupancy ?? [] {
        #expect(occupancy.count <= occupancy.limit, "\(occupancy.name) holds \(occupancy.count)")
      }
    }
  }
}
