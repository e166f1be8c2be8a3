import Consensus
import Core
import Foundation
import Journal
import Ledger
import Membership
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

/// One validator under virtual time: what it persists and commits is for a storage to keep.
struct LoneValidator {
  /// What a storage is told, in order.
  enum Happening {
    case persist(ConsensusRecord)
    case commit([Verified<Block>], finalization: Certificate)
    case begin(
      epoch: UInt64, boundary: Verified<Block>, finalization: Verified<Certificate>, snapshot: StateSnapshot,
      next: ValidatorSet)
  }

  let genesis: Genesis
  let key: SigningKey
  var core: NodeCore
  var now = Instant.zero + .seconds(1)
  var happenings: [Happening] = []
  private var request: UInt64 = 0
  private var isStarted = false

  init(epochBlocks: UInt64 = 3_600, balances: [Genesis.Balance] = []) throws {
    key = try SigningKey(seed: [UInt8](repeating: 1, count: 32))
    let wall = Microseconds.seconds(1_800_000_000)
    var parameters = ChainParameters()
    parameters.epochBlocks = epochBlocks
    genesis = try Genesis(
      name: "lone", createdMilliseconds: UInt64(wall.count / 1_000), parameters: parameters,
      validators: [key.id],
      balances: [Genesis.Balance(account: key.id, amountMicrocredits: 1_000_000_000_000)] + balances)
    core = LoneValidator.core(genesis, key, .fresh(genesis), now: now)
  }

  private static func core(_ genesis: Genesis, _ key: SigningKey, _ recovery: CoreRecovery, now: Instant) -> NodeCore {
    var settings = CoreSettings(membership: .loopback)
    settings.beaconLength = 0
    return NodeCore(
      genesis: genesis, signer: Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) },
      wallClock: WallClock(offset: .seconds(1_800_000_000)), settings: settings,
      record: NodeRecord(
        name: "lone", addresses: [], roles: [.validator], capabilities: .zero, agent: "test",
        expiresUnixSeconds: 1 << 40),
      recovery: recovery, seed: 1, now: now)
  }

  /// The same validator after a restart from what a storage found.
  mutating func restart(from recovery: CoreRecovery) {
    core = LoneValidator.core(genesis, key, recovery, now: now)
    isStarted = false
    happenings = []
  }

  var records: [ConsensusRecord] {
    happenings.compactMap { if case .persist(let record) = $0 { record } else { nil } }
  }

  var commits: [(blocks: [Verified<Block>], finalization: Certificate)] {
    happenings.compactMap {
      if case .commit(let blocks, let finalization) = $0 { (blocks, finalization) } else { nil }
    }
  }

  var snapshots: [StateSnapshot] {
    happenings.compactMap { if case .begin(_, _, _, let snapshot, _) = $0 { snapshot } else { nil } }
  }

  /// Makes blocks, each with a transfer in it, until the chain has this height.
  mutating func run(toHeight height: UInt64) throws {
    let target = try nodeID(9)
    if !isStarted { step(.start) }
    isStarted = true
    let end = now + .seconds(3_600)
    while core.ledger.finalHeight < height {
      now = max(now, core.nextWake)
      if core.mempool.count == 0 {
        request += 1
        step(.submit(.transfer(to: target, amountMicrocredits: 1_000), request: request))
      }
      step(.tick)
      now = now + .milliseconds(1)
      try #require(now < end)
    }
  }

  mutating func step(_ input: CoreInput) {
    var inputs = [input]
    while !inputs.isEmpty {
      var effects: [CoreEffect] = []
      core.step(inputs.removeFirst(), now: now, into: &effects)
      for effect in effects {
        switch effect {
        case .persist(let sequence, let record):
          happenings.append(.persist(record))
          inputs.append(.persisted(upTo: sequence))
        case .committed(let blocks, let finalization, _):
          happenings.append(.commit(blocks, finalization: finalization.value))
        case .epochBegan(let epoch, let boundary, let finalization, let snapshot, let next):
          happenings.append(
            .begin(epoch: epoch, boundary: boundary, finalization: finalization, snapshot: snapshot, next: next))
        case .halt(let reason): Issue.record("halted: \(reason)")
        default: break
        }
      }
    }
  }

  /// Puts all that happened on the disk, in its order.
  func keep(in storage: ChainStorage) async {
    for happening in happenings {
      switch happening {
      case .persist(let record): storage.persist([record.encoded]) { #expect($0.isDurable) }
      case .commit(let blocks, let finalization):
        storage.commit(blocks, finalization: finalization) { Issue.record("a block was not kept: \($0)") }
      case .begin(let epoch, let boundary, let finalization, let snapshot, let next):
        storage.begin(
          epoch: epoch, boundary: boundary, finalization: finalization, snapshot: snapshot, next: next
        ) { Issue.record("an epoch was not kept: \($0)") }
        await storage.settled()
      }
    }
    let isDurable = await withCheckedContinuation { continuation in
      storage.persist([]) { continuation.resume(returning: $0.isDurable) }
    }
    #expect(isDurable)
  }
}

extension JournalOutcome {
  var isDurable: Bool { if case .success = self { true } else { false } }
}
