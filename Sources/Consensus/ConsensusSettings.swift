import Primitives
import Wire

/// The times and bounds of consensus. All nodes of a network derive them from the same genesis.
public struct ConsensusSettings: Sendable, Hashable {
  /// Δ0 of rule 9: the bound on message delay that timeouts start from.
  public var delta: Microseconds
  /// The most that Δ grows to.
  public var deltaCap: Microseconds
  /// Rule 11: the least time between a block and its parent.
  public var blockIntervalMinimum: Microseconds
  /// Rule 11: how long a leader with nothing to do waits.
  public var blockIntervalIdle: Microseconds
  /// Rule 8: with nothing finalized for this long, everything since is sent again.
  public var standstill: Microseconds
  /// Rule 12: how far ahead of the own clock a timestamp may be.
  public var maximumClockLead: Microseconds
  /// Rule 5: how often a node stuck in a view says so again. Five Δ0.
  public var retryInterval: Microseconds
  /// How long to wait for what is probably on its way before asking for it, and before asking another peer. One Δ0.
  public var fetchInterval: Microseconds
  /// The blocks of an epoch.
  public var epochBlocks: UInt64
  /// Rule 13: for how long a relay is granted. Whoever needs it longer asks again after half of that.
  public var relayInterval = Microseconds.seconds(10)
  /// For how many views up to the last finalized one certificates are kept to serve those behind, and votes to make
  /// evidence of a contradiction that comes late.
  public var retentionViews: UInt64 = 64
  /// Rule 9: a leader without a vote in this many views, while a quorum has voted, counts as silent.
  public var silentViews: UInt64 = 8
  /// How much may lie above the last final block.
  public var bounds: ConsensusBounds

  /// The settings of a network. Values above `ChainParameters.maximumValue` count as that.
  public init(_ parameters: ChainParameters, bounds: ConsensusBounds = ConsensusBounds()) {
    self.bounds = bounds
    func span(_ milliseconds: UInt64) -> Microseconds {
      .milliseconds(Int64(min(milliseconds, ChainParameters.maximumValue)))
    }
    delta = span(max(1, parameters.deltaMilliseconds))
    deltaCap = max(delta, span(parameters.deltaCapMilliseconds))
    blockIntervalMinimum = span(parameters.blockIntervalMinimumMilliseconds)
    blockIntervalIdle = span(parameters.blockIntervalIdleMilliseconds)
    standstill = span(max(1, parameters.standstillMilliseconds))
    maximumClockLead = span(parameters.maximumClockLeadMilliseconds)
    retryInterval = delta * 5
    epochBlocks = max(ChainParameters.minimumEpochBlocks, parameters.epochBlocks)
    fetchInterval = delta
  }

  /// Rule 9: Δ of a view that is `distance` views above the last finalized one: Δ0 · 1.5^(distance - 1), capped.
  public func delta(distance: UInt64) -> Microseconds {
    var value = delta
    var steps = distance
    while steps > 1, value < deltaCap {
      value = value + value / 2 + Microseconds(1)
      steps -= 1
    }
    return min(value, deltaCap)
  }
}
