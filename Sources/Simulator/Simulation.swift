import Consensus
import Core
import Ledger
import Membership
import Primitives
import Wire

/// Many cores in one thread under virtual time, over a network and disks that it breaks on purpose.
///
/// The random streams of network, disks, workload and faults are separate: a change in one leaves the others as they
/// were. Nothing depends on the order of a hash table or on the host's clock.
final class Simulation {
  enum Event {
    case tick(node: Int, life: UInt64)
    case datagram(to: Int, from: PeerAddress, [UInt8])
    case frame(to: Int, from: Int, link: UInt64, [UInt8])
    case linkUp(Int, Int)
    case linkDown(node: Int, peer: Int, life: UInt64)
    case synced(node: Int, life: UInt64)
    case jobEnded(node: Int, LeaseOutcome)
    case contact(node: Int)
    case submission
    case crash(node: Int)
    case start(node: Int)
    case split(OrderedSet<Int>)
    case heal
  }

  /// Where wall time begins.
  static let wallOrigin = Microseconds.seconds(1_800_000_000)

  let options: SimulationOptions
  let genesis: Genesis
  let inbound: Inbound
  var nodes: [SimulatedNode] = []
  var queue = EventQueue<Event>()
  var now = Instant.zero
  var network: SimulatedNetwork
  var diskRandom: SeededGenerator
  var workRandom: SeededGenerator
  var checker: Checker
  var transcript: Transcript
  var steps: UInt64 = 0
  var nextRequest: UInt64 = 1
  let faultsEnd: Instant

  init(_ options: SimulationOptions, recordsTranscript: Bool) {
    self.options = options
    var seeds = SeededGenerator(seed: options.seed)
    network = SimulatedNetwork(faults: options.faults, generator: seeds.fork())
    diskRandom = seeds.fork()
    workRandom = seeds.fork()
    var faultRandom = seeds.fork()
    let ids = (0..<options.nodes).map { NodeID(Digest(hashing: Array("simulated node \($0)".utf8)).value) }
    do {
      genesis = try Genesis(
        name: "simulation", createdMilliseconds: UInt64(Simulation.wallOrigin.count / 1_000),
        parameters: ChainParameters(), validators: ids,
        balances: ids.map { Genesis.Balance(account: $0, amountMicrocredits: 1_000_000_000_000) })
    } catch {
      preconditionFailure("the genesis of a simulation is valid: \(error)")
    }
    let networkID = genesis.networkID
    inbound = Inbound(
      verifier: Verifier(networkID: networkID) { StandInSignatures.check($0, $1, $2) },
      validators: KnownValidators(genesis.validatorSet))
    checker = Checker(genesis: genesis)
    transcript = Transcript(isRecorded: recordsTranscript)
    faultsEnd = Instant.zero + options.duration * 2 / 3
    for (number, id) in ids.enumerated() {
      guard let address = PeerAddress(ip: [10, 0, UInt8(number / 250), UInt8(1 + number % 250)], port: 7_447) else {
        preconditionFailure("four bytes are an address")
      }
      let skew = faultRandom.span(upTo: options.faults.clockSkew * 2) - options.faults.clockSkew
      nodes.append(
        SimulatedNode(
          number: number, signer: Signer(id: id, networkID: networkID) { StandInSignatures.sign($0, by: id) },
          address: address,
          record: NodeRecord(
            name: "node\(number + 1)", addresses: [address], roles: [.validator, .provider], capabilities: .zero,
            agent: "linnet/simulated", expiresUnixSeconds: 1 << 40),
          wallOffset: Simulation.wallOrigin + skew))
    }
    scheduleFaults(&faultRandom)
  }

