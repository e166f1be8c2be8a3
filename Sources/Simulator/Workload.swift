import Core
import Ledger
import Primitives
import Wire

/// What users, providers and validators do in a simulation.
enum Workload {
  static let wallLimitMilliseconds: UInt64 = 4_000
  static let startWindowMilliseconds: UInt64 = 12_000
  static let maximumRetries: UInt64 = 2
}

extension Simulation {
  /// The keys that a node may rotate to.
  static let rotations = 3

  func offer(of number: Int) -> OfferTerms {
    let scale = UInt64(1 + number % 3)
    return OfferTerms(
      resources: Resources(
        cpuMilli: UInt32(2_000 * scale), memoryBytes: 8 << 30, diskBytes: 64 << 30), gpus: [], labels: [],
      drivers: ["native"], isolation: .cgroup2, maximumJobs: UInt16(2 * scale),
      prices: Prices(
        cpuSecondMicrocredits: 90 + 10 * scale, memoryGiBSecondMicrocredits: 10, gpuSecondMicrocredits: 5_000),
      validUntilMilliseconds: 0)
  }

  /// One submission at a random node, and the time of the next.
  func submit() {
    guard now < faultsEnd else { return }
    let pause = Microseconds(2_000_000 / Int64(max(1, options.submissionsPerSecond)))
    queue.add(.submission, at: now + workRandom.span(upTo: pause) + Microseconds(1))
    let number = workRandom.index(below: setup.nodes)
    let other = workRandom.index(below: setup.nodes)
    let choice = workRandom.next(below: 100)
    var draw = workRandom.fork()
    let action: TransactionAction
    switch choice {
    case 0..<30: action = .submitJob(job(number, &draw))
    case 30..<40 where setup.hasChanges:
      guard let change = validatorChange(number, &draw) else { return }
      action = change
    case 40..<44:
      guard let job = checker.anyJob(of: nodes[number].id, &draw) else { return }
      action = .cancelJob(job: job)
    case 44..<48:
      // The offer shrinks, grows or goes, while leases are held.
      var terms: OfferTerms? = offer(of: draw.index(below: 3))
      if draw.chance(partsPerMillion: 200_000) { terms = nil }
      return step(number, .offer(terms))
    default:
      action = .transfer(to: nodes[other].id, amountMicrocredits: draw.next(below: 1_000_000))
    }
    submit(action, at: number)
  }

  func submit(_ action: TransactionAction, at number: Int) {
    let request = nextRequest
    nextRequest += 1
    step(number, .submit(action, request: request))
  }

  /// Stakes, unstakes and new keys, among those nodes that may.
  private func validatorChange(_ number: Int, _ draw: inout SeededGenerator) -> TransactionAction? {
    let mayLeave = setup.leavers.contains(number) || number >= setup.validators
    switch draw.next(below: 3) {
    case 0 where mayLeave: return .unstake
    case 1 where mayLeave: return .stake(amountMicrocredits: genesis.parameters.minimumStakeMicrocredits)
    case 2 where setup.habits[number] == nil:
      let key = nodes[number].voteSigners[draw.index(below: nodes[number].voteSigners.count)]
      return .rotateKey(key.voteKey(of: nodes[number].id))
    default: return nil
    }
  }

  private func job(_ number: Int, _ draw: inout SeededGenerator) -> JobTerms {
    let time = checker.ledgerTimeMilliseconds
    return JobTerms(
      specification: Digest(hashing: Array("job \(nextRequest)".utf8)),
      resources: Resources(
        cpuMilli: UInt32(100 + draw.next(below: 2_000)), memoryBytes: 1 << 28, diskBytes: 1 << 28), gpuCount: 0,
      gpuMemoryBytes: 0, labels: [], driver: "native", isolation: .rlimit,
      mayRunOnSubmitter: draw.chance(partsPerMillion: 300_000), replication: 1,
      retries: UInt8(draw.next(below: Workload.maximumRetries + 1)), maximumPricePerSecondMicrocredits: 10_000,
      wallLimitMilliseconds: Workload.wallLimitMilliseconds,
      startDeadlineMilliseconds: time + Workload.startWindowMilliseconds)
  }

  /// Runs a lease's job: after a while, which its id decides, it has an outcome. A job that was started once is not
  /// started again.
  func startJob(_ order: LeaseOrder, on number: Int) {
    if let outcome = nodes[number].disk.outcomes[order.lease] {
      return queue.add(.jobEnded(node: number, outcome), at: now)
    }
    guard nodes[number].disk.started.insert(order.lease) else { return }
    var generator = SeededGenerator(seed: order.lease.value.prefix)
    let time = Microseconds.milliseconds(20) + generator.span(upTo: .seconds(3))
    let exit: ExitStatus =
      switch generator.next(below: 10) {
      case 0: .startFailed
      case 1: .exited(code: 3)
      case 2: .wallLimit
      default: .exited(code: 0)
      }
    let outcome = LeaseOutcome(
      lease: order.lease, outputRoot: Digest(hashing: order.job.bytes), exit: exit,
      usage: Usage(
        wallMilliseconds: UInt64(time.count / 1_000), cpuMicroseconds: UInt64(time.count), peakMemoryBytes: 1 << 20),
      message: "")
    queue.add(.jobEnded(node: number, outcome), at: now + time)
  }
}
