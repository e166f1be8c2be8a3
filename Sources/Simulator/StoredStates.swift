import Core
import Ledger
import Primitives
import Wire

// The states at the ends of epochs, what proves them, and what a start makes of all that the disk holds.

extension SimulatedDisk {
  /// An epoch has begun: keeps its state and its link. Blocks up to `keptFrom` go when a state stands for them.
  mutating func keep(_ state: StateSnapshot, _ link: EpochLink, isChange: Bool, keptFrom: UInt64) {
    beginJournal(of: link.header.epoch + 1)
    keep(link, isChange: isChange)
    add(StoredSnapshot(link: link, state: state, isDurable: false))
    guard let oldest = snapshots.first, oldest.isDurable else { return }
    dropBlocks(upTo: min(oldest.height, keptFrom))
  }

  /// A state was fetched: the block store goes on above it once it is durable.
  mutating func install(_ state: StateSnapshot, _ link: EpochLink) {
    beginJournal(of: link.header.epoch + 1)
    keep(link, isChange: true)
    add(StoredSnapshot(link: link, state: state, isDurable: true))
    pruneJournal(before: link.header.epoch + 1)
    rebase(link.header.height)
  }

  /// Keeps a link, in the order of epochs.
  mutating func keep(_ link: EpochLink, isChange: Bool) {
    guard !links.contains(where: { $0.link.header.epoch == link.header.epoch }) else { return }
    let at = links.firstIndex { $0.link.header.epoch > link.header.epoch } ?? links.count
    insertLink(link, isChange, at: at)
  }

  /// The links from an epoch on that changed the validators, and the last one.
  func epochLinks(from epoch: UInt64) -> [EpochLink] {
    let later = links.filter { $0.link.header.epoch >= epoch }
    let kept = later.enumerated().filter { $0.element.isChange || $0.offset == later.count - 1 }.map(\.element.link)
    return Array(kept.prefix(ConsensusMessage.maximumEpochLinks))
  }

  /// The chunk of a state that covers a key hash.
  func chunk(height: UInt64, covering key: Digest) -> SnapshotChunk? {
    snapshots.first { $0.height == height }?.state.chunk(covering: key)
  }

  /// Why what the disk holds does not fit together: a fault of ours.
  struct Unfit: Error {
    var reason: String
  }

  /// What a start finds: the latest state, and the blocks that follow it.
  mutating func recovery(_ genesis: Genesis, verifier: Verifier) throws(Unfit) -> CoreRecovery {
    var recovery = CoreRecovery.fresh(genesis)
    settleSnapshots()
    if let stored = snapshots.last {
      var assembly = SnapshotAssembly(header: stored.link.header)
      for chunk in stored.state.chunks {
        if let refusal = assembly.add(chunk) {
          throw Unfit(reason: "a chunk of the state of block \(stored.height) is refused: \(refusal)")
        }
      }
      guard let found = CoreRecovery(genesis: genesis, snapshot: assembly, link: stored.link, verifier: verifier) else {
        throw Unfit(reason: "the state of block \(stored.height) and its link do not fit each other")
      }
      recovery = found
      if height < stored.height { rebase(stored.height) }
    } else if base > 0 {
      throw Unfit(reason: "the blocks up to \(base) are gone, and there is no state")
    }
    let from = recovery.ledger.finalHeight
    for stored in blocks where stored.height > from {
      if let refusal = recovery.append([stored.block], finalization: stored.finalization) {
        throw Unfit(reason: "block \(stored.height) on the disk does not execute: \(refusal)")
      }
    }
    return recovery
  }
}
