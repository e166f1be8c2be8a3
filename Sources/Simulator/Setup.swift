import Consensus
import Primitives
import Wire

/// Who takes part in a run and under which parameters, before anything happens: drawn from the seed, or set by the
/// options or a scenario.
struct Setup {
  /// The validators of the genesis: nodes 0 to this.
  var validators: Int
  /// Nodes that start later, with nothing but the genesis, and stake: their numbers follow the validators'.
  var newcomers: [Instant] = []
  /// The Byzantine nodes and what they do.
  var habits: [Int: Habits] = [:]
  /// Honest nodes whose journals may be lost or damaged.
  var forgetful: Int?
  /// Honest validators that may unstake and stake again; few enough that the committee always outnumbers the faulty.
  var leavers: [Int] = []
  /// The parameters of the genesis.
  var parameters = ChainParameters()
  /// What goes wrong.
  var plan = FaultPlan()
  /// How many blocks a node must be behind to fetch a state instead of them.
  var snapshotDistance: UInt64 = 2_048
  /// How much may lie above the last final block: in some seeds little, so that they meet the bounds.
  var bounds = ConsensusBounds()
  /// The length of the hash chains that leaders reveal from.
  var beaconLength: UInt64 = 64
  /// When all faults are over, and how long it goes on before it may end.
  var faultsEnd: Instant
  var duration: Microseconds
  /// From then on nobody dials the first nodes of itself any more: who finds nobody else must find them another way.
  var bootstrapEnd = Instant.distantFuture
  /// Whether anybody wants anything.
  var hasWorkload = true
  /// Whether validators come, go and change their keys.
  var hasChanges = true
  /// The delay between two nodes at least, and how much more it may be.
  var delay = Microseconds(200)
  var delaySpread = Microseconds.milliseconds(3)

  var nodes: Int { validators + newcomers.count }

  /// The nodes that are tolerated to be faulty in a committee of `count`, written out here: the checker must not rely
  /// on the arithmetic that it checks.
  static func faults(of count: Int) -> Int { count < 1 ? 0 : (count - 1) / 3 }

  init(_ options: SimulationOptions, generator: inout SeededGenerator) {
    duration = options.duration
    faultsEnd = .zero + options.duration * 2 / 3
    let isHostile = options.profile == .hostile
    // Mostly small: four to seven nodes find most, and cost least.
    let drawn =
      generator.chance(partsPerMillion: 800_000)
      ? SimulationOptions.fewestNodes + generator.index(below: 4) : 8 + generator.index(below: 3)
    validators = options.nodes ?? (isHostile ? drawn : SimulationOptions.fewestNodes)
    let tolerated = Setup.faults(of: validators)
    let drawnByzantine = generator.index(below: tolerated + 1)
    let byzantine = min(options.byzantine ?? (isHostile ? drawnByzantine : 0), validators)
    var numbers = Array(0..<validators)
    generator.shuffle(&numbers)
    for number in numbers.prefix(byzantine) {
      habits[number] = byzantine > tolerated ? .conspiracy : Habits.drawn(&generator)
    }
    var faulty = byzantine
    parameters = Setup.parameters(options.profile, &generator)
    if options.profile == .wan {
      delay = .milliseconds(20)
      delaySpread = .milliseconds(60)
    }
    guard isHostile else {
      if options.without.contains("changes") { hasChanges = false }
      return
    }
    snapshotDistance = 4 + generator.next(below: 60)
    beaconLength = generator.chance(partsPerMillion: 200_000) ? 0 : 4 + generator.next(below: 60)
    if byzantine < tolerated, generator.chance(partsPerMillion: 400_000) {
      forgetful = numbers[byzantine]
      faulty += 1
    }
    let spare = validators - max(3 * faulty + 1, 3)
    if byzantine <= tolerated, spare > 0 {
      leavers = Array(numbers.dropFirst(faulty).prefix(min(spare, generator.index(below: 3))))
    }
    let arrivals = generator.chance(partsPerMillion: 400_000) ? 1 + generator.index(below: 2) : 0
    let late = faultsEnd - Instant.zero
    for _ in 0..<arrivals { newcomers.append(.zero + .seconds(2) + generator.span(upTo: late)) }
    var streams = generator.fork()
    plan = .swarm(
      &streams, nodes: validators, forgetful: forgetful, byzantine: OrderedSet(habits.keys.sorted()), end: faultsEnd)
    for number in habits.keys.sorted() where byzantine <= tolerated && streams.chance(partsPerMillion: 250_000) {
      habits[number]?.insert(.misplaces)
    }
    if streams.chance(partsPerMillion: 400_000) {
      bounds.openBlocks = 2 + streams.index(below: 8)
      bounds.commitBlocks = 1 + streams.index(below: 8)
      if streams.chance(partsPerMillion: 500_000) {
        bounds.commitBytes = Block.maximumBytes + streams.index(below: 4_096)
      }
    }
    plan.leaveOut(options.without)
    if options.without.contains("newcomers") { newcomers = [] }
    if options.without.contains("changes") { hasChanges = false }
  }

