/// What a path does to the packets on it. A field that is nil says nothing: what is set more widely holds there.
package struct SwitchCondition: Sendable, Equatable, Codable {
  /// How long a packet is under way, one way.
  package var delayMicroseconds: Int64?
  /// How much earlier or later than that it may come; packets never overtake each other by it.
  package var jitterMicroseconds: Int64?
  /// How many packets of a million are lost.
  package var lossPartsPerMillion: UInt32?
  /// How many of a million arrive twice.
  package var duplicatePartsPerMillion: UInt32?
  /// How many of a million go without the delay, and so overtake those before them.
  package var reorderPartsPerMillion: UInt32?
  /// How many bits a second a direction carries; 0 for as many as come.
  package var rateBitsPerSecond: UInt64?

  /// The longest delay and jitter.
  package static let maximumMicroseconds: Int64 = 60_000_000
  /// The slowest and the fastest rate.
  package static let rates: ClosedRange<UInt64> = 1_000...100_000_000_000

  /// Says nothing.
  package init() {}

  /// Whether it says nothing.
  package var isEmpty: Bool { self == SwitchCondition() }

  /// Takes over what a newer one says.
  package mutating func merge(_ newer: SwitchCondition) {
    delayMicroseconds = newer.delayMicroseconds ?? delayMicroseconds
    jitterMicroseconds = newer.jitterMicroseconds ?? jitterMicroseconds
    lossPartsPerMillion = newer.lossPartsPerMillion ?? lossPartsPerMillion
    duplicatePartsPerMillion = newer.duplicatePartsPerMillion ?? duplicatePartsPerMillion
    reorderPartsPerMillion = newer.reorderPartsPerMillion ?? reorderPartsPerMillion
    rateBitsPerSecond = newer.rateBitsPerSecond ?? rateBitsPerSecond
  }
}

/// Where a condition holds.
package enum SwitchScope: Sendable, Equatable {
  /// On every path that has nothing of its own.
  case all
  /// On all that these hosts send and receive, instead of what is set for all.
  case hosts([Int])
  /// On these paths alone, each in the direction that it names, instead of what is set for their hosts or for all.
  case paths([SwitchPath])
}

/// A direction between two hosts, counted from 1.
package struct SwitchPath: Sendable, Hashable, Codable {
  /// Who sends.
  package var from: Int
  /// Who receives.
  package var to: Int

  /// A direction.
  package init(from: Int, to: Int) {
    self.from = from
    self.to = to
  }
}
