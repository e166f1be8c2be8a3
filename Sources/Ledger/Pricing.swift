import Primitives
import Wire

/// What a job costs, in microcredits. Every division rounds up; nil is a result above 64 bits.
public enum Pricing {
  /// One second of a job at an offer's prices: CPU, memory and GPUs, each rounded up.
  public static func perSecond(_ resources: Resources, gpuCount: UInt8, at prices: Prices) -> UInt64? {
    guard
      let cpu = roundedUp(UInt64(resources.cpuMilli), times: prices.cpuSecondMicrocredits, over: 1_000),
      let memory = roundedUp(resources.memoryBytes, times: prices.memoryGiBSecondMicrocredits, over: 1 << 30),
      let gpus = product(UInt64(gpuCount), prices.gpuSecondMicrocredits),
      let host = sum(cpu, memory)
    else { return nil }
    return sum(host, gpus)
  }

  /// What a job locks: (1 + retries) · maximum price a second · wall limit in whole seconds, and the entry deposit.
  public static func escrowMicrocredits(of job: JobTerms, parameters: ChainParameters) -> UInt64? {
    let seconds = job.wallLimitMilliseconds / 1_000 + (job.wallLimitMilliseconds % 1_000 == 0 ? 0 : 1)
    guard
      let attempt = product(job.maximumPricePerSecondMicrocredits, seconds),
      let attempts = product(attempt, UInt64(job.retries) + 1)
    else { return nil }
    return sum(attempts, parameters.entryDepositMicrocredits)
  }

  /// What a provider earns for a run: never more than one attempt's share of the escrow.
  public static func paymentMicrocredits(
    wallMilliseconds: UInt64, limitMilliseconds: UInt64, pricePerSecondMicrocredits: UInt64
  ) -> UInt64? {
    roundedUp(min(wallMilliseconds, limitMilliseconds), times: pricePerSecondMicrocredits, over: 1_000)
  }

  /// `left · right / divisor` rounded up, exact in between.
  static func roundedUp(_ left: UInt64, times right: UInt64, over divisor: UInt64) -> UInt64? {
    let (high, low) = left.multipliedFullWidth(by: right)
    guard high < divisor else { return nil }
    let (quotient, remainder) = divisor.dividingFullWidth((high, low))
    return remainder == 0 ? quotient : sum(quotient, 1)
  }

  static func sum(_ left: UInt64, _ right: UInt64) -> UInt64? {
    let (value, overflow) = left.addingReportingOverflow(right)
    return overflow ? nil : value
  }

  static func product(_ left: UInt64, _ right: UInt64) -> UInt64? {
    let (value, overflow) = left.multipliedReportingOverflow(by: right)
    return overflow ? nil : value
  }
}

extension UInt64 {
  /// The sum, or the largest number: for times, where later than all is as good as exact.
  func clampedSum(_ other: UInt64) -> UInt64 {
    let (value, overflow) = addingReportingOverflow(other)
    return overflow ? .max : value
  }
}
