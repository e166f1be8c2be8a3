import Core
import Primitives
import Wire

// What users and providers do in a simulation: offers, transfers, jobs.

extension Simulation {
  var offer: OfferTerms {
    OfferTerms(
      resources: Resources(cpuMilli: 4_000, memoryBytes: 8 << 30, diskBytes: 64 << 30), gpus: [], labels: [],
      drivers: ["native"], isolation: .cgroup2, maximumJobs: 8,
      prices: Prices(cpuSecondMicrocredits: 100, memoryGiBSecondMicrocredits: 10, gpuSecondMicrocredits: 5_000),
      validUntilMilliseconds: 0)
  }

  /// One submission at a random node, and the time of the next.
  func submit() {
    let pause = Microseconds(2_000_000 / Int64(max(1, options.submissionsPerSecond)))
    queue.add(.submission, at: now + workRandom.span(upTo: pause) + Microseconds(1))
    let number = workRandom.index(below: nodes.count)
    let other = workRandom.index(below: nodes.count)
    let isJob = workRandom.chance(partsPerMillion: 300_000)
    let amount = workRandom.next(below: 1_000_000)
    let action: TransactionAction =
      isJob ? .submitJob(job(number)) : .transfer(to: nodes[other].id, amountMicrocredits: amount)
    let request = nextRequest
    nextRequest += 1
    step(number, .submit(action, request: request))
  }

  private func job(_ number: Int) -> JobTerms {
    let ledgerTime = nodes[number].core?.finalState.ledgerTimeMilliseconds ?? 0
    return JobTerms(
      specification: Digest(hashing: Array("job \(nextRequest)".utf8)),
      resources: Resources(
        cpuMilli: UInt32(100 + workRandom.next(below: 2_000)), memoryBytes: 1 << 28, diskBytes: 1 << 28), gpuCount: 0,
      gpuMemoryBytes: 0, labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: false, replication: 1,
      retries: UInt8(workRandom.next(below: 3)), maximumPricePerSecondMicrocredits: 10_000,
      wallLimitMilliseconds: 20_000, startDeadlineMilliseconds: ledgerTime + 60_000)
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
