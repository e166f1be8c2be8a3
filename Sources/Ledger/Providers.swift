import Primitives
import Wire

// Offers, and what validators find about those who make them.
//
// 1. An offer bonds once; changing it, letting it expire or renewing it does not touch the bond or running leases.
// 2. A withdrawn offer leaves matching at once. Its bond returns after the retention time, and not before the last
//    lease has ended; an offer made meanwhile takes it over.
// 3. A validator's word about a provider is its last one. `down` of a quorum takes the provider out of matching and
//    times its leases out; it stays so until a quorum says `up`, and then all words are forgotten.

extension BlockExecution {
  mutating func offer(_ terms: OfferTerms, by author: NodeID) throws(TransactionRefusal) {
    guard terms.validUntilMilliseconds > now else { throw .offerExpired }
    guard terms.maximumJobs > 0 else { throw .offerWithoutJobs }
    var provider: ProviderRecord
    if let standing = state.providers[author] {
      provider = standing
    } else {
      guard chain.providerCount < LedgerBounds.maximumProviders else { throw .providersFull }
      try lockBond(parameters.offerBondMicrocredits, of: author)
      chain.providerCount += 1
      provider = ProviderRecord(bondMicrocredits: parameters.offerBondMicrocredits)
    }
    if provider.bondReturnsMilliseconds > 0 {
      state.deadlines[bondDeadline(of: author, at: provider.bondReturnsMilliseconds)] = nil
      provider.bondReturnsMilliseconds = 0
    }
    provider.offer = terms
    state.providers[author] = provider
    capacityFreed = true
  }

  mutating func withdraw(_ author: NodeID) throws(TransactionRefusal) {
    guard var provider = state.providers[author], provider.offer != nil else { throw .noOffer }
    provider.offer = nil
    scheduleBond(of: author, &provider)
    state.providers[author] = provider
  }

  private func bondDeadline(of id: NodeID, at time: UInt64) -> Deadline {
    Deadline(isTidying: true, timeMilliseconds: time, subject: .provider, id: id.value)
  }

  private mutating func scheduleBond(of id: NodeID, _ provider: inout ProviderRecord) {
    // Above 0 at least: 0 says that the offer stands.
    provider.bondReturnsMilliseconds = max(1, now.clampedSum(parameters.retentionMilliseconds))
    state.deadlines[bondDeadline(of: id, at: provider.bondReturnsMilliseconds)] = Present()
  }

  /// The time of rule 2 has come.
  mutating func returnBond(of id: NodeID) {
    guard var provider = state.providers[id], provider.offer == nil else { return }
    guard provider.leaseCount == 0 else {
      scheduleBond(of: id, &provider)
      state.providers[id] = provider
      return
    }
    forgetAttestations(of: id)
    state.providers[id] = nil
    chain.providerCount -= 1
    releaseBond(provider.bondMicrocredits, of: id)
  }

  mutating func attest(
    _ id: NodeID, _ liveness: Liveness, by author: NodeID
  ) throws(TransactionRefusal) {
    guard validators.index(of: author) != nil else { throw .notAValidator }
    guard author != id else { throw .selfAttestation }
    guard var provider = state.providers[id] else { throw .notAProvider }
    let key = AttestationKey(provider: id, validator: author)
    let said = state.attestations[key]
    guard said != liveness, said != nil || liveness == .down || provider.isAttestedDown else {
      throw .nothingToAttest
    }
    forgetAttestations(of: id, keepsValidators: true)
    // While the provider counts as up, silence says the same as `up`.
    state.attestations[key] = liveness == .up && !provider.isAttestedDown ? nil : liveness
    guard count(of: liveness, about: id) >= validators.quorum, provider.isAttestedDown != (liveness == .down) else {
      return
    }
    provider.isAttestedDown = liveness == .down
    state.providers[id] = provider
    events.append(.attested(provider: id, isDown: provider.isAttestedDown))
    if provider.isAttestedDown {
      for lease in liveLeases(of: id) { timeOut(lease, "a quorum of validators found the provider down") }
    } else {
      forgetAttestations(of: id)
      capacityFreed = true
    }
  }

  private func count(of liveness: Liveness, about id: NodeID) -> Int {
    validators.members.count { state.attestations[AttestationKey(provider: id, validator: $0)] == liveness }
  }

  /// Forgets what was said about a provider: by everyone, or by those who are validators no more.
  private mutating func forgetAttestations(of id: NodeID, keepsValidators: Bool = false) {
    for (key, _) in state.attestations.entries(after: AttestationKey(provider: id, validator: NodeID(Bytes32()))) {
      guard key.provider == id else { break }
      if !keepsValidators || validators.index(of: key.validator) == nil { state.attestations[key] = nil }
    }
  }

  /// The live leases of a provider, in the order of ids.
  func liveLeases(of id: NodeID) -> [Digest] { state.liveLeases(of: id) }
}

extension StateView {
  /// The live leases of a provider, in the order of ids.
  func liveLeases(of provider: NodeID) -> [Digest] {
    var leases: [Digest] = []
    for (key, _) in holdings.entries(after: HoldingKey(provider: provider, lease: .zero)) {
      guard key.provider == provider else { break }
      leases.append(key.lease)
    }
    return leases
  }
}
