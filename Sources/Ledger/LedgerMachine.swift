import Primitives
import Wire

/// What a block to be built says besides its transactions.
public struct BlockDraft: Hashable, Sendable {
  /// The epoch.
  public var epoch: UInt64
  /// The view of the proposal.
  public var view: UInt64
  /// The view of the parent.
  public var parentView: UInt64
  /// Milliseconds since 1970 by the leader's clock, above the parent's.
  public var timestampMilliseconds: UInt64
  /// The element of the leader's hash chain for this turn; zero for none.
  public var reveal: Digest

  /// A draft.
  public init(
    epoch: UInt64, view: UInt64, parentView: UInt64, timestampMilliseconds: UInt64, reveal: Digest = .zero
  ) {
    self.reveal = reveal
    self.epoch = epoch
    self.view = view
    self.parentView = parentView
    self.timestampMilliseconds = timestampMilliseconds
  }
}

/// A block that was built, and the candidates to forget.
public struct BuildOutcome: Sendable {
  /// The block; it is executed already.
  public let block: Verified<Block>
  /// Candidates that `includability` on the final block says never of.
  public let stale: [Digest]
}

/// The ledger: a deterministic function from state and block to state. It holds the final state, and the changes of
/// each executed block above it until one of them is final and the others are lost.
public struct LedgerMachine: Sendable {
  /// The bytes of a block besides its transactions, at most.
  static let headerBytes = 256

  /// The changes of an executed block that is not final.
  private struct Overlay: Sendable {
    var parent: Digest
    var order: UInt64
    var chain: ChainRecord
    var changes: StateChanges
    var tree: MerkleTree
    var report: ExecutionReport
    /// The first deadline that is work; nil when there is none.
    var nextDeadline: UInt64?
  }

  private let networkID: Digest
  private let parameters: ChainParameters
  private var tables: StateTables
  private var tree: MerkleTree
  private var finalChain: ChainRecord
  private var finalDeadline: UInt64?
  private var finalReport: ExecutionReport
  private var overlays = Table<Digest, Overlay>()
  private var nextOrder: UInt64 = 0

  /// The last final block; the network id before the first.
  public private(set) var finalID: Digest

  /// The ledger at the beginning of a network.
  public init(genesis: Genesis) {
    networkID = genesis.networkID
    parameters = genesis.parameters
    finalID = networkID
    tables = StateTables()
    tree = MerkleTree()
    var view = StateView(base: tables, below: [])
    for balance in genesis.balances {
      view.accounts[balance.account] = AccountRecord(balanceMicrocredits: balance.amountMicrocredits)
    }
    var chain = ChainRecord(timestampMilliseconds: genesis.createdMilliseconds, beacon: networkID)
    chain.accountCount = UInt64(genesis.balances.count)
    view.network[SoleKey()] = NetworkRecord(parameters: genesis.parameters)
    for node in genesis.validators {
      var account = view.accounts[node]
      let stake = min(account?.balanceMicrocredits ?? 0, genesis.parameters.minimumStakeMicrocredits)
      account?.balanceMicrocredits -= stake
      account?.bondedMicrocredits += stake
      if let account { view.accounts[node] = account }
      view.validators[node] = ValidatorRecord(stakeMicrocredits: stake, key: node, isFounder: true)
      view.voteKeys[node] = VoteKeyOwner(node: node)
    }
    chain.validatorCount = UInt64(genesis.validators.count)
    let founders = genesis.validatorSet.validators
    view.epochs[EpochKey(0)] = EpochRecord(
      validators: founders, startTimestampMilliseconds: genesis.createdMilliseconds)
    view.epochs[EpochKey(1)] = EpochRecord(validators: founders)
    view.chain[SoleKey()] = chain
    let changes = view.changes
    tables.merge(changes)
    tree.apply(changes.leaves)
    finalChain = chain
    finalReport = ExecutionReport(
      stateRoot: tree.digest, ledgerTimeMilliseconds: genesis.createdMilliseconds, receipts: [], events: [])
  }

