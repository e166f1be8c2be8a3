import Core
import Ledger
import Primitives
import Wire

// The states at the ends of epochs, what proves them, and what a start makes of all that the disk holds.

extension SimulatedDisk {
  /// An epoch has begun: keeps its state and its link. Blocks that the older states make needless may go.
  mutating func keep(_ state: StateSnapshot, _ link: EpochLink, isChange: Bool, prunes: Bool) {
    keep(link, isChange: isChange)
    add(StoredSnapshot(link: link, state: state, isDurable: false))
    guard prunes, let oldest = snapshots.first, oldest.isDurable else { return }
    dropBlocks(upTo: oldest.height)
  }

  /// A state was fetched: the block store goes on above it once it is durable.
  mutating func install(_ state: StateSnapshot, _ link: EpochLink) {
    keep(link, isChange: true)
    add(StoredSnapshot(link: link, state: state, isDurable: true))
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

  /// What a start finds: the latest state that is not above the blocks, or else the latest of all, and the blocks that
  /// follow it. Nil when that does not fit together, which would be a fault of ours.
  mutating func recovery(_ genesis: Genesis, verifier: Verifier) -> CoreRecovery? {
    var recovery = CoreRecovery.fresh(genesis)
    if let stored = snapshots.last, stored.height > 0 {
      var assembly = SnapshotAssembly(header: stored.link.header)
      for chunk in stored.state.chunks where assembly.add(chunk) != nil { return nil }
      guard let found = CoreRecovery(genesis: genesis, snapshot: assembly, link: stored.link, verifier: verifier) else {
        return nil
      }
      recovery = found
      if height < stored.height { rebase(stored.height) }
    } else if base > 0 {
      return nil
    }
    let from = recovery.ledger.finalHeight
    for stored in blocks where stored.height > from {
      guard recovery.append([stored.block], finalization: stored.finalization) == nil else { return nil }
    }
    return recovery
  }
}