  /// Runs to the end of the time, or to the first violation.
  func run() {
    for number in nodes.indices { queue.add(.start(node: number), at: .zero + .milliseconds(Int64(number))) }
    queue.add(.submission, at: .zero + .seconds(2))
    let end = Instant.zero + options.duration
    var heightAtHeal: UInt64?
    while checker.violations.isEmpty, let (at, event) = queue.next(), at <= end {
      now = at
      steps += 1
      if heightAtHeal == nil, now >= faultsEnd {
        heightAtHeal = checker.finalizedHeight
        network.calm()
      }
      handle(event)
    }
    // A third of the time is enough for every timer of an unlucky network only when it is long.
    if checker.violations.isEmpty, let heightAtHeal, options.duration >= .seconds(30) {
      checker.requireProgress(from: heightAtHeal, healed: faultsEnd, at: end)
    }
  }

  private func handle(_ event: Event) {
    switch event {
    case .tick(let number, let life):
      guard nodes[number].life == life else { return }
      nodes[number].wakeAt = .distantFuture
      step(number, .tick)
    case .datagram(let number, let source, let bytes):
      transcript.add(now, number, "datagram", bytes)
      apply(inbound.datagram(bytes, from: source), to: number)
    case .frame(let number, let sender, let link, let bytes):
      guard network.link(number, sender) == link else { return }
      transcript.add(now, number, "frame from \(sender)", bytes)
      apply(inbound.frame(bytes, from: nodes[sender].id), to: number)
    case .linkUp(let first, let second):
      guard nodes[first].core != nil, nodes[second].core != nil, network.open(first, second) else { return }
      step(first, .linkUp(nodes[second].id, nodes[second].address))
      step(second, .linkUp(nodes[first].id, nodes[first].address))
    case .linkDown(let number, let peer, let life):
      guard nodes[number].life == life, network.link(number, peer) == nil else { return }
      step(number, .linkDown(nodes[peer].id))
    case .synced(let number, let life):
      guard nodes[number].life == life, let upTo = nodes[number].disk.endSync() else { return }
      nodes[number].durableSequence = upTo
      let ready = nodes[number].held.prefix { $0.after <= upTo }
      nodes[number].held.removeFirst(ready.count)
      for send in ready { transmit(send.message, from: number, to: send.to) }
      step(number, .persisted(upTo: upTo))
      beginSync(number)
    case .jobEnded(let number, let outcome):
      nodes[number].disk.outcomes[outcome.lease] = outcome
      step(number, .leaseFinished(outcome))
    case .contact(let number): contact(number)
    case .submission: submit()
    case .crash(let number): crash(number)
    case .start(let number): start(number)
    case .split(let side):
      transcript.note(now, "the network splits: \(side.members.map { "\($0 + 1)" }.joined(separator: ",")) | the rest")
      for (first, second) in network.split(side) { linkLost(first, second) }
    case .heal:
      transcript.note(now, "the network is whole again")
      network.heal()
    }
  }

  private func apply(_ received: Received, to number: Int) {
    for input in received.inputs { step(number, input) }
  }

  /// Gives a node's core an input, and performs what follows.
  func step(_ number: Int, _ input: CoreInput) {
    guard nodes[number].core != nil else { return }
    var effects: [CoreEffect] = []
    nodes[number].core?.step(input, now: now, into: &effects)
    for effect in effects { perform(effect, of: number) }
    beginSync(number)
    guard let core = nodes[number].core else { return }
    // The mark is kept ahead of use, as the daemon does.
    nodes[number].disk.sequenceMark = max(nodes[number].disk.sequenceMark, core.identity.sequences.last)
    let wake = max(core.nextWake, now + Microseconds(1))
    if wake < nodes[number].wakeAt {
      nodes[number].wakeAt = wake
      queue.add(.tick(node: number, life: nodes[number].life), at: wake)
    }
  }

