import Consensus
import Core
import Ledger
import Membership
import Primitives
import Wire

/// Many cores in one thread under virtual time, over a network and disks that it breaks on purpose.
///
/// The random streams of network, disks, workload, faults and Byzantine nodes are separate: a change in one leaves the
/// others as they were. Nothing depends on the order of a hash table or on the host's clock.
final class Simulation {
  enum Event {
    case tick(node: Int, life: UInt64)
    case datagram(to: Int, from: Int, [UInt8])
    case frame(to: Int, from: Int, link: UInt64, Carried)
    case linkUp(Int, Int)
    case linkDown(node: Int, peer: Int, life: UInt64)
    case linkTimeout(Int, Int, link: UInt64)
    case synced(node: Int, life: UInt64)
    case jobEnded(node: Int, LeaseOutcome)
    case contact(node: Int, life: UInt64)
    case submission
    case start(node: Int)
    case begin(Fault)
    case end(Fault)
    case clog(Int, Int, Bool)
    case mischief(node: Int)
    case clocks
    case scripted(Int)
  }

  /// Where wall time begins.
  static let wallOrigin = Microseconds.seconds(1_800_000_000)
  /// How often, in steps of a node, the fill of its collections is looked at.
  static let occupancyInterval: UInt64 = 64

  let options: SimulationOptions
  let setup: Setup
  var faultsEnd: Instant { setup.faultsEnd }
  let genesis: Genesis
  let script: (any Script)?
  var nodes: [SimulatedNode] = []
  /// The instances of an identity, and the instance at an address.
  let instances: [NodeID: [Int]]
  var places: [PeerAddress: Int]
  var actors: [Int: Actor] = [:]
  var queue = EventQueue<Event>()
  var now = Instant.zero
  var network: SimulatedNetwork
  var diskRandom: SeededGenerator
  var workRandom: SeededGenerator
  var faultRandom: SeededGenerator
  var checker: Checker
  var transcript: Transcript
  var steps: UInt64 = 0
  var nextRequest: UInt64 = 1
  var isCalm = false
  var liveness = LivenessChecks()

  init(_ options: SimulationOptions, recordsTranscript: Bool) {
    self.options = options
    var seeds = SeededGenerator(seed: options.seed)
    let networkRandom = seeds.fork()
    diskRandom = seeds.fork()
    workRandom = seeds.fork()
    faultRandom = seeds.fork()
    var setupRandom = seeds.fork()
    var byzantineRandom = seeds.fork()
    var setup = Setup(options, generator: &setupRandom)
    let script = options.scenario.flatMap { Scenario.named($0) }?.make(&setup)
    self.script = script
    self.setup = setup
    let twins = setup.habits.keys.sorted().filter { setup.habits[$0]?.contains(.twin) == true }
    let identities = Array(0..<setup.nodes) + twins
    let ids = (0..<setup.nodes).map { Simulation.identity("node \($0)") }
    genesis = Simulation.genesis(setup, ids)
    let networkID = genesis.networkID
    let verifier = Verifier(networkID: networkID) { StandInSignatures.check($0, $1, $2) }
    var numbers: [NodeID: Int] = [:]
    var instances: [NodeID: [Int]] = [:]
    for (instance, number) in identities.enumerated() {
      instances[ids[number], default: []].append(instance)
      guard let address = PeerAddress(ip: [10, 0, UInt8(instance / 250), UInt8(1 + instance % 250)], port: 7_447) else {
        preconditionFailure("four bytes are an address")
      }
      let voteSigners =
        [StandInSignatures.signer(ids[number], networkID: networkID)]
        + (0..<Simulation.rotations).map {
          StandInSignatures.signer(Simulation.identity("vote key \($0) of node \(number)"), networkID: networkID)
        }
      for signer in voteSigners { numbers[signer.id] = number }
      let skew = faultRandom.span(upTo: setup.plan.clockSkew * 2) - setup.plan.clockSkew
      let drift = Int64(faultRandom.next(below: setup.plan.driftPartsPerMillion * 2 + 1))
      let known = KnownSets(genesis: genesis)
      nodes.append(
        SimulatedNode(
          number: instance, signers: voteSigners, address: address,
          record: NodeRecord(
            name: "node\(number + 1)", addresses: [address], roles: [.validator, .provider], capabilities: .zero,
            agent: "linnet/simulated", expiresUnixSeconds: 1 << 40),
          known: known, inbound: Inbound(verifier: verifier, validators: known.known),
          startsAt: number >= setup.validators ? setup.newcomers[number - setup.validators] : .zero,
          wallOffset: Simulation.wallOrigin + skew, drift: drift - Int64(setup.plan.driftPartsPerMillion)))
      if let habits = setup.habits[number] {
        actors[instance] = Actor(habits: habits, signers: voteSigners, random: byzantineRandom.fork())
      }
    }
    self.instances = instances
    places = Dictionary(uniqueKeysWithValues: nodes.map { ($0.address, $0.number) })
    checker = Checker(
      genesis: genesis, verifier: verifier, numbers: numbers, isHonest: identities.map { setup.habits[$0] == nil })
    network = SimulatedNetwork(setup, instances: identities.count, generator: networkRandom)
    transcript = Transcript(isRecorded: recordsTranscript)
    for fault in setup.plan.faults {
      queue.add(.begin(fault), at: fault.at)
      queue.add(.end(fault), at: min(fault.at + fault.length, faultsEnd))
    }
  }

