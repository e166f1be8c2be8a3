import Consensus
import Core
import Ledger
import Membership
import Primitives
import Wire

/// A core in a place of its own: it is large, and must be looked at where it is and never copied.
final class RunningCore {
  var core: NodeCore

  init(_ core: NodeCore) { self.core = core }
}

/// One instance of a node of the simulated network: its disk, and a core while it runs. Twins are two instances with
/// one identity.
final class SimulatedNode {
  let number: Int
  let signer: Signer
  /// The keys that it may vote under: its own, and those that it may rotate to.
  let voteSigners: [Signer]
  var address: PeerAddress
  let record: NodeRecord
  let known: KnownSets
  let inbound: Inbound
  /// A newcomer starts then.
  let startsAt: Instant

  var wallOffset: Microseconds
  /// How much faster its wall clock runs, in a million.
  let drift: Int64
  /// The core while the node runs.
  var running: RunningCore?
  var disk = SimulatedDisk()
  /// Counts the starts; what was meant for an earlier life does not reach a later one.
  var life: UInt64 = 0
  /// When the next tick is scheduled.
  var wakeAt = Instant.distantFuture
  /// Nothing happens here before.
  var pausedUntil = Instant.zero
  /// It may not start before: its disk is full, or its power is off.
  var downUntil = Instant.zero
  /// Sends that wait for a sync.
  var held: [(after: UInt64, carried: Carried, to: NodeID)] = []
  var durableSequence: UInt64 = 0
  var steps: UInt64 = 0

  init(
    number: Int, signers: [Signer], address: PeerAddress, record: NodeRecord, known: KnownSets, inbound: Inbound,
    startsAt: Instant, wallOffset: Microseconds, drift: Int64
  ) {
    self.number = number
    signer = signers[0]
    voteSigners = signers
    self.address = address
    self.record = record
    self.known = known
    self.inbound = inbound
    self.startsAt = startsAt
    self.wallOffset = wallOffset
    self.drift = drift
  }

  var id: NodeID { signer.id }

  func wallClock(at now: Instant) -> WallClock {
    WallClock(offset: wallOffset + Microseconds(now.microseconds / 1_000_000 * drift))
  }

  /// Starts from what the disk holds.
  func start(
    _ genesis: Genesis, _ setup: Setup, now: Instant, seed: UInt64, isWide: Bool
  ) throws(SimulatedDisk.Unfit) {
    life += 1
    wakeAt = .distantFuture
    held = []
    durableSequence = 0
    if disk.mustAbstain {
      disk.mustAbstain = false
      disk.abstainsUntilMilliseconds = wallClock(at: now).unixMilliseconds(at: now)
    }
    let trusting = Verifier(networkID: genesis.networkID) { _, _, _ in true }
    var recovery = try disk.recovery(genesis, verifier: trusting)
    recovery.records = disk.durable
    recovery.journalEpoch = disk.journalEpoch
    disk.beginJournal(of: recovery.tip.epoch)
    recovery.sequenceFloor = disk.sequenceMark
    var settings = CoreSettings(membership: isWide ? .wan : .lan)
    settings.housekeepingInterval = .milliseconds(500)
    settings.membership.fullMeshBelow = SimulationOptions.nodeRange.upperBound + 1
    settings.abstainUntilMilliseconds = disk.abstainsUntilMilliseconds
    settings.beaconLength = setup.beaconLength
    settings.snapshotDistance = setup.snapshotDistance
    settings.consensusBounds = setup.bounds
    disk.commitBlocks = setup.bounds.commitBlocks
    running = RunningCore(
      NodeCore(
        genesis: genesis, signer: signer, voteSigners: voteSigners, wallClock: wallClock(at: now), settings: settings,
        record: record, recovery: recovery, seed: seed, now: now))
  }
}