  private func perform(_ effect: CoreEffect, of number: Int) {
    switch effect {
    case .datagram(let message, let address, let receiver):
      guard let target = nodes.firstIndex(where: { $0.address == address && $0.id == receiver }) else { return }
      for (at, bytes) in network.datagram(message.value.envelope.encoded, from: number, to: target, now: now) {
        queue.add(.datagram(to: target, from: nodes[number].address, bytes), at: at)
      }
    case .send(let message, let peer, let after):
      if after <= nodes[number].durableSequence {
        transmit(message, from: number, to: peer)
      } else {
        nodes[number].held.append((after, message, peer))
      }
    case .dial(let address, let peer):
      guard let target = nodes.firstIndex(where: { $0.address == address && $0.id == peer }) else { return }
      dial(number, target)
    case .close(let peer, _):
      guard let target = nodes.firstIndex(where: { $0.id == peer }) else { return }
      linkLost(number, target)
    case .persist(let sequence, let record): nodes[number].disk.append(sequence, record)
    case .committed(let blocks, let finalization, _): committed(blocks, finalization, by: number)
    case .serveChain(let height, let peer): serveChain(from: height, by: number, to: peer)
    case .startLease(let order): startJob(order, on: number)
    case .stopLease, .forgetLease, .submitted, .memberChanged: break
    case .halt(let reason):
      checker.halted(nodes[number].id, reason, at: now)
    }
  }

  private func committed(_ blocks: [Verified<Block>], _ finalization: Verified<Certificate>, by number: Int) {
    nodes[number].disk.append(blocks, finalization)
    guard let core = nodes[number].core else { return }
    // Far more often than a journal grows, so that restarts meet checkpoints.
    if diskRandom.chance(partsPerMillion: 50_000) { nodes[number].disk.compact(core.consensus.checkpoint()) }
    checker.committed(
      blocks, finalization: finalization.value, by: core.id, state: core.finalState, at: now)
    for block in blocks.map(\.value) {
      transcript.note(
        now,
        "node \(number + 1): block \(block.header.height) of view \(block.header.view) is final "
          + "(\(block.id.short), \(block.transactions.count) transactions)")
    }
  }

  private func serveChain(from height: UInt64, by number: Int, to peer: NodeID) {
    let blocks = nodes[number].disk.blocks
    guard height > 0, height <= UInt64(blocks.count) else { return }
    let run = blocks[Int(height - 1)...].prefix(ConsensusMessage.maximumChainBlocks)
    guard let end = run.lastIndex(where: { $0.finalization != nil }), let finalization = run[end].finalization else {
      return
    }
    transmit(
      .consensus(.chain(run[...end].map(\.block.value), finalization: finalization.value)), from: number, to: peer)
  }

  private func transmit(_ message: LinkMessage, from number: Int, to peer: NodeID) {
    if case .consensus(let consensus) = message { check(consensus, from: number) }
    guard let target = nodes.firstIndex(where: { $0.id == peer }),
      let (at, link) = network.frame(from: number, to: target, now: now)
    else { return }
    queue.add(.frame(to: target, from: number, link: link, message.encoded), at: at)
  }

  /// What consensus sends passes the checker, whether or not it arrives.
  private func check(_ message: ConsensusMessage, from number: Int) {
    let sender = nodes[number].id
    switch message {
    case .vote(let vote), .proposal(_, let vote):
      transcript.note(
        now,
        "node \(number + 1) sends \(vote.subject.kind.name) of view \(vote.subject.view) "
          + vote.subject.blockID.short)
      checker.sent(
        vote, by: sender, isOwn: genesis.validatorSet.member(vote.voter) == sender,
        isDurable: nodes[number].disk.durableVotes.contains(Digest(hashing: vote.encoded)), at: now)
    case .certificate(let certificate): checker.sent(certificate, by: sender, at: now)
    case .certificates(let certificates):
      for certificate in certificates { checker.sent(certificate, by: sender, at: now) }
    case .chain(_, let finalization): checker.sent(finalization, by: sender, at: now)
    case .blockRequest, .blocks, .certificateRequest, .chainRequest, .epochRequest, .epochs, .snapshotRequest,
      .snapshot,
      .relayRequest:
      break
    }
  }

  private func beginSync(_ number: Int) {
    guard nodes[number].disk.beginSync() else { return }
    let time = Microseconds(100) + diskRandom.span(upTo: options.faults.slowestSync)
    queue.add(.synced(node: number, life: nodes[number].life), at: now + time)
  }
}