  /// The ledger at a block whose state has come as a snapshot. The header must be final; nil when the snapshot is not
  /// whole, not of that block, or does not fit the genesis.
  public init?(genesis: Genesis, snapshot: SnapshotAssembly, header: BlockHeader) {
    guard snapshot.stateRoot == header.stateRoot, snapshot.height == header.height, let tree = snapshot.tree(),
      let chain = snapshot.tables.chain[SoleKey()], chain.height == header.height,
      chain.timestampMilliseconds == header.timestampMilliseconds,
      snapshot.tables.network[SoleKey()]?.parameters == genesis.parameters
    else { return nil }
    let epoch = genesis.parameters.epoch(ofHeight: chain.height + 1)
    guard snapshot.tables.epochs[EpochKey(epoch)] != nil, snapshot.tables.epochs[EpochKey(epoch + 1)] != nil else {
      return nil
    }
    networkID = genesis.networkID
    parameters = genesis.parameters
    finalID = header.id
    tables = snapshot.tables
    self.tree = tree
    finalChain = chain
    finalDeadline = LedgerMachine.firstDeadline(StateView(base: tables, below: []))
    finalReport = ExecutionReport(
      stateRoot: tree.digest, ledgerTimeMilliseconds: chain.ledgerTimeMilliseconds, receipts: [], events: [])
  }

  /// The first deadline that is work.
  private static func firstDeadline(_ view: StateView) -> UInt64? {
    view.deadlines.entry(after: nil).flatMap { $0.key.isTidying ? nil : $0.key.timeMilliseconds }
  }

  /// The height of the last final block.
  public var finalHeight: UInt64 { finalChain.height }
  /// The state root after it.
  public var finalStateRoot: Digest { tree.digest }

  // MARK: - Views

  private func chain(at id: Digest) -> ChainRecord? { id == finalID ? finalChain : overlays[id]?.chain }

  /// The state after a block that is final or was executed.
  private func view(at id: Digest) -> StateView? {
    var below: [StateChanges] = []
    var next = id
    while next != finalID {
      guard let overlay = overlays[next] else { return nil }
      below.append(overlay.changes)
      next = overlay.parent
    }
    return StateView(base: tables, below: below)
  }

  /// Reads the state after a block that is final or was executed; nil for any other.
  public func state(at id: Digest) -> LedgerReader? {
    guard let view = view(at: id) else { return nil }
    return LedgerReader(view: view, tree: overlays[id]?.tree ?? tree)
  }

  // MARK: - Executing

  private func begin(on parent: Digest, timestampMilliseconds: UInt64, leader: NodeID) -> BlockExecution? {
    view(at: parent).map {
      BlockExecution(on: $0, networkID: networkID, timestampMilliseconds: timestampMilliseconds, leader: leader)
    }
  }

  /// The index of the element of its hash chain that a leader must reveal in a view on this parent; nil when it must
  /// reveal nothing: it has no chain, or an exhausted one. (Or the parent is not known.)
  public func beaconIndex(on parent: Digest, view number: UInt64, leader: NodeID) -> UInt64? {
    guard let chain = chain(at: parent), let view = view(at: parent),
      let validators = view.validatorSet(epoch: parameters.epoch(ofHeight: chain.height + 1))
    else { return nil }
    return view.validators[leader]?.beacon?.index(view: number, validatorCount: validators.count)
  }

  /// The tree after an execution that has finished.
  private func tree(after execution: BlockExecution, on parent: Digest) -> (StateChanges, MerkleTree) {
    let changes = execution.state.changes
    var tree = overlays[parent]?.tree ?? tree
    tree.apply(changes.leaves)
    return (changes, tree)
  }

  private mutating func keep(
    _ execution: BlockExecution, _ changes: StateChanges, _ tree: MerkleTree, id: Digest, parent: Digest
  ) -> ExecutionReport {
    let report = ExecutionReport(
      stateRoot: tree.digest, ledgerTimeMilliseconds: execution.now, receipts: execution.receipts,
      events: [.block(id: id, height: execution.chain.height)] + execution.events)
    overlays[id] = Overlay(
      parent: parent, order: nextOrder, chain: execution.chain, changes: changes, tree: tree, report: report,
      nextDeadline: LedgerMachine.firstDeadline(execution.state))
    nextOrder += 1
    return report
  }

