import Consensus
import Core
import Ledger
import Membership
import Primitives
import Wire

/// One node of the simulated network: its disk, and a core while it runs.
struct SimulatedNode {
  let number: Int
  let signer: Signer
  let address: PeerAddress
  let record: NodeRecord
  let wallOffset: Microseconds

  var core: NodeCore?
  var disk = SimulatedDisk()
  /// Counts the starts; what was meant for an earlier life does not reach a later one.
  var life: UInt64 = 0
  /// When the next tick is scheduled.
  var wakeAt = Instant.distantFuture
  /// Sends that wait for a sync.
  var held: [(after: UInt64, message: LinkMessage, to: NodeID)] = []
  var durableSequence: UInt64 = 0

  var id: NodeID { signer.id }

  /// Starts from what the disk holds.
  mutating func start(genesis: Genesis, now: Instant, seed: UInt64) {
    life += 1
    wakeAt = .distantFuture
    held = []
    durableSequence = 0
    var recovery = CoreRecovery.fresh(genesis)
    let leaders = LeaderSchedule(validators: genesis.validatorSet, networkID: genesis.networkID)
    for (block, finalization) in disk.blocks {
      let header = block.value.header
      guard let leader = genesis.validatorSet.member(leaders.leader(of: header.view)),
        case .success = recovery.ledger.execute(block, leader: leader)
      else { preconditionFailure("a final block on the own disk executes") }
      _ = recovery.ledger.finalize(block.value.id)
      recovery.tip = FinalTip(
        blockID: block.value.id, height: header.height, view: header.view,
        timestampMilliseconds: header.timestampMilliseconds, epoch: header.epoch, finalization: finalization)
    }
    recovery.records = disk.durable
    recovery.sequenceFloor = disk.sequenceMark
    var settings = CoreSettings(membership: .lan)
    settings.housekeepingInterval = .milliseconds(500)
    core = NodeCore(
      genesis: genesis, signer: signer, wallClock: WallClock(offset: wallOffset), settings: settings, record: record,
      recovery: recovery, seed: seed, now: now)
  }
}
