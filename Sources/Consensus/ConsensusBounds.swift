import Wire

/// How much may lie above the last final block. A simulation takes less, to meet the bounds.
public struct ConsensusBounds: Sendable, Hashable {
  /// The most blocks held that are not known to be final. What a quorum wants and what is known to be final is taken
  /// beyond it, each as much again at most.
  public var openBlocks = ConsensusMessage.maximumChainBlocks
  /// The most blocks that a commit has, so that one chain answer carries it: at least 1, and at most
  /// `ConsensusMessage.maximumChainBlocks`.
  public var commitBlocks = ConsensusMessage.maximumChainBlocks
  /// The most bytes that the blocks of a commit have; a single block may have more. With what an answer has besides
  /// them this stays below the longest frame of a link.
  public var commitBytes = 3 * Block.maximumBytes

  /// The bounds of a network.
  public init() {}
}
