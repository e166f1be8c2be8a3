import Primitives
import Wire

/// The final state: every table and the tree over them.
struct StateTables: Sendable {
  var accounts = Table<NodeID, AccountRecord>()
  var providers = Table<NodeID, ProviderRecord>()
  var jobs = Table<Digest, JobRecord>()
  var leases = Table<Digest, LeasePlace>()
  var holdings = Table<HoldingKey, Present>()
  var deadlines = Table<Deadline, Present>()
  var pending = Table<PendingKey, PendingMark>()
  var attestations = Table<AttestationKey, Liveness>()
  var chain = Table<SoleKey, ChainRecord>()
  var network = Table<SoleKey, NetworkRecord>()

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
  var pending: Table<PendingKey, PendingMark?>
  var attestations: Table<AttestationKey, Liveness?>
  var chain: Table<SoleKey, ChainRecord?>
  var network: Table<SoleKey, NetworkRecord?>

  /// The same changes as leaves of the tree. The numbers tell the tables apart and are for ever.
  var leaves: [MerkleTree.Change] {
    var leaves: [MerkleTree.Change] = []
    func add<Key: StateKey, Value: WireCodable>(_ number: UInt8, _ changes: Table<Key, Value?>) {
      for (key, value) in changes {
        leaves.append(StateChanges.leaf(number, key, value))
      }
    }
    add(1, accounts)
    add(2, providers)
    add(3, jobs)
    add(4, leases)
    add(5, holdings)
    add(6, deadlines)
    add(7, pending)
    add(8, attestations)
    add(9, chain)
    add(10, network)
    return leaves
  }

  private static func leaf(_ number: UInt8, _ key: some StateKey, _ value: (some WireCodable)?) -> MerkleTree.Change {
    var writer = WireWriter()
    writer.uint8(number)
    key.encode(into: &writer)
    let place = Digest(hashing: writer.bytes).value
    return MerkleTree.Change(key: place, leaf: value.map { MerkleTree.leaf(key: place, value: $0.encoded) })
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
  var pending: Layered<PendingKey, PendingMark>
  var attestations: Layered<AttestationKey, Liveness>
  var chain: Layered<SoleKey, ChainRecord>
  var network: Layered<SoleKey, NetworkRecord>

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
  }

  /// What was changed in this view.
  var changes: StateChanges {
    StateChanges(
      accounts: accounts.changes, providers: providers.changes, jobs: jobs.changes, leases: leases.changes,
      holdings: holdings.changes, deadlines: deadlines.changes, pending: pending.changes,
      attestations: attestations.changes, chain: chain.changes, network: network.changes)
  }

  /// The lease with an id, and its job.
  func lease(_ id: Digest) -> (job: JobRecord, position: Int)? {
    guard let place = leases[id], let job = jobs[place.job], Int(place.position) < job.leases.count else { return nil }
    return (job, Int(place.position))
  }
}
