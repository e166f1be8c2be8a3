import Primitives
import Wire

/// The numbers of the tables. They are hashed into the state root and are for ever.
enum TableNumber: UInt8, CaseIterable {
  case accounts = 1
  case providers = 2
  case jobs = 3
  case leases = 4
  case holdings = 5
  case deadlines = 6
  case pending = 7
  case attestations = 8
  case chain = 9
  case network = 10
  case validators = 11
  case epochs = 12
  case voteKeys = 13
  case fresh = 14
}

/// The final state: every table and the tree over them.
struct StateTables: Sendable {
  var accounts = Table<NodeID, AccountRecord>()
  var providers = Table<NodeID, ProviderRecord>()
  var jobs = Table<Digest, JobRecord>()
  var leases = Table<Digest, LeasePlace>()
  var holdings = Table<HoldingKey, Present>()
  var deadlines = Table<Deadline, Present>()
  var pending = Table<PendingKey, Present>()
  var attestations = Table<AttestationKey, Liveness>()
  var chain = Table<SoleKey, ChainRecord>()
  var network = Table<SoleKey, NetworkRecord>()
  var validators = Table<NodeID, ValidatorRecord>()
  var epochs = Table<EpochKey, EpochRecord>()
  var voteKeys = Table<NodeID, VoteKeyOwner>()
  /// Those of `pending` that no block has drawn for yet: a draw is due.
  var fresh = Table<PendingKey, Present>()

  /// Takes in the changes of a block.
  mutating func merge(_ changes: StateChanges) {
    func merge<Key, Value>(_ changes: Table<Key, Value?>, into table: inout Table<Key, Value>) {
      for (key, value) in changes { table[key] = value }
    }
    merge(changes.accounts, into: &accounts)
    merge(changes.providers, into: &providers)
    merge(changes.jobs, into: &jobs)
    merge(changes.leases, into: &leases)
    merge(changes.holdings, into: &holdings)
    merge(changes.deadlines, into: &deadlines)
    merge(changes.pending, into: &pending)
    merge(changes.attestations, into: &attestations)
    merge(changes.chain, into: &chain)
    merge(changes.network, into: &network)
    merge(changes.validators, into: &validators)
    merge(changes.epochs, into: &epochs)
    merge(changes.voteKeys, into: &voteKeys)
    merge(changes.fresh, into: &fresh)
  }
}

/// What one block changed, table by table; nil is a removal.
struct StateChanges: Sendable {
  var accounts: Table<NodeID, AccountRecord?>
  var providers: Table<NodeID, ProviderRecord?>
  var jobs: Table<Digest, JobRecord?>
  var leases: Table<Digest, LeasePlace?>
  var holdings: Table<HoldingKey, Present?>
  var deadlines: Table<Deadline, Present?>
  var pending: Table<PendingKey, Present?>
  var attestations: Table<AttestationKey, Liveness?>
  var chain: Table<SoleKey, ChainRecord?>
  var network: Table<SoleKey, NetworkRecord?>
  var validators: Table<NodeID, ValidatorRecord?>
  var epochs: Table<EpochKey, EpochRecord?>
  var voteKeys: Table<NodeID, VoteKeyOwner?>
  var fresh: Table<PendingKey, Present?>

  /// The same changes as leaves of the tree.
  var leaves: [MerkleTree.Change] {
    var leaves: [MerkleTree.Change] = []
    func add<Key: StateKey, Value: WireCodable>(_ table: TableNumber, _ changes: Table<Key, Value?>) {
      for (key, value) in changes {
        var writer = WireWriter()
        writer.uint8(table.rawValue)
        key.encode(into: &writer)
        leaves.append(MerkleTree.Change(place: writer.bytes, value: value?.encoded))
      }
    }
    add(.accounts, accounts)
    add(.providers, providers)
    add(.jobs, jobs)
    add(.leases, leases)
    add(.holdings, holdings)
    add(.deadlines, deadlines)
    add(.pending, pending)
    add(.attestations, attestations)
    add(.chain, chain)
    add(.network, network)
    add(.validators, validators)
    add(.epochs, epochs)
    add(.voteKeys, voteKeys)
    add(.fresh, fresh)
    return leaves
  }
}

/// The state as of one block: what the final tables and the blocks between say, and what is being changed now.
struct StateView: Sendable {
  var accounts: Layered<NodeID, AccountRecord>
  var providers: Layered<NodeID, ProviderRecord>
  var jobs: Layered<Digest, JobRecord>
  var leases: Layered<Digest, LeasePlace>
  var holdings: Layered<HoldingKey, Present>
  var deadlines: Layered<Deadline, Present>
  var pending: Layered<PendingKey, Present>
  var attestations: Layered<AttestationKey, Liveness>
  var chain: Layered<SoleKey, ChainRecord>
  var network: Layered<SoleKey, NetworkRecord>
  var validators: Layered<NodeID, ValidatorRecord>
  var epochs: Layered<EpochKey, EpochRecord>
  var voteKeys: Layered<NodeID, VoteKeyOwner>
  var fresh: Layered<PendingKey, Present>

  /// A view with `below`, the newest first, above `base`.
  init(base: StateTables, below: [StateChanges]) {
    accounts = Layered(base: base.accounts, below: below.map(\.accounts))
    providers = Layered(base: base.providers, below: below.map(\.providers))
    jobs = Layered(base: base.jobs, below: below.map(\.jobs))
    leases = Layered(base: base.leases, below: below.map(\.leases))
    holdings = Layered(base: base.holdings, below: below.map(\.holdings))
    deadlines = Layered(base: base.deadlines, below: below.map(\.deadlines))
    pending = Layered(base: base.pending, below: below.map(\.pending))
    attestations = Layered(base: base.attestations, below: below.map(\.attestations))
    chain = Layered(base: base.chain, below: below.map(\.chain))
    network = Layered(base: base.network, below: below.map(\.network))
    validators = Layered(base: base.validators, below: below.map(\.validators))
    epochs = Layered(base: base.epochs, below: below.map(\.epochs))
    voteKeys = Layered(base: base.voteKeys, below: below.map(\.voteKeys))
    fresh = Layered(base: base.fresh, below: below.map(\.fresh))
  }

  /// What was changed in this view.
  var changes: StateChanges {
    StateChanges(
      accounts: accounts.changes, providers: providers.changes, jobs: jobs.changes, leases: leases.changes,
      holdings: holdings.changes, deadlines: deadlines.changes, pending: pending.changes,
      attestations: attestations.changes, chain: chain.changes, network: network.changes,
      validators: validators.changes, epochs: epochs.changes, voteKeys: voteKeys.changes, fresh: fresh.changes)
  }

  /// The lease with an id, and its job.
  func lease(_ id: Digest) -> (job: JobRecord, position: Int)? {
    guard let place = leases[id], let job = jobs[place.job], Int(place.position) < job.leases.count else { return nil }
    return (job, Int(place.position))
  }
}
