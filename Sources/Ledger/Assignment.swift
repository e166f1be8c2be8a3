// Which provider gets which job, at the end of every block:
//
// 1. Pending jobs are tried in the order of fee, then age. At most `maximumAssignmentsPerBlock` are assigned and at
//    most `LedgerBounds.maximumDrawsPerBlock` tried; the next block goes on after the last one, so nobody starves.
// 2. The first draw for a job is made in a later block than the one in which it became pending, and in one of another
//    leader where there is another: who chooses the transactions does not know the draw.
// 3. A job that nobody fits is tried again in a block that frees capacity (an offer, an end of a lease, a provider
//    that is up again), and is no work until then.
// 4. Of the providers that fit (Matching.swift) the cheapest band remains: prices up to a quarter above the lowest. Of
//    these, the least loaded. Of these, one is drawn, weighted by bond, from H(beacon, job, number of the lease).

import Primitives
import Wire

extension BlockExecution {
  private struct Candidate {
    var id: NodeID
    var record: ProviderRecord
  }

  mutating func assignJobs() {
    let resumes = chain.sweepCursor
    guard capacityFreed || chain.freshCount > 0 || resumes != nil else { return }
    if resumes != nil, capacityFreed { chain.sweepsAgain = true }
    let triesAll = capacityFreed || resumes != nil
    var providers: [Candidate] = state.providers.entries().filter { $0.value.offer != nil }
      .map { Candidate(id: $0.key, record: $0.value) }
    var tries = 0
    var assigned: UInt64 = 0
    var last: PendingKey?
    var isCutOff = false
    var cursor = resumes
    while let (key, _) = triesAll ? state.pending.entry(after: cursor) : state.fresh.entry(after: cursor) {
      cursor = key
      guard let job = state.jobs[key.job] else { continue }
      if state.fresh[key] != nil, !mayDraw(job) { continue }
      if tries >= LedgerBounds.maximumDrawsPerBlock || assigned >= parameters.maximumAssignmentsPerBlock {
        isCutOff = true
        break
      }
      tries += 1
      last = key
      if let index = draw(job, among: providers) {
        assign(job, to: &providers[index].record, of: providers[index].id)
        assigned += 1
      } else {
        leaveFresh(key)
      }
    }
    if isCutOff {
      // Without stuck jobs to try, what is left is fresh and draws attention by itself.
      chain.sweepCursor = triesAll ? last : nil
    } else {
      // A walk that was cut off at the bound, and freed capacity before its cursor meanwhile, begins anew.
      chain.sweepCursor = chain.sweepsAgain ? .start : nil
      chain.sweepsAgain = false
    }
  }

  /// Rule 2.
  private func mayDraw(_ job: JobRecord) -> Bool {
    chain.height > job.pendingInBlock && (job.pendingLeader != leader || validators.count == 1)
  }

  /// Rule 4: an index among the candidates.
  private func draw(_ job: JobRecord, among providers: [Candidate]) -> Int? {
    let need = Matching.Need(job: job, at: now)
    var fitting: [(index: Int, price: UInt64, load: UInt64)] = []
    for (index, candidate) in providers.enumerated() {
      guard Matching.firstUnfit(need, candidate.id, candidate.record) == nil, let offer = candidate.record.offer,
        let price = Pricing.perSecond(job.terms.resources, gpuCount: job.terms.gpuCount, at: offer.prices)
      else { continue }
      fitting.append((index, price, Matching.load(candidate.record, offer)))
    }
    guard let cheapest = fitting.map(\.price).min() else { return nil }
    let band = fitting.filter { $0.price <= cheapest.clampedSum(cheapest / 4) }
    let least = band.map(\.load).min()
    let drawn = band.filter { $0.load == least }
    // Every bond is part of a sum below 2^63; one more each, so that a bond of 0 has a chance too.
    let total = drawn.reduce(UInt64(0)) { $0 + providers[$1.index].record.bondMicrocredits + 1 }
    var point = lot(job).multipliedFullWidth(by: total).high
    for entry in drawn {
      let weight = providers[entry.index].record.bondMicrocredits + 1
      if point < weight { return entry.index }
      point -= weight
    }
    return drawn.last?.index
  }

  private func lot(_ job: JobRecord) -> UInt64 {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/draw".utf8) + [0])
    writer.digest(chain.beacon)
    writer.digest(job.id)
    writer.uint32(UInt32(truncatingIfNeeded: job.leases.count))
    return Digest(hashing: writer.bytes).value.prefix
  }

  private mutating func assign(_ pending: JobRecord, to provider: inout ProviderRecord, of id: NodeID) {
    var job = pending
    guard let offer = provider.offer,
      let price = Pricing.perSecond(job.terms.resources, gpuCount: job.terms.gpuCount, at: offer.prices),
      let gpus = Matching.gpus(for: job.terms, provider, offer)
    else { preconditionFailure("who was drawn fits") }
    leavePending(&job)
    let position = job.leases.count
    let lease = LeaseRecord(
      id: LeaseRecord.id(networkID: networkID, job: job.id, position: position, provider: id), job: job.id,
      provider: id, attempt: job.failedAttempts, pricePerSecondMicrocredits: price, gpus: gpus,
      offeredMilliseconds: now, deadlineMilliseconds: now.clampedSum(parameters.acceptWindowMilliseconds))
    job.leases.append(lease)
    job.assignedInBlock = chain.height
    provider.leaseCount += 1
    provider.usedCPUMilli += UInt64(job.terms.resources.cpuMilli)
    provider.usedMemoryBytes += job.terms.resources.memoryBytes
    provider.usedDiskBytes += job.terms.resources.diskBytes
    provider.usedGPUs |= gpus
    state.providers[id] = provider
    state.leases[lease.id] = LeasePlace(job: job.id, position: position)
    state.holdings[HoldingKey(provider: id, lease: lease.id)] = Present()
    state.deadlines[lease.deadline] = Present()
    events.append(.leaseOffered(lease: lease.id, job: job.id, provider: id))
    change(&job, to: .assigned)
    state.jobs[job.id] = job
  }
}

extension PendingKey {
  /// Before all: no fee is as high.
  static let start = PendingKey(feeMicrocredits: .max, order: 0, job: .zero)
}
