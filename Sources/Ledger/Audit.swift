import Primitives

extension LedgerReader {
  /// All credits wherever they are, counted where they are held: balances, bonds, escrows, stakes and what was burnt.
  /// The same after every block. O(state).
  public func auditSum() -> UInt64 {
    var sum = burntMicrocredits
    for (_, account) in accounts { sum += account.balanceMicrocredits }
    for (_, provider) in view.providers.entries() { sum += provider.bondMicrocredits }
    for (_, validator) in validators { sum += validator.stakeMicrocredits }
    for (_, job) in jobs {
      sum += job.escrowMicrocredits
      for lease in job.leases { sum += lease.stakeMicrocredits }
    }
    return sum
  }

  /// The root computed anew from every entry: what the incremental one must equal. O(state).
  public func rehash() -> Digest {
    var tree = MerkleTree()
    tree.apply(allLeaves)
    return tree.digest
  }

  /// Every entry as a leaf of the tree.
  var allLeaves: [MerkleTree.Change] {
    func all<Key, Value>(_ layered: Layered<Key, Value>) -> Table<Key, Value?> {
      var table = Table<Key, Value?>()
      for (key, value) in layered.entries() { table.updateValue(value, forKey: key) }
      return table
    }
    return StateChanges(
      accounts: all(view.accounts), providers: all(view.providers), jobs: all(view.jobs), leases: all(view.leases),
      holdings: all(view.holdings), deadlines: all(view.deadlines), pending: all(view.pending),
      attestations: all(view.attestations), chain: all(view.chain), network: all(view.network),
      validators: all(view.validators), epochs: all(view.epochs), voteKeys: all(view.voteKeys), fresh: all(view.fresh)
    ).leaves
  }