  private static func parameters(_ profile: Profile, _ generator: inout SeededGenerator) -> ChainParameters {
    var parameters = ChainParameters()
    parameters.epochBlocks = 40
    if profile == .wan { parameters.deltaMilliseconds = 1_000 }
    guard profile == .hostile else { return parameters }
    func between(_ low: UInt64, _ high: UInt64) -> UInt64 { low + generator.next(below: high - low + 1) }
    parameters.deltaMilliseconds = between(50, 300)
    parameters.deltaCapMilliseconds = between(1_000, 2_000)
    parameters.blockIntervalIdleMilliseconds = between(300, 1_500)
    parameters.standstillMilliseconds = between(1_500, 4_000)
    parameters.acceptWindowMilliseconds = between(1_500, 4_000)
    parameters.renewIntervalMilliseconds = between(1_000, 3_000)
    parameters.revealWindowMilliseconds = between(2_000, 5_000)
    parameters.commitGraceMilliseconds = between(2_000, 6_000)
    parameters.retentionMilliseconds = between(5_000, 120_000)
    parameters.epochBlocks = between(4, 40)
    parameters.evidenceAgeEpochs = between(1, 3)
    return parameters
  }

  /// How long nothing may become final after the network is whole again, with a quorum of honest nodes connected.
  ///
  /// The view in which the network was healed may have its timers at the cap; up to `f` faulty leaders may follow, each
  /// of which costs an idle wait, three times Δ and a retry; then two views of honest leaders. Links are dialled again
  /// within the time that membership waits at most, and rule 8 says everything again.
  func progressBound(faulty: Int) -> Microseconds {
    func span(_ milliseconds: UInt64) -> Microseconds { .milliseconds(Int64(milliseconds)) }
    let view =
      span(parameters.blockIntervalIdleMilliseconds) + span(parameters.deltaCapMilliseconds) * 3
      + span(parameters.deltaMilliseconds) * 5
    let links = Microseconds.seconds(8)
    return links + span(parameters.standstillMilliseconds) + view * Int64(faulty + 3)
  }

  /// What `SimulationOptions.without` could still take away.
  var removable: [String] {
    plan.removable + (newcomers.isEmpty ? [] : ["newcomers"]) + (hasChanges ? ["changes"] : [])
  }

  /// The nodes that may misbehave or must not vote.
  var faulty: Int { habits.count + (forgetful == nil ? 0 : 1) }

  /// True when no more nodes are faulty than the committee tolerates: else nothing is promised.
  var isTolerable: Bool { faulty <= Setup.faults(of: validators) }

  /// How long a node that was away may take to come level, beyond the time in which the others make progress.
  let catchUpBound = Microseconds.seconds(20)

  /// How long the jobs of the workload may take to end after the last one was submitted.
  func jobsBound() -> Microseconds {
    func span(_ milliseconds: UInt64) -> Microseconds { .milliseconds(Int64(milliseconds)) }
    let attempt =
      span(Workload.startWindowMilliseconds) + span(Workload.wallLimitMilliseconds)
      + span(parameters.acceptWindowMilliseconds) * 2 + span(parameters.revealWindowMilliseconds)
      + span(parameters.commitGraceMilliseconds)
    return attempt * Int64(Workload.maximumRetries + 1) * 2 + progressBound(faulty: validators)
  }
}