  /// Executes a block on its parent, which must be final or executed, and keeps what it changes. `leader` is the
  /// validator whose turn the header's view is. A block executed before gives the same report again.
  public mutating func execute(_ block: Verified<Block>, leader: NodeID) -> Result<ExecutionReport, BlockRefusal> {
    let block = block.value
    if block.id == finalID { return .success(finalReport) }
    if let overlay = overlays[block.id] { return .success(overlay.report) }
    let header = block.header
    guard let parent = chain(at: header.parentID) else { return .failure(.unknownParent) }
    guard header.height == parent.height + 1 else { return .failure(.wrongHeight) }
    guard header.timestampMilliseconds > parent.timestampMilliseconds,
      header.timestampMilliseconds <= ChainParameters.maximumValue
    else { return .failure(.wrongTimestamp) }
    guard header.epoch == parameters.epoch(ofHeight: header.height) else { return .failure(.wrongEpoch) }
    let bytes = block.transactions.reduce(LedgerMachine.headerBytes) { $0 + LedgerMachine.size(of: $1) }
    guard block.transactions.count <= Block.maximumTransactions, bytes <= Block.maximumBytes + LedgerMachine.headerBytes
    else { return .failure(.tooLarge) }
    guard makeRoom(for: header.parentID) else { return .failure(.tooManyBranches) }
    guard
      var execution = begin(
        on: header.parentID, timestampMilliseconds: header.timestampMilliseconds, leader: leader)
    else { return .failure(.unknownParent) }
    guard header.nextValidators == execution.nextValidators else { return .failure(.wrongValidators) }
    guard execution.takeReveal(header.reveal, view: header.view, parentID: header.parentID) else {
      return .failure(.wrongReveal)
    }
    for (index, message) in block.transactions.enumerated() {
      if let refusal = execution.include(message, index: index) { return .failure(refusal) }
    }
    execution.finish()
    let (changes, tree) = tree(after: execution, on: header.parentID)
    guard tree.digest == header.stateRoot else { return .failure(.wrongStateRoot) }
    return .success(keep(execution, changes, tree, id: block.id, parent: header.parentID))
  }

  /// Builds a block of those candidates that the block may include, tried in their order, and executes it. Nil for a
  /// parent that is not known, when there is no room for another block, or when the draft's epoch or reveal is not what
  /// the parent's state demands; a timestamp not above the parent's is raised.
  public mutating func build(
    on parent: Digest, candidates: [Verified<Message>], draft: BlockDraft, leader: NodeID, maximumBytes: Int
  ) -> BuildOutcome? {
    guard let chain = chain(at: parent), draft.view > draft.parentView, makeRoom(for: parent) else { return nil }
    let timestamp = max(draft.timestampMilliseconds, chain.timestampMilliseconds + 1)
    guard timestamp <= ChainParameters.maximumValue,
      draft.epoch == parameters.epoch(ofHeight: chain.height + 1),
      var execution = begin(on: parent, timestampMilliseconds: timestamp, leader: leader),
      execution.takeReveal(draft.reveal, view: draft.view, parentID: parent)
    else { return nil }
    var included: [Verified<Message>] = []
    var stale: [Digest] = []
    var bytes = LedgerMachine.headerBytes
    let limit = min(maximumBytes, Block.maximumBytes)
    for candidate in candidates {
      let size = LedgerMachine.size(of: candidate.value)
      guard included.count < Block.maximumTransactions, bytes + size <= limit else { continue }
      if execution.include(candidate.value, index: included.count) == nil {
        included.append(candidate)
        bytes += size
      } else if case .never = includability(of: candidate, on: finalID) {
        // Judged by the final state: what only this branch has made stale may be needed on another.
        stale.append(candidate.value.id)
      }
    }
    execution.finish()
    let (changes, tree) = tree(after: execution, on: parent)
    let header = BlockHeader(
      epoch: draft.epoch, view: draft.view, height: execution.chain.height, parentID: parent,
      parentView: draft.parentView, timestampMilliseconds: timestamp,
      transactionsRoot: Block.transactionsRoot(included.map(\.value.id)), stateRoot: tree.digest,
      nextValidators: execution.nextValidators, reveal: draft.reveal)
    guard let block = Verified<Block>(header: header, transactions: included) else { return nil }
    _ = keep(execution, changes, tree, id: block.value.id, parent: parent)
    return BuildOutcome(block: block, stale: stale)
  }