  private static func identity(_ name: String) -> NodeID {
    NodeID(Digest(hashing: Array("simulated \(name)".utf8)).value)
  }

  private static func genesis(_ setup: Setup, _ ids: [NodeID]) -> Genesis {
    do {
      return try Genesis(
        name: "simulation", createdMilliseconds: UInt64(Simulation.wallOrigin.count / 1_000),
        parameters: setup.parameters, validators: Array(ids.prefix(setup.validators)),
        balances: ids.map { Genesis.Balance(account: $0, amountMicrocredits: 1_000_000_000_000) })
    } catch {
      preconditionFailure("the genesis of a simulation is valid: \(error)")
    }
  }

  /// True for a node that keeps to the rules.
  func isHonest(_ number: Int) -> Bool { checker.isHonest[number] }

  /// Runs to the end of the time and until what must happen has happened, or to the first violation.
  func run() {
    describe()
    for node in nodes {
      queue.add(.start(node: node.number), at: max(node.startsAt, .zero + .milliseconds(Int64(node.number))))
      if actors[node.number] != nil { queue.add(.mischief(node: node.number), at: .zero + .seconds(1)) }
    }
    if setup.hasWorkload { queue.add(.submission, at: .zero + .seconds(1)) }
    if setup.plan.driftPartsPerMillion > 0 { queue.add(.clocks, at: .zero + .seconds(1)) }
    script?.begin(self)
    while checker.violations.isEmpty, let (at, event) = queue.next() {
      if let until = options.until, at > until { break }
      now = max(now, at)
      if now >= faultsEnd {
        if !isCalm { heal() }
        if liveness.isOver(self) { break }
      }
      steps += 1
      handle(event)
    }
    if !checker.violations.isEmpty { tellState() }
    if let script, checker.violations.isEmpty, options.until == nil, let failure = script.verdict(self) {
      checker.report(0, at: now, failure)
    }
  }

