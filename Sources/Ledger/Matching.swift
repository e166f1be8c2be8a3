import Primitives
import Wire

/// Why a provider does not fit a job, in the order in which it is looked at.
public enum Unfit: UInt8, CaseIterable, Hashable, Sendable {
  /// It has withdrawn its offer.
  case withdrawn
  /// The offer's validity is over.
  case offerExpired
  /// A quorum of validators found it down.
  case attestedDown
  /// It is the submitter's own, and the job was not to run there.
  case submittersOwn
  /// The job was with it before: no second lease of one job goes to a provider, however the first ended.
  case triedBefore
  /// It does not have the driver.
  case driver
  /// It confines jobs less than asked for.
  case isolation
  /// It lacks a label, or has another value.
  case labels
  /// One second costs more than the limit.
  case price
  /// It holds as many leases as it takes.
  case jobSlots
  /// Too little CPU is free.
  case cpu
  /// Too little memory is free.
  case memory
  /// Too little disk is free.
  case disk
  /// Too few GPUs with that memory are free.
  case gpus
}

/// The predicates of the assignment. Whoever explains an assignment asks the same ones.
enum Matching {
  private static let order = Unfit.allCases

  /// What is asked of a provider.
  struct Need {
    var terms: JobTerms
    var submitter: NodeID
    var tried: [NodeID]
    var timeMilliseconds: UInt64

    init(job: JobRecord, at time: UInt64) {
      terms = job.terms
      submitter = job.submitter
      tried = job.leases.map(\.provider)
      timeMilliseconds = time
    }
  }

  /// The first reason why a provider does not fit; nil when it does.
  static func firstUnfit(_ need: Need, _ id: NodeID, _ provider: ProviderRecord) -> Unfit? {
    guard let offer = provider.offer else { return .withdrawn }
    return order.first { holds($0, need, id, provider, offer) }
  }

  /// All reasons.
  static func unfits(_ need: Need, _ id: NodeID, _ provider: ProviderRecord) -> [Unfit] {
    guard let offer = provider.offer else { return [.withdrawn] }
    return order.filter { holds($0, need, id, provider, offer) }
  }

  private static func holds(
    _ reason: Unfit, _ need: Need, _ id: NodeID, _ provider: ProviderRecord, _ offer: OfferTerms
  ) -> Bool {
    let terms = need.terms
    switch reason {
    case .withdrawn: return false
    case .offerExpired: return offer.validUntilMilliseconds <= need.timeMilliseconds
    case .attestedDown: return provider.isAttestedDown
    case .submittersOwn: return id == need.submitter && !terms.mayRunOnSubmitter
    case .triedBefore: return need.tried.contains(id)
    case .driver: return !offer.drivers.contains(terms.driver)
    case .isolation: return offer.isolation < terms.isolation
    case .labels: return !terms.labels.allSatisfy { offer.labels.contains($0) }
    case .price:
      guard let price = Pricing.perSecond(terms.resources, gpuCount: terms.gpuCount, at: offer.prices) else {
        return true
      }
      return price > terms.maximumPricePerSecondMicrocredits
    case .jobSlots: return provider.leaseCount >= UInt32(offer.maximumJobs)
    case .cpu: return exceeds(provider.usedCPUMilli, UInt64(terms.resources.cpuMilli), UInt64(offer.resources.cpuMilli))
    case .memory: return exceeds(provider.usedMemoryBytes, terms.resources.memoryBytes, offer.resources.memoryBytes)
    case .disk: return exceeds(provider.usedDiskBytes, terms.resources.diskBytes, offer.resources.diskBytes)
    case .gpus: return terms.gpuCount > 0 && gpus(for: terms, provider, offer) == nil
    }
  }

  private static func exceeds(_ used: UInt64, _ need: UInt64, _ offered: UInt64) -> Bool {
    guard let sum = Pricing.sum(used, need) else { return true }
    return sum > offered
  }

  /// The GPUs that the job gets, bit by position in the offer: the smallest that are large enough.
  static func gpus(for terms: JobTerms, _ provider: ProviderRecord, _ offer: OfferTerms) -> UInt16? {
    let free = offer.gpus.prefix(UInt16.bitWidth).enumerated().filter {
      provider.usedGPUs & (1 << UInt16($0.offset)) == 0 && $0.element.memoryBytes >= terms.gpuMemoryBytes
    }
    guard free.count >= Int(terms.gpuCount) else { return nil }
    let chosen = free.sorted { ($0.element.memoryBytes, $0.offset) < ($1.element.memoryBytes, $1.offset) }
    return chosen.prefix(Int(terms.gpuCount)).reduce(0) { $0 | 1 << UInt16($1.offset) }
  }

  /// How much of an offer is taken, in thousandths: the fullest of CPU, memory and lease slots.
  static func load(_ provider: ProviderRecord, _ offer: OfferTerms) -> UInt64 {
    func share(_ used: UInt64, _ all: UInt64) -> UInt64 {
      all == 0 ? 0 : Pricing.roundedUp(used, times: 1_000, over: all) ?? .max
    }
    return max(
      share(provider.usedCPUMilli, UInt64(offer.resources.cpuMilli)),
      share(provider.usedMemoryBytes, offer.resources.memoryBytes),
      share(UInt64(provider.leaseCount), UInt64(offer.maximumJobs)))
  }
}