  /// The bytes of a transaction in a block.
  private static func size(of message: Message) -> Int {
    let payload = message.envelope.payload.count
    // The length prefix: a payload is shorter than 2^14.
    return Envelope.overheadBytes + (payload < 128 ? 1 : 2) + payload
  }

  /// Whether a block on a parent may include a transaction; `later` for a parent that is not known.
  public func includability(of message: Verified<Message>, on parent: Digest) -> Includability {
    guard case .transaction(let transaction) = message.value.body else { return .never(.notATransaction(index: 0)) }
    guard let chain = chain(at: parent) else { return .later }
    return BlockExecution.includability(
      of: transaction, by: message.value.author, account: account(message.value.author, at: parent),
      parameters: parameters, time: chain.ledgerTimeMilliseconds, index: 0)
  }

  private func account(_ id: NodeID, at block: Digest) -> AccountRecord? {
    var next = block
    while next != finalID, let overlay = overlays[next] {
      if let found = overlay.changes.accounts[id] { return found }
      next = overlay.parent
    }
    return tables.accounts[id]
  }

  // MARK: - Work

  /// True when a block on this parent at this wall time has something to do besides transactions: a draw, or a
  /// deadline that one step of ledger time reaches. (What lies further is reached by idle blocks: after an outage
  /// leases must not time out faster than their providers can renew them.)
  public func hasDueWork(on parent: Digest, unixMilliseconds: UInt64) -> Bool {
    nextDueMilliseconds(on: parent).map { $0 <= unixMilliseconds } ?? false
  }

  /// The wall time, in milliseconds since 1970, from which on `hasDueWork` holds on this parent: the parent's timestamp
  /// when a draw is due already; nil when there is no work that the next block could do.
  public func nextDueMilliseconds(on parent: Digest) -> UInt64? {
    guard let chain = chain(at: parent) else { return nil }
    if chain.freshCount > 0 || chain.sweepCursor != nil { return chain.timestampMilliseconds }
    let reach = chain.ledgerTimeMilliseconds.clampedSum(parameters.maximumLedgerStepMilliseconds)
    guard let next = parent == finalID ? finalDeadline : overlays[parent]?.nextDeadline, next <= reach else {
      return nil
    }
    return next
  }

  // MARK: - Finality

  /// Makes an executed block final, and its ancestors with it, and drops the branches that are lost. Returns what they
  /// did, in order, each block's events after its `block`; nothing for a block that is final already or not known.
  public mutating func finalize(_ id: Digest) -> [LedgerEvent] {
    var line: [(id: Digest, overlay: Overlay)] = []
    var next = id
    while next != finalID {
      guard let overlay = overlays[next] else { return [] }
      line.append((next, overlay))
      next = overlay.parent
    }
    guard let tip = line.first?.overlay else { return [] }
    for (block, overlay) in line.reversed() {
      tables.merge(overlay.changes)
      overlays[block] = nil
    }
    tree = tip.tree
    finalChain = tip.chain
    finalDeadline = tip.nextDeadline
    finalReport = tip.report
    finalID = id
    dropLost()
    return line.reversed().flatMap(\.overlay.report.events)
  }

  private mutating func dropLost() {
    // A parent was executed before its child, so one walk in that order finds all that descend from the final block.
    var kept = OrderedSet<Digest>([finalID])
    var remaining = Table<Digest, Overlay>()
    for (id, overlay) in overlays.sorted(by: { $0.value.order < $1.value.order }) where kept.contains(overlay.parent) {
      kept.insert(id)
      remaining[id] = overlay
    }
    overlays = remaining
  }

  /// Keeps the overlays within their bound by the rule stated there.
  private mutating func makeRoom(for parent: Digest) -> Bool {
    guard overlays.count >= LedgerBounds.maximumOverlays else { return true }
    let parents = OrderedSet(overlays.values.map(\.parent))
    let leaves = overlays.filter { !parents.contains($0.key) && $0.key != parent }
    guard
      let lowest = leaves.min(by: { ($0.value.chain.height, $0.value.order) < ($1.value.chain.height, $1.value.order) })
    else { return false }
    overlays[lowest.key] = nil
    return true
  }
}