  private func handle(_ event: Event) {
    if let paused = paused(event) { return queue.add(event, at: paused) }
    switch event {
    case .tick(let number, let life):
      guard nodes[number].life == life else { return }
      nodes[number].wakeAt = .distantFuture
      step(number, .tick)
    case .datagram(let number, let sender, let bytes):
      transcript.mix(now, 1, number, Simulation.mark(bytes))
      guard nodes[number].running != nil else { return }
      apply(nodes[number].inbound.datagram(bytes, from: nodes[sender].address), to: number)
    case .frame(let number, let sender, let link, let carried): receive(carried, at: number, from: sender, link: link)
    case .linkUp(let first, let second): linkUp(first, second)
    case .linkDown(let number, let peer, let life):
      guard nodes[number].life == life, !isLinked(number, nodes[peer].id) else { return }
      transcript.mix(now, 3, number, UInt64(peer))
      step(number, .linkDown(nodes[peer].id))
    case .linkTimeout(let from, let to, let link):
      guard network.link(from, to) == link, network.isClogged(from, to) else { return }
      linkLost(from, to)
    case .synced(let number, let life): synced(number, life)
    case .jobEnded(let number, let outcome):
      nodes[number].disk.outcomes[outcome.lease] = outcome
      step(number, .leaseFinished(outcome))
    case .contact(let number, let life): contact(number, life)
    case .submission: submit()
    case .start(let number): start(number)
    case .begin(let fault): begin(fault)
    case .end(let fault): end(fault)
    case .clog(let from, let to, let isClogged): clog(from, to, isClogged)
    case .mischief(let number): mischief(number)
    case .clocks: moveClocks()
    case .scripted(let number): script?.act(number, self)
    }
  }

  /// When an event goes on whose node is paused.
  private func paused(_ event: Event) -> Instant? {
    let number: Int
    switch event {
    case .tick(let node, _), .linkDown(let node, _, _), .synced(let node, _), .jobEnded(let node, _),
      .contact(let node, _):
      number = node
    case .datagram(let to, _, _), .frame(let to, _, _, _): number = to
    default: return nil
    }
    return now < nodes[number].pausedUntil ? nodes[number].pausedUntil : nil
  }

  static func mark(_ bytes: [UInt8]) -> UInt64 {
    var mixer = Mixer()
    mixer.add(bytes)
    return mixer.halves.0
  }

  private func receive(_ carried: Carried, at number: Int, from sender: Int, link: UInt64) {
    guard network.link(number, sender) == link, nodes[number].running != nil else { return }
    transcript.mix(now, 2, number, carried.mark)
    let received = carried.received(
      from: sender, id: nodes[sender].id, by: nodes[number].inbound, known: nodes[number].known.mark)
    if actors[number] != nil { overhear(received, at: number) }
    apply(received, to: number)
  }

  private func apply(_ received: Received, to number: Int) {
    for input in received.inputs { step(number, input) }
  }

  /// Where every node stands, at the end of a transcript.
  private func tellState() {
    for node in nodes {
      guard let core = node.running?.core else {
        transcript.note(now, "n\(node.number + 1) is down, its disk at height \(node.disk.height)")
        continue
      }
      let counts = core.allCounters.all.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
      transcript.note(
        now,
        "n\(node.number + 1): height \(core.ledger.finalHeight), view \(core.consensus.epoch)/\(core.consensus.view), "
          + "\(core.votingStanding), linked with \(network.peers(of: node.number).map { "n\($0 + 1)" }), \(counts)")
    }
  }

  private func describe() {
    transcript.note(
      now,
      "\(setup.validators) validators, \(setup.newcomers.count) newcomers, \(setup.habits.count) Byzantine, "
        + "epochs of \(setup.parameters.epochBlocks) blocks")
    for number in setup.habits.keys.sorted() {
      transcript.note(now, "n\(number + 1) is Byzantine: \(setup.habits[number]?.text ?? "")")
    }
    if let forgetful = setup.forgetful { transcript.note(now, "n\(forgetful + 1) may lose its journal") }
    for pair in setup.plan.neverLinked { transcript.note(now, "never linked: \(pair.map { "n\($0 + 1)" })") }
    for fault in setup.plan.faults { transcript.note(now, fault.text) }
  }
}
