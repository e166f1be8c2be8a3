import Ledger
import Primitives
import Wire

/// Evidence that consensus found and that the chain has not acted on yet.
struct EvidenceKeeper: Sendable {
  /// The most offenders looked after; further ones are left to other validators.
  static let maximumOffenders = 256

  struct Found: Sendable {
    let evidence: Evidence
    let at: Instant
  }

  private(set) var found = Table<NodeID, Found>()

  /// Notes what proves that a node contradicted itself; the first stays. False when there is no room.
  mutating func note(_ evidence: Evidence, of offender: NodeID, at now: Instant) -> Bool {
    if found.contains(offender) { return true }
    guard found.count < EvidenceKeeper.maximumOffenders else { return false }
    found[offender] = Found(evidence: evidence, at: now)
    return true
  }

  mutating func forget(_ offender: NodeID) { found.removeValue(forKey: offender) }
}

extension NodeCore {
  /// Takes what consensus found.
  mutating func take(_ evidence: Evidence, now: Instant) {
    guard let offender = finalState.validatorSet(epoch: evidence.epoch)?.member(evidence.voter), offender != id else {
      return
    }
    if !evidenceKeeper.note(evidence, of: offender, at: now) { counters.add("evidenceFull") }
    needsHousekeeping = true
  }

  /// How long the next validator waits for the evidence of the one before it to be final.
  private var evidencePatience: Microseconds {
    .seconds(3) + .milliseconds(Int64(min(genesis.parameters.deltaMilliseconds, 60_000))) * 4
  }

  /// Submits evidence against those who are not jailed yet. The validators take turns, beginning after the offender, so
  /// that as a rule one of them pays the fee.
  mutating func keepEvidence(now: Instant, into effects: inout [CoreEffect]) {
    guard !evidenceKeeper.found.isEmpty else { return }
    let state = finalState
    let count = validators.count
    for (offender, found) in evidenceKeeper.found {
      let (last, isForEver) = found.evidence.epoch.addingReportingOverflow(genesis.parameters.evidenceAgeEpochs)
      guard let record = state.validator(offender), !record.isJailed, isForEver || state.epoch <= last else {
        evidenceKeeper.forget(offender)
        continue
      }
      guard let own = validators.index(of: id) else { continue }
      let after = validators.index(of: offender).map { Int($0) + 1 } ?? 0
      let rank = (Int(own) - after + count) % count
      guard now - found.at >= evidencePatience * Int64(rank) else { continue }
      submitOnce(.evidence(found.evidence), for: .evidence(offender), now: now, into: &effects)
    }
  }
}