  /// What does not fit together; empty in every sound state. For the simulator and sampled use. O(state).
  public func inconsistencies() -> [String] {
    var found: [String] = []
    func require(_ condition: Bool, _ text: @autoclosure () -> String) { if !condition { found.append(text()) } }
    var escrows = Table<NodeID, UInt64>()
    var bonds = Table<NodeID, UInt64>()
    var used = Table<NodeID, ProviderRecord>()
    var deadlines: UInt64 = 0
    var pending: UInt64 = 0
    var live: UInt64 = 0
    var leases: UInt64 = 0
    var jobCount: UInt64 = 0
    for (id, job) in jobs {
      jobCount += 1
      leases += UInt64(job.leases.count)
      escrows[job.submitter, default: 0] += job.escrowMicrocredits
      require(!job.state.isTerminal || job.escrowMicrocredits == 0, "the ended job \(id.short) has escrow")
      let held = job.leases.filter(\.state.isLive)
      let shouldHold = [.assigned, .running, .revealing].contains(job.state)
      require(held.count == (shouldHold ? 1 : 0), "the \(job.state) job \(id.short) has \(held.count) live leases")
      if job.state == .pending { pending += 1 }
      if !shouldHold {
        deadlines += 1
        require(
          view.deadlines[job.deadline(isTidying: job.state.isTerminal)] != nil, "the job \(id.short) has no deadline")
      }
      for lease in held {
        live += 1
        deadlines += 1
        require(view.deadlines[lease.deadline] != nil, "the lease \(lease.id.short) has no deadline")
        bonds[lease.provider, default: 0] += lease.stakeMicrocredits
        var record = used[lease.provider] ?? ProviderRecord(bondMicrocredits: 0)
        record.leaseCount += 1
        record.activeLeaseCount += lease.state == .active ? 1 : 0
        record.usedCPUMilli += UInt64(job.terms.resources.cpuMilli)
        record.usedMemoryBytes += job.terms.resources.memoryBytes
        record.usedDiskBytes += job.terms.resources.diskBytes
        require(record.usedGPUs & lease.gpus == 0, "two leases of \(lease.provider.short) have one GPU")
        record.usedGPUs |= lease.gpus
        used[lease.provider] = record
      }
    }
    var providerCount: UInt64 = 0
    for (id, provider) in view.providers.entries() {
      providerCount += 1
      bonds[id, default: 0] += provider.bondMicrocredits
      let sum = used[id] ?? ProviderRecord(bondMicrocredits: 0)
      require(
        sum.leaseCount == provider.leaseCount && sum.activeLeaseCount == provider.activeLeaseCount
          && sum.usedCPUMilli == provider.usedCPUMilli && sum.usedMemoryBytes == provider.usedMemoryBytes
          && sum.usedDiskBytes == provider.usedDiskBytes && sum.usedGPUs == provider.usedGPUs,
        "the load of \(id.short) is not that of its leases")
      let mustRenew = provider.activeLeaseCount > 0
      require(mustRenew == (provider.renewDeadlineMilliseconds > 0), "\(id.short) renews without active leases")
      deadlines += (mustRenew ? 1 : 0) + (provider.bondReturnsMilliseconds > 0 ? 1 : 0)
      if mustRenew {
        require(view.deadlines[provider.renewalDeadline(of: id)] != nil, "\(id.short) has no renewal deadline")
      }
    }
    var validatorCount: UInt64 = 0
    for (id, validator) in validators {
      validatorCount += 1
      if validator.stakeMicrocredits > 0 { bonds[id, default: 0] += validator.stakeMicrocredits }
      require(view.voteKeys[validator.key]?.node == id, "the vote key of \(id.short) is not kept as its own")
      require(!validator.isJailed || !validator.isStanding, "\(id.short) stands although it is jailed")
      require((validator.returnEpoch ?? epoch) >= epoch, "the stake of \(id.short) should have returned")
      require(validator.beacon != nil || validator.nextBeacon == nil, "\(id.short) has a later chain and no first")
    }
    var accountCount: UInt64 = 0
    for (id, account) in accounts {
      accountCount += 1
      require(account.escrowMicrocredits == escrows[id] ?? 0, "the escrow of \(id.short) is not that of its jobs")
      require(account.bondedMicrocredits == bonds[id] ?? 0, "the bonds of \(id.short) are not those it locked")
    }
    func count<Key, Value>(_ layered: Layered<Key, Value>) -> UInt64 {
      layered.entries().reduce(0) { sum, _ in sum + 1 }
    }
    let fresh = count(view.fresh)
    require(view.fresh.entries().allSatisfy { view.pending[$0.key] != nil }, "a fresh job is not pending")
    require(count(view.deadlines) == deadlines, "there are \(count(view.deadlines)) deadlines, not \(deadlines)")
    require(count(view.pending) == pending, "there are \(count(view.pending)) jobs in line, not \(pending)")
    require(count(view.holdings) == live, "there are \(count(view.holdings)) holdings, not \(live)")
    require(count(view.leases) == leases, "there are \(count(view.leases)) leases, not \(leases)")
    let first = epoch > parameters.evidenceAgeEpochs ? epoch - parameters.evidenceAgeEpochs : 0
    require(view.epochs.entries().map(\.key.epoch) == Array(first...epoch + 1), "the sets kept are not those needed")
    require(count(view.voteKeys) == validatorCount, "there are \(count(view.voteKeys)) vote keys")
    require(
      chain.validatorCount == validatorCount, "\(chain.validatorCount) validators are counted, not \(validatorCount)")
    require(chain.freshCount == fresh, "\(chain.freshCount) jobs count as fresh, not \(fresh)")
    require(chain.jobCount == jobCount, "\(chain.jobCount) jobs are counted, not \(jobCount)")
    require(chain.accountCount == accountCount, "\(chain.accountCount) accounts are counted, not \(accountCount)")
    require(chain.providerCount == providerCount, "\(chain.providerCount) providers are counted, not \(providerCount)")
    return found
  }
}
