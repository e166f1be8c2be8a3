import Consensus
import Ledger
import Primitives
import Wire

/// What a node finds on its disk when it starts.
public struct CoreRecovery: Sendable {
  /// The ledger at the last final block.
  public var ledger: LedgerMachine
  /// The last final block. After the last of an epoch it is the beginning of the next: `view` is 0 and `epoch` the next.
  public var tip: FinalTip
  /// What proves the last block of the epoch before the tip's final; nil in epoch 0.
  public var boundary: Verified<Certificate>?
  /// The journal's records, in order. Those of epochs before the tip's are passed over, those of later ones kept until
  /// the node gets there: votes bind although the blocks between are lost.
  public var records: [ConsensusRecord]
  /// The epoch in which the journal's content begins: the records of earlier ones were dropped, votes among them.
  public var journalEpoch: UInt64 = 0
  /// No sequence number up to this was left unused.
  public var sequenceFloor: UInt64

  private let networkID: Digest
  private let parameters: ChainParameters
  private var leaders: (set: ValidatorSet, schedule: LeaderSchedule)?

  /// What a node finds that has never run, and what a replay of stored blocks starts from: `append` goes on from it.
  public static func fresh(_ genesis: Genesis) -> CoreRecovery {
    CoreRecovery(
      genesis: genesis, ledger: LedgerMachine(genesis: genesis),
      tip: .genesis(networkID: genesis.networkID, createdMilliseconds: genesis.createdMilliseconds), boundary: nil)
  }

  /// A stored state, whose chunks are all in `snapshot`, and the link of its height. Nil when they do not fit each other,
  /// or the link's certificate fails the verifier.
  public init?(genesis: Genesis, snapshot: SnapshotAssembly, link: EpochLink, verifier: Verifier) {
    guard let ledger = LedgerMachine(genesis: genesis, snapshot: snapshot, header: link.header),
      let state = ledger.state(at: ledger.finalID), let signers = state.validatorSet(epoch: link.header.epoch),
      let boundary = try? verifier.verify(link.finalization, validators: signers)
    else { return nil }
    self.init(genesis: genesis, ledger: ledger, tip: .beginning(after: link.header), boundary: boundary)
  }

  private init(genesis: Genesis, ledger: LedgerMachine, tip: FinalTip, boundary: Verified<Certificate>?) {
    self.ledger = ledger
    self.tip = tip
    self.boundary = boundary
    records = []
    sequenceFloor = 0
    networkID = genesis.networkID
    parameters = genesis.parameters
  }

  /// Goes on by stored final blocks, in the order of heights. `finalization` is of the last of them; nil when it is not
  /// at hand, which only the last block of an epoch must not be without. Nil when they were taken, else why the first
  /// that was not is refused; what came before it was taken.
  public mutating func append(
    _ blocks: [Verified<Block>], finalization: Verified<Certificate>?
  ) -> BlockRefusal? {
    for block in blocks {
      let header = block.value.header
      guard let leader = leader(of: header) else { return .unknownParent }
      if case .failure(let refusal) = ledger.execute(block, leader: leader) { return refusal }
      _ = ledger.finalize(block.value.id)
      let proof = finalization.flatMap { $0.value.subject.blockID == block.value.id ? $0 : nil }
      if parameters.isEpochEnd(header.height) {
        tip = .beginning(after: header)
        boundary = proof
      } else {
        tip = FinalTip(
          blockID: block.value.id, height: header.height, view: proof?.value.subject.view ?? header.view,
          timestampMilliseconds: header.timestampMilliseconds, epoch: header.epoch, finalization: proof)
      }
    }
    return nil
  }

  private mutating func leader(of header: BlockHeader) -> NodeID? {
    if leaders?.set.epoch != header.epoch {
      guard let set = ledger.state(at: ledger.finalID)?.validatorSet(epoch: header.epoch) else { return nil }
      leaders = (set, LeaderSchedule(validators: set, networkID: networkID))
    }
    return leaders.flatMap { $0.set.member($0.schedule.leader(of: header.view)) }
  }
}

extension FinalTip {
  /// The beginning of the epoch after the one whose last block this is.
  static func beginning(after header: BlockHeader) -> FinalTip {
    FinalTip(
      blockID: header.id, height: header.height, view: 0, timestampMilliseconds: header.timestampMilliseconds,
      epoch: header.epoch &+ 1, finalization: nil)
  }
}

extension ConsensusRecord {
  /// The epoch that the record is of.
  var epoch: UInt64 {
    switch self {
    case .ownVote(let vote): vote.subject.epoch
    case .certificate(let certificate): certificate.subject.epoch
    case .certified(let block): block.header.epoch
    }
  }
}
