import Primitives
import Wire

/// The last finalized block, as much of it as consensus needs.
public struct FinalTip: Sendable, Hashable {
  /// The block's id; the network id at the genesis.
  public var blockID: Digest
  /// 0 at the genesis.
  public var height: UInt64
  /// The view that finalized it; 0 at the genesis and at the beginning of each epoch.
  public var view: UInt64
  /// The block's timestamp, milliseconds since 1970.
  public var timestampMilliseconds: UInt64
  /// The epoch whose blocks are built on it: its own, or the next when it is the last of its own.
  public var epoch: UInt64
  /// What proves it final; nil at the genesis. At the beginning of an epoch the machine is given it as the boundary.
  public var finalization: Verified<Certificate>?

  /// A tip.
  public init(
    blockID: Digest, height: UInt64, view: UInt64, timestampMilliseconds: UInt64, epoch: UInt64,
    finalization: Verified<Certificate>?
  ) {
    self.blockID = blockID
    self.height = height
    self.view = view
    self.timestampMilliseconds = timestampMilliseconds
    self.epoch = epoch
    self.finalization = finalization
  }

  /// Where every chain starts: the genesis, with its creation time in milliseconds since 1970.
  public static func genesis(networkID: Digest, createdMilliseconds: UInt64) -> FinalTip {
    FinalTip(
      blockID: networkID, height: 0, view: 0, timestampMilliseconds: createdMilliseconds, epoch: 0, finalization: nil)
  }

  /// True when both are the same value.
  public static func == (left: FinalTip, right: FinalTip) -> Bool {
    left.blockID == right.blockID && left.view == right.view && left.height == right.height
  }

  /// Feeds the value to a hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(blockID)
    hasher.combine(view)
  }
}

/// The highest certified block: what the leader of the current view builds on, and what work is judged against.
public struct CertifiedTip: Sendable, Hashable {
  /// The block's id; the network id at the genesis.
  public var blockID: Digest
  /// The block's height.
  public var height: UInt64
  /// The view in which it was last certified.
  public var view: UInt64
  /// The block's timestamp, milliseconds since 1970.
  public var timestampMilliseconds: UInt64
}
