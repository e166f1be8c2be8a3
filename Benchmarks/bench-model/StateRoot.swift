import Primitives
import Wire

@testable import Ledger

/// Blocks of transfers on one ledger, until it has so many accounts; then the costs, as JSON.
func stateRoot(accounts wanted: Int) {
  let opened = min(wanted, 1_000)
  func account(_ number: Int) -> NodeID {
    NodeID(Digest(hashing: (0..<4).map { UInt8(number >> ($0 * 8) & 255) }).value)
  }
  let leader = account(0)
  guard
    let genesis = try? Genesis(
      name: "model", createdMilliseconds: 1_000_000, parameters: ChainParameters(), validators: [leader],
      balances: (0..<opened).map { Genesis.Balance(account: account($0), amountMicrocredits: 1_000_000_000_000) })
  else { fail("no genesis") }
  // Fewer blocks than an epoch has.
  var ledger = LedgerMachine(genesis: genesis)
  var view: UInt64 = 0
  var nonces = [UInt64](repeating: 0, count: opened)
  var sequence: UInt64 = 0

  func transfers(_ count: Int, to target: (Int) -> NodeID) -> [Verified<Message>] {
    (0..<count).map { index in
      let from = Int(sequence) % opened
      sequence += 1
      let signer = Signer(id: account(from), networkID: genesis.networkID) { _ in .zero }
      defer { nonces[from] += 1 }
      return signer.seal(
        .transaction(
          Transaction(
            nonce: nonces[from], feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
            expiresMilliseconds: 1 << 47,
            action: .transfer(to: target(index), amountMicrocredits: genesis.parameters.entryDepositMicrocredits))),
        sequence: sequence)
    }
  }

  /// Builds a block and makes it final; how long building took, the tree included.
  func block(_ candidates: [Verified<Message>]) -> Duration {
    view += 1
    let draft = BlockDraft(
      epoch: 0, view: view, parentView: view - 1, timestampMilliseconds: 1_000_000 + view * 50)
    var built: BuildOutcome?
    let time = ContinuousClock().measure {
      built = ledger.build(
        on: ledger.finalID, candidates: candidates, draft: draft, leader: leader, maximumBytes: Block.maximumBytes)
    }
    guard let built, built.block.value.transactions.count == candidates.count else { fail("a block was not built") }
    _ = ledger.finalize(built.block.value.id)
    return time
  }

  var next = opened
  while next < wanted {
    let first = next
    let count = min(4_000, wanted - first)
    _ = block(transfers(count) { account(first + $0) })
    next += count
  }

  var random = SeededGenerator(seed: 1)
  let executed = (0..<20).map { _ in
    block(transfers(100) { _ in account(random.index(below: wanted)) })
  }.sorted()[10]

  guard let state = ledger.state(at: ledger.finalID) else { fail("no state") }
  let leaves = state.allLeaves
  var tree = MerkleTree()
  tree.apply(leaves)
  // A block of 100 transfers changes 200 accounts and two records of the chain.
  let changed = 202
  let applied = (0..<50).map { round -> Duration in
    var chosen = OrderedSet<Int>()
    while chosen.count < min(changed, leaves.count) { chosen.insert(random.index(below: leaves.count)) }
    let changes = chosen.members.map {
      MerkleTree.Change(
        key: leaves[$0].key, leaf: MerkleNode(key: leaves[$0].key, value: Digest(hashing: [UInt8(round)])))
    }
    return ContinuousClock().measure { tree.apply(changes) }
  }.sorted()[25]
  var anew = Digest.zero
  let rehashed = ContinuousClock().measure { anew = state.rehash() }
  guard anew == state.stateRoot else { fail("the root computed anew differs") }
  print(
    """
    {"entries": \(wanted), "blockMicroseconds": \(executed.microseconds), "changes": \(min(changed, leaves.count)), \
    "treeMicroseconds": \(applied.microseconds), "rehashMicroseconds": \(rehashed.microseconds)}
    """)
}
